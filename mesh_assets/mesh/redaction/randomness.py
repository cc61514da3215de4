"""Words that nobody wrote: what a key of an unknown form looks like.

A random word changes between capitals, small letters and digits again and again, which names, paths and numbers do
not; so it is told by its changes and by what is left of it without the parts that read like words or numbers. Digests
in hexadecimal digits are as random and no secrets: they count only behind a word that says so, as `contexts` tells.
"""

from __future__ import annotations

import re
import string
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

# Shorter words are random too often by chance, and nearly all keys have more characters; signs between do not count.
_LEAST = 16
_RUN = re.compile(r"[A-Za-z0-9+/_=.~-]{20,}+")
_CHARACTERS, _LONGEST = f"{string.ascii_letters}{string.digits}+/_=.~-", 120
_PIECE = re.compile(r"[A-Za-z0-9]+")
_CHANGE = re.compile(r"[a-z](?=[A-Z0-9])|[A-Z](?=[0-9])|[0-9](?=[A-Za-z])|[A-Z](?=[a-z][A-Z0-9])")
_LIKE_WORDS = re.compile(r"[A-Z]?[a-z]{4,}|[A-Z]{4,}|[0-9]{4,}")
_DIGIT = re.compile(r"[0-9]")
_HEX = re.compile(r"[0-9a-f]{3,}|[0-9A-F]{3,}")
# Shares of changes and of characters outside words that make a word random, chosen on code, logs and documents: of one
# with digits, and of one without, which names in capitals come near to.
_WITH_DIGITS, _WITHOUT = (0.15, 0.3), (0.3, 0.6)
# Long names have more ordinary words in them, long keys no more.
_LONG, _LONG_WITHOUT = 32, (0.25, 0.4)
# Of letters in one case only there are fewer changes, and more runs of letters by chance: those from and to digits.
_ONE_CASE = 0.2
_FEWEST = 0.08


def random_words(text: str) -> Iterator[tuple[int, int]]:
    """Where random words of 20 characters or more stand."""
    for match in _RUN.finditer(text):
        if is_random(match[0]):
            yield match.span()


# An ordinary word, next to a secret that is divided.
LIKE_WORD = re.compile(r"[A-Za-z]?[a-z]*|[A-Z]+")
# What both sides of a divided key have next to the place, and ordinary words at the ends of lines have not.
_MIXED = re.compile(r"[0-9]|[a-z][A-Z]")
_NEAR = 12


def divided_words(text: str, joins: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where random words stand that go over one of `joins`, which are in order."""
    reached = 0
    for join in joins:
        if join < reached or not _MIXED.search(text, join, join + _NEAR):
            continue
        if not _MIXED.search(text, max(0, join - _NEAR), join):
            continue
        before = text[max(reached, join - _LONGEST) : join]
        match = _RUN.match(text, join - (len(before) - len(before.rstrip(_CHARACTERS))), join + _LONGEST)
        if match is None or match.end() <= join:
            continue
        start, reached = match.span()
        if is_random(match[0]):
            inner = list(joins[bisect_right(joins, start) : bisect_left(joins, reached)])
            while inner and LIKE_WORD.fullmatch(text, start, inner[0]):
                start = inner.pop(0)
            stop = reached
            while inner and LIKE_WORD.fullmatch(text, inner[-1], stop):
                stop = inner.pop()
            if inner:
                yield start, stop


def is_random(word: str, least: int = _LEAST) -> bool:
    """Whether `word` has `least` letters and digits or more that are random, and not only hexadecimal ones."""
    if len(_CHANGE.findall(word)) < _FEWEST * len(word):
        return False  # nearly every word, and told at once
    pieces = [piece for piece in _PIECE.findall(word) if not _HEX.fullmatch(piece)]
    own = "".join(pieces)
    if len(own) < least:
        return False
    digits = len(_DIGIT.findall(own))
    if own.islower() or own.isupper():
        longest = max(pieces, key=len)
        return digits > 1 and len(longest) >= least and len(_CHANGE.findall(longest)) >= _ONE_CASE * len(longest)
    changes, outside = _WITH_DIGITS if digits else _LONG_WITHOUT if len(own) >= _LONG else _WITHOUT
    left = sum(len(_LIKE_WORDS.sub("", piece)) for piece in pieces)
    return left >= outside * len(own) and sum(len(_CHANGE.findall(piece)) for piece in pieces) >= changes * len(own)
