"""The time series of a slice as tables: which there are (`SERIES`), and every value of them (`SERIES_POINTS`).

Both stream the chunks once. A point is handed on when its chunk was read; of a series only its count, its ends and the
distances of its points are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights.columns import column_of, rows_of
from mesh_assets.insights.protocol import SliceBatch
from mesh_assets.insights.series_reader import MAX_SERIES, MAX_TABLES, Points, SeriesTable, series_id, series_name
from mesh_assets.insights.table_rows import tables_of
from mesh_assets.schemas.outcome import Outcome
from mesh_assets.schemas.series_points import SERIES, SERIES_POINTS

# What is read of the chunks, and how many of them at once.
COLUMNS = ("chunk_id", "path", "kind", "format", "symbol", "context", "text", "row_start", "row_stop")
BATCH_ROWS = 4096
# Distances of points that are told apart, of one series; the rarest share a rounded one.
_MAX_DISTANCES = 500
# Two points are a gap where they are further apart than this many usual distances.
GAP = 2


@dataclass(slots=True)
class _Series:
    """What is kept of one series: identity, and what its points say so far."""

    id: str
    path: str
    name: str
    labels: dict[str, str]
    points: int = 0
    first: int = np.iinfo(np.int64).max
    last: int = np.iinfo(np.int64).min
    before: int | None = None
    distances: Counter[int] = field(default_factory=Counter[int])

    def add(self, times: NDArray[np.int64], count: int) -> None:
        """Take in points at these moments, of which `count` have a value."""
        self.points += count
        self.first, self.last = min(self.first, int(times.min())), max(self.last, int(times.max()))
        joined = np.sort(times) if self.before is None else np.concatenate(([self.before], np.sort(times)))
        self.before = int(times[-1])
        apart, counts = np.unique(np.abs(np.diff(joined)), return_counts=True)
        for distance, n in zip(apart.tolist(), counts.tolist(), strict=True):
            known = len(self.distances) < _MAX_DISTANCES or distance in self.distances
            self.distances[distance if known else int(float(f"{distance:.1e}"))] += n

    def row(self, dataset: str, slice_key: str) -> dict[str, object]:
        """The series as a row of `SERIES`."""
        usual = _usual({apart: n for apart, n in self.distances.items() if apart > 0})
        gaps = sum(n for apart, n in self.distances.items() if usual and apart > GAP * usual)
        return {
            "series_id": self.id,
            "dataset": dataset,
            "slice": slice_key,
            "path": self.path,
            "name": self.name,
            "labels": list(self.labels.items()),
            "points": self.points,
            "seconds": usual / 1e6 if usual else None,
            "gaps": gaps,
            "time_start": _moment(self.first),
            "time_stop": _moment(self.last),
        }


def series_batches(
    chunks: Iterable[pa.RecordBatch], *, dataset: str, slice_key: str, outcome: Outcome
) -> Iterator[pa.RecordBatch]:
    """One batch of `SERIES`; none where the slice has no series. `outcome` advances with each batch of chunks."""
    found: dict[str, _Series] = {}
    for _, (path, table), points, _ in _points(chunks, outcome):
        for number, key in enumerate(points.keys):
            chosen = np.flatnonzero(points.series == number)
            if not len(chosen):
                continue
            labels = dict(zip(points.layout.labels, key, strict=True))
            for at, column in enumerate(points.layout.values):
                name = series_name(table, column)
                own = series_id(dataset, path, name, labels)
                series = found.setdefault(own, _Series(own, path, name, labels))
                series.add(points.times[chosen], int((~np.isnan(points.values[chosen, at])).sum()))
    if found:
        yield SERIES.batch([series.row(dataset, slice_key) for series in found.values()])


def point_batches(chunks: Iterable[pa.RecordBatch], *, dataset: str, outcome: Outcome) -> Iterator[pa.RecordBatch]:
    """Batches of `SERIES_POINTS`, in the order of the chunks. `outcome` advances with each batch of chunks."""
    for batch, (path, table), points, chunk_rows in _points(chunks, outcome):
        cells = points.cells
        places = np.array(chunk_rows, np.int64)[cells.chunks[points.rows]]
        starts = np.asarray(cast(Any, column_of(batch, "row_start")).fill_null(0), np.int64)[places]
        # Rows of a chunk that could not be read, which are rare, are not counted.
        rows = starts + _rank(cells.chunks)[points.rows]
        ids = cast(Any, rows_of(column_of(batch, "chunk_id"), places))
        labels = [dict(zip(points.layout.labels, key, strict=True)) for key in points.keys]
        names = [series_name(table, column) for column in points.layout.values]
        for at, name in enumerate(names):
            own = [series_id(dataset, path, name, each) for each in labels]
            values = points.values[:, at]
            columns: list[pa.Array[Any]] = [
                rows_of(cast("pa.Array[Any]", pa.array(own, pa.string())), points.series),
                pa.array(points.times).cast(pa.timestamp("us", "UTC")),
                pa.array(rows),
                ids,
                pa.array(values, pa.float64(), mask=np.isnan(values)),
            ]
            yield SERIES_POINTS.cast(
                pa.RecordBatch.from_arrays(columns, names=[column.name for column in SERIES_POINTS.columns])
            )


def _points(
    chunks: Iterable[pa.RecordBatch], outcome: Outcome
) -> Iterator[tuple[pa.RecordBatch, tuple[str, str], Points, list[int]]]:
    """The points of each table, with its batch, path and name in the file, and the rows of its chunks."""
    tables: dict[tuple[str, str], SeriesTable] = {}
    for chunk in chunks:
        batch = SliceBatch(chunk, chunk, np.zeros((chunk.num_rows, 0), np.float32))
        for key, rows in tables_of(batch, "metric", "structured"):
            if key not in tables:
                if len(tables) >= MAX_TABLES:
                    continue
                tables[key] = SeriesTable(batch.strings("format")[rows[0]], batch.strings("kind")[rows[0]])
            points = tables[key].points(batch, rows)
            if points is not None and len(points.times) and len(points.keys) <= MAX_SERIES:
                yield chunk, key, points, rows
        outcome.advance(chunk.num_rows)


def _rank(chunks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each row in its chunk; `chunks` ascend."""
    firsts = np.searchsorted(chunks, chunks)
    return np.arange(len(chunks)) - firsts


def _usual(counts: dict[int, int]) -> int:
    """The median of distances that occur so often; 0 where there are none."""
    half, seen = sum(counts.values()) / 2, 0
    for distance in sorted(counts):
        seen += counts[distance]
        if seen >= half:
            return distance
    return 0


def _moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
