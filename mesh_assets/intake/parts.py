"""How one file is cut into extents: one that is larger than a slice, that grew, or that never stops growing.

Pure: what a file holds is asked of a `Splitter`. Which slices the extents fill belongs to `planner`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from mesh_assets.intake.extents import CHANGED, DELETED, SAME, Extent
from mesh_assets.intake.sources import Identity

# The last extent of a file that is appended to is extended while it is below this share of a slice, so that a thousand
# small appends do not make a thousand extents; and no shorter rest is cut off at the end of a large file.
APPEND_SHARE = 8
# Where a growing file ends that cannot be taken before it is quiet: no growth makes it due sooner.
NEVER = 1 << 62


class Splitter(Protocol):
    """Knows what is in a file, by reading a few KiB of it."""

    def cuts(self, path: str, found: Identity, *, start: int, target: int, growing: bool) -> list[int] | None:
        """Where the bytes from `start` on may be cut into extents of about `target` bytes, at records, ascending.

        The last one is where the file is taken to: its size or, while it is `growing`, the end of its last complete
        record; an empty list where there is none. None where the file has no records that can be told apart.
        """
        ...

    def staying(self, extents: Sequence[Extent], found: Identity) -> int:
        """How many of a file's extents are as they were and end with a record, now that the file has grown.

        All of them, or all but the last, whose last record may have gone on; 0 where the file was rewritten, or was
        never read.
        """
        ...


class _WholeFiles:
    """Cuts nothing: every file is one extent."""

    def cuts(self, path: str, found: Identity, *, start: int, target: int, growing: bool) -> list[int] | None:
        del path, found, start, target, growing
        return None

    def staying(self, extents: Sequence[Extent], found: Identity) -> int:
        del extents, found
        return 0


WHOLE_FILES: Splitter = _WholeFiles()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file that belongs to no slice yet."""

    path: str
    start: int
    stop: int
    identity: Identity


@dataclass(frozen=True, slots=True)
class FileParts:
    """What becomes of one file: extents that have their slice, and parts that need one."""

    extents: tuple[Extent, ...]
    parts: tuple[Part, ...] = ()
    taken: int = 0


def new_file(path: str, found: Identity, *, growing: bool, target: int, splitter: Splitter) -> FileParts:
    """The parts of a file that is new; none while it grows and has no complete record."""
    cuts = splitter.cuts(path, found, start=0, target=target, growing=growing)
    if cuts is None and growing:
        return FileParts((), taken=NEVER)
    ends = [found.size] if cuts is None else cuts
    return FileParts((), _parts(path, found, 0, ends), ends[-1] if ends else 0)


def known_file(
    known: Sequence[Extent], found: Identity, *, growing: bool, target: int, splitter: Splitter
) -> FileParts:
    """What becomes of a file whose extents were `known` (in order) and which is `found` now."""
    if found.inode == known[0].identity.inode and found.size > known[-1].stop:
        appended = _appended(known, found, growing=growing, target=target, splitter=splitter)
        if appended is not None:
            return appended
    path = known[0].path
    cuts = splitter.cuts(path, found, start=0, target=target, growing=growing)
    if growing and not cuts:
        return FileParts(tuple(known), taken=NEVER if cuts is None else known[-1].stop)
    ends = cuts or [found.size]
    spans = list(pairwise([0, *ends]))
    # Each extent stays in the slice of the one in its place.
    extents = [
        Extent(path, start, stop, found, old.slice, old.slice_version, CHANGED)
        for old, (start, stop) in zip(known, spans, strict=False)
    ]
    lost = [
        Extent(path, old.start, old.stop, old.identity, old.slice, old.slice_version, DELETED)
        for old in known[len(spans) :]
    ]
    parts = tuple(Part(path, start, stop, found) for start, stop in spans[len(known) :])
    return FileParts((*extents, *lost), parts, ends[-1])


def _appended(
    known: Sequence[Extent], found: Identity, *, growing: bool, target: int, splitter: Splitter
) -> FileParts | None:
    """The file with its later bytes, None where it is not the former one with something behind it."""
    is_same = found == known[0].identity  # taken while it grew, and quiet since
    count = len(known) if is_same else splitter.staying(known, found)
    if not count:
        return None
    if count == len(known) and known[-1].length < target // APPEND_SHARE:
        count -= 1
    stays, again = known[:count], known[count:]
    path, start = known[0].path, stays[-1].stop if stays else 0
    cuts = splitter.cuts(path, found, start=start, target=target, growing=growing)
    if growing and (not cuts or cuts[-1] <= known[-1].stop):
        return FileParts(tuple(known), taken=NEVER if cuts is None else known[-1].stop)
    if cuts is None:
        return None
    spans = list(pairwise([start, *cuts]))
    extents = [
        *(Extent(path, e.start, e.stop, found, e.slice, e.slice_version, SAME) for e in stays),
        *(
            Extent(path, begin, stop, found, old.slice, old.slice_version, CHANGED)
            for old, (begin, stop) in zip(again, spans, strict=False)
        ),
    ]
    parts = tuple(Part(path, begin, stop, found) for begin, stop in spans[len(again) :])
    return FileParts(tuple(extents), parts, cuts[-1])


def _parts(path: str, found: Identity, start: int, ends: Sequence[int]) -> tuple[Part, ...]:
    return tuple(Part(path, begin, stop, found) for begin, stop in pairwise([start, *ends]))
