"""Extents: the parts of files that slices are made of, as planned (`EXTENTS`) and as read (`SOURCES`).

`EXTENTS` is the manifest of a dataset, one row an extent, with the delta against the manifest before it. A file that
was deleted keeps its row, marked so, until the next change of its slice, so that an emptied slice has a version too.
"""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.table import Column, Table

_EXTENT = (
    Column("path", pa.string(), "Path of the file inside its dataset, `/` between folders."),
    Column("start", pa.int64(), "Where the extent starts in the file, in `unit`."),
    Column("stop", pa.int64(), "Where it ends, exclusive, in `unit`."),
    Column("unit", pa.string(), "What `start` and `stop` count: byte, row, ms or member."),
    Column("size", pa.int64(), "Size of the whole file in bytes."),
    Column("mtime_ns", pa.int64(), "Last modification of the file, ns since 1970 UTC.", volatile=True),
    Column("inode", pa.int64(), "Inode of the file.", volatile=True),
    Column("ctime_ns", pa.int64(), "Last change of the file or of who may read it, ns since 1970 UTC.", volatile=True),
)

EXTENTS = Table(
    name="extents",
    grain="one extent of a file of a dataset",
    key=("slice", "path", "start"),
    columns=(
        *_EXTENT,
        Column("slice", pa.string(), "Key of the slice that the extent belongs to."),
        Column("slice_version", pa.int64(), "Manifest version at which the slice last changed."),
        Column("change", pa.string(), "Against the manifest before: same, added, changed or deleted."),
    ),
)

SOURCES = Table(
    name="sources",
    grain="one extent that was read completely",
    key=("path", "start"),
    columns=(
        *_EXTENT,
        Column("content_hash", pa.string(), "BLAKE3 of the extent's bytes, 32 hex digits."),
        Column("probe", pa.string(), "BLAKE3 of its first and last 256 KiB: tells whether a file only grew."),
        Column("head_hash", pa.string(), "BLAKE3 of the file's first 64 KiB, for a later extent.", nullable=True),
        Column("kind", pa.string(), "text, code, image, audio, video, structured, log, metric or unknown."),
        Column("format", pa.string(), "Finer than kind: markdown, plain, python, csv, jsonl, png ..."),
        Column("encoding", pa.string(), "Python codec that decodes the extent; null for binary.", nullable=True),
        Column("language", pa.string(), "ISO 639-1 code of a text's language where it can be told.", nullable=True),
    ),
)
