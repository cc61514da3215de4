"""Time series: which there are (`SERIES`), and their values (`SERIES_POINTS`)."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.table import Column, Table

SERIES = Table(
    name="series",
    grain="one time series in a slice",
    key=("series_id",),
    columns=(
        Column("series_id", pa.string(), "32 hex digits of dataset, path, name and labels: the same in every slice."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("path", pa.string(), "Path of the file in its dataset."),
        Column("name", pa.string(), "What is measured: the column or metric."),
        Column("labels", pa.map_(pa.string(), pa.string()), "What tells series of one name apart: host, device ..."),
        Column("points", pa.int64(), "How many values the slice has."),
        Column("seconds", pa.float64(), "Resolution: the usual distance of two points.", nullable=True),
        Column("gaps", pa.int64(), "How often two points are further apart than twice that."),
        Column("time_start", TIMESTAMP, "The first point, UTC."),
        Column("time_stop", TIMESTAMP, "The last one."),
    ),
)

SERIES_POINTS = Table(
    name="series_points",
    grain="one value of a series",
    key=("series_id", "time", "row"),
    columns=(
        Column("series_id", pa.string(), "The series."),
        Column("time", TIMESTAMP, "Its moment, UTC."),
        Column("row", pa.int64(), "Data row of the file, counted from 0 in its extent."),
        Column("chunk_id", pa.string(), "The chunk that holds the row."),
        Column("value", pa.float64(), "The value; null where the file has none.", nullable=True),
    ),
)
