"""One query over words and meaning: two ranked lists become one, with the rows of the lake behind it.

Indexes, encoder and lake come as Protocols. An index that is down costs its half of the answer, not the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.embeddings.static_encoder import StaticEncoder
from mesh_assets.errors import IndexDownError, ModelError
from mesh_assets.indexes.protocol import Filter, FulltextIndex, Hit, VectorIndex
from mesh_assets.indexes.words import MAX_QUERY, encodable
from mesh_assets.search.alike import Alike
from mesh_assets.search.exact import ROUNDS, ExactVectors, then_static
from mesh_assets.search.hits import hit_of
from mesh_assets.search.meaning import Meaning, moved
from mesh_assets.search.protocol import ChunkRow, ChunkStore, SearchHit, SearchResult
from mesh_assets.slices import dataset_key

# A best entry that answers less than this share of the query met its words by chance, and its list weighs less. Of the
# 317 questions of Chroma's chunking evaluation all but one have more, so that real questions keep the even blend; a
# paraphrase in other words stays below. It was first chosen with CACM in view: no held-out result for it is from there.
_TRUSTED_SHARE = 0.25
# Entries whose vectors are taken for what was meant: as published for dense retrieval (Li et al. 2021: depth 5), not
# chosen on any of our sets.
_FEEDBACK = 5
# Entries taken of each list: deeper ones score near nothing after scaling.
DEPTH = 100
MODES = ("words", "meaning")
# Ids of those of some rows that may be hits.
Keep = Callable[[Mapping[str, ChunkRow]], Collection[str]]


@dataclass(slots=True)
class _Found:
    """A chunk with its fused score and its place in each list; `slices` are those that indexes hold it in."""

    chunk_id: str
    slices: set[str]
    score: float = 0.0
    words_rank: int | None = None
    meaning_rank: int | None = None


def search(
    query: str,
    *,
    encoder: Encoder,
    older: Sequence[Encoder] = (),
    vectors: VectorIndex,
    words: FulltextIndex,
    chunks: ChunkStore,
    limit: int = 10,
    where: Filter | None = None,
    modes: Collection[str] = MODES,
    keep: Keep | None = None,
    depth: int = DEPTH,
) -> SearchResult:
    """The `limit` chunks that answer `query` best, ties by chunk id; a blank query finds nothing.

    Scores of each list are scaled to 0..1 and averaged; a chunk that a list lacks has 0 there. Words that answer little
    of the query weigh less. Then the query moves towards what was found first by both, and its meaning is asked for
    once more: pseudo-relevance feedback among vectors (Li et al. 2021, after Rocchio 1971). Words alone and meaning
    alone are asked once: their first entries are more often wrong. Slices that are not indexed by `encoder` yet are
    asked by `older` ones (see `meaning`). Where the index holds static vectors, they only choose the 50 chunks that the
    full model compares with the query (see `exact`). Chunks that an index still holds but the lake does not are left
    out, chunks of nearly the same text become one hit with the other places, and later ones move up. `where` may call a
    dataset by its folder or by its key. Only what `keep` leaves is a hit; `modes` are of `words` and `meaning`.
    `looked_at` of the result is less than `depth` where no index holds more.
    """
    text = encodable(query[:MAX_QUERY]).strip()
    if not text or limit < 1:
        return SearchResult()
    if where is not None and where.dataset is not None:
        where = replace(where, dataset=dataset_key(where.dataset))
    depth = max(depth, limit)
    notes: list[str] = []
    meaning = Meaning(text, encoder, vectors, depth, where, older)
    by_words, by_meaning = _by_both(text, words, meaning, modes, notes)
    ranked = _fused(by_words, by_meaning)
    if by_meaning and isinstance(encoder, StaticEncoder):
        exact = _asked(lambda: _exactly(text, encoder.exact, chunks, meaning, by_words, by_meaning), "the model", notes)
        ranked = _fused(by_words, exact or by_meaning)
    elif by_words and by_meaning:
        nearer = _asked(lambda: meaning.hits_like(_as_hits(ranked[:_FEEDBACK])), "what the first hits mean", notes)
        ranked = _fused(by_words, nearer or by_meaning)
    looked_at = max(len(by_words or ()), len(by_meaning or ()))
    return SearchResult(_opened(ranked, chunks, text, limit, keep), notes, looked_at)


def _by_both(
    text: str, words: FulltextIndex, meaning: Meaning, modes: Collection[str], notes: list[str]
) -> tuple[list[Hit] | None, list[Hit] | None]:
    """What the words find and what the meaning finds; None for what is not asked, or cannot be."""
    of_meaning: list[str] = []

    def by_words() -> list[Hit]:
        return words.search(text, limit=meaning.depth, where=meaning.where)

    with ThreadPoolExecutor(1) as beside:  # the engines compute without holding up each other
        asking = beside.submit(_asked, by_words, "words", notes) if "words" in modes else None
        near = _asked(lambda: meaning.hits(of_meaning), "meaning", of_meaning) if "meaning" in modes else None
        found = asking.result() if asking else None
    notes += of_meaning
    return found, near


def _exactly(
    text: str, model: Encoder, chunks: ChunkStore, meaning: Meaning, words: list[Hit] | None, static: list[Hit]
) -> list[Hit]:
    """Hits by the full `model`, chosen in rounds by words, by static vectors, and by what the rounds before found."""
    exact = ExactVectors(text, model, chunks)
    near, question = static, exact.question
    for upto in ROUNDS:
        exact.embed(((entry.chunk_id, sorted(entry.slices)) for entry in _fused(words, near)), upto=upto)
        best = [entry for entry in _fused(words, exact.hits(question)) if entry.chunk_id in exact][:_FEEDBACK]
        if words and best:
            near = meaning.hits_like(_as_hits(best)) or static
            question = moved(exact.question, exact.mean([entry.chunk_id for entry in best]))
    return then_static(exact.hits(question), near)


def _as_hits(found: list[_Found]) -> list[Hit]:
    return [Hit(entry.chunk_id, slice_key, entry.score) for entry in found for slice_key in sorted(entry.slices)]


def _asked(ask: Callable[[], list[Hit]], by: str, notes: list[str]) -> list[Hit] | None:
    try:
        return ask()
    except (IndexDownError, ModelError) as error:
        notes.append(f"Not searched by {by}: {error}")
        return None


def _fused(words: list[Hit] | None, meaning: list[Hit] | None) -> list[_Found]:
    found: dict[str, _Found] = {}
    trust = min(words[0].score / _TRUSTED_SHARE, 1.0) if words else 0.0
    total = trust + (1.0 if meaning else 0.0)
    for hits, weight, by_words in ((words or [], trust, True), (meaning or [], 1.0, False)):
        for rank, (hit, scaled) in enumerate(zip(hits, _scaled(hits), strict=True), 1):
            entry = found.setdefault(hit.chunk_id, _Found(hit.chunk_id, set()))
            entry.slices.add(hit.slice)
            if (entry.words_rank if by_words else entry.meaning_rank) is not None:
                continue  # the chunk moved to another slice, and the index holds both for a moment
            entry.score += scaled * weight / total
            if by_words:
                entry.words_rank = rank
            else:
                entry.meaning_rank = rank
    return sorted(found.values(), key=lambda entry: (-entry.score, entry.chunk_id))


def _scaled(hits: list[Hit]) -> list[float]:
    """Scores as 0..1 from the last to the first; all 1 where they are equal."""
    if not hits:
        return []
    low, high = min(hit.score for hit in hits), max(hit.score for hit in hits)
    return [(hit.score - low) / (high - low) if high > low else 1.0 for hit in hits]


def _opened(ranked: list[_Found], chunks: ChunkStore, query: str, limit: int, keep: Keep | None) -> list[SearchHit]:
    """The first `limit` texts of `ranked` that the lake still has and `keep` leaves.

    As many are fetched at a time as are lacking: fetching is half of the work. What `keep` drops would make that many
    small fetches.
    """
    alike, first, others = Alike(), list[tuple[_Found, ChunkRow]](), list[list[ChunkRow]]()
    left = iter(ranked)
    while (lacking := limit - len(first)) > 0:
        if not (wave := list(islice(left, lacking if keep is None else limit))):
            break
        wanted: dict[str, list[str]] = {}
        for entry in wave:
            for slice_key in sorted(entry.slices):
                wanted.setdefault(slice_key, []).append(entry.chunk_id)
        rows = chunks.fetch(wanted)
        kept = rows if keep is None else keep(rows)
        for entry in wave:
            if (row := rows.get(entry.chunk_id)) is None or entry.chunk_id not in kept:
                continue
            place = alike.place(row.text)
            if place < len(first):
                others[place].append(row)
            else:
                first.append((entry, row))
                others.append([])
    return [
        hit_of(
            row,
            query,
            score=entry.score,
            words_rank=entry.words_rank,
            meaning_rank=entry.meaning_rank,
            others=again,
        )
        for (entry, row), again in zip(first[:limit], others, strict=False)
    ]
