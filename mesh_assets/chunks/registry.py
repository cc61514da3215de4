"""Which chunker cuts what: the one list. Adding a kind or format means a file beside this one and a line here."""

from __future__ import annotations

from mesh_assets.chunks.code import LineChunker, PythonChunker
from mesh_assets.chunks.json_text import JsonChunker, JsonLinesChunker
from mesh_assets.chunks.log import LogChunker
from mesh_assets.chunks.protocol import Chunker
from mesh_assets.chunks.tables import TableChunker
from mesh_assets.chunks.text import TextChunker

_TABLES: dict[str, Chunker] = {
    "csv": TableChunker(),
    "tsv": TableChunker(),
    "jsonl": JsonLinesChunker(),
    "ndjson": JsonLinesChunker(),
    "json": JsonChunker(),
}
_BY_FORMAT: dict[str, dict[str, Chunker]] = {
    "text": {"markdown": TextChunker(), "rst": TextChunker(), "plain": TextChunker()},
    "code": {"python": PythonChunker()},
    "structured": _TABLES,
    "metric": _TABLES,
}
# Kinds of which every format can be read.
_BY_KIND: dict[str, Chunker] = {"code": LineChunker(), "log": LogChunker()}


def chunker_for(kind: str, form: str) -> Chunker | None:
    """The chunker of files of `kind` in the format `form`; None where there is none yet."""
    return _BY_FORMAT.get(kind, {}).get(form) or _BY_KIND.get(kind)


def lacking(kind: str, form: str) -> str:
    """What no chunker is there for: the format, where other formats of its kind have one, else the kind."""
    return form if kind in _BY_FORMAT else kind
