"""Files of the lake and the reports: replaced in one step, with an error in words where the disk refuses."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mesh_assets.atomic import replacing
from mesh_assets.errors import LakeError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = _FULL | {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


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
