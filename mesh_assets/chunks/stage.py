"""Stage `chunks`: the extents of a slice become batches of the table `CHUNKS`.

Here chunks get their place in the file and their rows; where they are cut belongs to the chunkers, ids to `ids`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mesh_assets.chunks.confined import close_reader
from mesh_assets.chunks.ids import ChunkIds
from mesh_assets.chunks.protocol import NO_MOMENT, NO_ROW, Attached, Piece, Pieces, Source
from mesh_assets.chunks.registry import chunker_for, no_chunker
from mesh_assets.errors import FormatError, SourceError
from mesh_assets.schemas import ATTACHED
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import AttachedRows, Outcome
from mesh_assets.schemas.rejects import Reject, printable

# A batch is handed on at this many rows or characters of text, whichever comes first.
BATCH_ROWS = 2048
BATCH_CHARACTERS = 4 << 20
# Extents up to this size are cut completely before a chunk of theirs is handed on, so that one that fails leaves none.
WHOLE_BYTES = 16 << 20

_SURROGATE = re.compile("[\ud800-\udfff]")


def chunk_batches(
    sources: Iterable[Source],
    *,
    slice_key: str,
    chunk_tokens: int,
    outcome: Outcome,
    attached: AttachedRows | None = None,
) -> Iterator[pa.RecordBatch]:
    """The chunks of `sources` as batches of `CHUNKS`, in order; `outcome` fills up while they are drained.

    So does `attached`, with rows of tables that belong to chunks, which come with the batch of their chunk.

    An extent that has no chunker, or that cannot be read, is a reject of `outcome`; a bad part of it (a line that is no
    JSON) is a part reject. SourceError where an extent of more than 16 MiB fails after its first chunk: the slice
    starts again, and finds the file as it is then.
    """
    rows = _Rows(slice_key, attached or AttachedRows())
    try:
        for source in sources:
            rows.begin(source)
            for part in _cut(source, chunk_tokens, outcome):
                if isinstance(part, (Piece, Pieces)):  # (in half the time)
                    if rows.are_enough:
                        yield rows.batch()
                    rows.add(part)
                elif isinstance(part, Source):
                    rows.begin(part)
                else:
                    rows.attach(part)
        if rows.count:
            yield rows.batch()
    finally:
        close_reader()


def _cut(source: Source, chunk_tokens: int, outcome: Outcome) -> Iterator[Piece | Pieces | Source | Attached]:
    """The pieces of one extent and what belongs to them; its rejects and its count go to `outcome`.

    SourceError where the file changed, or the disk failed, after a piece of it was given: that one may already be
    written. What breaks later for another reason is a reject of the rest.
    """
    chunker = chunker_for(source.kind, source.format)
    if chunker is None:
        outcome.reject(no_chunker(source))
        return
    found = chunker.chunk(source, chunk_tokens=chunk_tokens)
    # What is no text may be many times its size when it is read.
    is_whole = source.stop - source.start <= WHOLE_BYTES and source.encoding is not None
    given = False
    try:
        for part in list(found) if is_whole else found:
            if isinstance(part, Reject):
                outcome.reject(_in_file(part, source.start))
            else:
                given = True
                yield part
    except (SourceError, OSError) as error:
        fault = error if isinstance(error, SourceError) else _unreadable(source, error)
        may_pass = not isinstance(error, FormatError)
        if given and may_pass:
            raise fault from error
        reject = Reject(source.path, fault.reason, fault.remedy, fault.message)
        if not given:
            outcome.reject(reject, passing=may_pass)
            return
        outcome.reject(replace(reject, byte_start=source.start, byte_stop=source.stop))
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


@dataclass(slots=True)
class _Rows:
    """Pieces that wait to become rows of `CHUNKS`, and runs of them that share an extent, which has its ids."""

    slice_key: str
    attached: AttachedRows
    parts: list[Pieces] = field(default_factory=list[Pieces])
    single: list[Piece] = field(default_factory=list[Piece])
    beside: list[tuple[int, Attached]] = field(default_factory=list[tuple[int, Attached]])
    runs: list[tuple[Source, ChunkIds, int]] = field(default_factory=list[tuple[Source, ChunkIds, int]])
    count: int = 0
    characters: int = 0

    def begin(self, source: Source) -> None:
        """The pieces that are added from now on are of `source`."""
        if self.runs and self.runs[-1][2] == self.count:
            self.runs.pop()
        self.runs.append((source, ChunkIds(source), self.count))

    @property
    def are_enough(self) -> bool:
        """Whether there are enough now for a batch. (What belongs to the last piece may still come.)"""
        return self.count >= BATCH_ROWS or self.characters >= BATCH_CHARACTERS

    def add(self, piece: Piece | Pieces) -> None:
        """One more piece of the source, or several."""
        if isinstance(piece, Piece):
            self.single.append(piece)
            self.count += 1
            self.characters += len(piece.text)
        else:
            self._join()
            self.parts.append(piece)
            self.count += len(piece)
            self.characters += sum(map(len, piece.text))

    def attach(self, row: Attached) -> None:
        """A row that belongs to the last piece."""
        self.beside.append((self.count - 1, row))

    def _join(self) -> None:
        if self.single:
            self.parts.append(_in_columns(self.single))
            self.single = []

    def batch(self) -> pa.RecordBatch:
        """The waiting rows; none wait afterwards, but the last source goes on."""
        self._join()
        sources = [source for source, _, _ in self.runs]
        firsts = np.array([first for _, _, first in self.runs] + [self.count], np.int64)
        which = np.repeat(np.arange(len(sources), dtype=np.int32), np.diff(firsts))
        ids = self._ids([text for part in self.parts for text in part.text])
        self._hand_on(ids, which)
        columns = {name: _column([getattr(part, name) for part in self.parts], name) for name in Piece._fields}
        columns["chunk_id"] = pa.array(ids, pa.string())
        for name, shared in _SHARED.items():
            values = pa.array([shared(source) for source in sources], _TYPES[name])
            columns[name] = values.take(which)
        for name in ("byte_start", "byte_stop"):
            columns[name] = pc.add(columns[name], columns["extent_start"])
        columns["slice"] = pa.array([self.slice_key], _TYPES["slice"]).take(np.zeros(self.count, np.int32))
        self.parts, self.beside, self.runs = [], [], [(*self.runs[-1][:2], 0)]
        self.count = self.characters = 0
        arrays = [columns[column.name] for column in CHUNKS.columns]
        return CHUNKS.cast(pa.RecordBatch.from_arrays(arrays, schema=CHUNKS.schema))

    def _hand_on(self, ids: Sequence[str], which: NDArray[np.int32]) -> None:
        """The rows that belong to the waiting pieces, with these ids and `which` source each, to their tables."""
        tables: dict[str, tuple[list[int], list[dict[str, object]]]] = {}
        for at, (table, row) in self.beside:
            places, rows = tables.setdefault(table, ([], []))
            places.append(at)
            rows.append(row)
        for name, (places, rows) in tables.items():
            of_source = which[places]
            shared: dict[str, list[str]] = {
                "dataset": [source.dataset for source, _, _ in self.runs],
                "path": [printable(source.path) for source, _, _ in self.runs],
                "slice": [self.slice_key] * len(self.runs),
            }
            columns: dict[str, pa.Array[Any]] = {
                each: pa.array(values, pa.string()).take(of_source) for each, values in shared.items()
            }
            columns["chunk_id"] = pa.array([ids[at] for at in places], pa.string())
            for column in ATTACHED[name].columns:
                if column.name not in columns:
                    columns[column.name] = pa.array([row.get(column.name) for row in rows], column.type)
            arrays = [columns[column.name] for column in ATTACHED[name].columns]
            self.attached.add(
                name, ATTACHED[name].cast(pa.RecordBatch.from_arrays(arrays, schema=ATTACHED[name].schema))
            )

    def _ids(self, texts: Sequence[str]) -> list[str]:
        stops = [first for _, _, first in self.runs[1:]] + [len(texts)]
        found: list[str] = []
        for (_, ids, first), stop in zip(self.runs, stops, strict=True):
            found += ids.of(texts[first:stop])
        return found


_TYPES = {column.name: column.type for column in CHUNKS.columns}
_SHARED: dict[str, Callable[[Source], object]] = {
    "dataset": lambda source: source.dataset,
    "path": lambda source: printable(source.path),
    "extent_start": lambda source: source.start,
    "kind": lambda source: source.kind,
    "format": lambda source: source.format,
    "language": lambda source: source.language,
    "source_hash": lambda source: source.content_hash,
}
# What stands in a column of `Pieces` for no value.
_NONE = {"row_start": NO_ROW, "row_stop": NO_ROW, "time_start": NO_MOMENT, "time_stop": NO_MOMENT}


def _in_columns(pieces: Sequence[Piece]) -> Pieces:
    columns: dict[str, Any] = dict(zip(Piece._fields, map(list, zip(*pieces, strict=True)), strict=True))
    for name, values in columns.items():
        if name in _NONE:
            numbers = cast("pa.Array[Any]", pa.array(values, _TYPES[name])).cast(pa.int64())
            columns[name] = np.asarray(numbers.fill_null(_NONE[name]), np.int64)
        elif pa.types.is_integer(_TYPES[name]):
            columns[name] = np.array(values, np.int64)
    return Pieces(**columns)


def _column(parts: list[NDArray[np.int64]] | list[list[str | None]], name: str) -> pa.Array[Any]:
    """A column of `Pieces` as one of `CHUNKS`; surrogates, which stand for undecodable bytes, become U+FFFD."""
    if isinstance(parts[0], np.ndarray):
        numbers = np.concatenate(cast("list[NDArray[np.int64]]", parts))
        mask = numbers == _NONE[name] if name in _NONE else None
        return pa.array(numbers, pa.int64(), mask=mask).cast(_TYPES[name])
    values = list(chain.from_iterable(cast("list[list[str | None]]", parts)))
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([None if text is None else _SURROGATE.sub("\ufffd", text) for text in values], pa.string())
