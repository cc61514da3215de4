"""Locks of runs: held by a run's process as long as it lives, so that anyone can tell a dead run from a slow one.

Dagster keeps a run STARTED for ever when everything was killed at once. Whoever starts the daemon asks here first, and
a sensor asks while it is up. The number of the process in a lock file is for people: a number may be given to another
process, a lock may not.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mesh_assets.atomic import locked
from mesh_assets.storage.files import refused

# Below the state folder: the locks of runs, and that of `mesh up`, which is written anew at each start.
LOCKS, UP_LOCK = "locks", "up.lock"


@contextmanager
def run_lock(folder: Path, run_id: str) -> Generator[None]:
    """Hold the lock of a run; the operating system frees it with the process, however that ends.

    LakeError where the lock file cannot be written.
    """
    path = folder / f"{run_id}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = locked(path)
    except OSError as error:
        raise refused(path, error) from error
    try:
        _note_process(descriptor)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def is_alive(folder: Path, run_id: str) -> bool:
    """Whether some process holds the lock of this run."""
    try:
        descriptor = os.open(folder / f"{run_id}.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who ask at once do not take each other for the run.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def process_of(folder: Path, run_id: str) -> int | None:
    """The number of the process that holds the lock of this run; None where none does."""
    if not is_alive(folder, run_id):
        return None
    try:
        return int((folder / f"{run_id}.lock").read_text())
    except (FileNotFoundError, ValueError):  # it ended meanwhile, or has only just begun
        return None


def _note_process(descriptor: int) -> None:
    try:
        os.write(descriptor, str(os.getpid()).encode())
    except OSError:
        return  # a full disk: the lock holds all the same
