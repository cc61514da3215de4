"""Chunks: the unit of meaning, each with the locator of its own bytes.

`text` is the chunk's own content, exactly what its locator opens: bytes of the file or, where that is no plain text,
of its reading (the text that its chunker makes of it). A file in an archive has the path `old.zip!/inner/a.txt`, and
bytes there are the inner file's. `context` is what the chunk needs to be understood alone (heading path, table header,
enclosing class) and belongs to other bytes. Embeddings and indexes read both.
"""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.table import Column, Table

TIMESTAMP = pa.timestamp("us", tz="UTC")

CHUNKS = Table(
    name="chunks",
    grain="one chunk",
    key=("chunk_id",),
    by_row=True,
    columns=(
        Column(
            "chunk_id", pa.string(), "32 hex digits: dataset, path, extent, content, ordinal among equals.", varied=True
        ),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("path", pa.string(), "Path of the file inside its dataset."),
        Column("extent_start", pa.int64(), "Start of the extent that the chunk was cut from, bytes."),
        Column("kind", pa.string(), "Kind of the file: text, code, log, structured ..."),
        Column("format", pa.string(), "Format of the file: markdown, python, csv ..."),
        Column("language", pa.string(), "ISO 639-1 code of the file's language.", nullable=True),
        Column(
            "symbol",
            pa.string(),
            "Path of a function or class, or of a section's headings.",
            nullable=True,
            varied=True,
        ),
        Column("context", pa.string(), "What the chunk needs to be understood alone; other bytes than its own."),
        Column("text", pa.string(), "The chunk's own content; undecodable bytes as U+FFFD.", varied=True),
        Column("tokens", pa.int32(), "Estimated tokens of context and text.", varied=True),
        Column("byte_start", pa.int64(), "Where the content starts in the file.", varied=True),
        Column("byte_stop", pa.int64(), "Where it ends, exclusive.", varied=True),
        Column("place", pa.string(), "Where that is in a file that is no plain text: `page 3` ...", nullable=True),
        Column("line_start", pa.int64(), "First line, counted from 1 in the extent.", varied=True),
        Column("line_stop", pa.int64(), "Last line, inclusive.", varied=True),
        Column("row_start", pa.int64(), "First data row of a table, counted from 0 in the extent.", nullable=True),
        Column("row_stop", pa.int64(), "Last data row, exclusive.", nullable=True),
        Column("time_start", TIMESTAMP, "Earliest moment that the content is about, UTC.", nullable=True),
        Column("time_stop", TIMESTAMP, "Latest moment, inclusive.", nullable=True),
        Column("source_hash", pa.string(), "Content hash of the extent, as intake read it."),
    ),
)


def embedding_text(context: str, text: str) -> str:
    """What is embedded and searched of a chunk: its context, then its own content."""
    return f"{context}\n{text}" if context else text
