"""Keyphrases of texts, without a model: runs of content words, scored by how they hang together and recur.

After RAKE (Rose et al. 2010, Automatic keyword extraction from individual documents): stop words and punctuation cut
the text into candidates, a word weighs by degree over frequency. Unlike RAKE, repetition raises a phrase, long runs
do not win by length, and identifiers of code are split into the words that a person reads in them.

All texts of a batch are scored together, as arrays of words; the phrases of a text depend on that text alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.byte_text import (
    BASE64,
    BLANK,
    DIGIT,
    LETTER,
    LOWER,
    NO_SPANS,
    UNDERSCORE,
    UPPER,
    VOWEL,
    WORD,
    Bytes,
    ByteText,
    Flags,
    Hashes,
    Places,
    Spans,
    any_in,
    classes_in,
    gathered,
    hash_of,
    runs,
    translated,
    widths,
)
from mesh_assets.insights.stop_words import CODE_WORDS, LOG_WORDS, STOP_WORDS

MAX_PHRASES = 6
MAX_WORDS = 4  # longer runs are clauses, not names of things
# Texts and words of one call: more would not fit the keys that they are grouped by.
MAX_TEXTS = 1 << 11
MAX_BYTES = 1 << 20
_MAX_WORD = 30  # letters; longer ones are encoded data or runs of a script without blanks
_MAX_IDENTIFIER = 80
# Long runs of these characters may be the body of a key whose header lies elsewhere.
_LEAST_BASE64 = 60
_BASE64_GROUP = np.uint64(BASE64 * 0x0101010101010101)
# Candidates of a text that are compared with each other for what they have in common.
_COMPARED = 18
# Worth of a phrase by its number of words.
_LENGTHS = np.array([0.0, 0.55, 1.0, 1.0, 0.8])
# Weights of words are whole numbers of these parts.
_UNITS = 1 << 16
# Bits of a key: the text, the hash of word or phrase, the place in the arrays.
_ROW, _HASH, _INDEX = (np.uint64(bits) for bits in (11, 32, 21))
_PLACE = (np.uint64(1) << _INDEX) - np.uint64(1)
_BY_PLACE = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64)


def _edges_of(around: int) -> int:
    """Whether a word of an identifier begins (1) or ends (2) with the second of four bytes, by the case of each."""
    before, this, after, last = (around >> bits & LETTER for bits in (6, 4, 2, 0))

    def begins(left: int, middle: int, right: int) -> bool:
        if left == 0 or middle == 0:
            return middle != 0
        return middle == UPPER and (left == LOWER or right == LOWER)

    ends = this != 0 and (after == 0 or begins(this, after, last))
    return begins(before, this, after) + 2 * ends


_FOUR = np.uint8(4)
_WORD_EDGES = bytes(_edges_of(around) for around in range(256))
_ALWAYS, _IN_LOGS, _IN_CODE = 1, 2, 4
# A slot of the table of stop words is the first 16 bits.
_SLOT = np.uint64(48)


class _Stops:
    """Which hashed words are stop words of which kinds: a table with a slot of its own for each."""

    def __init__(self) -> None:
        kinds: dict[int, int] = {}
        for words, bit in ((STOP_WORDS, _ALWAYS), (LOG_WORDS, _IN_LOGS), (CODE_WORDS, _IN_CODE)):
            for word in words:
                key = int(hash_of(word))
                kinds[key] = kinds.get(key, 0) | bit
        words = np.array(list(kinds), np.uint64)
        self._factor = next(
            factor for factor in _odd_numbers() if len(np.unique((words * factor) >> _SLOT)) == len(words)
        )
        slots = (words * self._factor) >> _SLOT
        self._keys, self._kinds = np.zeros(1 << 16, np.uint64), np.zeros(1 << 16, np.uint8)
        self._keys[slots], self._kinds[slots] = words, list(kinds.values())

    def find(self, hashes: Hashes) -> Bytes:
        """The kinds that each is a stop word of, as bits."""
        slots = ((hashes * self._factor) >> _SLOT).astype(np.int64)
        return self._kinds[slots] * (self._keys[slots] == hashes)


def _odd_numbers() -> Iterator[np.uint64]:
    """Factors by which hashes fall into other slots; of forty, one leaves each stop word alone in its slot."""
    for number in count(1, 2):
        yield np.uint64(number * 0x9E3779B97F4A7C15 & (1 << 64) - 1)


_STOPS = _Stops()


class Phrases(NamedTuple):
    """Phrases text by text, best first: how many each text has, their UTF-8 with its offsets, their scores."""

    counts: Places
    content: Bytes
    offsets: Places
    scores: NDArray[np.float32]


class _Words(NamedTuple):
    """Content words in order: where they stand, their text and hash, and whether each goes on from the one before."""

    spans: Spans
    rows: Places
    hashes: Hashes
    joined: Flags


class _Candidates(NamedTuple):
    """Distinct candidates of each text: first word and number of words, text, how often, score."""

    first: Places
    length: Places
    rows: Places
    score: NDArray[np.float64]

    def at(self, places: Places) -> _Candidates:
        """Some of them."""
        return _Candidates(self.first[places], self.length[places], self.rows[places], self.score[places])

    def with_others(self, other: _Candidates) -> _Candidates:
        """These, and then the others."""
        return _Candidates(
            np.concatenate((self.first, other.first)),
            np.concatenate((self.length, other.length)),
            np.concatenate((self.rows, other.rows)),
            np.concatenate((self.score, other.score)),
        )


def keyphrases(text: ByteText, *, is_code: bool, in_logs: Flags, hidden: Spans) -> Phrases:
    """At most `MAX_PHRASES` phrases of each text with scores in 0..1, best first.

    `in_logs` says which texts are lines of logs and tables; nothing in the spans `hidden` (secrets) is a word. At most
    `MAX_TEXTS` texts of `MAX_BYTES` together; of a single longer one its beginning. A score compares the phrases of
    one text only.
    """
    classes = _visible(text, hidden)
    words = _code_words(text, classes) if is_code else _prose_words(text, classes, in_logs)
    if not len(words.rows):
        return _written(text, words, np.zeros(0, np.int64), None, is_code=is_code)
    found = _phrases(words.joined)
    groups, weights = _weights(words, found)
    candidates = _candidates(words, found, weights)
    candidates = _readable(text, classes, words, candidates)
    return _written(text, words, groups, candidates, is_code=is_code)


def _visible(text: ByteText, hidden: Spans) -> Bytes:
    """The classes of the bytes; none within secrets and encoded data, nor beyond `MAX_BYTES`."""
    encoded = _encoded(text)
    is_long = len(text.data) > MAX_BYTES + 4096
    if not (len(encoded.starts) or len(hidden.starts) or is_long):
        return text.classes
    classes = text.classes.copy()
    for spans in (encoded, hidden):
        for start, stop in zip(spans.starts.tolist(), spans.stops.tolist(), strict=True):
            classes[start:stop] = 0
    if is_long:
        classes[MAX_BYTES:] = 0
    return classes


def _encoded(text: ByteText) -> Spans:
    """Long runs of base64. Each holds some whole groups of eight bytes, which are looked for first: few texts do."""
    whole = len(text.classes) // 8 * 8
    groups = (text.classes[:whole].view(np.uint64) & _BASE64_GROUP) == _BASE64_GROUP
    for more in (1, 2, 2):  # six of them lie in a run of 60 bytes wherever it begins
        groups = groups[more:] & groups[:-more]
    if not groups.any():
        return NO_SPANS
    # Where neighbours hold, they are of one run, which goes on for less than a group on either side.
    held = runs(np.concatenate(([False], groups, [False])))
    starts, stops = 8 * (held.starts - 1), 8 * (held.stops - 1 + 5)
    for _ in range(7):
        starts = starts - ((text.classes[starts - 1] & BASE64) != 0)
        stops = stops + ((text.classes[stops] & BASE64) != 0)
    return Spans(starts, stops).where(stops - starts >= _LEAST_BASE64)


# --- words ----------------------------------------------------------------------------------------------------------


def _prose_words(text: ByteText, classes: Bytes, in_logs: Flags) -> _Words:
    """Words between blanks or punctuation. What holds a digit or an underscore is an id or a name of code."""
    mask = (classes & WORD) != 0
    letter = (classes & LETTER) != 0
    for mark, length in _inner_marks(text):
        inside = mark[letter[mark - 1] & letter[mark + length]]
        for at in range(length):
            mask[inside + at] = True
    found = runs(mask)
    flags = classes_in(classes, found)
    length = _characters(text, found)
    found = found.where(((flags & (DIGIT | UNDERSCORE)) == 0) & (length > 1) & (length <= _MAX_WORD))
    rows, hashes = text.rows_of(found.starts), text.hashes(found)
    stops = np.where(in_logs, _ALWAYS | _IN_LOGS, _ALWAYS).astype(np.uint8)
    telling = np.flatnonzero((_STOPS.find(hashes) & stops[rows]) == 0)
    found = found.where(telling)
    return _Words(found, rows[telling], hashes[telling], _by_blanks(classes, found))


def _inner_marks(text: ByteText) -> list[tuple[Places, int]]:
    """Apostrophes and hyphens with their bytes: between letters they belong to a word."""
    marks = [(np.flatnonzero((text.data == ord("'")) | (text.data == ord("-"))), 1)]
    quotes = np.flatnonzero(text.data == 0xE2)
    if len(quotes):
        marks.append((quotes[(text.data[quotes + 1] == 0x80) & (text.data[quotes + 2] == 0x99)], 3))
    return marks


def _code_words(text: ByteText, classes: Bytes) -> _Words:
    """The words that identifiers consist of, and those of comments: `parseConfigFile` is parse, config, file."""
    case = classes & np.uint8(LETTER)
    pairs = (case[:-1] * _FOUR) | case[1:]  # the product is many times as fast as a shift of bytes
    around = (pairs[:-2] * _FOUR * _FOUR) | pairs[2:]
    edges = translated(around, _WORD_EDGES)
    starts, ends = (np.flatnonzero(flags.view(np.bool_)) for flags in (edges & 1, edges >> 1))
    found = Spans(starts + 1, ends + 2)
    names = text.words if classes is text.classes else runs((classes & WORD) != 0)
    length = _characters(text, found)
    found = found.where(np.flatnonzero((length > 2) & (length <= _MAX_WORD)))
    hashes = text.hashes(found)
    telling = np.flatnonzero((_STOPS.find(hashes) & (_ALWAYS | _IN_CODE)) == 0)
    found, hashes = found.where(telling), hashes[telling]
    # The name that each belongs to is looked up only for parts of one: a whole name gets a number of its own.
    whole = ((classes[found.starts - 1] | classes[found.stops]) & WORD) == 0
    parts = np.flatnonzero(~whole)
    owner = -1 - np.arange(len(whole))
    owner[parts] = np.searchsorted(names.starts, found.starts[parts], side="right") - 1
    starts, stops = found.starts.copy(), found.stops.copy()
    starts[parts], stops[parts] = names.starts[owner[parts]], names.stops[owner[parts]]
    read = ((classes[starts] & DIGIT) == 0) & (stops - starts <= _MAX_IDENTIFIER)
    if not read.all():
        found, hashes, owner, whole = found.where(read), hashes[read], owner[read], whole[read]
    joined = _by_blanks(classes, found)
    joined[1:] &= whole[1:] & whole[:-1]
    joined[1:] |= owner[1:] == owner[:-1]
    return _Words(found, text.rows_of(found.starts), hashes, joined)


def _characters(text: ByteText, spans: Spans) -> Places:
    """The length of each span in characters."""
    length = spans.stops - spans.starts
    if not len(text.leads) or not len(length):
        return length
    owner = np.searchsorted(spans.starts, text.leads, side="right") - 1
    inside = (owner >= 0) & (text.leads < spans.stops[np.maximum(owner, 0)])
    first = text.data[text.leads[inside]]
    more = 1 + (first >= 0xE0) + (first >= 0xF0)  # bytes of a character beyond its first
    np.subtract.at(length, owner[inside], more.astype(np.int64))
    return length


def _by_blanks(classes: Bytes, words: Spans) -> Flags:
    """Whether nothing but one or two blanks stands between each word and the one before."""
    joined = np.zeros(len(words.starts), np.bool_)
    if len(joined):
        near = np.flatnonzero(words.starts[1:] - words.stops[:-1] <= 2)
        blank = classes[words.stops[near]] & classes[words.starts[near + 1] - 1] & BLANK
        joined[near[(blank != 0) & (words.starts[near + 1] > words.stops[near])] + 1] = True
    return joined


# --- scores ---------------------------------------------------------------------------------------------------------


class _Groups(NamedTuple):
    """Equal hashes of one text as groups: members in order of group and place, where each group begins in them."""

    members: Places
    begins: Places
    of: Places

    @property
    def counts(self) -> Places:
        return widths(self.begins, len(self.members))


def _grouped(rows: Places, hashes: Hashes) -> _Groups:
    """Groups of equal (text, hash)."""
    keys = (rows.astype(np.uint64) << (_HASH + _INDEX)) | ((hashes >> _HASH) << _INDEX)
    keys |= np.arange(len(rows), dtype=np.uint64)
    keys.sort()  # no two are equal
    members = (keys & _PLACE).astype(np.int64)
    groups = keys >> _INDEX
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = groups[1:] != groups[:-1]
    of = np.empty(len(rows), np.int64)
    of[members] = np.cumsum(is_first) - 1
    return _Groups(members, np.flatnonzero(is_first), of)


class _Runs(NamedTuple):
    """Phrases as they stand in the text, one after the other: first word, number of words."""

    first: Places
    length: Places
    of: Places


def _phrases(joined: Flags) -> _Runs:
    """Runs of joined words, longer ones cut from the end: the head of a noun phrase stands last."""
    places = np.arange(len(joined))
    begins = np.flatnonzero(~joined)
    last = np.repeat(np.append(begins[1:], len(joined)) - 1, widths(begins, len(joined)))
    piece = (last - places) // MAX_WORDS
    is_first = ~joined
    is_first[1:] |= piece[1:] != piece[:-1]
    first = np.flatnonzero(is_first)
    length = widths(first, len(joined))
    return _Runs(first, length, np.cumsum(is_first) - 1)


def _weights(words: _Words, found: _Runs) -> tuple[Places, Places]:
    """The group of equal words that each belongs to, and its weight: degree over frequency, raised by repetition.

    Weights are whole `_UNITS`, because sums of fractions depend on what was added before, here on other texts.
    """
    groups = _grouped(words.rows, words.hashes)
    frequency = groups.counts
    degree = np.add.reduceat(found.length[found.of][groups.members], groups.begins)
    weights = np.round(_UNITS * (degree / frequency + 0.5 * np.sqrt(frequency - 1))).astype(np.int64)
    return groups.of, weights[groups.of]


def _candidates(words: _Words, found: _Runs, weights: Places) -> _Candidates:
    """The distinct phrases of each text, and pairs of words that several of them have in common."""
    place = np.arange(len(words.rows)) - found.first[found.of]
    hashes = np.add.reduceat(words.hashes * _BY_PLACE[place], found.first)
    equal = _grouped(words.rows[found.first], hashes)
    first = equal.members[equal.begins]
    made = _scored(words, weights, found.first[first], found.length[first], equal.counts)
    pairs = _shared_pairs(words, found, equal, weights)
    if pairs is None:
        return made
    return made.with_others(pairs)


def _shared_pairs(words: _Words, found: _Runs, equal: _Groups, weights: Places) -> _Candidates | None:
    """Pairs of neighbours that occur more often than any one phrase with them: a name with different verbs behind."""
    left = np.flatnonzero(found.of[1:] == found.of[:-1])
    if not len(left):
        return None
    hashes = words.hashes[left] * _BY_PLACE[0] + words.hashes[left + 1] * _BY_PLACE[1]
    pairs = _grouped(words.rows[left], hashes)
    alone = equal.counts[equal.of[found.of[left]]]
    most = np.maximum.reduceat(alone[pairs.members], pairs.begins)
    # A phrase that is the pair itself is a candidate already; it gives way to the pair, which occurs more often.
    shared = np.flatnonzero(pairs.counts > most)
    if not len(shared):
        return None
    first = left[pairs.members[pairs.begins[shared]]]
    return _scored(words, weights, first, np.full(len(first), 2), pairs.counts[shared])


def _scored(words: _Words, weights: Places, first: Places, length: Places, count: Places) -> _Candidates:
    """Mean weight of the words, raised by repetition and by two or three words over a single one."""
    total = np.zeros(len(weights) + 1, np.int64)
    np.cumsum(weights, out=total[1:])
    mean = (total[first + length] - total[first]) / (length * _UNITS)
    score = _LENGTHS[length] * mean * np.sqrt(1.0 + count)
    size = words.spans.stops[first] - words.spans.starts[first]
    score[(length == 1) & (count == 1) & (size < 6)] = 0.0
    return _Candidates(first, length, words.rows[first], score)


def _readable(text: ByteText, classes: Bytes, words: _Words, candidates: _Candidates) -> _Candidates:
    """Those with a score, and a vowel in each word: `xkcd qwrt` is not read as words."""
    mute = np.zeros(len(words.rows) + 1, np.int64)
    np.cumsum(~any_in(classes, words.spans, VOWEL), out=mute[1:])
    silent = mute[candidates.first + candidates.length] - mute[candidates.first]
    kept = np.flatnonzero((candidates.score > 0) & (silent == 0))
    return candidates.at(kept)


# --- choice ---------------------------------------------------------------------------------------------------------


def _ranked(candidates: _Candidates) -> tuple[Places, Places]:
    """The best `_COMPARED` candidates text by text, best first, of equal ones the earlier; and the rank in the text."""
    score = candidates.score.astype(np.float32).view(np.uint32)
    keys = (candidates.rows.astype(np.uint64) << np.uint64(53)) | ((~score).astype(np.uint64) << _INDEX)
    keys |= candidates.first.astype(np.uint64)
    order = np.argsort(keys, kind="stable")
    rows = candidates.rows[order]
    rank = _rank_in_row(rows)
    chosen = rank < _COMPARED
    return order[chosen], rank[chosen]


def _rank_in_row(rows: Places) -> Places:
    """For ordered rows, the place of each item within its row."""
    if not len(rows):
        return np.zeros(0, np.int64)
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    return np.arange(len(rows)) - np.repeat(begins, widths(begins, len(rows)))


def _written(
    text: ByteText, words: _Words, groups: Places, candidates: _Candidates | None, *, is_code: bool
) -> Phrases:
    """The phrases that are chosen, as they are written; identifiers in lower case."""
    rows = len(text.starts)
    if candidates is None or not len(candidates.rows):
        return Phrases(np.zeros(rows, np.int64), np.zeros(0, np.uint8), np.zeros(1, np.int64), np.zeros(0, np.float32))
    order, rank = _ranked(candidates)
    ranked = candidates.at(order)
    begins = np.flatnonzero(rank == 0)
    relative = ranked.score / np.repeat(ranked.score[begins], widths(begins, len(rank)))
    kept = np.flatnonzero(_telling_apart(ranked, groups))
    kept = kept[_rank_in_row(ranked.rows[kept]) < MAX_PHRASES]
    first, length = ranked.first[kept], ranked.length[kept]
    places = _expanded(first, length)
    ends = np.cumsum(length)
    gaps = np.ones(len(places), np.int64)
    gaps[ends - 1] = 0
    starts = words.spans.starts[places]
    content, offsets = gathered(
        text.lowered if is_code else text.data, starts, words.spans.stops[places] - starts, gaps=gaps
    )
    scores = np.minimum(np.round(relative[kept], 4), 1.0).astype(np.float32)
    counts = np.bincount(ranked.rows[kept], minlength=rows).astype(np.int64)
    return Phrases(counts, content, offsets[np.concatenate(([0], ends))], scores)


def _expanded(first: Places, length: Places) -> Places:
    """The places of all words of phrases, one phrase after the other."""
    ends = np.cumsum(length)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(first - (ends - length), length)


def _telling_apart(ranked: _Candidates, groups: Places) -> Flags:
    """Which candidates say something new: each word belongs to the best phrase that has it, and a phrase is kept that
    owns half of its words, none of the others being said alone already."""
    places = groups[_expanded(ranked.first, ranked.length)]
    phrase = np.repeat(np.arange(len(ranked.first)), ranked.length)
    owner = np.full(int(groups.max()) + 1, -1)
    owner[places[::-1]] = phrase[::-1]  # of equal places the last assignment stays: the best phrase
    mine = owner[places] == phrase
    begins = np.cumsum(ranked.length) - ranked.length
    owned = np.add.reduceat(mine.astype(np.int64), begins)
    said_alone = np.add.reduceat((~mine & (ranked.length[owner[places]] == 1)).astype(np.int64), begins)
    return (2 * owned >= ranked.length) & (owned > 0) & (said_alone == 0)
