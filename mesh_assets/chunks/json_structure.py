"""Where the elements of a JSON document begin and end, found by its brackets and commas, not by parsing it.

What is too large for a chunk is entered: its elements, and theirs, each with its path. So an order in a list in an
object is whole where it fits, however deep it lies. How elements become chunks belongs to `json_text`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.tokens import MAX_CHARACTERS_PER_TOKEN, PARTS, TokenMeter

# Deeper ones are cut as text: documents that people made are not nested like this.
MAX_DEPTH = 40
# Characters of a key, and of a path.
MAX_KEY, MAX_PATH = 120, 400
# Keys of the first object that are said as context.
MAX_KEYS = 40
# Characters of an element that is parsed to learn its keys.
MAX_FIRST = 1 << 16

_QUOTE, _BACKSLASH, _COMMA = 34, 92, 44
_BRACKETS = np.zeros(256, np.int8)
_BRACKETS[[ord("["), ord("{")]] = 1
_BRACKETS[[ord("]"), ord("}")]] = -1
_SPACES = np.isin(np.arange(256), [9, 10, 13, 32])
_MAX_INDENT = 64
_DECODER = json.JSONDecoder(strict=False)
_CONTENT = re.compile(r"[^ \t\r\n\ufeff]")
_KEY = re.compile(r'[ \t\r\n\ufeff]*("(?:[^"\\]|\\.)*+")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Run:
    """Neighbouring elements of one list or object, with the path of that.

    Unit `i` ends at the character `ends[i]` and is the element number `numbers[i]`. Brackets and keys of parents before
    the first element and behind the last are units of their own, with the number of the element beside them. `keys`
    gives the key of an element of an object; `context` says the keys of the first object of a list.
    """

    parent: str
    keys: Callable[[int], str] | None
    context: str
    ends: list[int] = field(default_factory=list[int])
    numbers: list[int] = field(default_factory=list[int])

    @property
    def is_table(self) -> bool:
        """Whether its elements are those of the whole document, and numbered."""
        return self.parent == "$" and self.keys is None

    def path(self, first: int, stop: int) -> str:
        """The path of the units from `first` up to `stop`: `$.orders[3]`, of several in a list `$.orders[3:7]`."""
        number, last = self.numbers[first], self.numbers[stop - 1]
        if self.keys is not None:
            return _joined(self.parent, self.keys(number))
        return f"{self.parent}[{number}]" if number == last else f"{self.parent}[{number}:{last + 1}]"


class Structure:
    """The brackets and commas of a text that are outside of strings, with the depth behind each."""

    def __init__(self, text: str, meter: TokenMeter) -> None:
        self._text, self._meter = text, meter
        codes = meter.codes
        quotes = _unescaped(codes, np.flatnonzero(codes == _QUOTE))
        kinds = _BRACKETS[codes]
        self._brackets = _outside(np.flatnonzero(kinds), quotes)
        self._depths = np.cumsum(kinds[self._brackets], dtype=np.int64)
        self._commas = _outside(np.flatnonzero(codes == _COMMA), quotes)
        before = np.searchsorted(self._brackets, self._commas) - 1
        self._comma_depths = np.where(before >= 0, np.append(self._depths, 0)[before], 0)
        self._runs: list[Run] = []
        self._covered = 0

    def is_whole(self) -> bool:
        """Whether the text is one list or object that is not empty, and nothing else."""
        if not len(self._brackets) or self._depths[-1] != 0 or (self._depths[:-1] < 1).any():
            return False
        first, last = int(self._brackets[0]), int(self._brackets[-1])
        has_more = _CONTENT.search(self._text, 0, first) or _CONTENT.search(self._text, last + 1)
        is_closed = self._text[first] + self._text[last] in ("[]", "{}")
        return is_closed and not has_more and _CONTENT.search(self._text, first + 1, last) is not None

    def runs(self, limit: int) -> list[Run]:
        """The elements that fit in `limit` tokens, and scalars that do not, in order: they cover the whole text."""
        self._runs, self._covered = [], 0
        self._enter(0, len(self._text), "$", 1, limit)
        return self._runs

    def _enter(self, start: int, stop: int, path: str, depth: int, limit: int) -> None:
        """Add the elements of the list or object that is in the text from `start` to `stop`, with all around it."""
        low, high = np.searchsorted(self._brackets, (start, stop)).tolist()
        opened, closed = int(self._brackets[low]), int(self._brackets[high - 1])
        bounds = self._bounds(opened, closed, int(self._depths[low]))
        keys = None if self._text[opened] == "[" else partial(self._key, bounds)
        context = self._first_keys(bounds) if keys is None else ""
        done = 0
        for at in self._oversize(bounds, limit) if depth < MAX_DEPTH else ():
            if self._is_container(int(bounds[at]), int(bounds[at + 1]), in_list=keys is None):
                self._add(Run(path, keys, context), bounds, done, at)
                below = f"{path}[{at}]" if keys is None else _joined(path, keys(at))
                self._enter(int(bounds[at]), int(bounds[at + 1]), below[:MAX_PATH], depth + 1, limit)
                done = at + 1
        self._add(Run(path, keys, context), bounds, done, len(bounds) - 1)
        if not self._runs:  # commas only
            self._runs.append(Run(path, keys, context, [closed], [0]))
        last = self._runs[-1]
        last.ends.append(stop)
        last.numbers.append(last.numbers[-1])
        self._covered = stop

    def _add(self, run: Run, bounds: NDArray[np.int64], first: int, stop: int) -> None:
        """Add the elements from `first` up to `stop` as a run, with what is before them as its first unit."""
        # An element between two commas is nothing.
        filled = np.flatnonzero(np.diff(bounds[first : stop + 1]) > 0) + first
        if not len(filled):
            return
        if self._covered < bounds[filled[0]]:
            run.ends.append(int(bounds[filled[0]]))
            run.numbers.append(int(filled[0]))
        run.ends += bounds[filled + 1].tolist()
        run.numbers += filled.tolist()
        self._covered = run.ends[-1]
        self._runs.append(run)

    def _bounds(self, opened: int, closed: int, depth: int) -> NDArray[np.int64]:
        """Where each element of a container starts, and where the last ends; white space belongs to the one before."""
        low, high = np.searchsorted(self._commas, (opened, closed)).tolist()
        commas = self._commas[low:high][self._comma_depths[low:high] == depth]
        starts = np.concatenate(([opened], commas)) + 1
        codes = self._meter.codes
        for _ in range(_MAX_INDENT):
            blank = _SPACES[codes[starts]]
            if not blank.any():
                break
            starts += blank
        return np.append(np.minimum(starts, closed), closed)

    def _oversize(self, bounds: NDArray[np.int64], limit: int) -> list[int]:
        worths = np.diff(self._meter.before_all(bounds).astype(np.int64))
        return np.flatnonzero((worths > limit * PARTS) | (np.diff(bounds) > limit * MAX_CHARACTERS_PER_TOKEN)).tolist()

    def _is_container(self, start: int, stop: int, *, in_list: bool) -> bool:
        """Whether the element from `start` to `stop` is a list or object that holds something."""
        low, high = np.searchsorted(self._brackets, (start, stop)).tolist()
        if high - low < 2:
            return False
        opened, closed = int(self._brackets[low]), int(self._brackets[high - 1])
        key = None if in_list else _KEY.match(self._text, start, stop)
        value = _CONTENT.search(self._text, key.end() if key else start, stop)
        begins = value is not None and value.start() == opened
        return begins and _CONTENT.search(self._text, opened + 1, closed) is not None

    def _key(self, bounds: NDArray[np.int64], at: int) -> str:
        found = _KEY.match(self._text, int(bounds[at]), int(bounds[at + 1]))
        try:
            return str(json.loads(found[1], strict=False))[:MAX_KEY] if found else ""
        except ValueError:
            return ""

    def _first_keys(self, bounds: NDArray[np.int64]) -> str:
        """The keys of the first element of a list, where it is an object."""
        start, stop = int(bounds[0]), min(int(bounds[1]), int(bounds[0]) + MAX_FIRST)
        try:
            value: object = _DECODER.raw_decode(self._text[start:stop])[0]
        except (ValueError, RecursionError):
            return ""
        return object_keys(value)


def object_keys(value: object) -> str:
    """The keys of an object, as context; nothing for any other value."""
    if not isinstance(value, dict):
        return ""
    return ", ".join(islice(cast("dict[str, object]", value), MAX_KEYS))


def _joined(parent: str, key: str) -> str:
    return f"{parent}.{key}" if _NAME.fullmatch(key) else f"{parent}[{json.dumps(key, ensure_ascii=False)}]"


def _outside(places: NDArray[np.int64], quotes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of `places` that are in no string: an even number of quotes is before them."""
    return places[np.searchsorted(quotes, places) % 2 == 0]


def _unescaped(codes: NDArray[np.uint8], quotes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The quotes with an even number of backslashes right before them."""
    if not len(quotes):
        return quotes
    behind = quotes[(quotes > 0) & (codes[np.maximum(quotes, 1) - 1] == _BACKSLASH)]
    if not len(behind):
        return quotes
    slashes = codes == _BACKSLASH
    firsts = np.flatnonzero(slashes & ~np.concatenate(([False], slashes[:-1])))
    lengths = behind - firsts[np.searchsorted(firsts, behind) - 1]
    return np.setdiff1d(quotes, behind[lengths % 2 == 1], assume_unique=True)
