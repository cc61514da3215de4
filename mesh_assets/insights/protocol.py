"""What an insight is made of. Adding one means a file beside this one and a line in `registry`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol, cast

import numpy as np
import polars as pl
import pyarrow as pa
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.insights.columns import column_of, content_of, equals, integers, is_in
from mesh_assets.insights.locators import CHUNK_COLUMNS, ChunkText
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.insights import CHUNK_INSIGHTS

# Chunks of a batch that are looked at one by one before its columns become lists.
_FEW = 64


@dataclass(frozen=True, slots=True)
class Insight:
    """One insight about a slice: a plain sentence, its numbers and where it can be seen.

    `score` says how much it deserves a person's time, 0..1. `value` is JSON-able; a series to plot is
    `{"series": {"x": [ISO times or labels], "y": [numbers], "unit": "...", "marked": [first, last index]}}`.
    """

    kind: str
    type: str
    title: str
    statement: str
    score: float
    value: dict[str, object] = field(default_factory=dict[str, object])
    evidence: tuple[Citation, ...] = ()
    time_start: datetime | None = None
    time_stop: datetime | None = None

    def row(self, *, dataset: str, slice_key: str) -> dict[str, object]:
        """The insight as a row of the table `INSIGHTS`. Its id comes from slice, type and title."""
        identity = "\x1f".join((slice_key, self.type, self.title))
        return {
            "insight_id": blake3(identity.encode("utf-8", "surrogatepass")).hexdigest(length=16),
            "dataset": dataset,
            "slice": slice_key,
            "kind": self.kind,
            "type": self.type,
            "title": self.title,
            "statement": self.statement,
            "score": float(min(max(self.score, 0.0), 1.0)),
            "value": json.dumps(self.value, sort_keys=True),
            "time_start": self.time_start,
            "time_stop": self.time_stop,
            "evidence": [citation.row() for citation in self.evidence],
        }

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Insight:
        """The insight that such a row is of."""
        held = {name: row[name] for name in ("kind", "type", "title", "statement", "score", "time_start", "time_stop")}
        evidence = tuple(Citation(**citation) for citation in row["evidence"])
        return cls(value=json.loads(row["value"]), evidence=evidence, **held)


class KnownInsights(Protocol):
    """Where insights of chunks lie that were found before."""

    def find(self, ids: pa.StringArray, basis: pa.StringArray) -> tuple[NDArray[np.bool_], pa.Table]:
        """Which of the chunks are known, as flags, and the rows of `CHUNK_INSIGHTS` of those, in their order.

        `basis` says what else the insights of each come from; a known row has the same.
        """
        ...


class _NothingKnown:
    def find(self, ids: pa.StringArray, basis: pa.StringArray) -> tuple[NDArray[np.bool_], pa.Table]:
        return np.zeros(len(ids), np.bool_), CHUNK_INSIGHTS.schema.empty_table()


NOTHING_KNOWN: KnownInsights = _NothingKnown()


def id_keys(ids: pa.StringArray) -> NDArray[np.uint64]:
    """A number for each id of 32 hex digits. Ids are hashes, so that the numbers are spread evenly."""
    content, offsets = content_of(ids)
    last = content[offsets[1:, None] + np.arange(-16, 0)]
    halves = np.ascontiguousarray(last).view("<u8").reshape(-1, 2)
    return (halves[:, 0] * np.uint64(0x9E3779B97F4A7C15) + halves[:, 1]) * np.uint64(0xC2B2AE3D27D4EB4F)


@dataclass(frozen=True)
class SliceBatch:
    """Rows of `CHUNKS`, of `CHUNK_INSIGHTS`, and vectors of shape (rows, dimension), row beside row.

    The dimension is 0 where embeddings are switched off. Columns are turned into lists once for all accumulators.
    """

    chunks: pa.RecordBatch
    insights: pa.RecordBatch
    vectors: NDArray[np.float32]
    _lists: dict[str, list[object]] = field(default_factory=dict[str, list[object]])
    _chunks: dict[int, ChunkText] = field(default_factory=dict[int, ChunkText])
    _rows: dict[tuple[str, ...], list[int]] = field(default_factory=dict[tuple[str, ...], list[int]])

    def column(self, name: str) -> list[object]:
        """A column of the chunks as a list."""
        if name not in self._lists:
            self._lists[name] = list(column_of(self.chunks, name).to_pylist())
        return self._lists[name]

    def strings(self, name: str) -> list[str]:
        """A column of strings without nulls as a list."""
        return cast("list[str]", self.column(name))

    def whole(self, name: str) -> NDArray[np.int64]:
        """A column of whole numbers without nulls."""
        return integers(column_of(self.chunks, name))

    @cached_property
    def texts(self) -> pl.Series:
        """The texts for searching all at once."""
        return cast("pl.Series", pl.from_arrow(column_of(self.chunks, "text")))

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Bytes of each chunk in its file."""
        return self.whole("byte_stop") - self.whole("byte_start")

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """A number for each chunk, of its id."""
        return id_keys(cast("pa.StringArray", column_of(self.chunks, "chunk_id")))

    def value(self, name: str, row: int) -> object:
        """One value of a column of the chunks: where few are looked at, the others need not become objects."""
        if name in self._lists:
            return self._lists[name][row]
        return cast(Any, column_of(self.chunks, name))[row].as_py()

    def rows_of(self, *kinds: str) -> list[int]:
        """The rows whose file is of one of these kinds."""
        if kinds not in self._rows:
            self._rows[kinds] = np.flatnonzero(is_in(column_of(self.chunks, "kind"), list(kinds))).tolist()
        return self._rows[kinds]

    def first_of_files(self, before: str | None) -> list[int]:
        """The rows whose path is not that of the row before; `before` is the last path of the batch before."""
        paths = cast("pa.StringArray", column_of(self.chunks, "path"))
        if not len(paths):
            return []
        rows = (np.flatnonzero(~equals(paths.slice(1), paths.slice(0, len(paths) - 1))) + 1).tolist()
        return rows if self.value("path", 0) == before else [0, *rows]

    @cached_property
    def _chunk_columns(self) -> list[list[object]]:
        return [self.column(name) for name in CHUNK_COLUMNS]

    def chunk(self, row: int) -> ChunkText:
        """One chunk with its text and place."""
        if row not in self._chunks:
            if len(self._chunks) < _FEW:
                values = [self.value(name, row) for name in CHUNK_COLUMNS]
            else:
                values = [column[row] for column in self._chunk_columns]
            self._chunks[row] = ChunkText(*values)  # type: ignore[arg-type]
        return self._chunks[row]


class SliceInsight(Protocol):
    """Watches the chunks of one slice stream by, then says what it saw. Its memory does not grow with the slice."""

    def observe(self, batch: SliceBatch) -> None:
        """Take in the next chunks."""
        ...

    def conclude(self) -> Iterable[Insight]:
        """The insights, once every batch was observed."""
        ...
