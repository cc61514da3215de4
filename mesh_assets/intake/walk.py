"""Walks a dataset's folder: what is there, by `stat` alone. Nothing is opened, so a terabyte is listed in seconds.

The walk goes folder by folder and can stop between any two, so that the drop sensor does it in slices of time. Its
digest does not depend on the order of folders: equal digests mean that nothing changed. Files are gathered in columns,
a folder at a time; only what is no ordinary file is looked at alone.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from struct import pack

import numpy as np
import polars as pl
from blake3 import blake3

from mesh_assets.intake.growing import MAX_GROWING, Growth
from mesh_assets.intake.left_out import NOTHING_LEFT_OUT, LeftOut
from mesh_assets.intake.sources import Identity, open_folder
from mesh_assets.schemas.rejects import Reject

# Hard limits on what a hostile drop may make us follow. Linux itself stops at 4,096 bytes of path.
MAX_DEPTH = 64
MAX_PATH_BYTES = 4_000
_MAX_NAME_BYTES = 255
_DIGEST_MODULUS = 1 << 128
# Entries of one folder that are held as Python's numbers at once.
_BLOCK = 4_096
# Paths are strings of Python up to this many, then Arrow's, which take half the memory.
_HELD_PATHS = 65_536

# The numbers of a file, in this order.
NUMBERS = ("size", "mtime_ns", "inode", "ctime_ns")
LISTED = pl.Schema({"path": pl.String(), **dict.fromkeys(NUMBERS, pl.Int64())})
_Seen = tuple[int, int, int, int, int]
_seen: Callable[[os.stat_result], _Seen] = attrgetter("st_mode", "st_size", "st_mtime_ns", "st_ino", "st_ctime_ns")


@dataclass(slots=True)
class Walk:
    """A walk in progress: the folders still to visit and what was seen so far.

    `growing` holds the files that changed less than the quiet time ago, with the time since when they do: they are
    neither listed nor missing.
    """

    pending: list[str] = field(default_factory=lambda: [""])
    digest: int = 0
    files: int = 0
    growing: dict[str, float] = field(default_factory=dict[str, float])

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
            # Sorted, so that the order in which a disk gives them changes nothing.
            names = sorted(os.listdir(descriptor))  # noqa: PTH208  # the open folder, not what its path leads to by now
            prefix = f"{folder}/" if folder else ""
            for first in range(0, len(names), _BLOCK):
                self._take(descriptor, prefix, names[first : first + _BLOCK], visitor)
        except OSError as error:
            self._unread(folder, error, visitor)
        finally:
            os.close(descriptor)

    def _take(self, folder: int, prefix: str, names: list[str], visitor: Visitor) -> None:
        """Entries of one folder: ordinary files together, all others one by one."""
        left_out = visitor.left_out.among(names)
        if left_out:
            for name in sorted(left_out):
                self._reject(visitor, LeftOut.reject(prefix + name))
            names = [name for name in names if name not in left_out]
        names = self._well_named(prefix, names, visitor)
        lstat, seen = os.lstat, _seen
        try:
            found = [seen(lstat(name, dir_fd=folder)) for name in names]
        except OSError:
            names, found = self._readable(folder, prefix, names, visitor)
        if not names:
            return
        modes, sizes, _, _, ctimes = columns = tuple(zip(*found, strict=True))
        # Asked of whole columns first: nearly every folder holds ordinary files alone.
        if not (all(map(stat.S_ISREG, set(modes))) and min(sizes) and max(ctimes) <= visitor.quiet_until):
            ordinary = [
                index
                for index, (mode, *rest) in enumerate(found)
                if self._is_ordinary(prefix + names[index], mode, Identity(*rest), visitor)
            ]
            names = [names[index] for index in ordinary]
            columns = tuple([column[index] for index in ordinary] for column in columns)
        if names:
            self._add_files(prefix, names, [pack(f"{len(names)}q", *column) for column in columns[1:]], visitor)

    def _add_files(self, prefix: str, names: list[str], numbers: list[bytes], visitor: Visitor) -> None:
        self.files += len(names)
        self._add(prefix, "\0".join(names), b"".join(numbers))
        if visitor.on_files is not None:
            visitor.on_files([prefix + name for name in names] if prefix else names, numbers)

    def _well_named(self, prefix: str, names: list[str], visitor: Visitor) -> list[str]:
        try:
            size = len(prefix.encode())
            "\0".join(names).encode()
        except UnicodeEncodeError:
            size = MAX_PATH_BYTES
        if size + _MAX_NAME_BYTES <= MAX_PATH_BYTES:
            return names
        faults = {name: _name_fault(prefix + name) for name in names}
        for fault in faults.values():
            if fault is not None:
                self._reject(visitor, fault)
        return [name for name, fault in faults.items() if fault is None]

    def _readable(self, folder: int, prefix: str, names: list[str], visitor: Visitor) -> tuple[list[str], list[_Seen]]:
        found: dict[str, _Seen] = {}
        for name in names:
            try:
                found[name] = _seen(os.lstat(name, dir_fd=folder))
            except FileNotFoundError:
                continue  # it vanished between listing and stat: the same as never having been there
            except OSError:
                visitor.on_unread(prefix + name)  # nothing is known of it this time: what was known stays
        return list(found), list(found.values())

    def _is_ordinary(self, path: str, mode: int, found: Identity, visitor: Visitor) -> bool:
        if stat.S_ISDIR(mode):
            self._enter(path, visitor)
        elif not stat.S_ISREG(mode):
            self._reject(visitor, _special_file(path, mode))
        elif visitor.is_growing(found):
            self._grow(path, found, visitor)
        elif found.size == 0:
            self._reject(visitor, Reject(path, "empty", "Nothing to do unless it should have content."))
        else:
            return True
        return False

    def _grow(self, path: str, found: Identity, visitor: Visitor) -> None:
        growth, now = visitor.growth, visitor.now
        if len(self.growing) < MAX_GROWING:
            self.growing[path] = growth.since(path, now)
            mark = growth.mark(path, found.size, now)
            if mark is not None:
                self._add(path, mark)
        visitor.on_growing(path, found)

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

    def _add(self, what: str, names: str, numbers: bytes = b"") -> None:
        # A sum, so that the order of folders and a pause between them change nothing.
        text = f"{len(what)}\0{what}\0{names}\0".encode("utf-8", "surrogateescape")
        digest = blake3(text + numbers).digest(length=16)
        self.digest = (self.digest + int.from_bytes(digest, "big")) % _DIGEST_MODULUS


def _ignore(*found: object) -> None:
    del found


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a walk does with what it meets. `quiet_seconds` is the setting, `now` the time in seconds since 1970.

    `on_files` gets the paths of ordinary files and their `NUMBERS`, each as the bytes of its 64-bit integers.
    """

    quiet_seconds: float
    now: float = field(default_factory=time.time)
    growth: Growth = field(default_factory=Growth)
    left_out: LeftOut = NOTHING_LEFT_OUT
    on_files: Callable[[list[str], list[bytes]], None] | None = None
    on_growing: Callable[[str, Identity], None] = _ignore
    on_unread: Callable[[str], None] = _ignore
    on_reject: Callable[[Reject], None] = _ignore

    @property
    def quiet_until(self) -> int:
        """A file whose change time (ns) is no later is quiet."""
        return int((self.now - self.quiet_seconds) * 1e9)

    def is_growing(self, found: Identity) -> bool:
        """Whether the file changed less than the quiet time ago.

        The change time counts, not the modification time, which copying tools set back. A change time in the future
        (the clock jumped back) says nothing, so such a file is taken: should it still grow, its reader notices.
        """
        age = self.now - found.ctime_ns / 1e9
        return 0 <= age < self.quiet_seconds


@dataclass(frozen=True, slots=True)
class Listing:
    """A finished walk: every quiet file, the growing ones, rejects, and the digest.

    `files` has the columns of `LISTED`, a row a file, in no order to rely on. `unread` are folders and files of which
    nothing could be told this time: nobody knows what is in them. `growth` says which growing files are due at `now`.
    Where the time was up before every folder was visited, it `is_whole` no more, and nothing may be planned by it.
    """

    files: pl.DataFrame
    growing: Mapping[str, Identity]
    rejects: tuple[Reject, ...]
    digest: str
    unread: tuple[str, ...] = ()
    growth: Growth = field(default_factory=Growth)
    now: float = field(default_factory=time.time)
    is_whole: bool = True

    @property
    def due(self) -> dict[str, Identity]:
        """The growing files that are to be taken up to their last complete record."""
        due = {path for path, found in self.growing.items() if self.growth.is_due(path, found.size, self.now)}
        return {path: found for path, found in self.growing.items() if path in due}


class _Columns:
    """Gathers files as columns, about 100 bytes each."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        self._chunks: list[pl.Series] = []
        self._numbers = [bytearray() for _ in NUMBERS]

    def add(self, paths: list[str], numbers: list[bytes]) -> None:
        self._paths += paths
        for column, more in zip(self._numbers, numbers, strict=True):
            column += more
        if len(self._paths) >= _HELD_PATHS:
            self._flush()

    def _flush(self) -> None:
        self._chunks.append(pl.Series("path", self._paths, pl.String()))
        self._paths.clear()

    def frame(self) -> pl.DataFrame:
        """All of them."""
        self._flush()
        columns = {name: np.frombuffer(numbers, np.int64) for name, numbers in zip(NUMBERS, self._numbers, strict=True)}
        return pl.DataFrame({"path": pl.concat(self._chunks), **columns}, schema=LISTED)


def list_dataset(
    root: Path,
    *,
    quiet_seconds: float,
    growth: Growth | None = None,
    left_out: LeftOut = NOTHING_LEFT_OUT,
    until: float = float("inf"),
) -> Listing:
    """Walk all of `root` at once, or until the monotonic clock reaches `until`. A row of `files` for each file."""
    columns = _Columns()
    growing: dict[str, Identity] = {}
    rejects: list[Reject] = []
    unread: list[str] = []
    visitor = Visitor(
        quiet_seconds,
        growth=growth or Growth(),
        left_out=left_out,
        on_files=columns.add,
        on_growing=growing.__setitem__,
        on_unread=unread.append,
        on_reject=rejects.append,
    )
    walk = Walk()
    is_whole = walk.advance(root, visitor, until=until)
    rejects.sort(key=lambda reject: reject.path)
    digest = f"{walk.digest:032x}"
    return Listing(
        columns.frame(), growing, tuple(rejects), digest, tuple(unread), visitor.growth, visitor.now, is_whole
    )


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
