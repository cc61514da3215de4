"""How often each name is written in a slice, and in how many files: who is used, and what nobody mentions.

Counts lie in a table of fixed size by the hash of the name, so that memory does not grow; two names that share a place
add up, which takes a dead one for alive and never the other way round.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter

import numpy as np

_SLOTS = 1 << 22
# Names of functions that are counted, and how many functions may have one for its use to be that of each.
_MAX_DEFINED, _MAX_NAMESAKES = 400_000, 2
_NAME = re.compile(r"[^\W\d]\w*")


class NameCounts:
    """Names as they are written anywhere in the texts: code, strings, comments, documentation."""

    def __init__(self) -> None:
        self._times = np.zeros(_SLOTS, np.uint32)
        self._files = np.zeros(_SLOTS, np.uint32)
        self._definitions: Counter[str] = Counter()

    def add(self, text: str) -> None:
        """One file, or a part of one that stands for itself."""
        found = Counter(_NAME.findall(text))
        slots = np.fromiter((_slot(name) for name in found), np.int64, len(found))
        np.add.at(self._times, slots, np.fromiter(found.values(), np.uint32, len(found)))
        np.add.at(self._files, slots, np.uint32(1))

    def times(self, name: str) -> int:
        """How often it is written."""
        return int(self._times[_slot(name)])

    def users(self, function: str) -> int:
        """How many files but one write the name of a function.

        0 where that says nothing: the language gives the name, as `__init__`, or several functions have it.
        """
        short = short_name(function)
        if short.startswith("__") or self._definitions[short] > _MAX_NAMESAKES:
            return 0
        return max(int(self._files[_slot(short)]) - 1, 0)

    def define(self, function: str) -> None:
        """One more function has this name."""
        short = short_name(function)
        if len(self._definitions) < _MAX_DEFINED or short in self._definitions:
            self._definitions[short] += 1

    def may_be_put_together(self, name: str) -> bool:
        """Whether a beginning of it is written that ends in an underscore, as where `f"visit_{kind}"` is looked up."""
        return any(self.times(name[: at + 1]) for at in range(2, len(name)) if name[at] == "_")


def short_name(function: str) -> str:
    """The name of a function without the classes that it is in."""
    return function.split("::")[-1].split(".")[-1]


def _slot(name: str) -> int:
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) % _SLOTS
