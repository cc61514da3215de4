"""Plans slices: which extents belong together. Pure: a manifest and a listing in, the next manifest out.

New extents fill the dataset's one open slice, its last; a full slice changes only by edits and deletes, so a new file
never reshuffles old ones. Only slices whose extents changed get the new version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mesh_assets.intake.sources import Identity
from mesh_assets.intake.walk import ListedFile, Listing
from mesh_assets.slices import SliceKey

# Over all datasets. Dagster's UI and its instance storage stay fast up to here.
MAX_PARTITIONS = 10_000
# A tiny file costs about as much as this many bytes, so that a slice of tiny files stays as much work as any other.
FILE_COST_BYTES = 4_096

SAME, ADDED, CHANGED, DELETED = "same", "added", "changed", "deleted"


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of one file in its slice: one row of the manifest."""

    path: str
    start: int
    stop: int
    identity: Identity
    slice: str
    slice_version: int
    change: str
    unit: str = "byte"

    @property
    def is_live(self) -> bool:
        """Whether the file is still there."""
        return self.change != DELETED

    def row(self) -> dict[str, object]:
        """The extent as a row of the table `EXTENTS`."""
        return {
            "path": self.path,
            "start": self.start,
            "stop": self.stop,
            "unit": self.unit,
            "size": self.identity.size,
            "mtime_ns": self.identity.mtime_ns,
            "inode": self.identity.inode,
            "ctime_ns": self.identity.ctime_ns,
            "slice": self.slice,
            "slice_version": self.slice_version,
            "change": self.change,
        }

    @classmethod
    def of_row(cls, row: Mapping[str, object]) -> Extent:
        """The extent in a row of the table `EXTENTS`."""
        names = ("start", "stop", "size", "mtime_ns", "inode", "ctime_ns", "slice_version")
        whole = {name: int(str(row[name])) for name in names}
        return cls(
            path=str(row["path"]),
            start=whole["start"],
            stop=whole["stop"],
            unit=str(row["unit"]),
            identity=Identity(whole["size"], whole["mtime_ns"], whole["inode"], whole["ctime_ns"]),
            slice=str(row["slice"]),
            slice_version=whole["slice_version"],
            change=str(row["change"]),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The next manifest. `version` is the former one where no slice changed."""

    extents: tuple[Extent, ...]
    version: int

    @property
    def slices(self) -> dict[str, int]:
        """Each slice with the version at which it last changed."""
        return {extent.slice: extent.slice_version for extent in self.extents}

    def count(self, change: str) -> int:
        """How many extents have this change."""
        return sum(extent.change == change for extent in self.extents)


def target_bytes(slice_bytes: int, partitions: int) -> int:
    """Target size of a slice: it doubles at each quarter of the partitions that Dagster can hold."""
    return slice_bytes << min(partitions * 4 // MAX_PARTITIONS, 8)


def plan_slices(
    dataset: str, previous: Sequence[Extent], listing: Listing, *, version: int, target: int, last_slice: int = -1
) -> Plan:
    """The manifest after `previous` (of `version`) for what `listing` found, slices of `target` bytes.

    `last_slice` is the highest number that a slice of the dataset ever had: where that slice has gone, it stays gone.

    A known file that is growing, or lies in a folder that could not be read this time, stays as it was; a growing one
    that is new waits for a later walk.
    """
    known = {extent.path: extent for extent in previous if extent.is_live}
    listed = {file.path: file for file in listing.files}
    kept = [_compare(extent, listed.get(extent.path), listing) for extent in known.values()]
    fresh = [file for file in listing.files if file.path not in known]
    extents = kept + list(_fill(dataset, previous, kept, fresh, target, last_slice))
    touched = {extent.slice for extent in extents if extent.change != SAME}
    if not touched:
        return Plan(tuple(_with_tombstones(previous, extents)), version)
    versions = {extent.slice: extent.slice_version for extent in previous} | dict.fromkeys(touched, version + 1)
    extents = [replace(extent, slice_version=versions[extent.slice]) for extent in extents]
    return Plan(tuple(_with_tombstones(previous, extents)), version + 1)


def _compare(extent: Extent, found: ListedFile | None, listing: Listing) -> Extent:
    if found is None:
        change = SAME if listing.may_still_hold(extent.path) else DELETED
        return replace(extent, change=change)
    if found.identity == extent.identity:
        return replace(extent, change=SAME)
    return replace(extent, identity=found.identity, start=0, stop=found.identity.size, change=CHANGED)


def _cost(identity: Identity) -> int:
    return max(identity.size, FILE_COST_BYTES)


def _fill(
    dataset: str,
    previous: Sequence[Extent],
    kept: Sequence[Extent],
    fresh: Sequence[ListedFile],
    target: int,
    last_slice: int,
) -> Iterable[Extent]:
    number = max((SliceKey.parse(extent.slice).number for extent in previous), default=-1)
    if number < max(last_slice, 0):
        number = last_slice + 1
    key = str(SliceKey(dataset, number))
    filled = sum(_cost(extent.identity) for extent in kept if extent.slice == key and extent.is_live)
    for file in fresh:
        if filled and filled + _cost(file.identity) > target:
            number, filled = number + 1, 0
            key = str(SliceKey(dataset, number))
        filled += _cost(file.identity)
        yield Extent(file.path, 0, file.identity.size, file.identity, key, 0, ADDED)


def _with_tombstones(previous: Sequence[Extent], extents: Sequence[Extent]) -> Iterable[Extent]:
    """`extents` and, for each slice that is empty already, one row that keeps its key and version."""
    seen = {extent.slice for extent in extents}
    yield from extents
    for extent in previous:
        if not extent.is_live and extent.slice not in seen:
            seen.add(extent.slice)
            yield extent
