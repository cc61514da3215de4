"""Previews: small pictures of what a chunk is about, so that a person sees it in the report."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.table import Column, Table

PREVIEWS = Table(
    name="previews",
    grain="one small picture of a chunk",
    key=("chunk_id",),
    columns=(
        Column("chunk_id", pa.string(), "The chunk of the picture, or of the scene."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("path", pa.string(), "Path of the file in its dataset."),
        Column("kind", pa.string(), "image or video."),
        Column("place", pa.string(), "Where in the file: `page 2`, `0:04 to 0:09`.", nullable=True),
        Column("label", pa.string(), "A few words on what is seen, the same as in the chunk's text."),
        Column("media_type", pa.string(), "image/jpeg."),
        Column("width", pa.int32(), "Pixels."),
        Column("height", pa.int32(), "Pixels."),
        Column("image", pa.binary(), "The picture's bytes, at most 30 kB."),
    ),
)
