"""Brings files into the drop area: copied beside, then renamed, so that no walk ever sees half a file."""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mesh_assets.atomic import staging, sweep_stagings
from mesh_assets.errors import SourceError
from mesh_assets.intake.drop_area import INCOMING


@dataclass(slots=True)
class Copied:
    """What an ingestion did: files copied, files that were there already, bytes copied, and what was left out."""

    copied: int = 0
    present: int = 0
    bytes: int = 0
    left_out: list[str] = field(default_factory=list[str])


def bring_in(
    source: Path, folder: str, drops: Path, *, progress: Callable[[Copied], None], skip: Collection[str] = ()
) -> Copied:
    """Copy a file, or everything below a folder, into `folder` of the drop area; links and devices are left out.

    Folders called as in `skip` are passed over. A file with equal content is not touched, so that bringing the same
    twice changes nothing. What a killed ingestion left is removed. SourceError where the source cannot be read or there
    is no room.
    """
    if not source.is_dir() and not source.is_file():
        raise SourceError("missing", f"{source} is no file and no folder.", remedy="Check the path.")
    copied = Copied()
    drops = drops.resolve()
    incoming = drops / INCOMING
    sweep_stagings(incoming)
    try:
        with staging(incoming / uuid.uuid4().hex) as beside:
            for path, name in _regular_files(source, copied, skip):
                _bring_one(path, drops / folder / name, beside / "file", copied)
                progress(copied)
    except OSError as error:
        raise SourceError(
            "not copied",
            f"{error.filename or source} could not be copied: {error.strerror}.",
            remedy="Make room or allow reading, then run the same command again: it goes on where it stopped.",
        ) from error
    return copied


def _regular_files(source: Path, copied: Copied, skip: Collection[str]) -> Iterator[tuple[Path, str]]:
    if not source.is_dir():
        yield source.resolve(), source.name
        return
    for parent, folders, names in os.walk(source, onerror=lambda error: copied.left_out.append(str(error.filename))):
        copied.left_out += [str(Path(parent, name)) for name in folders if Path(parent, name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in skip)
        for name in sorted(names):
            path = Path(parent, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path, str(path.relative_to(source))
            else:
                copied.left_out.append(str(path))


def _bring_one(path: Path, target: Path, beside: Path, copied: Copied) -> None:
    if not target.is_symlink() and target.is_file() and filecmp.cmp(path, target, shallow=False):
        copied.present += 1
        return
    shutil.copy2(path, beside, follow_symlinks=False)
    if target.parent.resolve() != target.parent.absolute():
        raise SourceError(
            "symbolic link",
            f"{target.parent} lies behind a symbolic link.",
            remedy="Remove the link: nothing is written outside the drop area.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    beside.replace(target)
    copied.copied += 1
    copied.bytes += target.stat().st_size
