"""A live mesh (`mesh up`: web server, daemon, run workers) with a folder of its own, that tests may kill in parts.

Everything is waited for by a condition and a generous deadline; nothing sleeps a fixed time for its own sake.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import dagster as dg
import psutil

from mesh_assets.cli.processes import marked
from mesh_assets.settings import PROJECT_ROOT, Settings
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.progress import dataset_progress
from mesh_assets.storage.run_locks import LOCKS, process_of

T = TypeVar("T")
# Twenty slices wait for each other, on a machine that may do other things as well.
WAIT_SECONDS = 3600
AT_WORK = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@dataclass
class LiveMesh:
    """`mesh up` below `folder`, with its drops, state and DAGSTER_HOME there."""

    folder: Path
    model: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.home.mkdir()
        shutil.copy(PROJECT_ROOT / "dagster.yaml", self.home)
        self.settings = Settings(
            state=self.folder / "state",
            drops=self.folder / "drops",
            embedding_model=str(self.model),
            quiet_seconds=0,
            keep_free_mib=0,
        )
        self.settings.drops.mkdir()
        self.lake = Lake(self.settings.state / "lake")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        os.environ["DAGSTER_HOME"] = str(self.home)
        self.instance = dg.DagsterInstance.get()

    def start(self) -> None:
        """`mesh up`; it is up when the run queue answers, which the conditions of a test wait for."""
        environment = os.environ | {
            "DAGSTER_HOME": str(self.home),
            "MESH_STATE": str(self.settings.state),
            "MESH_DROPS": str(self.settings.drops),
            "MESH_PORT": str(self.port),
            "MESH_SEARCH_PORT": "0",
            "MESH_QUIET_SECONDS": "0",
            "MESH_KEEP_FREE_MIB": "0",
            "MESH_EMBEDDING_MODEL": str(self.model),
            **self.environment,
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [str(Path(sys.executable).with_name("mesh")), "up"]
        with (self.folder / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=environment, cwd=self.folder, start_new_session=True, stdout=log, stderr=log
            )

    def stop(self) -> None:
        """Ctrl-C, as an owner does it; whatever is left then is an error."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        try:
            assert self.process.wait(120) == 0, self.said()
            assert not self.processes()
        finally:
            self.kill_everything()

    def kill_everything(self) -> None:
        """SIGKILL to `mesh up` and to everything that it started, as a power failure would end them."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        for process in self.processes():
            process.kill()
        self.process.wait()
        self.wait_for("the end of every process", lambda: not self.processes())

    def processes(self) -> list[psutil.Process]:
        """Every living process of this mesh but `mesh up` itself."""
        return marked(self.settings.state)

    def worker(self, run_id: str) -> int | None:
        """The process that executes a run."""
        return process_of(self.settings.state / LOCKS, run_id)

    def wait_for(self, what: str, probe: Callable[[], T], *, every: float = 0.2) -> T:
        """The first true answer of `probe`."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            if answer := probe():
                return answer
            time.sleep(every)
        raise AssertionError(f"{what} did not happen within {WAIT_SECONDS} s\n{self.said()}")

    def runs(self, statuses: Sequence[dg.DagsterRunStatus] = ()) -> Sequence[dg.DagsterRun]:
        return self.instance.get_runs(dg.RunsFilter(statuses=list(statuses)) if statuses else None)

    def is_done(self, dataset: str) -> bool:
        """Whether every slice is at its version, the report is of them, and nothing works on it."""
        progress = dataset_progress(self.lake, dataset)
        report = self.lake.find("dataset_reports", dataset)
        return bool(
            progress.versions
            and not progress.unfinished
            and report is not None
            and report.footer.extra["state"] == progress.digest
        )

    def said(self) -> str:
        """The last lines of what `mesh up` and Dagster said, for a failed test."""
        logs = [self.folder / "up.log", self.settings.state / "dagster.log"]
        return "\n".join(log.read_text(errors="replace")[-4000:] for log in logs if log.exists())
