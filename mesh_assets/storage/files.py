"""Files of the lake and the reports: replaced in one step, with an error in words where the disk refuses."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path

from mesh_assets.atomic import replacing
from mesh_assets.errors import LakeError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_FOLDER = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}  # a file where a folder should be, or the other way round
_REFUSED = _FULL | _NO_FOLDER | {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[^.]*\.tmp", re.DOTALL)


@contextmanager
def publishing(path: Path, run_id: str) -> Generator[Path]:
    """A temporary path to write to; it becomes `path` when the block ends, and goes when it fails.

    LakeError where the disk refuses (full, read-only); `path` then is as it was. Any other exception of the block
    passes, also what refused another file than this one.
    """
    temporary: Path | None = None
    try:
        with replacing(path, run_id) as temporary:
            yield temporary
    except OSError as error:
        ours = error.filename is None or Path(str(error.filename)) in (path, path.parent, temporary)
        if error.errno not in _REFUSED or not (ours or temporary is None):
            raise
        raise refused(path, error) from error


def refused(path: Path, error: OSError) -> LakeError:
    """The error in words for a file that the disk refused to write."""
    if error.errno in _FULL:
        return LakeError(
            f"{path} cannot be written: the disk is full ({error.strerror or error}).",
            remedy=f"Make room (`df -h {path.parent}`); nothing was changed, and the mesh tries again by itself.",
        )
    return LakeError(
        f"{path} cannot be written: {error.strerror or error}.",
        remedy=f"Allow writing there (`ls -ld {path.parent}`), then run it again: nothing was changed.",
    )


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
        raise undeletable(folder, error) from error
    return removed


def remove_folder(path: Path) -> int:
    """Delete a folder with all that is in it, never through a link; how many files went. LakeError where refused."""
    files = sum(len(names) for _, _, names in os.walk(path))
    try:
        shutil.rmtree(path)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise undeletable(Path(os.fsdecode(error.filename or path)), error) from error
    return files


def undeletable(path: Path, error: OSError) -> LakeError:
    """The error in words for a file that the disk refused to delete."""
    return LakeError(
        f"{path} cannot be deleted: {error.strerror or error}.",
        remedy="Allow deleting there (`ls -ld`), then do the same again: it goes on where it stopped.",
    )
