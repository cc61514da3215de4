"""The texts of many chunks as one array of bytes, with the class of each byte: what whole-batch scanning works on.

Working on bytes of a batch with numpy costs a few nanoseconds a byte where a regular expression a chunk costs a
microsecond a match. What is looked for in the bytes belongs to `keyphrases` and `entities`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights.columns import content_of, joined

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
Hashes = NDArray[np.uint64]

# Zero bytes before and after all texts, so that a look at some bytes around a place never leaves the array.
MARGIN = 64
# Characters of a word that its hash is made of; longer ones are data.
MAX_HASHED = 64

UPPER, LOWER, DIGIT, UNDERSCORE, VOWEL, BLANK, FOREIGN, BASE64 = (1 << bit for bit in range(8))
LETTER = UPPER | LOWER
WORD = LETTER | DIGIT | UNDERSCORE


def _class_of(byte: int) -> int:
    if byte >= 0x80:  # letters of other scripts have no case here and count as vowels; symbols are cleared below
        return LOWER | VOWEL | FOREIGN
    character = chr(byte)
    return (
        UPPER * character.isupper()
        | LOWER * character.islower()
        | DIGIT * character.isdigit()
        | UNDERSCORE * (character == "_")
        | VOWEL * (character in "aeiouyAEIOUY")
        | BLANK * (character in " \t")
        | BASE64 * (character.isalnum() or character in "+/")
    )


# Characters by which forms are told: where they stand is looked up once for all of them.
_MARKS = "@-:=$\\.%/"
_IS_MARK = bytes(chr(byte) in _MARKS for byte in range(256))
_CLASSES = bytes(_class_of(byte) for byte in range(256))
_LOWERED = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))
_FIRST_BYTES = np.array([(1 << 8 * count) - 1 for count in range(8)] + [2**64 - 1], np.uint64)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


class Spans(NamedTuple):
    """Places `starts` up to `stops` in the bytes."""

    starts: Places
    stops: Places

    def where(self, chosen: Flags | Places) -> Spans:
        """Some of them."""
        return Spans(self.starts[chosen], self.stops[chosen])


NO_SPANS = Spans(np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(frozen=True)
class ByteText:
    """UTF-8 of texts, each followed by a zero byte: text `i` is `data[starts[i]:stops[i]]`.

    `leads` are the first bytes of characters beyond ASCII.
    """

    data: Bytes
    starts: Places
    stops: Places
    classes: Bytes
    leads: Places

    @classmethod
    def of(cls, texts: pa.StringArray) -> ByteText:
        """The texts of a column without nulls."""
        content, offsets = content_of(joined(texts, "\0"))
        data = np.zeros(len(content) + 2 * MARGIN, np.uint8)
        data[MARGIN : MARGIN + len(content)] = content
        ends = offsets + MARGIN
        classes = translated(data, _CLASSES)
        leads = np.flatnonzero(data >= 0xC2)
        _clear_symbols(data, classes, leads)
        return cls(data, ends[:-1], ends[1:] - 1, classes, leads)

    @cached_property
    def raw(self) -> bytes:
        """The same bytes, for regular expressions."""
        return self.data.tobytes()

    @cached_property
    def lowered(self) -> Bytes:
        """The bytes in lower case: ASCII, and the accented letters of Latin-1."""
        lowered = translated(self.data, _LOWERED)
        second = self.leads[self.data[self.leads] == 0xC3] + 1
        lowered[second] += np.where(lowered[second] <= 0x9E, np.uint8(0x20), np.uint8(0))
        return lowered

    @cached_property
    def words(self) -> Spans:
        """Runs of letters, digits and underscores."""
        return runs((self.classes & WORD) != 0)

    @cached_property
    def word_flags(self) -> Bytes:
        """For each of `words`, the classes that its bytes have."""
        return classes_in(self.classes, self.words)

    @cached_property
    def capitals(self) -> tuple[Spans, Bytes]:
        """The words that begin with a capital, and for each the classes that its bytes have."""
        found = self.words.where(np.flatnonzero(self.classes[self.words.starts] & UPPER))
        return found, classes_in(self.classes, found)

    def rows_of(self, places: Places) -> Places:
        """Which text each of some rising places belongs to."""
        ends = np.append(np.searchsorted(places, self.starts[1:]), len(places))
        ends[1:] -= ends[:-1].copy()
        return np.repeat(np.arange(len(ends)), ends)

    def words_ending(self, places: Places) -> tuple[Places, Flags]:
        """The word that ends at each place, and whether one does (else the number is that of any word)."""
        return _found(self.words.stops, places)

    def words_starting(self, places: Places) -> tuple[Places, Flags]:
        """The word that starts at each place, and whether one does."""
        return _found(self.words.starts, places)

    def hashes(self, spans: Spans, *, lowered: bool = True) -> Hashes:
        """A hash of the bytes of each span, of its first `MAX_HASHED` ones where it is longer."""
        return hashed(self.lowered if lowered else self.data, spans)

    def places(self, byte: str) -> Places:
        """Where an ASCII character stands."""
        if byte not in _MARKS:
            return np.flatnonzero(self.data == ord(byte))
        at, marks = self._marks
        return at[marks == ord(byte)]

    @cached_property
    def _marks(self) -> tuple[Places, Bytes]:
        at = np.flatnonzero(translated(self.data, _IS_MARK).view(np.bool_))
        return at, self.data[at]


def translated(data: Bytes, table: bytes) -> Bytes:
    """What `table` has for each byte. Looking it up byte by byte takes half as long as with indices of numpy."""
    return np.frombuffer(bytearray(data).translate(table), np.uint8)


def _found(edges: Places, places: Places) -> tuple[Places, Flags]:
    if not len(edges):
        return np.zeros(len(places), np.int64), np.zeros(len(places), np.bool_)
    at = np.minimum(np.searchsorted(edges, places), len(edges) - 1)
    return at, edges[at] == places


def is_one_of(hashes: Hashes, known: Hashes) -> Flags:
    """Which of `hashes` are among `known`, which is sorted and not empty."""
    return known[np.minimum(np.searchsorted(known, hashes), len(known) - 1)] == hashes


def hashes_of(words: Iterable[str]) -> Hashes:
    """The hashes of some words, sorted."""
    return np.sort(np.array([hash_of(word) for word in words], np.uint64))


def hashed(data: Bytes, spans: Spans) -> Hashes:
    """A hash of `data` in each span. Eight bytes at once: words are short."""
    windows: Hashes = np.ndarray((len(data) - 7,), np.dtype("<u8"), buffer=data.data, strides=(1,))
    lengths = np.minimum(spans.stops - spans.starts, MAX_HASHED)
    made = _mixed(windows[spans.starts] & _FIRST_BYTES[np.minimum(lengths, 8)])
    longer, at = np.flatnonzero(lengths > 8), 8
    while len(longer):
        part = windows[spans.starts[longer] + at] & _FIRST_BYTES[np.minimum(lengths[longer] - at, 8)]
        made[longer] = _mixed(made[longer] * _MIX + part)
        at += 8
        longer = longer[lengths[longer] > at]
    return made


def hash_of(word: str) -> np.uint64:
    """The hash that `word` has in a text."""
    content = word.encode()
    data = np.zeros(len(content) + 2 * MARGIN, np.uint8)
    data[MARGIN : MARGIN + len(content)] = np.frombuffer(content, np.uint8)
    start = np.array([MARGIN])
    return hashed(data, Spans(start, start + len(content)))[0]


def _mixed(values: Hashes) -> Hashes:
    values = (values ^ (values >> _SHIFT)) * _MIX
    return values ^ (values >> _SHIFT)


def _clear_symbols(data: Bytes, classes: Bytes, leads: Places) -> None:
    """Punctuation, signs, spaces and emoji beyond ASCII are no letters."""
    first, second = data[leads], data[leads + 1]
    latin = (first == 0xC2) & (second != 0xAA) & (second != 0xB5) & (second != 0xBA)
    latin |= (first == 0xC3) & ((second == 0x97) | (second == 0xB7))
    signs = (first == 0xE2) | ((first == 0xE3) & (second == 0x80)) | ((first == 0xEF) & (second >= 0xBC))
    emoji = (first == 0xF0) & (second == 0x9F)
    for length, chosen in ((2, latin), (3, signs), (4, emoji)):
        found = leads[chosen]
        for at in range(length):
            classes[found + at] = 0


def widths(begins: Places, end: int) -> Places:
    """How far it is from each place to the next, and from the last one to `end`."""
    made = np.empty_like(begins)
    np.subtract(begins[1:], begins[:-1], out=made[:-1])
    made[-1:] = end - begins[-1:]
    return made


def runs(mask: Flags) -> Spans:
    """Where runs of True start and stop in `mask`, which begins and ends with False."""
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    return Spans(edges[::2], edges[1::2])


def classes_in(classes: Bytes, spans: Spans) -> Bytes:
    """For each of `spans`, the classes that its bytes have, of one longer than `MAX_HASHED` those of its beginning."""
    windows: Hashes = np.ndarray((len(classes) - 7,), np.dtype("<u8"), buffer=classes.data, strides=(1,))
    lengths = np.minimum(spans.stops - spans.starts, MAX_HASHED)
    found = windows[spans.starts] & _FIRST_BYTES[np.minimum(lengths, 8)]
    longer, at = np.flatnonzero(lengths > 8), 8
    while len(longer):
        found[longer] |= windows[spans.starts[longer] + at] & _FIRST_BYTES[np.minimum(lengths[longer] - at, 8)]
        at += 8
        longer = longer[lengths[longer] > at]
    for half in (32, 16, 8):
        found |= found >> np.uint64(half)
    return found.astype(np.uint8)


def any_in(classes: Bytes, spans: Spans, wanted: int) -> Flags:
    """Whether any byte of each span (of its first `MAX_HASHED` ones) is of one of the `wanted` classes."""
    windows: Hashes = np.ndarray((len(classes) - 7,), np.dtype("<u8"), buffer=classes.data, strides=(1,))
    first_bytes = _FIRST_BYTES & np.uint64(wanted * 0x0101010101010101)
    lengths = np.minimum(spans.stops - spans.starts, MAX_HASHED)
    found = (windows[spans.starts] & first_bytes[np.minimum(lengths, 8)]) != 0
    others, at = np.flatnonzero(~found & (lengths > 8)), 8
    while len(others):
        found[others] = (windows[spans.starts[others] + at] & first_bytes[np.minimum(lengths[others] - at, 8)]) != 0
        at += 8
        others = others[~found[others] & (lengths[others] > at)]
    return found


def gathered(
    data: Bytes, starts: Places, lengths: Places, *, gaps: Places | None = None, filler: str = " "
) -> tuple[Bytes, Places]:
    """The bytes of many spans one behind the other, and where each starts in them (and where all end).

    `gaps` says how many times `filler` stands behind each span.
    """
    room = lengths if gaps is None else lengths + gaps
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(room, out=offsets[1:])
    if not len(data) or not offsets[-1]:
        return np.full(int(offsets[-1]), ord(filler), np.uint8), offsets
    places = np.repeat(starts - offsets[:-1], room) + np.arange(int(offsets[-1]))
    made = data.take(places, mode="clip")  # a gap behind the last span may lie beyond the data
    if gaps is not None:
        made[np.repeat(offsets[1:] - np.cumsum(gaps), gaps) + np.arange(int(gaps.sum()))] = ord(filler)
    return made, offsets
