"""Dagster's processes: started together, watched, and stopped together. One set a state folder, by a lock."""

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
from dataclasses import dataclass
from pathlib import Path

from mesh_assets.cli.home import dagster_environment
from mesh_assets.errors import ServiceError, SettingsError
from mesh_assets.settings import PROJECT_ROOT, Settings
from mesh_assets.storage.run_locks import is_alive

HOST = "127.0.0.1"
# A busy machine with two cores needs up to a minute to load the code location for the first time.
START_SECONDS = 180
STOP_SECONDS = 20
# As `dagster.yaml` has it.
_RETRIES = 3
_MAX_RETRIES_TAG = "dagster/max_retries"
_READY_QUERY = (
    "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename } } } } }"
)


@dataclass(frozen=True, slots=True)
class Services:
    """The web server and the daemon, as one process group."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def check(self) -> None:
        """ServiceError where they have ended."""
        if self.process.poll() is not None:
            raise ServiceError(
                f"Dagster ended with status {self.process.returncode}.", remedy=f"The reason is in {self.log}."
            )


@contextmanager
def dagster_services(settings: Settings) -> Generator[Services]:
    """Web server and daemon on the loopback address while the block lasts; ServiceError where that cannot be."""
    with _only_one(settings):
        _check_port(settings.port)
        # Started with `&` by a script, SIGINT would be ignored; and a plain `kill` would leave our children behind.
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, signal.default_int_handler)
        environment = dagster_environment()
        fail_orphaned_runs(settings, environment["DAGSTER_HOME"])
        log = settings.state / "dagster.log"
        workspace = str(PROJECT_ROOT / "workspace.yaml")
        command = [sys.executable, "-m", "dagster", "dev", "-h", HOST, "-p", str(settings.port), "-w", workspace]
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=settings.state,  # Dagster lets a `.env` where it starts win over the environment that we give it
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        services = Services(process, f"http://{HOST}:{settings.port}", log)
        try:
            _wait_until_ready(services)
            yield services
        finally:
            _stop(process)


def fail_orphaned_runs(settings: Settings, dagster_home: str) -> list[str]:
    """Report runs as failed whose process is gone, so that they are retried; their ids. No daemon may run meanwhile."""
    os.environ["DAGSTER_HOME"] = dagster_home
    import dagster as dg

    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=unfinished))
        orphans = [run for run in runs if not is_alive(settings.state / "locks", run.run_id)]
        for run in orphans:
            # That the owner stopped the mesh, or the power failed, is no fault of the run: it keeps all its retries.
            _, group = instance.get_run_group(run.run_id) or (None, [run])
            instance.add_run_tags(run.run_id, {_MAX_RETRIES_TAG: str(len(list(group)) + _RETRIES - 1)})
            current = instance.get_run_by_id(run.run_id) or run
            instance.report_run_failed(current, "Its process ended: the mesh was stopped, or the machine went down.")
    return [run.run_id for run in orphans]


@contextmanager
def _only_one(settings: Settings) -> Generator[None]:
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"MESH_STATE cannot be {settings.state}: {error.strerror}.",
            remedy="Set it to a folder that can be written.",
        ) from error
    path = settings.state / "up.lock"
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


def running_at(settings: Settings) -> str | None:
    """The address of the mesh that is up with this state folder; None where none is."""
    try:
        with (settings.state / "up.lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().split(",")[0].strip() or None
    except FileNotFoundError:
        pass
    return None


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServiceError(
                f"Port {port} on {HOST} is taken by another program.",
                remedy=f"Stop that program, or choose another port: MESH_PORT={port + 1} mesh up",
            ) from error


def graphql(url: str, query: str, variables: dict[str, object] | None = None) -> dict[str, object]:
    """The data of an answer of Dagster's GraphQL API. URLError where it does not answer."""
    body = json.dumps({"query": query, "variables": variables or {}}).encode()
    request = urllib.request.Request(  # noqa: S310  # always our own loopback address
        f"{url}/graphql", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)["data"]


def _wait_until_ready(services: Services) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        services.check()
        try:
            text = json.dumps(graphql(services.url, _READY_QUERY))
        except (urllib.error.URLError, OSError, ValueError, KeyError):
            time.sleep(0.5)
            continue
        if "PythonError" in text:
            raise ServiceError("Dagster cannot load mesh_assets.", remedy="`dagster definitions validate` says why.")
        if '"LOADED"' in text:
            return
        time.sleep(0.5)
    raise ServiceError(f"Dagster did not answer within {START_SECONDS} s.", remedy=f"See {services.log}.")


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
