"""A row of the lake as a hit: its citation, its snippet, and which words of the query it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mesh_assets.schemas.citations import Citation
from mesh_assets.search.protocol import ChunkRow, SearchHit
from mesh_assets.search.snippet import held_words, snippet


def hit_of(
    row: ChunkRow,
    query: str,
    *,
    score: float,
    words_rank: int | None = None,
    meaning_rank: int | None = None,
    others: Iterable[ChunkRow] = (),
    reasons: Sequence[str] = (),
) -> SearchHit:
    """The hit that `row` is for the words of `query`; `others` are further places of nearly the same text."""
    shown = snippet(row.text, query)
    return SearchHit(
        score=score,
        chunk_id=row.chunk_id,
        slice=row.slice,
        dataset=row.dataset,
        path=row.path,
        kind=row.kind,
        symbol=row.symbol,
        line_start=row.line_start,
        line_stop=row.line_stop,
        citation=citation_of(row, shown),
        snippet=shown,
        words_rank=words_rank,
        meaning_rank=meaning_rank,
        time_start=row.time_start,
        time_stop=row.time_stop,
        others=tuple(citation_of(other, shown) for other in others),
        terms=held_words(f"{row.symbol or ''}\n{row.context}\n{row.text}", query),
        reasons=tuple(reasons),
    )


def citation_of(row: ChunkRow, quote: str = "") -> Citation:
    """The citation of a whole chunk."""
    return Citation(
        dataset=row.dataset,
        path=row.path,
        byte_start=row.byte_start,
        byte_stop=row.byte_stop,
        source_hash=row.source_hash,
        line_start=row.line_start,
        quote=quote,
        place=row.place,
    )
