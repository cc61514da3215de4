"""Stage `chunks`: the extents of a slice become batches of the table `CHUNKS`.

Here chunks get their ids, their place in the file and their rows; where they are cut belongs to the chunkers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa
from blake3 import blake3

from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.chunks.registry import chunker_for, lacking
from mesh_assets.errors import SourceError
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import Outcome
from mesh_assets.schemas.rejects import Reject, printable

# A batch is handed on at this many rows or characters of text, whichever comes first.
BATCH_ROWS = 2048
BATCH_CHARACTERS = 4 << 20
# Extents up to this size are cut completely before a chunk of theirs is handed on, so that one that fails leaves none.
WHOLE_BYTES = 16 << 20
# Distinct contents of one extent that are told apart by counting. Beyond, the place makes an id unique: about 1 GB of
# text in one extent, and 150 MB of memory.
MAX_COUNTED = 1 << 20

_SURROGATE = re.compile("[\ud800-\udfff]")
_REMEDY = (
    "Convert it to a format that has a chunker (Markdown, plain text, CSV, JSON lines ...), or add one beside "
    "`mesh_assets/chunks/registry.py`; the rest of the slice is not affected."
)


def chunk_batches(
    sources: Iterable[Source], *, slice_key: str, chunk_tokens: int, outcome: Outcome
) -> Iterator[pa.RecordBatch]:
    """The chunks of `sources` as batches of `CHUNKS`, in order; `outcome` fills up while they are drained.

    An extent that has no chunker, or that cannot be read, is a reject of `outcome`; a bad part of it (a line that is no
    JSON) is a part reject. SourceError where an extent of more than 16 MiB fails after its first chunk: the slice
    starts again, and finds the file as it is then.
    """
    rows = _Rows()
    for source in sources:
        ids = _Ids(source)
        for piece in _cut(source, chunk_tokens, outcome):
            rows.add(piece, ids.of(piece), source, slice_key)
            if rows.is_full:
                yield rows.batch()
    if rows.count:
        yield rows.batch()


def _cut(source: Source, chunk_tokens: int, outcome: Outcome) -> Iterator[Piece]:
    """The pieces of one extent; its rejects and its count go to `outcome`.

    SourceError where it fails after a piece of it was given: that one may already be written.
    """
    chunker = chunker_for(source.kind, source.format)
    if chunker is None:
        what = lacking(source.kind, source.format)
        outcome.reject(Reject(source.path, f"no chunker for {what}", _REMEDY, f"{source.kind}, {source.format}"))
        return
    found = chunker.chunk(source, chunk_tokens=chunk_tokens)
    is_whole = source.stop - source.start <= WHOLE_BYTES
    given = False
    try:
        for part in list(found) if is_whole else found:
            if isinstance(part, Piece):
                given = True
                yield part
            else:
                outcome.reject(_in_file(part, source.start))
    except (SourceError, OSError) as error:
        fault = error if isinstance(error, SourceError) else _unreadable(source, error)
        if given:
            raise fault from error
        outcome.reject(Reject(source.path, fault.reason, fault.remedy, fault.message), passing=True)
        return
    outcome.advance(read=source.stop - source.start)


def _unreadable(source: Source, error: OSError) -> SourceError:
    return SourceError(
        "cannot be read",
        f"{printable(source.path)} cannot be read: {error.strerror or error}.",
        remedy="Check that the file is still there and may be read, then materialise the slice again.",
    )


def _in_file(reject: Reject, start: int) -> Reject:
    if reject.byte_start is None or reject.byte_stop is None:
        return reject
    return replace(reject, byte_start=reject.byte_start + start, byte_stop=reject.byte_stop + start)


class _Ids:
    """Ids of the chunks of one extent: hash of dataset, path, extent start, content, ordinal among equal contents."""

    def __init__(self, source: Source) -> None:
        self._extent = b"\0".join(
            (source.dataset.encode(), source.path.encode("utf-8", "surrogatepass"), str(source.start).encode())
        )
        self._met: dict[bytes, int] = {}

    def of(self, piece: Piece) -> str:
        """The id of `piece`, 32 hex digits."""
        content = blake3(piece.text.encode("utf-8", "surrogatepass")).digest(16)
        ordinal = self._met.get(content, 0)
        if ordinal or len(self._met) < MAX_COUNTED:
            self._met[content] = ordinal + 1
            suffix = str(ordinal)
        else:
            suffix = f"at {piece.byte_start}"
        return blake3(b"\0".join((self._extent, content, suffix.encode()))).hexdigest(16)


@dataclass(slots=True)
class _Rows:
    """Rows of `CHUNKS` that wait for their batch, as columns."""

    columns: dict[str, list[object]] = field(default_factory=lambda: {column.name: [] for column in CHUNKS.columns})
    characters: int = 0

    @property
    def count(self) -> int:
        return len(self.columns["chunk_id"])

    @property
    def is_full(self) -> bool:
        return self.count >= BATCH_ROWS or self.characters >= BATCH_CHARACTERS

    def add(self, piece: Piece, chunk_id: str, source: Source, slice_key: str) -> None:
        row = (
            chunk_id,
            source.dataset,
            slice_key,
            printable(source.path),
            source.start,
            source.kind,
            source.format,
            source.language,
            None if piece.symbol is None else _clean(piece.symbol),
            _clean(piece.context),
            _clean(piece.text),
            piece.tokens,
            piece.byte_start + source.start,
            piece.byte_stop + source.start,
            piece.line_start,
            piece.line_stop,
            piece.row_start,
            piece.row_stop,
            piece.time_start,
            piece.time_stop,
            source.content_hash,
        )
        for column, value in zip(self.columns.values(), row, strict=True):
            column.append(value)
        self.characters += len(piece.text)

    def batch(self) -> pa.RecordBatch:
        """The waiting rows; none wait afterwards."""
        arrays = [pa.array(self.columns[column.name], column.type) for column in CHUNKS.columns]
        for values in self.columns.values():
            values.clear()
        self.characters = 0
        return CHUNKS.cast(pa.RecordBatch.from_arrays(arrays, schema=CHUNKS.schema))


def _clean(text: str) -> str:
    """`text` as Arrow can hold it: surrogates, which stand for undecodable bytes, become U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
