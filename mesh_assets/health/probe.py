"""Looks at this machine for the checks: reads files, asks the system, changes nothing but a probe file of the locks."""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import resource
import socket
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import yaml

from mesh_assets.errors import MeshError
from mesh_assets.health.machine import STATE_PER_BYTE, Folder
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.settings import PROJECT_ROOT, Settings
from mesh_assets.storage.filesystem import free_bytes, locks_hold, network_type
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.run_locks import is_alive
from mesh_assets.storage.status import statuses

_DAEMON_MODULES = ("dagster._daemon", "dagster-daemon")


@dataclass(frozen=True, slots=True)
class LakeFacts:
    """Bytes of drops that were read and that are left, bytes of the state folder, and moments with what they are of."""

    read: int
    left: int
    state: int
    moments: tuple[tuple[str, float], ...]

    @property
    def expected(self) -> int:
        """Bytes that the state folder will grow by when everything that is known is read."""
        # A small lake is mostly fixed costs and says nothing of a large one.
        measured = self.state / self.read if self.read > 100_000_000 else STATE_PER_BYTE
        return round(self.left * measured)


def requirements() -> tuple[str, list[str]]:
    """`requires-python` and the ranges of packages, as pyproject.toml of the clone has them."""
    project: dict[str, Any] = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    return str(project["requires-python"]), [str(text) for text in project["dependencies"]]


def installed(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def dagster_packages() -> dict[str, str]:
    """Dagster's packages that are numbered with its releases, with their versions."""
    names = ("dagster", "dagster-webserver", "dagster-graphql", "dagster-pipes", "dagster-shared", "dagster-duckdb")
    return {name: version for name in names if (version := installed(name)) is not None}


def folder(setting: str, path: Path) -> Folder:
    """A folder as it is met; one that is not there yet is judged by the nearest above it."""
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    read_only = bool(os.statvfs(there).f_flag & os.ST_RDONLY)
    locks: bool | None = None
    if path.is_dir() and not read_only:
        with suppress(OSError):
            locks = locks_hold(path)
    return Folder(
        setting=setting,
        path=str(path),
        exists=path.exists(),
        writable=not read_only and os.access(there, os.W_OK | os.X_OK),
        free=free_bytes(path),
        network=network_type(path),
        locks=locks,
    )


def lake_facts(settings: Settings) -> LakeFacts:
    """How much was read and is left, and the newest moments of the lake and of the drops."""
    lake = Lake(settings.state / "lake")
    found = statuses(lake, DropArea.of(settings))
    size, newest = _size_and_newest(settings.state)
    moments: list[tuple[str, float]] = [("the newest file of the lake", newest)]
    for dataset, footer in lake.manifests()[0].items():
        moments.append((f"the manifest of {dataset}", footer.made_at))
        moments.append((f"the newest file of {dataset}", _newest_source(lake, dataset)))
    left = sum(status.bytes_left for status in found)
    return LakeFacts(sum(status.bytes for status in found) - left, left, size, tuple(moments))


def run_locks(state: Path) -> tuple[list[str], list[str]]:
    """Run ids of the lock files that nobody holds, and of those that a process holds."""
    try:
        ids = sorted(path.stem for path in (state / "locks").glob("*.lock"))
    except OSError:
        return [], []
    held = [run_id for run_id in ids if is_alive(state / "locks", run_id)]
    return [run_id for run_id in ids if run_id not in held], held


def up_since(state: Path) -> float | None:
    """Seconds since `mesh up` took its lock; None where nobody holds it."""
    try:
        with (state / "up.lock").open() as file:
            try:
                # Shared and for an instant: two doctors do not disturb each other.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return max(time.time() - os.fstat(file.fileno()).st_mtime, 0.0)
    except FileNotFoundError:
        pass
    return None


def daemon_processes(home: str) -> list[int]:
    """Process ids of Dagster's daemons whose DAGSTER_HOME is `home`, as far as this user may see them."""
    found: list[int] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            command = process.cmdline()
            if (
                any(part.endswith(_DAEMON_MODULES) for part in command)
                and process.environ().get("DAGSTER_HOME") == home
            ):
                found.append(process.pid)
    return sorted(found)


def yaml_of(path: Path) -> object:
    """The content of a YAML file; None where there is none, or none that can be read."""
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return None


def open_files_limit() -> int:
    """The soft limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft


def resolves(host: str) -> bool:
    """Whether a name of a host has an address."""
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a name of a host means this machine alone."""
    try:
        addresses = {str(address[4][0]) for address in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(addresses) and all(address == "::1" or address.startswith("127.") for address in addresses)


def port_is_taken(host: str, port: int) -> bool:
    """Whether another program listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _size_and_newest(root: Path) -> tuple[int, float]:
    size, newest = 0, 0.0
    for entry in _files(root):
        with suppress(FileNotFoundError):  # a run may replace it meanwhile
            state = entry.stat(follow_symlinks=False)
            size += state.st_size
            newest = max(newest, state.st_mtime)
    return size, newest


def _files(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    with suppress(FileNotFoundError, PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                yield entry


def _newest_source(lake: Lake, dataset: str) -> float:
    try:
        newest = pl.scan_parquet(lake.read("drop_manifests", dataset).path).select(pl.col("mtime_ns").max()).collect()
    except (MeshError, pl.exceptions.PolarsError, OSError):
        return 0.0
    value = newest.item()
    return value / 1e9 if value is not None else 0.0
