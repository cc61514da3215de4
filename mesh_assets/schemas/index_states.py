"""Index states: what an index holds of a slice. The index itself lives in its engine, not in the lake."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.table import Column, Table

READY = "ready"
PENDING = "pending"

INDEX_STATES = Table(
    name="index_states",
    grain="one index of one slice",
    key=("slice",),
    columns=(
        Column("slice", pa.string(), "Key of the slice."),
        Column("engine", pa.string(), "Engine that holds it: faiss, tantivy, qdrant, elasticsearch ..."),
        Column("state", pa.string(), "`ready`, or `pending` while the engine was down."),
        Column("entries", pa.int64(), "Chunks that the index holds of the slice."),
        Column("location", pa.string(), "File, collection or index where they are."),
        Column("detail", pa.string(), "Why it is pending; empty when ready."),
    ),
)
