"""Extents as objects, for the few of one slice or file, and as columns, for the millions of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from mesh_assets.intake.sources import Identity
from mesh_assets.schemas.extents import EXTENTS
from mesh_assets.slices import SliceKey

SAME, ADDED, CHANGED, DELETED = "same", "added", "changed", "deleted"
CHANGES = pl.Enum([SAME, ADDED, CHANGED, DELETED])

# A manifest in memory: about 150 bytes an extent. The slice is held by its number.
FRAME = pl.Schema(
    {
        "path": pl.String(),
        "start": pl.Int64(),
        "stop": pl.Int64(),
        "size": pl.Int64(),
        "mtime_ns": pl.Int64(),
        "inode": pl.Int64(),
        "ctime_ns": pl.Int64(),
        "number": pl.Int32(),
        "slice_version": pl.Int64(),
        "change": CHANGES,
    }
)
# Rows of a manifest that are read or written at once.
MANIFEST_ROWS = 65_536


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

    @property
    def length(self) -> int:
        """Bytes of the extent."""
        return self.stop - self.start

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


def manifest_frame(batches: Iterable[pa.RecordBatch]) -> pl.DataFrame:
    """The rows of a manifest in the columns of `FRAME`."""
    parts = [_frame(pa.Table.from_batches([batch])) for batch in batches]
    return pl.concat([FRAME.to_frame(), *parts], rechunk=False)


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table.drop_columns(["unit"]))
    assert isinstance(frame, pl.DataFrame)
    number = pl.col("slice").str.slice(-6).cast(pl.Int32).alias("number")
    return frame.select(
        *(number if name == "number" else pl.col(name).cast(kind) for name, kind in FRAME.items()),
    )


def manifest_batches(frame: pl.DataFrame, dataset: str) -> Iterator[pa.RecordBatch]:
    """Batches of `EXTENTS` with the rows of `frame`, in order."""
    for part in frame.iter_slices(MANIFEST_ROWS):
        numbers = part["number"].unique().sort()
        keys = pl.DataFrame({"number": numbers, "slice": [str(SliceKey(dataset, number)) for number in numbers]})
        named = part.join(keys, on="number", how="left", maintain_order="left")
        rows = named.with_columns(pl.col("change").cast(pl.String()), unit=pl.lit("byte")).drop("number")
        table = rows.select([column.name for column in EXTENTS.columns]).to_arrow(compat_level=pl.CompatLevel.oldest())
        yield EXTENTS.cast(table.combine_chunks().to_batches()[0])


def extents_of(frame: pl.DataFrame, dataset: str) -> list[Extent]:
    """The rows of `frame` as objects: for what is small."""
    return [
        Extent(path, start, stop, Identity(*identity), str(SliceKey(dataset, number)), version, change)
        for path, start, stop, *identity, number, version, change in frame.select(FRAME.names()).iter_rows()
    ]


def frame_of(extents: Iterable[Extent]) -> pl.DataFrame:
    """Extents as rows of `FRAME`, in order."""
    rows = [
        (
            extent.path,
            extent.start,
            extent.stop,
            extent.identity.size,
            extent.identity.mtime_ns,
            extent.identity.inode,
            extent.identity.ctime_ns,
            SliceKey.parse(extent.slice).number,
            extent.slice_version,
            extent.change,
        )
        for extent in extents
    ]
    return pl.DataFrame(rows, schema=FRAME, orient="row")
