"""`time_index`: the records of logs and the values of series of a slice as one table in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from mesh_assets.indexes.lake_sql import streamed
from mesh_assets.schemas.moments import EVENT, MOMENTS, POINT

# Tables that moments are made from.
TABLES = ("log_events", "series", "series_points")

_MOMENTS = f"""
SELECT time, '{EVENT}' AS what, $dataset AS dataset, $slice AS slice, path, chunk_id, byte_start AS place,
       template_id AS of_id, level, source, NULL::DOUBLE AS value
FROM log_events WHERE time IS NOT NULL
UNION ALL
SELECT time, '{POINT}', $dataset, $slice, path, chunk_id, "row", series_id, NULL, NULL, value
FROM series_points JOIN series USING (series_id)
ORDER BY time, path, place, of_id
"""  # noqa: S608  # all of it is ours


def moment_batches(tables: Mapping[str, Path], *, dataset: str, slice_key: str) -> Iterator[pa.RecordBatch]:
    """Batches of `MOMENTS` in order of time; records of logs without a time are none. `tables` by `TABLES`."""
    for batch in streamed(_MOMENTS, tables, {"dataset": dataset, "slice": slice_key}):
        yield MOMENTS.cast(batch)
