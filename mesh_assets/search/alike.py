"""Texts that say the same, so that one passage in many files is one hit. What a hit is belongs to `hybrid`."""

from __future__ import annotations

import math
from collections import Counter

from mesh_assets.indexes.words import all_words

# Resemblance of two texts by their runs of three words (Broder 1997), from which they count as one. A passage of sixty
# words may differ in one; lines of a log, whose stamps differ, and rows of a table stay apart.
_RESEMBLANCE = 0.9
_RUN = 3

# The words, and where they come again how often they came before.
_Run = tuple[str, ...] | tuple[tuple[str, ...], int]
_Runs = frozenset[_Run]


class Alike:
    """Tells which of the texts before a text says nearly the same. No pair is missed, and few are compared.

    Two texts that resemble each other share one of the first few of their runs in any order that is the same for all:
    only texts that do are compared (prefix filter; Chaudhuri, Ganti, Kaushik 2006).
    """

    def __init__(self) -> None:
        self._texts: list[_Runs] = []
        self._begun_with: dict[_Run, list[int]] = {}

    def place(self, text: str) -> int:
        """The place of the first text that is nearly `text`, counted from 0 over texts unlike each other.

        Where there is none, `text` becomes the next of these. Case, white space and punctuation make no difference.
        """
        runs = _runs(text)
        first = sorted(runs, key=hash)[: len(runs) - math.ceil(_RESEMBLANCE * len(runs)) + 1]
        for place in sorted({place for run in first for place in self._begun_with.get(run, ())}):
            shared = len(runs & self._texts[place])
            if shared >= _RESEMBLANCE * (len(runs) + len(self._texts[place]) - shared):
                return place
        self._texts.append(runs)
        for run in first:
            self._begun_with.setdefault(run, []).append(len(self._texts) - 1)
        return len(self._texts) - 1


def _runs(text: str) -> _Runs:
    """The runs of three words, each with how often it came before: what is repeated counts as often."""
    words = all_words(text) or [text.strip()]
    counted = Counter(zip(*(words[start:] for start in range(min(_RUN, len(words)))), strict=False))
    again = ((run, before) for run, times in counted.items() if times > 1 for before in range(1, times))
    return frozenset[_Run](counted).union(again)
