"""A live mesh for the browser tests: `mesh up` on folders of its own, asked over GraphQL.

Nothing sleeps a fixed time.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mesh_assets.cli.services import graphql
from mesh_assets.settings import PROJECT_ROOT

T = TypeVar("T")

CHROMIUM = shutil.which("chromium")
SCREENSHOTS = os.environ.get("MESH_SCREENSHOTS")
# A step takes seconds where the machine is free; where it is not, waiting costs nothing.
WAIT_SECONDS = 400
MESH = str(Path(sys.executable).with_name("mesh"))
_MATERIALIZED = """query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
  assetMaterializations(limit: 20) { partition runId metadataEntries { label } } } } }"""
_RUNS = """query($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 50) { ... on Runs { results {
  id status parentRunId startTime endTime tags { key value } assetSelection { path }
  stepStats { stepKey status } } } } }"""
_BACKFILLS = """{ partitionBackfillsOrError(limit: 20) { ... on PartitionBackfills { results {
  id status title partitionNames assetSelection { path } tags { key value } } } } }"""


@dataclass
class Mesh:
    """A mesh that is up."""

    url: str
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def drops(self) -> Path:
        return self.folder / "drops"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def wait_for(self, what: str, probe: Callable[[], T]) -> T:
        """The first true answer of `probe`, asked again and again until the time is over."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            assert self.process.poll() is None, "mesh up ended"
            try:
                answer = probe()
            except (urllib.error.URLError, OSError, TypeError, KeyError):
                answer = None
            if answer:
                return answer
            time.sleep(0.5)
        raise AssertionError(f"{what} did not happen within {WAIT_SECONDS} s")

    def materializations(self, asset: str) -> list[dict[str, Any]]:
        data: Any = graphql(self.url, _MATERIALIZED, {"key": {"path": [asset]}})
        return data["assetOrError"]["assetMaterializations"]

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """Runs with these tags, the newest first; `dagster/partition` is written `dagster__partition`."""
        wanted = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        data: Any = graphql(self.url, _RUNS, {"filter": {"tags": wanted}})
        return data["runsOrError"]["results"]

    def backfills(self) -> list[dict[str, Any]]:
        data: Any = graphql(self.url, _BACKFILLS)
        return data["partitionBackfillsOrError"]["results"]

    def at_rest(self) -> bool:
        """Whether no run is queued or at work."""
        statuses = ["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"]
        data: Any = graphql(self.url, _RUNS, {"filter": {"statuses": statuses}})
        return not data["runsOrError"]["results"]

    def command(self, *arguments: str) -> str:
        """What a `mesh` command prints."""
        done = subprocess.run(
            [MESH, *arguments], env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def tags_of(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def live_mesh(folder: Path, **settings: str) -> Iterator[Mesh]:
    """`mesh up` in `folder` while the block lasts, with these further settings."""
    home = folder / "home"
    home.mkdir()
    shutil.copy(PROJECT_ROOT / "dagster.yaml", home)
    (folder / "drops").mkdir(exist_ok=True)
    port = free_port()
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "MESH_STATE": str(folder / "state"),
        "MESH_DROPS": str(folder / "drops"),
        "MESH_PORT": str(port),
        "MESH_SEARCH_PORT": str(free_port()),
        "MESH_QUIET_SECONDS": "0",
        **settings,
    }
    process = subprocess.Popen([MESH, "up"], env=environment, cwd=folder, start_new_session=True)
    try:
        yield Mesh(f"http://127.0.0.1:{port}", folder, environment, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def picture(page: object, name: str) -> None:
    """A screenshot where MESH_SCREENSHOTS says so."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS, f"{name}.png"))  # type: ignore[attr-defined]
