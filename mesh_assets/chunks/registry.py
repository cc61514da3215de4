"""Which chunker cuts what: the one list. Adding a kind or format means a file beside this one and a line here."""

from __future__ import annotations

from mesh_assets.chunks.code import LineChunker, PythonChunker
from mesh_assets.chunks.json_text import JsonChunker, JsonLinesChunker
from mesh_assets.chunks.log import LogChunker
from mesh_assets.chunks.protocol import Chunker, Source
from mesh_assets.chunks.tables import TableChunker
from mesh_assets.chunks.text import TextChunker
from mesh_assets.schemas.rejects import Reject

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
_REMEDY = (
    "Convert it to a format that has a chunker (Markdown, plain text, PDF, CSV, JSON lines ...), or add one beside "
    "`mesh_assets/chunks/registry.py`; the rest of the slice is not affected."
)
# Kinds of which every format can be read.
_BY_KIND: dict[str, Chunker] = {"code": LineChunker(), "log": LogChunker()}


def chunker_for(kind: str, form: str) -> Chunker | None:
    """The chunker of files of `kind` in the format `form`; None where there is none yet."""
    return _BY_FORMAT.get(kind, {}).get(form) or _BY_KIND.get(kind)


def no_chunker(source: Source) -> Reject:
    """The reject of a source that no chunker cuts.

    It names the format, where other formats of its kind have a chunker, else the kind.
    """
    what = source.format if source.kind in _BY_FORMAT else source.kind
    return Reject(source.path, f"no chunker for {what}", _REMEDY, f"{source.kind}, {source.format}")
