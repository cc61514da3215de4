"""Walks a dataset's folder: what is there, by `stat` alone. Nothing is opened, so a terabyte is listed in seconds.

The walk goes folder by folder and can stop between any two, so that the drop sensor does it in slices of time. Its
digest does not depend on the order of folders: equal digests mean that nothing changed.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from mesh_assets.intake.sources import Identity, open_folder
from mesh_assets.schemas.rejects import Reject

# Hard limits on what a hostile drop may make us follow. Linux itself stops at 4,096 bytes of path.
MAX_DEPTH = 64
MAX_PATH_BYTES = 4_000
_DIGEST_MODULUS = 1 << 128


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A regular file with content, as `stat` sees it. `path` is relative to the dataset's folder."""

    path: str
    identity: Identity


@dataclass(slots=True)
class Walk:
    """A walk in progress: the folders still to visit and what was seen so far.

    `growing` counts files that changed less than the quiet time ago: they are neither listed nor missing.
    """

    pending: list[str] = field(default_factory=lambda: [""])
    digest: int = 0
    files: int = 0
    growing: int = 0

    @property
    def done(self) -> bool:
        """Whether every folder was visited."""
        return not self.pending

    def advance(self, root: Path, visitor: Visitor, *, until: float = float("inf")) -> bool:
        """Visit folders below `root`, one at least, until none is left or the monotonic clock reaches `until`.

        Whether the walk is done.
        """
        while self.pending:
            self._visit(root, self.pending.pop(), visitor)
            if time.monotonic() >= until:
                break
        return self.done

    def _visit(self, root: Path, folder: str, visitor: Visitor) -> None:
        try:
            descriptor = open_folder(root, folder)
        except OSError as error:
            self._unread(folder, error, visitor)
            return
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    self._take(entry, f"{folder}/{entry.name}" if folder else entry.name, visitor)
        except OSError as error:
            self._unread(folder, error, visitor)
        finally:
            os.close(descriptor)

    def _take(self, entry: os.DirEntry[str], path: str, visitor: Visitor) -> None:
        fault = _name_fault(path)
        if fault is not None:
            self._reject(visitor, fault)
            return
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return  # it vanished between listing and stat: the same as never having been there
        except OSError:
            visitor.on_growing(path)  # nothing is known of it this time: what was known stays
            return
        if stat.S_ISDIR(status.st_mode):
            self._enter(path, visitor)
        elif not stat.S_ISREG(status.st_mode):
            self._reject(visitor, _special_file(path, status.st_mode))
        elif visitor.is_growing(status):
            self.growing += 1
            visitor.on_growing(path)
        elif status.st_size == 0:
            self._reject(visitor, Reject(path, "empty", "Nothing to do unless it should have content."))
        else:
            found = Identity.of(status)
            self.files += 1
            self._add(path, found.size, found.mtime_ns, found.inode, found.ctime_ns)
            visitor.on_file(ListedFile(path, found))

    def _unread(self, folder: str, error: OSError, visitor: Visitor) -> None:
        if isinstance(error, FileNotFoundError) and folder:
            return  # it vanished since its parent was listed
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):  # it is no folder any more: what was in it is gone
            visitor.on_unread(folder)
        self._reject(visitor, _unreadable_folder(folder, error))

    def _enter(self, path: str, visitor: Visitor) -> None:
        if path.count("/") + 1 > MAX_DEPTH:
            self._reject(
                visitor,
                Reject(path, "folder too deep", f"Move it up: folders are followed {MAX_DEPTH} levels deep."),
            )
        else:
            self.pending.append(path)

    def _reject(self, visitor: Visitor, reject: Reject) -> None:
        self._add(reject.path, reject.reason)
        visitor.on_reject(reject)

    def _add(self, *identity: object) -> None:
        # A sum, so that the order of folders and a pause between them change nothing.
        text = "\0".join(map(str, identity)).encode("utf-8", "surrogateescape")
        self.digest = (self.digest + int.from_bytes(blake3(text).digest(length=16), "big")) % _DIGEST_MODULUS


def _ignore(found: object) -> None:
    del found


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a walk does with what it meets. `quiet_seconds` is the setting, `now` the time in seconds since 1970."""

    quiet_seconds: float
    now: Callable[[], float] = time.time
    on_file: Callable[[ListedFile], None] = _ignore
    on_growing: Callable[[str], None] = _ignore
    on_unread: Callable[[str], None] = _ignore
    on_reject: Callable[[Reject], None] = _ignore

    def is_growing(self, status: os.stat_result) -> bool:
        """Whether the file changed less than the quiet time ago.

        The change time counts, not the modification time, which copying tools set back. A change time in the future
        (the clock jumped back) says nothing, so such a file is taken: should it still grow, its reader notices.
        """
        age = self.now() - status.st_ctime
        return 0 <= age < self.quiet_seconds


@dataclass(frozen=True, slots=True)
class Listing:
    """A finished walk: every quiet file in the order of paths, the paths of growing ones, rejects, and the digest.

    `unread` are folders that could not be read this time: nobody knows what is in them.
    """

    files: tuple[ListedFile, ...]
    growing: frozenset[str]
    rejects: tuple[Reject, ...]
    digest: str
    unread: tuple[str, ...] = ()

    def may_still_hold(self, path: str) -> bool:
        """Whether a file that was not listed may be there all the same."""
        return path in self.growing or any(not folder or path.startswith(f"{folder}/") for folder in self.unread)


def list_dataset(root: Path, *, quiet_seconds: float) -> Listing:
    """Walk all of `root` at once."""
    files: list[ListedFile] = []
    growing: list[str] = []
    rejects: list[Reject] = []
    unread: list[str] = []
    visitor = Visitor(
        quiet_seconds,
        on_file=files.append,
        on_growing=growing.append,
        on_unread=unread.append,
        on_reject=rejects.append,
    )
    walk = Walk()
    walk.advance(root, visitor)
    files.sort(key=lambda file: file.path)
    rejects.sort(key=lambda reject: reject.path)
    return Listing(tuple(files), frozenset(growing), tuple(rejects), f"{walk.digest:032x}", tuple(unread))


def _name_fault(path: str) -> Reject | None:
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        return Reject(path, "name is not UTF-8", "Rename it, for instance with `convmv -t utf8`.")
    if size > MAX_PATH_BYTES:
        return Reject(path, "path too long", f"Move it up: paths of up to {MAX_PATH_BYTES:,} bytes are followed.")
    return None


def _special_file(path: str, mode: int) -> Reject:
    if stat.S_ISLNK(mode):
        return Reject(path, "symbolic link", "Links are never followed: drop a copy of what it points to.")
    return Reject(path, "not a regular file", "Devices, pipes and sockets are never opened: drop a copy of the data.")


def _unreadable_folder(folder: str, error: OSError) -> Reject:
    return Reject(
        folder or ".", "unreadable folder", "Allow it: chmod u+rx, or chown it.", detail=error.strerror or str(error)
    )
