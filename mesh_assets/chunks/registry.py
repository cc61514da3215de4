"""Which chunker cuts what: the one list. Adding a kind or format means a file beside this one and a line here.

Formats whose readers are large programs of others are read in a child process (`confined`); plain text is cut here.
"""

from __future__ import annotations

from mesh_assets.chunks import confined
from mesh_assets.chunks.archives import ArchiveChunker
from mesh_assets.chunks.code import LineChunker, PythonChunker, TreeChunker
from mesh_assets.chunks.json_text import JsonChunker, JsonLinesChunker
from mesh_assets.chunks.log import LogChunker
from mesh_assets.chunks.protocol import Chunker, Source
from mesh_assets.chunks.syntax.grammars import GRAMMARS
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
    "code": {**dict.fromkeys(GRAMMARS, TreeChunker()), "python": PythonChunker()},
    "structured": _TABLES,
    "metric": _TABLES,
}
_REMEDY = (
    "Convert it to a format that has a chunker (Markdown, plain text, PDF, CSV, JSON lines ...), or add one beside "
    "`mesh_assets/chunks/registry.py`; the rest of the slice is not affected."
)
# Read in a child process. Their pieces are of a reading, but for archives, of which each file has its own way.
_CONFINED: dict[str, dict[str, Chunker]] = {
    "unknown": dict.fromkeys(("zip", "tar", "gzip", "bzip2", "xz", "zstd"), ArchiveChunker()),
}
# Kinds of which every format can be read.
_BY_KIND: dict[str, Chunker] = {"code": LineChunker(), "log": LogChunker()}


def chunker_for(kind: str, form: str) -> Chunker | None:
    """The chunker of files of `kind` in the format `form`; None where there is none yet."""
    if has_reading(kind, form) and not confined.is_child:
        return confined.ConfinedChunker()
    return direct_chunker(kind, form)


def direct_chunker(kind: str, form: str) -> Chunker | None:
    """The same without a child process around it."""
    by_format = _CONFINED.get(kind, {}).get(form) or _BY_FORMAT.get(kind, {}).get(form)
    return by_format or _BY_KIND.get(kind)


def has_reading(kind: str, form: str) -> bool:
    """Whether bytes of chunks count in what is read out of such a file, and not in the file."""
    return form in _CONFINED.get(kind, {})


def no_chunker(source: Source) -> Reject:
    """The reject of a source that no chunker cuts.

    It names the format, where other formats of its kind have a chunker, else the kind.
    """
    what = source.format if source.kind in _BY_FORMAT.keys() | _CONFINED.keys() else source.kind
    return Reject(source.path, f"no chunker for {what}", _REMEDY, f"{source.kind}, {source.format}")
