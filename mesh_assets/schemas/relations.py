"""Relations: chunks of different files that have something in common. Edges of the graph; no model is asked."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.table import Column, Table

RELATIONS = Table(
    name="relations",
    grain="two chunks of different files of a slice that are related",
    key=("chunk_id", "other_id"),
    columns=(
        Column("chunk_id", pa.string(), "The chunk whose path comes first."),
        Column("other_id", pa.string(), "The other one."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column(
            "shared",
            pa.list_(pa.string()),
            "What both name: identifiers, hosts, addresses, names of files; rarest first.",
        ),
        Column("seconds_apart", pa.float64(), "Seconds between them; 0 where their times overlap.", nullable=True),
        Column("score", pa.float64(), "How closely, 0..1: more in common, and rarer, and nearer in time, is closer."),
    ),
)
