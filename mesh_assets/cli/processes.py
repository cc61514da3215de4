"""Dagster's processes on this machine: those that an earlier `mesh up` left behind, and daemons of someone else.

Processes are told by a mark in their environment, not by a number that was written down: numbers are given again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from mesh_assets.errors import ServiceError

# In the environment of every process that `mesh up` starts: the state folder that it works on.
MARK = "MESH_UP_STATE"
_DAEMON = "dagster._daemon"
# A run worker in the middle of a write needs a moment; what does not answer then is killed, as a power failure would.
_STOP_SECONDS = 20
_KILL_SECONDS = 20


def mark(state: Path) -> dict[str, str]:
    """The environment variable that marks the processes of the mesh with this state folder."""
    return {MARK: str(state.resolve())}


def marked(state: Path) -> list[psutil.Process]:
    """Living processes that were started for this state folder, whoever started them; this one is none of them."""
    wanted = str(state.resolve())
    return [process for process, environment in _environments() if environment.get(MARK) == wanted]


def end(processes: Iterable[psutil.Process]) -> None:
    """End processes: asked first, then killed. ServiceError where one cannot be ended."""
    left = list(processes)
    for send, seconds in ((psutil.Process.terminate, _STOP_SECONDS), (psutil.Process.kill, _KILL_SECONDS)):
        for process in left:
            try:
                send(process)
            except psutil.NoSuchProcess:
                continue
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            time.sleep(0.1)
            left = [process for process in left if _lives(process)]
        if not left:
            return
    numbers = ", ".join(str(process.pid) for process in left)
    raise ServiceError(
        f"Processes of an earlier mesh cannot be ended: {numbers}.",
        remedy="They wait for a disk that does not answer, it seems (`ps -o stat,wchan,cmd -p NUMBER`); mend that.",
    )


def check_no_other_daemon(dagster_home: str) -> None:
    """ServiceError where a daemon works on this DAGSTER_HOME that is not ours: two would break each other's retries.

    Call it when the processes of an earlier mesh have ended.
    """
    home = Path(dagster_home).resolve()
    for process, environment in _environments():
        if Path(environment.get("DAGSTER_HOME", "/nowhere")).resolve() == home and _DAEMON in _command(process):
            raise ServiceError(
                f"Another Dagster daemon works on {home} already: process {process.pid}.",
                remedy="Stop the `dagster dev`, or the mesh with another MESH_STATE, that started it.",
            )


def _environments() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            yield process, process.environ()
        except (psutil.Error, OSError):  # it ended meanwhile, or is another user's
            continue


def _lives(process: psutil.Process) -> bool:
    try:
        # One that has ended stays in the list until its parent has asked for it, which an orphan's may never do.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.Error, OSError):
        return []
