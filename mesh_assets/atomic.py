"""Atomic files: written beside under a temporary name, synced, then renamed. What a killed process left is swept.

A reader sees the old file or the new one, never a part. Whoever writes a temporary, or fills a staging folder, holds a
lock on it, which the operating system frees with the process: so a leftover is told from work by its lock, never by
its age, and a clock that jumps changes nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

# A temporary of `name` is called `.name.<tag>.tmp`.
TEMPORARIES = ".*.tmp"
# A run id has 36 characters; longer tags would only make names too long.
_TAG_CHARACTERS = 36
# Beside a staging folder lies a file called like it with this suffix: its lock says that someone still fills it.
_STAGING_LOCK = ".lock"
# What a file system without locks answers.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def replacing(path: Path, tag: str) -> Generator[Path]:
    """A temporary path to write to; it becomes `path`, durably, when the block ends, and goes when it fails.

    `tag` tells writers apart. Leftovers of killed writers of the same file are removed first. OSError where the disk
    refuses; `path` then is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent.glob(f".{escape(path.name)}.*.tmp"))
    temporary = path.parent / f".{path.name}.{tag[:_TAG_CHARACTERS]}.tmp"
    descriptor = locked(temporary)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def staging(folder: Path) -> Generator[Path]:
    """The new folder `folder` while the block lasts; nobody sweeps it meanwhile. OSError where it cannot be made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(folder.name + _STAGING_LOCK)  # first the lock, so that a folder without one is a leftover
    descriptor = None
    try:
        try:
            descriptor = locked(lock)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise  # where there are no locks nothing can be told from work, so nothing is swept either
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)


def locked(path: Path) -> int:
    """A descriptor of the file `path`, which is made if need be, with its lock held until that is closed."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, path):  # else it was swept between opening and locking: make it again
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def sweep(paths: Iterable[Path]) -> list[Path]:
    """Remove those files whose lock nobody holds; which they were. What cannot be removed stays."""
    removed: list[Path] = []
    for path in paths:
        with suppress(OSError):  # another process may be as tidy
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, path):
                    path.unlink()
                    removed.append(path)
            finally:
                os.close(descriptor)
    return removed


def sweep_stagings(parent: Path) -> list[Path]:
    """Remove those staging folders in `parent` that nobody fills any more; which they were."""
    try:
        entries = list(parent.iterdir())
    except OSError:
        return []
    sweep(entry for entry in entries if entry.suffix == _STAGING_LOCK)
    removed: list[Path] = []
    for folder in entries:
        held = folder.with_name(folder.name + _STAGING_LOCK).exists()
        if folder.is_dir() and not folder.is_symlink() and not held:
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
    return removed


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
