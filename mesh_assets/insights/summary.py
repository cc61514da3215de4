"""An extractive summary: sentences of the slice itself that say most of what it says, none saying the same.

Of prose, its sentences; of code, those of its docstrings and comments. Lines of logs and tables summarise nothing and
are left out: `logs` and `tables` speak for them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.locators import ChunkText, chunk_texts, shorten
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.sampling import ChunkSample
from mesh_assets.insights.secrets import mask
from mesh_assets.insights.stop_words import STOP_WORDS
from mesh_assets.insights.word_vectors import phrase_lists, word_vectors

SENTENCES = {"text": 5, "code": 3}
# Chunks of one kind whose sentences are weighed; more change the choice little and cost time.
_SAMPLE = 500
_MAX_SENTENCES = 3000
# Weight of what a sentence says against what the chosen ones say already (Carbonell and Goldstein 1998).
_DIVERSITY = 0.35
# Where a sentence ends: at its mark before a blank, or at a break of paragraph, list or heading.
_END = re.compile(r"[.!?](?=[\s\"')\]]|$)|\n[ \t]*(?=\n|[#*|>+-])|(?<=:)\n")
_LEAD = re.compile(r"[\s*/\"'>-]{0,80}")
_WORD = re.compile(r"[^\W\d_]{3,30}")
_DOC = re.compile(r"(?:\"\"\"|'''|/\*\*)(?P<doc>(?:(?!\"\"\"|'''|\*/).){10,1500})", re.DOTALL)
_MARKUP = re.compile(r"[{}<>|\\=_#`~]|https?:|\[\d")


class Sentence(NamedTuple):
    """Characters `start` up to `stop` of a chunk's text, number `chunk_index` of those read, and telling words."""

    chunk: ChunkText
    start: int
    stop: int
    words: frozenset[str]
    chunk_index: int


class SummaryInsight:
    """Samples chunks of prose and of code with their vectors, and picks their sentences at the end."""

    def __init__(self) -> None:
        self._samples = {kind: ChunkSample(_SAMPLE) for kind in SENTENCES}

    def observe(self, batch: SliceBatch) -> None:
        """Sample the chunks."""
        for kind, sample in self._samples.items():
            rows = batch.rows_of(kind)
            if rows:
                sample.add(batch, np.array(rows))

    def conclude(self) -> Iterable[Insight]:
        """The sentences of each kind, the most central first."""
        for kind, sample in self._samples.items():
            drawn = sample.drawn()
            if drawn is not None:
                vectors = drawn.vectors if drawn.vectors.shape[1] else word_vectors(phrase_lists(drawn.insights))
                value: dict[str, object] = {"sampled_chunks": drawn.chunks.num_rows, "chunks": sample.seen}
                yield from _summary(kind, chunk_texts(drawn.chunks), vectors, value)


def _summary(
    kind: str, chunks: list[ChunkText], vectors: NDArray[np.float32], value: dict[str, object]
) -> Iterator[Insight]:
    for rank, sentence in enumerate(summary_sentences(chunks, vectors, SENTENCES[kind])):
        chunk = sentence.chunk
        cited = chunk.cite(sentence.start, sentence.stop)
        yield Insight(
            kind=kind,
            type="summary",
            title=f"{chunk.path}, {chunk.place or f'line {cited.line_start:,}'}",
            statement=shorten(mask(chunk.text, sentence.start, sentence.stop), 400),
            score=0.45 - 0.01 * rank,
            value=value,
            evidence=(cited,),
        )


def summary_sentences(chunks: list[ChunkText], vectors: NDArray[np.float32], count: int) -> list[Sentence]:
    """At most `count` sentences of `chunks`, whose unit vectors are (chunks, dimension), the most central first.

    None of them says the same: by maximal marginal relevance (Carbonell and Goldstein 1998). Any group will do.
    """
    if not chunks:
        return []
    centre = vectors.mean(axis=0)
    central = vectors @ (centre / max(float(np.linalg.norm(centre)), 1e-9))
    sentences: list[Sentence] = []
    for index in cast("list[int]", np.argsort(-central, kind="stable").tolist()):
        if len(sentences) >= _MAX_SENTENCES:
            break
        sentences.extend(_sentences(chunks[index], index))
    places = most_telling([s.words for s in sentences], [s.chunk_index for s in sentences], central, vectors, count)
    return [sentences[at] for at in places]


def _sentences(chunk: ChunkText, index: int) -> Iterator[Sentence]:
    """The sentences of `chunk` that read well alone."""
    if chunk.kind == "code":
        parts = [match.span("doc") for match in _DOC.finditer(chunk.text)]
    else:
        parts = [(0, len(chunk.text))]
    for first, last in parts:
        before = first
        for match in _END.finditer(chunk.text, first, last):
            lead = _LEAD.match(chunk.text, before, match.end())
            start = lead.end() if lead else before
            before = match.end()
            words = _telling_words(chunk.text[start:before])
            if words:
                yield Sentence(chunk, start, before, words, index)
            if chunk.kind == "code":
                break  # the first sentence of a docstring says what it is


def _telling_words(text: str) -> frozenset[str]:
    """The words of a sentence that carry meaning; none where it would not read well alone."""
    if not 40 <= len(text) <= 350 or not text[0].isupper() or text[-1] not in ".!?" or _MARKUP.search(text):
        return frozenset()
    telling = words_of(text)
    return telling if len(_WORD.findall(text)) >= 6 and len(telling) >= 3 else frozenset()


def words_of(text: str) -> frozenset[str]:
    """The words of a text that carry meaning, in lower case."""
    return frozenset(word.lower() for word in _WORD.findall(text)) - STOP_WORDS


def most_telling(
    words: Sequence[frozenset[str]],
    vector_of: Sequence[int],
    central: NDArray[np.float32],
    vectors: NDArray[np.float32],
    count: int,
) -> list[int]:
    """Places of at most `count` sentences by maximal marginal relevance, the most central first.

    Of each sentence `words` are the telling ones, and `vector_of` is its row in the unit `vectors`, whose likeness with
    the centre of all is `central`.
    """
    if not words:
        return []
    spread: Counter[str] = Counter()
    for each in words:
        spread.update(each)
    # Words of many sentences carry the subject; those of one only, a detail. The root keeps long sentences in bounds.
    relevance = np.array(
        [
            sum(math.log1p(spread[word] - 1) for word in each) / math.sqrt(len(each) + 4) * (0.5 + central[row])
            for each, row in zip(words, vector_of, strict=True)
        ]
    )
    relevance = relevance / max(float(relevance.max()), 1e-9)
    worth = relevance.copy()
    picked: list[int] = []
    while len(picked) < min(count, len(words)):
        best = int(np.argmax(worth))
        if not math.isfinite(worth[best]):
            break
        picked.append(best)
        latest = words[best]
        for i, each in enumerate(words):
            common = len(each & latest) / max(len(each | latest), 1)
            near = float(vectors[vector_of[i]] @ vectors[vector_of[best]])
            alike = max(common, 0.5 * near)
            worth[i] = -math.inf if common > 0.5 else min(worth[i], relevance[i] - _DIVERSITY * alike)
    return picked
