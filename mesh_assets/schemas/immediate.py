"""Immediate insights: what a look of seconds into a dataset told, before it was read."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.table import Column, Table

IMMEDIATE_INSIGHTS = Table(
    name="immediate_insights",
    grain="one thing that the first look told of a dataset",
    key=("dataset", "number"),
    columns=(
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("number", pa.int64(), "Its place, from 0: what is in there first, then what looks wrong."),
        Column("type", pa.string(), "`content`, `kind` (a part of the bytes) or `problem`."),
        Column("statement", pa.string(), "A plain sentence."),
        Column("kind", pa.string(), "The kind of data that a share of the bytes is of.", nullable=True),
        Column("bytes", pa.float64(), "The bytes that are likely to be of it.", nullable=True),
        Column("likely", pa.float64(), "Share of the bytes, or of the files, 0..1; null where counted.", nullable=True),
        Column("low", pa.float64(), "The least that the share is likely to be (95%).", nullable=True),
        Column("high", pa.float64(), "The most.", nullable=True),
        Column("files", pa.int64(), "How many files, where they were counted.", nullable=True),
        Column("example", pa.string(), "Path of one of them.", nullable=True),
    ),
)
