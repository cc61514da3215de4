"""What search reads and what it answers with. How hits are found and ranked belongs to `hybrid`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mesh_assets.schemas.citations import Citation


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """What search needs of a row of `CHUNKS`; see there for the meaning of each column."""

    chunk_id: str
    slice: str
    dataset: str
    path: str
    kind: str
    symbol: str | None
    text: str
    byte_start: int
    byte_stop: int
    line_start: int
    line_stop: int
    source_hash: str
    place: str | None = None
    time_start: datetime | None = None
    time_stop: datetime | None = None
    context: str = ""


# Words of a query that are named where a hit says why it is one.
_MOST_SHOWN = 6


class ChunkStore(Protocol):
    """The lake's chunks, by id."""

    def fetch(self, wanted: Mapping[str, Sequence[str]]) -> Mapping[str, ChunkRow]:
        """Rows by chunk id, for `wanted` ids by slice key; ids and slices that are no longer there are left out."""
        ...


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One chunk that answers a query. `score` lies in 0..1 and is comparable within one query only.

    `snippet` is plain text of at most about 240 characters, also the citation's quote. The ranks count from 1 and say
    at which place the words and the meaning of the query found it; None where they did not. `others` are the further
    places of nearly the same text, as far as they were met before the answer was full. `terms` are the words of the
    query that it holds, `reasons` what else found it: a pattern's match, an edge of the graph, a moment.
    """

    score: float
    chunk_id: str
    slice: str
    dataset: str
    path: str
    kind: str
    symbol: str | None
    line_start: int
    line_stop: int
    citation: Citation
    snippet: str
    words_rank: int | None
    meaning_rank: int | None
    time_start: datetime | None = None
    time_stop: datetime | None = None
    others: tuple[Citation, ...] = ()
    terms: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """What found it, in words: `words #1, meaning #3: red, lantern`, the words of the query that it holds last."""
        ranks = (("words", self.words_rank), ("meaning", self.meaning_rank))
        found = ", ".join([*(f"{name} #{rank}" for name, rank in ranks if rank is not None), *self.reasons])
        return f"{found}: {', '.join(self.terms[:_MOST_SHOWN])}" if self.terms and self.words_rank else found


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first, and `notes` on what could not be asked: each says what happened and what to do.

    `looked_at` entries of the longest list were candidates.
    """

    hits: list[SearchHit] = field(default_factory=list[SearchHit])
    notes: list[str] = field(default_factory=list[str])
    looked_at: int = 0
