"""Stage `chunks`: the extents of a slice become batches of the table `CHUNKS`.

Here chunks get their ids, their place in the file and their rows; where they are cut belongs to the chunkers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
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
# Distinct contents of one extent that are told apart by counting. Beyond, the place makes an id unique: after 100 to
# 250 MB of text in one extent, and 40 MB of memory, so that a slice of one file of 1 GiB needs hardly more than others.
MAX_COUNTED = 1 << 18

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
        rows.begin(source)
        for piece in _cut(source, chunk_tokens, outcome):
            rows.add(piece, ids.of(piece))
            if rows.is_full:
                yield rows.batch(slice_key)
    if rows.count:
        yield rows.batch(slice_key)


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
    """Rows of `CHUNKS` that wait for their batch: what each has of its own, and runs that share an extent."""

    own: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    runs: list[tuple[Source, int]] = field(default_factory=list[tuple[Source, int]])
    characters: int = 0

    @property
    def count(self) -> int:
        return len(self.own)

    @property
    def is_full(self) -> bool:
        return len(self.own) >= BATCH_ROWS or self.characters >= BATCH_CHARACTERS

    def begin(self, source: Source) -> None:
        """The rows that are added from now on are of `source`."""
        if self.runs and self.runs[-1][1] == len(self.own):
            self.runs.pop()
        self.runs.append((source, len(self.own)))

    def add(self, piece: Piece, chunk_id: str) -> None:
        start = self.runs[-1][0].start
        text = piece.text
        self.own.append(
            (
                chunk_id,
                None if piece.symbol is None else _clean(piece.symbol),
                _clean(piece.context),
                _clean(text),
                piece.tokens,
                piece.byte_start + start,
                piece.byte_stop + start,
                piece.line_start,
                piece.line_stop,
                piece.row_start,
                piece.row_stop,
                piece.time_start,
                piece.time_stop,
            )
        )
        self.characters += len(text)

    def batch(self, slice_key: str) -> pa.RecordBatch:
        """The waiting rows; none wait afterwards, but the last source goes on."""
        columns: dict[str, pa.Array[Any]] = {}
        for name, values in zip(_OWN, zip(*self.own, strict=True), strict=True):
            columns[name] = pa.array(values, _TYPES[name])
        sources = [source for source, _ in self.runs]
        firsts = np.array([first for _, first in self.runs] + [len(self.own)], np.int64)
        which = np.repeat(np.arange(len(sources), dtype=np.int32), np.diff(firsts))
        for name, shared in _SHARED.items():
            values = pa.array([shared(source) for source in sources], _TYPES[name])
            columns[name] = values.take(which)
        columns["slice"] = pa.array([slice_key], _TYPES["slice"]).take(np.zeros(len(self.own), np.int32))
        self.own, self.runs, self.characters = [], [(sources[-1], 0)], 0
        arrays = [columns[column.name] for column in CHUNKS.columns]
        return CHUNKS.cast(pa.RecordBatch.from_arrays(arrays, schema=CHUNKS.schema))


_TYPES = {column.name: column.type for column in CHUNKS.columns}
_OWN = (
    "chunk_id", "symbol", "context", "text", "tokens", "byte_start", "byte_stop", "line_start", "line_stop",
    "row_start", "row_stop", "time_start", "time_stop",
)  # fmt: skip
_SHARED: dict[str, Callable[[Source], object]] = {
    "dataset": lambda source: source.dataset,
    "path": lambda source: printable(source.path),
    "extent_start": lambda source: source.start,
    "kind": lambda source: source.kind,
    "format": lambda source: source.format,
    "language": lambda source: source.language,
    "source_hash": lambda source: source.content_hash,
}


def _clean(text: str) -> str:
    """`text` as Arrow can hold it: surrogates, which stand for undecodable bytes, become U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
