"""A whole location in a folder: real sensors ticked by hand, real jobs run in this process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage

from mesh_assets.definitions import build_defs
from mesh_assets.intake.languages import Languages
from mesh_assets.settings import Settings
from mesh_assets.storage.lake import Lake

# A run logs a hundred lines, which take a third of its time and hide what a test has to say.
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
# The default model as OpenVINO reads it takes three seconds to make; each kind of it has a folder by its content.
CONVERTED_MODELS = Path(tempfile.gettempdir()) / f"mesh-test-models-{os.getuid()}"
SENSORS = ("drop_sensor", "slice_sensor", "dataset_report_sensor", "index_catch_up")


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def _without_sync(connection: Any, _: object) -> None:
    """Dagster's databases of a test need not survive a power cut; syncing them takes most of a run's time."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA synchronous=OFF")


@cache
def _engine(url: str, timeout: float | None) -> sqlalchemy.Engine:
    arguments = {} if timeout is None else {"timeout": timeout}
    return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=arguments)


def _same_engine(url: str, *, connect_args: Mapping[str, float] | None = None, **_: object) -> sqlalchemy.Engine:
    return _engine(url, (connect_args or {}).get("timeout"))


# Dagster makes an engine for each event, which compiles its statements anew: a quarter of a run's time.
for _module in (sqlite_event_log, sqlite_run_storage):
    vars(_module)["create_engine"] = _same_engine


# A run lets the model of languages go to make room; the next run of this process would load it again.
_load_languages = cache(vars(Languages)["_identifier"].func)
Languages._identifier = property(lambda _: _load_languages(None))  # pyright: ignore


@dataclass
class Location:
    """Settings, definitions and an instance of their own; `settle` does what the daemon would do."""

    folder: Path
    overrides: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    settings_type: type[Settings] = Settings

    def __post_init__(self) -> None:
        self.settings = self.settings_type(
            state=self.folder / "state",
            drops=self.folder / "drops",
            **{"quiet_seconds": 0, "settle_seconds": 0, **self.options},
        )
        self.settings.drops.mkdir(parents=True, exist_ok=True)
        self._share_models()
        self.defs = build_defs(self.settings, resource_overrides=self.overrides)
        self.lake = Lake(self.settings.state / "lake")
        home = self.folder / "dagster"
        home.mkdir(exist_ok=True)
        self.instance = dg.DagsterInstance.local_temp(str(home))
        self.cursors: dict[str, str | None] = {}
        self.run_keys: set[str] = set()

    def _share_models(self) -> None:
        CONVERTED_MODELS.mkdir(exist_ok=True)
        models = self.settings.state / "models"
        if not models.exists():
            models.parent.mkdir(parents=True, exist_ok=True)
            models.symlink_to(CONVERTED_MODELS)

    def tick(self, name: str) -> list[dg.RunRequest]:
        """What a sensor asks for now; a run key that was asked for before is left out, as the daemon does."""
        sensor = self.defs.resolve_sensor_def(name)
        resources = {k: v for k, v in (self.defs.resources or {}).items() if k in sensor.required_resource_keys}
        context = dg.build_sensor_context(
            instance=self.instance,
            instance_ref=self.instance.get_ref(),
            repository_def=self.defs.get_repository_def(),
            resources=resources,
            cursor=self.cursors.get(name),
        )
        data = sensor.evaluate_tick(context)
        self.cursors[name] = data.cursor
        for request in data.dynamic_partitions_requests or []:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        for event in data.asset_events:
            self.instance.report_runless_asset_event(event)
        fresh = [r for r in data.run_requests or [] if r.run_key not in self.run_keys]
        self.run_keys.update(str(r.run_key) for r in fresh)
        return fresh

    def run(self, job: str, request: dg.RunRequest, *, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
        """One run, as a request asks for it."""
        return self.defs.resolve_job_def(job).execute_in_process(
            run_config=QUIET,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            instance=self.instance,
            raise_on_error=raise_on_error,
        )

    def settle(self, *, raise_on_error: bool = True) -> list[str]:
        """Tick and run until nothing is asked for; the run keys in order."""
        done: list[str] = []
        for _ in range(10):
            asked = 0
            for name in SENSORS:
                job = self.defs.resolve_sensor_def(name).job_name
                for request in self.tick(name):
                    asked += 1
                    done.append(str(request.run_key))
                    self.run(job, request, raise_on_error=raise_on_error)
            if not asked:
                return done
        raise AssertionError(f"the sensors do not come to rest: {done}")

    def files_of(self, asset: str) -> dict[str, tuple[int, int]]:
        """Each file of an asset in the lake, with its inode and modification time: unchanged means untouched."""
        found = sorted((self.lake.root / asset).rglob("*.parquet"))
        return {str(path.relative_to(self.lake.root)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}
