"""Estimate of how many tokens a text has, by the classes of its characters: hundreds of MB/s where a tokenizer does 2.

Exact counts belong to the encoder, which tokenises only what it embeds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

TokenKind = Literal["text", "code", "log", "structured"]


@dataclass(frozen=True, slots=True)
class Weights:
    """Tokens a character of each class is worth. White space is worth none: words are told apart by it for free."""

    letter: float
    capital: float
    digit: float
    punctuation: float


# Fitted against the WordPiece tokenizer of all-MiniLM-L6-v2 by non-negative least squares on blocks of 900 characters:
# text on English Markdown (papers, financial reports, Wikipedia), package READMEs and licences (3.0 MB); code on the
# standard library of Python 3.11 (1 MB); log on eight loghub systems and an Apache access log (1.5 MB); structured on
# CSV and JSON of vega-datasets, NAB and loghub (2 MB). Relative error of a block, standard deviation: text .09, code
# .06, log .05, structured .06. Then structured was raised by 6%, code and log by 3%, and text until at most 3% of the
# chunks of each set but licences exceeded 256 tokens, because a chunk that is too long loses its end in the embedding
# model and one that is too short loses nothing.
_WEIGHTS: dict[TokenKind, Weights] = {
    "text": Weights(letter=0.230, capital=0.40, digit=0.60, punctuation=1.33),
    "code": Weights(letter=0.233, capital=0.32, digit=0.59, punctuation=1.26),
    "log": Weights(letter=0.256, capital=0.42, digit=0.58, punctuation=1.08),
    "structured": Weights(letter=0.219, capital=0.219, digit=0.53, punctuation=1.10),
}
# Weights are added up as whole 64ths of a token: one byte for a character.
PARTS = 64
# Characters whose worths are added up at once, and what that takes.
_BLOCK = 8
_LANE_SHIFT, _TOP_LANE = np.uint64(8), np.uint64(48)
_FIRST_BYTES = np.array([(1 << 8 * count) - 1 for count in range(_BLOCK)], np.uint64)
# So many places are asked for one by one in less time than NumPy takes to begin.
_FEW = 64
_LANES, _ADD_LANES = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0001000100010001)
# White space is worth no tokens, so a chunk is also limited in characters: this many for each of its tokens.
MAX_CHARACTERS_PER_TOKEN = 16


@cache
def _table(kind: TokenKind) -> bytes:
    """Worth of each Latin-1 character in 64ths of a token. Any other character is one token, as CJK is."""
    weights = _WEIGHTS[kind]
    table = bytearray([round(weights.punctuation * PARTS)]) * 256
    for code in range(256):
        character = chr(code)
        if character.isspace():
            table[code] = 0
        elif character.isalpha():
            table[code] = round((weights.capital if character.isupper() else weights.letter) * PARTS)
        elif character.isascii() and character.isdigit():
            table[code] = round(weights.digit * PARTS)
    return bytes(table)


class TokenMeter:
    """Estimated tokens of any part of one text, each answered in constant time after one pass over it."""

    def __init__(self, text: str, kind: TokenKind) -> None:
        codes = text.encode("latin-1", "replace")
        self._worths = codes.translate(_table(kind))
        self._sums = _block_sums(self._worths)
        self._words: NDArray[np.uint64] | None = None
        # One byte for each character, for whoever looks for structure in the same text: Latin-1, other characters `?`.
        self.codes = np.frombuffer(codes, np.uint8)
        self._length = len(codes)

    @cached_property
    def breaks(self) -> NDArray[np.int64]:
        """Where the text has its line breaks (character)."""
        return np.flatnonzero(self.codes == ord("\n"))

    def before(self, at: int) -> int:
        """What the characters before `at` are worth, in 64ths of a token."""
        return self._sums[at >> 3] + sum(self._worths[at & -_BLOCK : at])

    def before_each(self, places: Sequence[int]) -> list[int]:
        """As `before`, for many places."""
        if len(places) < _FEW:
            return [self.before(at) for at in places]
        return self.before_all(np.array(places, np.int64)).tolist()

    def before_all(self, places: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The same as an array."""
        blocks = places >> 3
        # What a block has before a place: its bytes up to there, added up as in `_block_sums`.
        if self._words is None:
            self._words = np.frombuffer(self._worths + bytes(_BLOCK), "<u8", len(self._sums))
        words = self._words[blocks] & _FIRST_BYTES[places & 7]
        return np.asarray(self._sums)[blocks] + _added(words)

    def tokens(self, start: int, stop: int) -> int:
        """Estimated tokens of the characters from `start` to `stop`, rounded up."""
        return -((self.before(start) - self.before(stop)) // PARTS)

    def reach(self, start: int, limit: int, stop: int | None = None) -> int:
        """The furthest end of a part that begins at `start` and has at most `limit` tokens; at least one character."""
        end = self._length if stop is None else stop
        return self.reach_from(start, self.before(start), limit, end, self.before(end))

    def reach_from(self, start: int, at: int, limit: int, end: int, whole: int) -> int:
        """As `reach`, for who knows what the characters before `start` (`at`) and before `end` (`whole`) are worth."""
        most = at + limit * PARTS
        furthest = start + limit * MAX_CHARACTERS_PER_TOKEN
        if furthest >= end:
            if whole <= most:
                return end
            furthest = end
        elif self._sums[furthest >> 3] <= most and self.before(furthest) <= most:
            return furthest
        sums = self._sums
        block = bisect_right(sums, most, start >> 3, (furthest >> 3) + 1) - 1
        found = (block << 3) - 1
        left = most - sums[block]
        for worth in self._worths[block << 3 : (block + 1) << 3]:
            found += 1
            left -= worth
            if left < 0:
                break
        return found if found > start else min(start + 1, end)

    def fits(self, start: int, stop: int, limit: int) -> bool:
        """Whether the part is within `limit` tokens, and within the characters that those may have."""
        length = stop - start
        if 4 * length <= 3 * limit:  # no character is worth more than 4/3 of a token
            return True
        return length <= limit * MAX_CHARACTERS_PER_TOKEN and self.before(stop) - self.before(start) <= limit * PARTS


def _block_sums(worths: bytes) -> memoryview[int]:
    """What all bytes before each whole block of eight add up to: an eighth of the additions, and of the memory."""
    words = np.frombuffer(worths, np.uint64, len(worths) // _BLOCK)
    sums = np.zeros(len(words) + 1, np.uint64)
    _added(words).cumsum(out=sums[1:])
    return numbers(sums)


def numbers(array: NDArray[np.int64 | np.uint64]) -> memoryview[int]:
    """`array` for who asks for single numbers: in a third of the time, and without the time and memory of a list."""
    return memoryview(cast("bytes", array))


def _added(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The sum of the eight bytes of each of `words`: in pairs into lanes of 16 bits, then all lanes by a product."""
    lanes = words >> _LANE_SHIFT
    lanes &= _LANES
    lanes += words & _LANES
    lanes *= _ADD_LANES
    lanes >>= _TOP_LANE
    return lanes


def worth(text: str, kind: TokenKind) -> int:
    """What `text` is worth, in 64ths of a token."""
    # Without NumPy: the texts asked for are headings and signatures, too short for it.
    return sum(text.encode("latin-1", "replace").translate(_table(kind)))


@lru_cache(maxsize=1024)  # the headings and signatures of one file are asked for with each of their chunks
def estimate_tokens(text: str, kind: TokenKind) -> int:
    """Estimated tokens of `text`, rounded up."""
    return -(-worth(text, kind) // PARTS)
