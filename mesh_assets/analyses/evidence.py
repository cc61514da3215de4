"""Which texts of a slice a case is answered from: near to what it is about, unlike each other, within so many tokens.

Where texts and vectors lie is behind `SliceTexts`; what a case asks belongs to `cases`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.tokens import estimate_tokens
from mesh_assets.insights.locators import byte_span, shorten
from mesh_assets.insights.secrets import mask
from mesh_assets.mesh.shapes import Evidence
from mesh_assets.schemas.citations import Citation

Floats = NDArray[np.float32]
# Beside what an insight cites, so many of the nearest chunks of the slice are looked at.
NEAREST = 24
# A chunk before or after one that is cited, where nothing else tells how near it is: logs tell a story in order.
_NEIGHBOUR = 0.5
# Marks and labels around a piece of evidence in a prompt, in tokens.
_AROUND = 24


def prompt_tokens(text: str) -> int:
    """Estimated tokens of a piece of evidence with the marks around it, on the side of too many."""
    return estimate_tokens(text, "text") + _AROUND


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of the slice: its own text, where it lies, and its vector (shape (dimension,), empty without one)."""

    row: int
    kind: str
    text: str
    citation: Citation
    vector: Floats

    @property
    def tokens(self) -> int:
        """Estimated tokens of it in a prompt."""
        return prompt_tokens(self.text)


class SliceTexts(Protocol):
    """The chunks of one slice, by their rows: read where they lie, a batch at a time."""

    def cited(self, wanted: Mapping[int, Sequence[Citation]]) -> dict[int, list[int]]:
        """For each key the rows whose bytes its citations touch, in the order of the citations, each once."""
        ...

    def nearest(self, rows: Mapping[int, Sequence[int]], count: int) -> dict[int, list[int]]:
        """For each key the `count` rows whose vectors are nearest to the mean of those of its rows, best first."""
        ...

    def neighbours(self, rows: Sequence[int]) -> list[int]:
        """The rows before and after each of `rows` in the same file."""
        ...

    def pieces(self, rows: Sequence[int]) -> dict[int, Piece]:
        """The chunks of some rows."""
        ...

    def files(self, paths: Sequence[str]) -> dict[str, list[Piece]]:
        """All chunks of some files in their order, without vectors."""
        ...


@dataclass(frozen=True, slots=True)
class Pool:
    """Pieces that a case may be given: `cited` ones are what it is about, in order of weight; `others` are near it."""

    cited: tuple[Piece, ...]
    others: tuple[Piece, ...]

    def of_kinds(self, kinds: Collection[str]) -> Pool:
        """The pieces that are of one of these kinds of data."""
        return Pool(*(tuple(piece for piece in part if piece.kind in kinds) for part in (self.cited, self.others)))


def pools(texts: SliceTexts, wanted: Mapping[int, Sequence[Citation]]) -> dict[int, Pool]:
    """What each key may be given that has these citations. The slice is read a few times in all, not for each key."""
    cited = texts.cited(wanted)
    near = texts.nearest(cited, NEAREST)
    beside = {key: texts.neighbours(rows) for key, rows in cited.items()}
    rows = sorted({row for found in (cited, near, beside) for each in found.values() for row in each})
    pieces = texts.pieces(rows)
    made: dict[int, Pool] = {}
    for key, own in cited.items():
        others = dict.fromkeys((*near.get(key, ()), *beside[key]))
        made[key] = Pool(tuple(pieces[row] for row in own), tuple(pieces[row] for row in others if row not in set(own)))
    return made


def picked(pool: Pool, *, pieces: int, tokens: int, relevance: float) -> list[Piece]:
    """At most `pieces` of a pool, together at most `tokens`, by maximal marginal relevance; no text twice.

    Each next piece is the one with the best `relevance` * nearness - (1 - `relevance`) * likeness to those before it
    (Carbonell and Goldstein, SIGIR 1998). What is cited has nearness 1 and comes first for equal worth.
    """
    candidates = _distinct((*pool.cited, *pool.others))
    if not candidates:
        return []
    nearness = _nearness(pool, candidates)
    likeness = _likeness(candidates)
    chosen: list[int] = []
    open_to = list(range(len(candidates)))
    left = tokens
    while open_to and len(chosen) < pieces:
        most_alike = likeness[:, chosen].max(axis=1) if chosen else np.zeros(len(candidates))
        worth = relevance * nearness - (1 - relevance) * most_alike
        best = max(open_to, key=lambda at: (round(float(worth[at]), 6), -at))
        open_to.remove(best)
        if candidates[best].tokens <= left:
            chosen.append(best)
            left -= candidates[best].tokens
    return [candidates[at] for at in chosen]


def labelled(pieces: Sequence[Piece], facts: Sequence[tuple[str, str]]) -> tuple[Evidence, ...]:
    """Pieces as `E1`, `E2` ..., then computed facts (text, query) as `F1`, `F2` ..."""
    texts = [Evidence(f"E{number}", each.text, citation=each.citation) for number, each in enumerate(pieces, 1)]
    return (*texts, *(Evidence(f"F{n}", text, query=query) for n, (text, query) in enumerate(facts, 1)))


def refreshed(evidence: Sequence[Evidence], files: Mapping[str, Sequence[Piece]]) -> tuple[Evidence, ...] | None:
    """The same texts with where they stand now; None where one of them is in its file no more.

    A line that was put before them moves them, and may move where chunks end: a text is looked for in the chunks of its
    file one after the other, so it may go over the ends of some.
    """
    found: list[Evidence] = []
    for each in evidence:
        if each.citation is None:
            found.append(each)
            continue
        citation = _found(each.text, each.citation, files.get(each.citation.path, ()))
        if citation is None:
            return None
        found.append(Evidence(each.label, each.text, citation=citation))
    return tuple(found)


def _distinct(pieces: Sequence[Piece]) -> list[Piece]:
    """Each text once, without empty ones."""
    return list({piece.text.strip(): piece for piece in reversed(pieces) if piece.text.strip()}.values())[::-1]


def _nearness(pool: Pool, candidates: Sequence[Piece]) -> NDArray[np.float64]:
    cited = {piece.row for piece in pool.cited}
    centre = np.mean([piece.vector for piece in pool.cited], axis=0) if pool.cited else np.empty(0, np.float32)
    values: list[float] = []
    for piece in candidates:
        if piece.row in cited:
            values.append(1.0)
        elif piece.vector.size and centre.size:
            values.append(_cosine(piece.vector, centre))
        else:
            values.append(_NEIGHBOUR)
    return np.array(values)


def _likeness(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    """How alike two pieces are, 0 to 1, shape (pieces, pieces): by their vectors, else by the words that they share."""
    if all(piece.vector.size for piece in pieces):
        vectors = np.stack([piece.vector for piece in pieces]).astype(np.float64)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return np.clip(vectors @ vectors.T, 0.0, 1.0)
    words = [set(piece.text.lower().split()) for piece in pieces]
    return np.array([[len(a & b) / max(len(a | b), 1) for b in words] for a in words])


def _cosine(one: Floats, other: Floats) -> float:
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return max(float(one @ other) / size, 0.0) if size else 0.0


def _found(text: str, before: Citation, pieces: Sequence[Piece]) -> Citation | None:
    """Where `text` stands in a file now; of several places the one that is nearest to where it was."""
    joined, starts = "", list[int]()
    for number, piece in enumerate(pieces):
        gap = "" if number and pieces[number - 1].citation.byte_stop == piece.citation.byte_start else "\n"
        starts.append(len(joined) + len(gap))
        joined += gap + piece.text
    best: Citation | None = None
    at = joined.find(text)
    while at >= 0 and text:
        citation = _cited(text, at, pieces, starts)
        if best is None or abs(citation.byte_start - before.byte_start) < abs(best.byte_start - before.byte_start):
            best = citation
        at = joined.find(text, at + 1)
    return best


def _cited(text: str, at: int, pieces: Sequence[Piece], starts: Sequence[int]) -> Citation:
    """The citation of the characters from `at` on of texts that begin at `starts`."""
    first = bisect_right(starts, at) - 1
    last = bisect_right(starts, at + len(text) - 1) - 1
    head, tail = pieces[first], pieces[last]
    begin, _ = byte_span(
        head.text, at - starts[first], len(head.text), head.citation.byte_start, head.citation.byte_stop
    )
    _, end = byte_span(tail.text, 0, at + len(text) - starts[last], tail.citation.byte_start, tail.citation.byte_stop)
    line = head.citation.line_start + head.text.count("\n", 0, max(at - starts[first], 0))
    return Citation(
        head.citation.dataset,
        head.citation.path,
        begin,
        end,
        tail.citation.source_hash,
        line,
        shorten(mask(text, 0, len(text))),
        head.citation.place,
    )
