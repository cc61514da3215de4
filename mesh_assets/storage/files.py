"""Atomic files: written beside under a temporary name that holds the run id, synced, then renamed.

A reader sees the old file or the new one, never a part; a kill leaves a temporary that nobody reads.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from mesh_assets.errors import LakeError

# No stage writes one file for longer: an older temporary was left by a killed run.
LEFT_OVER_SECONDS = 86_400
_REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[^.]*\.tmp", re.DOTALL)


@contextmanager
def publishing(path: Path, run_id: str) -> Generator[Path]:
    """A temporary path to write to; it becomes `path` when the block ends, and goes when it fails.

    LakeError where the disk refuses (full, read-only); `path` then is as it was. Any other exception of the block
    passes. What a killed run left of the same file a day ago is removed.
    """
    temporary = path.parent / f".{path.name}.{run_id[:36]}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise LakeError(
            f"{path} cannot be written: {error.strerror or error}.",
            remedy="Make room or allow writing there (`df -h`, `ls -ld`), then run it again: nothing was changed.",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def publish_text(path: Path, text: str, run_id: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    with publishing(path, run_id) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_files(folder: Path, names: Collection[str]) -> int:
    """Delete published files of a folder, and what killed runs left of them; how many were there.

    Only whole names count: with `a.parquet` nothing goes that belongs to `a.parquet.b.parquet`. LakeError where the
    disk refuses.
    """
    removed = 0
    try:
        for path in list(folder.iterdir()):
            left = _TEMPORARY.fullmatch(path.name)
            if path.name in names or (left is not None and left["name"] in names):
                path.unlink(missing_ok=True)
                removed += left is None
    except (FileNotFoundError, NotADirectoryError):
        return removed
    except OSError as error:
        raise _undeletable(folder, error) from error
    return removed


def remove_folder(path: Path) -> int:
    """Delete a folder with all that is in it, never through a link; how many files went. LakeError where refused."""
    files = sum(len(names) for _, _, names in os.walk(path))
    try:
        shutil.rmtree(path)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise _undeletable(Path(os.fsdecode(error.filename or path)), error) from error
    return files


def _undeletable(path: Path, error: OSError) -> LakeError:
    return LakeError(
        f"{path} cannot be deleted: {error.strerror or error}.",
        remedy="Allow deleting there (`ls -ld`), then do the same again: it goes on where it stopped.",
    )


def _sweep(path: Path) -> None:
    for left in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        with suppress(FileNotFoundError):  # another process may be as tidy
            if time.time() - left.stat().st_mtime > LEFT_OVER_SECONDS:
                left.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
