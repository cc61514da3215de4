"""Which chunker cuts what: the one list. Adding a kind or format means a file beside this one and a line here.

Formats whose readers are large programs of others are read in a child process (`confined`), programs by their parsers
too; plain text is cut here. So is Python: its outline needs no parser, and the parser of its symbols is the one that
most files go through, for which the child would take a fifth more time.
"""

from __future__ import annotations

from collections.abc import Iterable

from mesh_assets.chunks import confined
from mesh_assets.chunks.archives import ArchiveChunker
from mesh_assets.chunks.code import GuardedChunker, LineChunker, PythonChunker, TreeChunker
from mesh_assets.chunks.documents.chunker import DocumentChunker
from mesh_assets.chunks.documents.docx import docx_blocks
from mesh_assets.chunks.documents.email import email_blocks
from mesh_assets.chunks.documents.epub import epub_blocks
from mesh_assets.chunks.documents.html import html_blocks
from mesh_assets.chunks.documents.notebook import notebook_blocks
from mesh_assets.chunks.documents.odf import odf_blocks
from mesh_assets.chunks.documents.ole import old_blocks
from mesh_assets.chunks.documents.pdf import pdf_blocks
from mesh_assets.chunks.documents.pptx import pptx_blocks
from mesh_assets.chunks.documents.rtf import rtf_blocks
from mesh_assets.chunks.json_text import JsonChunker, JsonLinesChunker
from mesh_assets.chunks.log import LogChunker
from mesh_assets.chunks.media import printed
from mesh_assets.chunks.media.drawings import DrawingChunker
from mesh_assets.chunks.media.images import FORMATS as IMAGE_FORMATS
from mesh_assets.chunks.media.images import ImageChunker
from mesh_assets.chunks.media.recorded import RecordingChunker
from mesh_assets.chunks.media.recordings import SOUND_FORMATS, VIDEO_FORMATS
from mesh_assets.chunks.metrics import influx, prometheus
from mesh_assets.chunks.metrics.chunker import MetricLinesChunker
from mesh_assets.chunks.metrics.otlp_reading import OtlpChunker
from mesh_assets.chunks.protocol import OFF, Chunker, LocalModels, Source
from mesh_assets.chunks.syntax.grammars import GRAMMARS
from mesh_assets.chunks.tables import TableChunker
from mesh_assets.chunks.tabular.columnar import arrow_grids, parquet_grids
from mesh_assets.chunks.tabular.grids import GridChunker
from mesh_assets.chunks.tabular.sqlite import sqlite_grids
from mesh_assets.chunks.tabular.workbooks import ods_grids, xls_grids, xlsx_grids
from mesh_assets.chunks.tabular.xml_records import xml_grids
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
    "metric": {
        **_TABLES,
        "prometheus": MetricLinesChunker("Prometheus", prometheus.lines),
        "influx": MetricLinesChunker("line protocol", influx.lines),
    },
}
_REMEDY = (
    "Convert it to a format that has a chunker (Markdown, plain text, PDF, CSV, JSON lines ...), or add one beside "
    "`mesh_assets/chunks/registry.py`; the rest of the slice is not affected."
)
_REMEDIES = {
    "sqlite-wal": "It holds what the database beside it does not have yet, and was not read. Close the program that "
    "uses the database, or run `sqlite3 DATABASE 'PRAGMA wal_checkpoint(TRUNCATE)'`, and drop the database again.",
}
# Read in a child process. Their pieces are of a reading, but for archives, of which each file has its own way.
_CONFINED: dict[str, dict[str, Chunker]] = {
    "text": {
        "html": DocumentChunker(html_blocks),
        "pdf": DocumentChunker(pdf_blocks),
        "docx": DocumentChunker(docx_blocks),
        "pptx": DocumentChunker(pptx_blocks),
        "odt": DocumentChunker(odf_blocks),
        "odp": DocumentChunker(odf_blocks),
        "epub": DocumentChunker(epub_blocks),
        "rtf": DocumentChunker(rtf_blocks),
        "email": DocumentChunker(email_blocks),
        "ipynb": DocumentChunker(notebook_blocks),
        **dict.fromkeys(("doc", "ppt", "msg"), DocumentChunker(old_blocks)),
    },
    "unknown": dict.fromkeys(("zip", "tar", "gzip", "bzip2", "xz", "zstd"), ArchiveChunker()),
    "image": {**dict.fromkeys(IMAGE_FORMATS, ImageChunker()), "svg": DrawingChunker()},
    "audio": dict.fromkeys(SOUND_FORMATS, RecordingChunker()),
    "video": dict.fromkeys(VIDEO_FORMATS, RecordingChunker()),
    "metric": {"otlp": OtlpChunker()},
    "structured": {
        "parquet": GridChunker("Parquet file", parquet_grids),
        "arrow": GridChunker("Arrow file", arrow_grids),
        "sqlite": GridChunker("SQLite database", sqlite_grids),
        "xlsx": GridChunker("XLSX workbook", xlsx_grids),
        "xls": GridChunker("XLS workbook", xls_grids),
        "ods": GridChunker("ODS spreadsheet", ods_grids),
        "xml": GridChunker("XML file", xml_grids),
    },
}
# Kinds of which every format can be read.
_BY_KIND: dict[str, Chunker] = {"code": LineChunker(), "log": LogChunker()}


def chunker_for(kind: str, form: str) -> Chunker | None:
    """The chunker of files of `kind` in the format `form`; None where there is none yet."""
    chunker = direct_chunker(kind, form)
    if confined.is_child:
        return chunker
    if has_reading(kind, form):
        return confined.ConfinedChunker()
    return GuardedChunker() if isinstance(chunker, TreeChunker) else chunker


def direct_chunker(kind: str, form: str) -> Chunker | None:
    """The same without a child process around it."""
    by_format = _CONFINED.get(kind, {}).get(form) or _BY_FORMAT.get(kind, {}).get(form)
    return by_format or _BY_KIND.get(kind)


def has_reading(kind: str, form: str) -> bool:
    """Whether bytes of chunks count in what is read out of such a file, and not in the file."""
    return form in _CONFINED.get(kind, {})


def reading_settings(formats: Iterable[tuple[str, str]], models: LocalModels) -> dict[str, object]:
    """What chunks of files of these kinds and formats are made from beside the files; nothing where none has a reading.

    Any of those may hold pictures and sound, if not itself then in an attachment.
    """
    if not any(has_reading(kind, form) for kind, form in formats):
        return {}
    reader = printed.version() or OFF
    return {"speech_model": models.speech or OFF, "caption_model": models.caption or OFF, "print_reader": reader}


def no_chunker(source: Source) -> Reject:
    """The reject of a source that no chunker cuts.

    It names the format, where other formats of its kind have a chunker, else the kind.
    """
    what = source.format if source.kind in _BY_FORMAT.keys() | _CONFINED.keys() else source.kind
    remedy = _REMEDIES.get(source.format, _REMEDY)
    return Reject(source.path, f"no chunker for {what}", remedy, f"{source.kind}, {source.format}")
