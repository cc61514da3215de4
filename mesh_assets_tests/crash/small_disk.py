"""A disk of some MiB that can really be full: a tmpfs of its own, which the system refuses to write beyond."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BLOCK = 1 << 12


@contextmanager
def small_disk(point: Path, *, mib: int) -> Iterator[Path]:
    """A folder with room for `mib` MiB. Needs root, as CI and containers have it."""
    point.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(point)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a disk that can be full needs the right to mount one: {mounted.stderr.strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True)


@contextmanager
def full(disk: Path, *, left: int = 0) -> Iterator[None]:
    """The disk with only about `left` bytes free while the block lasts."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > left:
            try:
                file.write(bytes(_BLOCK))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                break
    try:
        yield
    finally:
        ballast.unlink()
