"""Locks of runs: held by a run's process as long as it lives, so that anyone can tell a dead run from a slow one.

Dagster keeps a run STARTED for ever when everything was killed at once. Whoever starts the daemon asks here first.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def run_lock(folder: Path, run_id: str) -> Generator[None]:
    """Hold the lock of a run; the operating system frees it with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run_id}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
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
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
