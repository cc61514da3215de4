"""The part of a chunk that shows why it was found, as plain text that is safe to print."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from mesh_assets.indexes.words import all_words, query_words

SNIPPET = 240  # characters: two to three lines of a terminal
_BEFORE = 40  # characters shown before the first matching word, so that the sentence can be read
_ELLIPSIS = "…"
_WORD = re.compile(r"[^\W_]+")
# Endings that a word of the text may have and a word of the query not, or the other way round; the full-text engine
# stems properly, here a near miss only moves the window.
_ENDINGS = ("ing", "ed", "es", "s", "e")
_SHORTEST_STEM = 3


def snippet(text: str, query: str, *, width: int = SNIPPET) -> str:
    """The `width` characters of `text` that hold most different words of `query`, the earliest among equals.

    Runs of white space and everything that does not print (control characters, bidirectional overrides) become one
    blank; an ellipsis stands where text was left out. Without a matching word it is the beginning.
    """
    plain = " ".join(text.split())
    if not plain.isprintable():
        plain = " ".join("".join(c if c.isprintable() else " " for c in plain).split())
    if len(plain) <= width:
        return plain
    wanted = {_stem(word) for word in query_words(query)}
    matches = [(m.start(), m.end(), s) for m in _WORD.finditer(plain) if (s := _stem(m[0].lower())) in wanted]
    start = max(0, min(_best_start(matches, width - _BEFORE) - _BEFORE, len(plain) - width))
    return _cut(plain, start, width)


def held_words(text: str, query: str) -> tuple[str, ...]:
    """The words of `query` that `text` holds, near misses of their endings included, each once and in order."""
    words = dict.fromkeys(query_words(query))
    held = {_stem(word) for word in all_words(text)}
    return tuple(word for word in words if _stem(word) in held)


@lru_cache(maxsize=1 << 14)
def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word[: -len(ending)]
    return word


def _best_start(matches: list[tuple[int, int, str]], width: int) -> int:
    """Start of the match from which `width` characters hold most different words."""
    best, best_start = 0, 0
    held: Counter[str] = Counter()
    last = 0
    for start, _, stem in matches:
        while last < len(matches) and matches[last][1] <= start + width:
            held[matches[last][2]] += 1
            last += 1
        distinct = sum(count > 0 for count in held.values())
        if distinct > best:
            best, best_start = distinct, start
        held[stem] -= 1
    return best_start


def _cut(plain: str, start: int, width: int) -> str:
    stop = start + width
    if start:
        # Begin with a whole word where one begins soon.
        blank = plain.find(" ", start, start + _BEFORE)
        start = blank + 1 if blank >= 0 else start
    if stop < len(plain):
        blank = plain.rfind(" ", stop - _BEFORE, stop)
        stop = blank if blank >= 0 else stop - 1
    shown = plain[start:stop].strip()
    return f"{_ELLIPSIS if start else ''}{shown}{_ELLIPSIS if stop < len(plain) else ''}"
