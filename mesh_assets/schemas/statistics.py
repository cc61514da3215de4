"""Statistics: what each stage made of each slice of a dataset, and what that cost. Told by the footers of the lake."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.table import Column, Table

# States of a table. `damaged` has no numbers, because its footer cannot be read.
DONE = "done"
UNFINISHED = "unfinished"
MISSING = "missing"
DAMAGED = "damaged"

STATISTICS = Table(
    name="dataset_statistics",
    grain="one table of the lake: an asset of one slice, or of the dataset as a whole",
    key=("dataset", "slice", "asset"),
    columns=(
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice; null for a table of the whole dataset.", nullable=True),
        Column("stage", pa.string(), "Stage that makes the table."),
        Column("asset", pa.string(), "Asset that the table is of."),
        Column(
            "state",
            pa.string(),
            "`done`; `unfinished` where its slice is not yet at its version in the manifest; `missing`, `damaged`.",
        ),
        Column("rows", pa.int64(), "Rows in the table.", nullable=True),
        Column("rows_in", pa.int64(), "Rows of the input, in the unit of the stage.", nullable=True),
        Column("rejects", pa.int64(), "Rows of the input that could not be processed.", nullable=True),
        Column("skipped", pa.int64(), "Rows of the input that wait for an engine, a node or money.", nullable=True),
        Column("bytes_in", pa.int64(), "Bytes of source files that were read for it.", nullable=True),
        Column("bytes_out", pa.int64(), "Size of its file.", nullable=True),
        Column("seconds", pa.float64(), "Wall time of making it.", nullable=True),
        Column("made_at", TIMESTAMP, "When it was made, UTC.", nullable=True),
        Column("run_id", pa.string(), "Dagster run that made it.", nullable=True),
        Column("pipeline_version", pa.string(), "Version of the asset's code that made it.", nullable=True),
    ),
)
