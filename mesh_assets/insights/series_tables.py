"""The time series of a slice as tables: which there are (`SERIES`), and every value of them (`SERIES_POINTS`).

Both stream the chunks once. A point is handed on when its chunk was read; of a series only its count, its ends and the
distances of its points are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights.columns import column_of, rows_of
from mesh_assets.insights.protocol import SliceBatch
from mesh_assets.insights.series_reader import Points, SeriesReader, moment_of, series_id
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
            "time_start": moment_of(self.first),
            "time_stop": moment_of(self.last),
        }


def series_batches(
    chunks: Iterable[pa.RecordBatch], *, dataset: str, slice_key: str, outcome: Outcome
) -> Iterator[pa.RecordBatch]:
    """One batch of `SERIES`; none where the slice has no series. `outcome` advances with each batch of chunks."""
    found: dict[str, _Series] = {}
    for _, points in _points(chunks, outcome):
        for number, labels in enumerate(points.labels):
            chosen = np.flatnonzero(points.series == number)
            if not len(chosen):
                continue
            for at, name in enumerate(points.names):
                own = series_id(dataset, points.path, name, labels)
                series = found.setdefault(own, _Series(own, points.path, name, labels))
                series.add(points.times[chosen], int((~np.isnan(points.values[chosen, at])).sum()))
    if found:
        yield SERIES.batch([series.row(dataset, slice_key) for series in found.values()])


def point_batches(chunks: Iterable[pa.RecordBatch], *, dataset: str, outcome: Outcome) -> Iterator[pa.RecordBatch]:
    """Batches of `SERIES_POINTS`, in the order of the chunks. `outcome` advances with each batch of chunks."""
    for batch, points in _points(chunks, outcome):
        ids = rows_of(column_of(batch, "chunk_id"), points.chunks)
        for at, name in enumerate(points.names):
            own = [series_id(dataset, points.path, name, labels) for labels in points.labels]
            values = points.values[:, at]
            columns: list[pa.Array[Any]] = [
                rows_of(cast("pa.Array[Any]", pa.array(own, pa.string())), points.series),
                pa.array(points.times).cast(pa.timestamp("us", "UTC")),
                pa.array(points.rows),
                ids,
                pa.array(values, pa.float64(), mask=np.isnan(values)),
            ]
            yield SERIES_POINTS.cast(
                pa.RecordBatch.from_arrays(columns, names=[column.name for column in SERIES_POINTS.columns])
            )


def _points(chunks: Iterable[pa.RecordBatch], outcome: Outcome) -> Iterator[tuple[pa.RecordBatch, Points]]:
    """The points of each table and metric, with their batch."""
    reader = SeriesReader()
    for chunk in chunks:
        for points in reader.points(SliceBatch(chunk, chunk, np.zeros((chunk.num_rows, 0), np.float32))):
            yield chunk, points
        outcome.advance(chunk.num_rows)


def _usual(counts: dict[int, int]) -> int:
    """The median of distances that occur so often; 0 where there are none."""
    half, seen = sum(counts.values()) / 2, 0
    for distance in sorted(counts):
        seen += counts[distance]
        if seen >= half:
            return distance
    return 0
