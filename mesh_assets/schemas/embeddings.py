"""Embeddings: one vector a chunk, as float16 (recall .997 against float32 on real vectors, half the bytes)."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.table import Column, Table

EMBEDDINGS = Table(
    name="embeddings",
    grain="the vector of one chunk",
    key=("chunk_id",),
    columns=(
        Column("chunk_id", pa.string(), "The chunk."),
        Column("kind", pa.string(), "Kind of the chunk's file, so that an index can filter by it."),
        Column("text_hash", pa.string(), "BLAKE3 of the embedded text: equal texts are embedded once in a slice."),
        Column("vector", pa.list_(pa.float16()), "Unit vector; its length is the model's dimension."),
    ),
)
