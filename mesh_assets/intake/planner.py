"""Plans slices: which extents belong together. Pure: a manifest and a listing in, the next manifest out.

New extents fill the dataset's one open slice, its last; a full slice changes only by edits and deletes, so a new file
never reshuffles old ones. Only slices whose extents changed get the new version. All of it is done in columns, so that
millions of files cost seconds; only files that grew, are growing, or are larger than a slice are looked at one by one,
by `parts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mesh_assets.intake.extents import ADDED, CHANGED, CHANGES, DELETED, FRAME, SAME, Extent, extents_of, frame_of
from mesh_assets.intake.parts import APPEND_SHARE, WHOLE_FILES, FileParts, Part, Splitter, known_file, new_file
from mesh_assets.intake.sources import Identity
from mesh_assets.intake.walk import LISTED, NUMBERS, Listing
from mesh_assets.slices import SliceKey

# Over all datasets. Dagster's UI and its instance storage stay fast up to here.
MAX_PARTITIONS = 10_000
# A tiny file costs about as much as this many bytes, so that a slice of tiny files stays as much work as any other.
FILE_COST_BYTES = 4_096

_LENGTH = pl.col("stop") - pl.col("start")
_COST = pl.max_horizontal(_LENGTH, pl.lit(FILE_COST_BYTES, pl.Int64))
_DIFFERS = pl.any_horizontal(pl.col(name) != pl.col(f"{name}_now") for name in NUMBERS)
_IS_FIRST = pl.col("start") == 0
# What becomes of a known extent, before the files that need a closer look.
_LOOK = "look"


@dataclass(frozen=True, slots=True)
class Plan:
    """The next manifest. `version` is the former one where no slice changed.

    `frame` has the columns of `FRAME`, sorted by slice, path and start. `last_slice` is the highest number ever used,
    -1 for none. `files` counts the files of this listing and the last, known or taken, and `done` the extents in
    `frame` in which one of them begins: as many where nothing was lost. `taken` says, for each growing file that was
    due, up to which byte it was taken.
    """

    dataset: str
    frame: pl.DataFrame
    version: int
    last_slice: int
    files: int
    done: int
    taken: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def slices(self) -> dict[str, int]:
        """Each slice with the version at which it last changed."""
        return self._by_slice(pl.col("slice_version").max())

    @property
    def sizes(self) -> dict[str, int]:
        """What each slice costs, in bytes."""
        return self._by_slice(pl.when(pl.col("change") != DELETED).then(_COST).otherwise(0).sum())

    @property
    def emptied(self) -> list[str]:
        """Slices that hold no file any more."""
        found = self._by_slice((pl.col("change") == DELETED).all().cast(pl.Int64()))
        return [key for key, is_empty in found.items() if is_empty]

    def _by_slice(self, value: pl.Expr) -> dict[str, int]:
        found = self.frame.group_by("number").agg(value.alias("value")).sort("number")
        return {str(SliceKey(self.dataset, number)): amount for number, amount in found.iter_rows()}

    @property
    def extents(self) -> list[Extent]:
        """Every extent as an object, for what is small."""
        return extents_of(self.frame, self.dataset)

    def count(self, change: str) -> int:
        """How many extents have this change."""
        return int((self.frame["change"] == change).sum())


def target_bytes(slice_bytes: int, partitions: int) -> int:
    """Target size of a slice: it doubles at each quarter of the partitions that Dagster can hold."""
    return slice_bytes << min(partitions * 4 // MAX_PARTITIONS, 8)


def plan_slices(
    dataset: str,
    previous: pl.DataFrame,
    listing: Listing,
    *,
    version: int,
    target: int,
    last_slice: int = -1,
    splitter: Splitter = WHOLE_FILES,
) -> Plan:
    """The manifest after `previous` (columns of `FRAME`, of `version`) for what `listing` found.

    Slices are to have `target` bytes. A known file that is growing, or lies in a folder that could not be read this
    time, stays as it was, unless it is due; a growing one that is new waits until it is. A file that vanished at one
    path and appeared at another keeps its slices. No number up to `last_slice` is used for a new slice.
    """
    files = _files(listing)
    tombs, last = _rows(previous, pl.col("change") == DELETED), max(last_slice, _highest(previous))
    open_slice = last if (previous["number"] == last).any() else last + 1
    live = _rows(previous, pl.col("change") != DELETED)
    del previous  # each copy of a million rows is 100 MB
    known, fresh = _joined(live, files)
    seen = listing.files.height + known.filter(_IS_FIRST & (pl.col("size_now").is_null() | pl.col("due"))).height
    moved = _moves(known, fresh)
    left = live.clear()
    if moved.height:
        left = live.join(moved, on="path", how="semi").join(files, on="path", how="anti")
        live = _moved(live, moved)
        known, fresh = _joined(live, files)
    del live, files
    known = _compared(known, listing, target)
    one_by_one = _OneByOne(dataset, splitter, target)
    looked_at = one_by_one.known(known.filter(pl.col("change") == _LOOK))
    kept = _rows(known, pl.col("change") != _LOOK).select(pl.col(name).cast(kind) for name, kind in FRAME.items())
    del known
    kept = _as_added(pl.concat([kept, looked_at]), moved)
    added = pl.concat([_whole(fresh, target), one_by_one.new(_difficult(fresh, target))])
    added = _filled(added, kept, open_slice, target)
    frame = pl.concat([kept, left.with_columns(pl.lit(DELETED, CHANGES).alias("change")), added])
    del kept
    frame, version = _versioned(frame, version)
    done = frame.filter(_IS_FIRST).height
    frame = pl.concat([frame, _tombstones(tombs, frame)]).sort("number", "path", "start")
    last, files_seen = max(last, _highest(added)), seen + one_by_one.started
    return Plan(dataset, frame, version, last, files_seen, done, one_by_one.taken)


def _rows(frame: pl.DataFrame, which: pl.Expr) -> pl.DataFrame:
    """The rows of `frame` that are `which`; no copy where all of them are."""
    return frame if frame.select(which.all()).item() else frame.filter(which)


def _files(listing: Listing) -> pl.DataFrame:
    """The quiet files, and the growing ones that are due."""
    quiet = listing.files.with_columns(due=pl.lit(value=False))
    due = listing.due
    if not due:
        return quiet
    rows = [(path, found.size, found.mtime_ns, found.inode, found.ctime_ns, True) for path, found in due.items()]
    return pl.concat([quiet, pl.DataFrame(rows, schema={**LISTED, "due": pl.Boolean()}, orient="row")])


def _joined(live: pl.DataFrame, files: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Known extents with what their file is now (`_now`, null where it was not listed), and the files that are new."""
    known = live.join(files, on="path", how="left", suffix="_now")
    return known, files.join(live.select("path"), on="path", how="anti")


def _moves(known: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """`path` and `path_new` of files that went, each to one new place: the same inode, size and modification time.

    Also where another file has taken the old path, as when logs are rotated. The change time tells nothing: moving
    changes it.
    """
    same = ["inode", "size", "mtime_ns"]
    went = pl.col("size_now").is_null() | (pl.col("inode") != pl.col("inode_now"))
    old = known.filter(_IS_FIRST & went).select("path", *same)
    new = fresh.filter(~pl.col("due")).select(pl.col("path").alias("path_new"), "ctime_ns", *same)
    if not old.height or not new.height:
        return pl.DataFrame(schema={"path": pl.String(), "path_new": pl.String(), "ctime_ns": pl.Int64()})
    found = old.join(new, on=same).filter(pl.len().over("path") == 1)
    return found.filter(pl.len().over("path_new") == 1).select("path", "path_new", "ctime_ns")


def _moved(live: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """`live` with the extents of moved files at their new paths."""
    found = live.join(moved, on="path", how="left", suffix="_new")
    return found.with_columns(
        pl.coalesce("path_new", "path").alias("path"), pl.coalesce("ctime_ns_new", "ctime_ns").alias("ctime_ns")
    ).select(FRAME.names())


def _as_added(kept: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    if not moved.height:
        return kept
    is_moved = (pl.col("change") == SAME) & pl.col("path").is_in(moved["path_new"].implode())
    change = pl.when(is_moved).then(pl.lit(ADDED, CHANGES)).otherwise(pl.col("change"))
    return kept.with_columns(change.alias("change"))


def _compared(known: pl.DataFrame, listing: Listing, target: int) -> pl.DataFrame:
    """Known extents with their new `change`, identity and stop; files that need a closer look keep theirs."""
    is_part = pl.lit(value=False)
    parts = known.lazy().filter(~_IS_FIRST | (pl.col("stop") < pl.col("size"))).collect()
    if parts.height:
        # Whole files are nearly all: of the others, those taken while they grew may have become quiet.
        ends = parts.group_by("path").agg(pl.col("stop").max().alias("end"))
        known = known.join(ends, on="path", how="left")
        is_part = pl.col("end").is_not_null()
    else:
        known = known.with_columns(end=pl.lit(None, pl.Int64()))
    unfinished = is_part & (pl.col("end") < pl.col("size_now"))
    grew = (pl.col("inode") == pl.col("inode_now")) & (pl.col("size_now") > pl.col("size"))
    is_large = (pl.col("size_now") > target) | (grew & (target // APPEND_SHARE <= _LENGTH))
    change = (
        pl.when(pl.col("size_now").is_null())
        .then(pl.when(_may_be_there(listing)).then(pl.lit(SAME)).otherwise(pl.lit(DELETED)))
        .when(unfinished | pl.col("due"))
        .then(pl.lit(_LOOK))
        .when(~_DIFFERS)
        .then(pl.lit(SAME))
        .when(is_part | is_large)
        .then(pl.lit(_LOOK))
        .otherwise(pl.lit(CHANGED))
    )
    known = known.with_columns(change.alias("change"))
    is_changed = pl.col("change") == CHANGED
    now = [pl.when(is_changed).then(pl.col(f"{name}_now")).otherwise(pl.col(name)).alias(name) for name in NUMBERS]
    stop = pl.when(is_changed).then(pl.col("size_now")).otherwise(pl.col("stop")).alias("stop")
    return known.with_columns(*now, stop)


def _may_be_there(listing: Listing) -> pl.Expr:
    """Whether a file that was not listed may be there all the same: it grows, or nothing could be told of it."""
    if "" in listing.unread:
        return pl.lit(value=True)
    growing = pl.Series("growing", list(listing.growing), pl.String())
    found = pl.col("path").is_in(growing.implode()) if growing.len() else pl.lit(value=False)
    for lost in listing.unread:
        found = found | (pl.col("path") == lost) | pl.col("path").str.starts_with(f"{lost}/")
    return found


def _whole(fresh: pl.DataFrame, target: int) -> pl.DataFrame:
    """New files that are one extent each, without a slice."""
    files = fresh.filter(~_is_difficult(target))
    return _unplaced(files.with_columns(pl.lit(0, pl.Int64()).alias("start"), pl.col("size").alias("stop")))


def _difficult(fresh: pl.DataFrame, target: int) -> pl.DataFrame:
    return fresh.filter(_is_difficult(target)).sort("path")


def _is_difficult(target: int) -> pl.Expr:
    return pl.col("due") | (pl.col("size") > target)


def _unplaced(parts: pl.DataFrame) -> pl.DataFrame:
    return parts.with_columns(
        pl.lit(0, pl.Int32()).alias("number"),
        pl.lit(0, pl.Int64()).alias("slice_version"),
        pl.lit(ADDED, CHANGES).alias("change"),
    ).select(FRAME.names())


class _OneByOne:
    """Files that need a closer look; gathers what is to be placed and where growing files were taken to."""

    def __init__(self, dataset: str, splitter: Splitter, target: int) -> None:
        self._dataset = dataset
        self._splitter = splitter
        self._target = target
        self._parts: list[Part] = []
        self.taken: dict[str, int] = {}
        self.started = 0

    def known(self, rows: pl.DataFrame) -> pl.DataFrame:
        """What becomes of known files; later bytes of theirs wait for `new`."""
        kept: list[Extent] = []
        for group in rows.sort("path", "start").partition_by("path", maintain_order=True):
            first = group.row(0, named=True)
            found = Identity(*(first[f"{name}_now"] for name in NUMBERS))
            extents = extents_of(group.with_columns(change=pl.lit(SAME, CHANGES)), self._dataset)
            growing = bool(first["due"])
            file = known_file(extents, found, growing=growing, target=self._target, splitter=self._splitter)
            kept += self._note(first["path"], file, growing=growing)
        return frame_of(kept)

    def new(self, files: pl.DataFrame) -> pl.DataFrame:
        """The parts of new files and of those seen before, without slices."""
        for path, size, mtime_ns, inode, ctime_ns, due in files.iter_rows():
            found = Identity(size, mtime_ns, inode, ctime_ns)
            file = new_file(path, found, growing=due, target=self._target, splitter=self._splitter)
            self._note(path, file, growing=due)
            self.started += bool(due and file.parts)
        return frame_of(
            Extent(part.path, part.start, part.stop, part.identity, str(SliceKey(self._dataset, 0)), 0, ADDED)
            for part in self._parts
        )

    def _note(self, path: str, found: FileParts, *, growing: bool) -> tuple[Extent, ...]:
        self._parts += found.parts
        if growing:
            self.taken[path] = found.taken
        return found.extents


def _filled(added: pl.DataFrame, kept: pl.DataFrame, number: int, target: int) -> pl.DataFrame:
    """`added` in slices, in the order of paths, the slice `number` first, which may hold some of `kept`."""
    added = added.sort("path", "start")
    is_there = (pl.col("number") == number) & (pl.col("change") != DELETED)
    filled = int(kept.filter(is_there).select(_COST.sum()).item())
    costs = added.select(_COST.alias("cost"))["cost"].to_numpy()
    numbers = np.fromiter(_numbers(costs, number, filled, target), np.int32, len(costs))
    return added.with_columns(pl.Series("number", numbers, pl.Int32()))


def _numbers(costs: NDArray[np.int64], number: int, filled: int, target: int) -> Iterator[int]:
    """The slice of each extent: a slice is filled while the next one fits, and holds one at least."""
    sums = np.cumsum(costs)
    first = 0
    while first < len(costs):
        before = int(sums[first - 1]) if first else 0
        stop = int(np.searchsorted(sums, before + target - filled, side="right"))
        if not filled:
            stop = max(stop, first + 1)
        yield from (number for _ in range(first, stop))
        first, filled, number = max(first, stop), 0, number + 1


def _highest(frame: pl.DataFrame) -> int:
    return int(str(frame["number"].max())) if frame.height else -1


def _versioned(frame: pl.DataFrame, version: int) -> tuple[pl.DataFrame, int]:
    """`frame` with the next version in each slice that changed; the same frame and version where none did."""
    touched = frame.filter(pl.col("change") != SAME)["number"].unique()
    if not touched.len():
        return frame, version
    versions = frame.group_by("number").agg(pl.col("slice_version").max())
    frame = frame.drop("slice_version").join(versions, on="number", how="left")
    is_touched = pl.col("number").is_in(touched.implode())
    later = pl.when(is_touched).then(pl.lit(version + 1, pl.Int64())).otherwise(pl.col("slice_version"))
    return frame.with_columns(later.alias("slice_version")).select(FRAME.names()), version + 1


def _tombstones(tombs: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """For each slice that is empty already, one row that keeps its number and version."""
    empty = tombs.join(frame.select("number").unique(), on="number", how="anti")
    return empty.unique("number", keep="first", maintain_order=True)
