"""Dagster's processes and the search page: started, watched and stopped together. One set a state folder, by a lock."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mesh_assets.cli.console import errors, safe
from mesh_assets.cli.home import dagster_environment
from mesh_assets.cli.processes import check_no_other_daemon, end, mark, marked
from mesh_assets.errors import ServiceError, SettingsError
from mesh_assets.settings import PROJECT_ROOT, Settings
from mesh_assets.storage.filesystem import file_system_type, locks_hold, network_type
from mesh_assets.storage.leftovers import sweep_leftovers
from mesh_assets.storage.run_locks import LOCKS, UP_LOCK

HOST = "127.0.0.1"
# A busy machine with two cores needs up to a minute to load the code location for the first time.
START_SECONDS = 180
STOP_SECONDS = 20
# Dagster that is killed is started again; one that dies again and again has a fault that a start does not mend.
MOST_RESTARTS = 5
RESTART_SECONDS = 600
# A search page that has ended is started again, at most so often.
SEARCH_RESTART_SECONDS = 30
# Time servers move a clock by less. Sensors look every ten seconds at most, so nobody notices less either.
CLOCK_TOLERANCE_SECONDS = 10
_WORKSPACE = str(PROJECT_ROOT / "workspace.yaml")
_READY_QUERY = (
    "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename } } } } }"
)


@dataclass(slots=True)
class Services:
    """The web server and the daemon, as one process group; `check` starts them again where they have ended."""

    settings: Settings
    environment: dict[str, str]
    url: str
    log: Path
    _process: subprocess.Popen[bytes] | None = None
    _search: subprocess.Popen[bytes] | None = None
    _search_at: float = 0.0
    _ended: list[float] = field(default_factory=list[float])
    _clock: float = 0.0

    @property
    def search_url(self) -> str:
        """Where the search page is; empty where none is wanted."""
        return f"http://{HOST}:{self.settings.search_port}" if self.settings.search_port else ""

    def start(self) -> None:
        """Start both, once no run of an earlier start is left; ServiceError where they do not answer."""
        end(marked(self.settings.state))
        check_no_other_daemon(self.environment["DAGSTER_HOME"])
        _check_port(self.settings.port, "MESH_PORT")
        if self.settings.search_port:
            _check_port(self.settings.search_port, "MESH_SEARCH_PORT")
        fail_orphaned_runs(self.settings, self.environment["DAGSTER_HOME"])
        self._mend_clock()
        sweep_leftovers(self.settings.state, self.settings.drops)
        dagster = ("dagster", "dev", "-h", HOST, "-p", str(self.settings.port), "-w", _WORKSPACE)
        self._process = _launched(self.settings, self.environment, self.log, *dagster)
        self._wait_until_ready()
        self._serve_search()

    def _serve_search(self) -> None:
        """Start the search page where it does not run. That it ends, ends nothing else."""
        is_over = self._search is None or self._search.poll() is not None
        if self.settings.search_port and is_over and time.monotonic() >= self._search_at:
            self._search_at = time.monotonic() + SEARCH_RESTART_SECONDS
            self._search = _launched(self.settings, self.environment, self.log, "mesh_assets.serving")

    def check(self) -> None:
        """Start Dagster again where it, or its daemon, was killed; ServiceError where it does not stay up.

        Where the clock was set back since the last call, the sensors are told.
        """
        if _clock() < self._clock - CLOCK_TOLERANCE_SECONDS:
            self._mend_clock()
        if self._process is None or self._process.poll() is None:
            self._serve_search()
            return
        now = time.monotonic()
        self._ended = [*(then for then in self._ended if now - then < RESTART_SECONDS), now]
        if len(self._ended) > MOST_RESTARTS:
            raise ServiceError(
                f"Dagster ended {len(self._ended)} times within {RESTART_SECONDS // 60} minutes, "
                f"at last with status {self._process.returncode}.",
                remedy=f"The reason is in {self.log}.",
            )
        self.stop()
        self.start()

    def _mend_clock(self) -> None:
        import dagster as dg

        from mesh_assets.defs.recovery import let_sensors_tick

        self._clock = _clock()
        os.environ["DAGSTER_HOME"] = self.environment["DAGSTER_HOME"]
        with dg.DagsterInstance.get() as instance:
            let_sensors_tick(instance)

    def stop(self) -> None:
        """End both and every run worker. Nothing happens where they were not started."""
        if self._process is not None:
            _stop(self._process)
        end(marked(self.settings.state))

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise ServiceError(
                    f"Dagster ended with status {self._process.returncode}.", remedy=f"The reason is in {self.log}."
                )
            try:
                text = json.dumps(graphql(self.url, _READY_QUERY))
            except (urllib.error.URLError, OSError, ValueError, KeyError):
                time.sleep(0.5)
                continue
            if "PythonError" in text:
                remedy = "`dagster definitions validate` says why."
                raise ServiceError("Dagster cannot load mesh_assets.", remedy=remedy)
            if '"LOADED"' in text:
                return
            time.sleep(0.5)
        raise ServiceError(f"Dagster did not answer within {START_SECONDS} s.", remedy=f"See {self.log}.")


@contextmanager
def dagster_services(settings: Settings) -> Generator[Services]:
    """Web server and daemon on the loopback address while the block lasts; ServiceError where that cannot be."""
    with _only_one(settings):
        # Started with `&` by a script, SIGINT would be ignored; and a plain `kill` would leave our children behind.
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, signal.default_int_handler)
        environment = dagster_environment() | mark(settings.state)
        services = Services(settings, environment, f"http://{HOST}:{settings.port}", settings.state / "dagster.log")
        try:
            services.start()
            yield services
        finally:
            services.stop()


def _clock() -> float:
    """What the wall clock is ahead of one that nobody sets, in seconds."""
    return time.time() - time.monotonic()


def _launched(settings: Settings, environment: dict[str, str], log: Path, *module: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=settings.state,  # Dagster lets a `.env` where it starts win over the environment that we give it
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def fail_orphaned_runs(settings: Settings, dagster_home: str) -> list[str]:
    """Report runs as failed whose process is gone, so that they are retried; their ids. No daemon may run meanwhile."""
    os.environ["DAGSTER_HOME"] = dagster_home
    import dagster as dg

    from mesh_assets.defs.recovery import end_orphans, orphans

    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    with dg.DagsterInstance.get() as instance:
        locks = settings.state / LOCKS
        # That the owner stopped the mesh, or the power failed, is no fault of a run: it keeps all its retries.
        why = "Its process ended: the mesh was stopped, or the machine went down."
        return end_orphans(instance, locks, orphans(instance, locks, unfinished), why=why, keep_retries=True)


@contextmanager
def _only_one(settings: Settings) -> Generator[None]:
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"MESH_STATE cannot be {settings.state}: {error.strerror}.",
            remedy="Set it to a folder that can be written.",
        ) from error
    check_locks(settings.state)
    path = settings.state / UP_LOCK
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ServiceError(
                f"The mesh is up already: {file.read().strip()}.",
                remedy="Use that one, or stop it there with Ctrl-C first.",
            ) from error
        file.truncate(0)
        file.write(f"http://{HOST}:{settings.port}, process {os.getpid()}")
        file.flush()
        yield


def check_locks(state: Path) -> None:
    """SettingsError where locks do not hold in the state folder: runs would overwrite each other there."""
    try:
        holds = locks_hold(state)
    except OSError as error:
        raise SettingsError(
            f"MESH_STATE, {state}, cannot be written: {error.strerror or error}.",
            remedy="Make room or allow writing there, or set MESH_STATE to another folder.",
        ) from error
    if not holds:
        kind = network_type(state) or file_system_type(state) or "unknown"
        raise SettingsError(
            f"Locks on files do not hold in MESH_STATE, {state} (file system {kind}).",
            remedy="Set MESH_STATE to a folder on a disk of this machine; the drops may stay where they are.",
        )
    if (kind := network_type(state)) is not None:
        errors.print(
            f"MESH_STATE, {safe(str(state))}, lies on a network ({kind}). Locks hold between processes of this "
            "machine; whether they do between machines is unknown: let this one alone write there.",
            markup=False,
        )


def running_at(settings: Settings) -> str | None:
    """The address of the mesh that is up with this state folder; None where none is."""
    try:
        with (settings.state / UP_LOCK).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().split(",")[0].strip() or None
    except FileNotFoundError:
        pass
    return None


def _check_port(port: int, setting: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServiceError(
                f"Port {port} on {HOST} is taken by another program.",
                remedy=f"Stop that program, or choose another port: {setting}={port + 10} mesh up",
            ) from error


def graphql(url: str, query: str, variables: dict[str, object] | None = None) -> dict[str, object]:
    """The data of an answer of Dagster's GraphQL API. URLError where it does not answer."""
    body = json.dumps({"query": query, "variables": variables or {}}).encode()
    request = urllib.request.Request(  # noqa: S310  # always our own loopback address
        f"{url}/graphql", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)["data"]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the parent, which ends its children in order; then whatever is left of the group, run workers too."""
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
            end = time.monotonic() + STOP_SECONDS
            while time.monotonic() < end:
                process.poll()  # a parent that nobody waits for would keep its group alive
                os.killpg(process.pid, 0)
                time.sleep(0.1)
            continue
        return
