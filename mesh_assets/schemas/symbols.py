"""Symbols: what source code defines, and what each definition uses."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.table import Column, Table

SYMBOLS = Table(
    name="symbols",
    grain="one definition in a source file, or the file itself",
    key=("symbol_id",),
    columns=(
        Column("symbol_id", pa.string(), "32 hex digits: dataset, path, symbol, ordinal among equals."),
        Column("chunk_id", pa.string(), "The chunk that the definition begins in."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("path", pa.string(), "Path of the file in its dataset."),
        Column("language", pa.string(), "Programming language, as `python`."),
        Column("symbol", pa.string(), "Path of names, outer ones first: `Class.method`; empty for the file."),
        Column("type", pa.string(), "module, class, function, method, interface, enum, constant ..."),
        Column("signature", pa.string(), "The head of the definition in one line."),
        Column("docstring", pa.string(), "First paragraph of its documentation.", nullable=True),
        Column("byte_start", pa.int64(), "Where the definition starts in the file."),
        Column("byte_stop", pa.int64(), "Where it ends, exclusive."),
        Column("line_start", pa.int64(), "First line, counted from 1 in the file."),
        Column("line_stop", pa.int64(), "Last line, inclusive."),
        Column("imports", pa.list_(pa.string()), "Modules and names that it imports, as written."),
        Column("calls", pa.list_(pa.string()), "Names that it calls, as written, each once."),
        Column("bases", pa.list_(pa.string()), "What a class inherits from, as written."),
    ),
)
