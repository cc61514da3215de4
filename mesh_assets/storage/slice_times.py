"""Which slices hold something of a span of time: Parquet keeps the first and last time of each row group of chunks.

So a search for a few hours of a year scans the slices of those hours. Whether a chunk lies within is asked of its row.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mesh_assets.slices import is_slice_of
from mesh_assets.storage.lake import Lake

_ASSET = "chunk_sets"
_Span = tuple[datetime, datetime] | None
_ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class SliceTimes:
    """The spans of the slices of a lake, each read once from the footer of its table."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._spans: dict[Path, tuple[tuple[int, int], _Span]] = {}

    def within(self, after: datetime | None, before: datetime | None, dataset: str | None = None) -> frozenset[str]:
        """Keys of slices with a chunk that ends at `after` or later, and one that starts earlier than `before`.

        A table that cannot be read counts as one with: what is asked of it next says what is wrong with it.
        """
        found = [path for path in self._tables(dataset) if _overlaps(self._span(path), after, before)]
        return frozenset(path.stem for path in found)

    def _tables(self, dataset: str | None) -> Iterator[Path]:
        for path in (self._lake.root / _ASSET).glob("*/[!.]*.parquet"):
            if dataset is None or is_slice_of(path.stem, dataset):
                yield path

    def _span(self, path: Path) -> _Span:
        try:
            stat = path.stat()
            identity = stat.st_ino, stat.st_mtime_ns
            if path not in self._spans or self._spans[path][0] != identity:
                self._spans[path] = identity, _span_of(pq.read_metadata(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, pa.ArrowException):
            return _ALWAYS
        return self._spans[path][1]


def _overlaps(span: _Span, after: datetime | None, before: datetime | None) -> bool:
    return span is not None and (after is None or span[1] >= after) and (before is None or span[0] < before)


def _span_of(metadata: pq.FileMetaData) -> _Span:
    """The first start and the last stop of all chunks; None where none has a time."""
    starts, stops = _values(metadata, "time_start"), _values(metadata, "time_stop")
    first, last = min((low for low, _ in starts), default=None), max((high for _, high in stops), default=None)
    return (first, last) if first is not None and last is not None else None


def _values(metadata: pq.FileMetaData, name: str) -> list[tuple[datetime, datetime]]:
    """The least and the greatest value of a column in each row group that has any."""
    column = metadata.schema.names.index(name)
    found: list[Any] = [metadata.row_group(group).column(column).statistics for group in range(metadata.num_row_groups)]
    return [(told.min, told.max) for told in found if told is not None and told.has_min_max]
