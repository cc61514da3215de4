"""Moments: what happened when, over all logs and series of a slice, in order of time."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.table import Column, Table

EVENT, POINT = "event", "point"

MOMENTS = Table(
    name="moments",
    grain="one record of a log, or one value of a series, that has a time; sorted by it",
    key=("chunk_id", "place", "of_id"),
    columns=(
        Column("time", TIMESTAMP, "When, UTC."),
        Column("what", pa.string(), "`event` of a log, or `point` of a series."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("path", pa.string(), "Path of the file in its dataset."),
        Column("chunk_id", pa.string(), "The chunk that holds it."),
        Column("place", pa.int64(), "Byte of the file where an event starts; data row of a point."),
        Column(
            "of_id", pa.string(), "Template of an event (`log_templates`), series of a point (`series`).", nullable=True
        ),
        Column("level", pa.string(), "Level of an event.", nullable=True),
        Column("source", pa.string(), "What wrote an event.", nullable=True),
        Column("value", pa.float64(), "Value of a point.", nullable=True),
    ),
)
