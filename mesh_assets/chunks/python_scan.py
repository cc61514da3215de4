"""The outline of a Python module without a parser: one expression for its logical lines, NumPy for their indents.

Lines and their indents say where each statement, function and class begins and ends. What does not fit that
picture (a bracket or quote that is not closed, tabs, an indent out of step) is not guessed at: no outline is given, and
the syntax tree of `python_tree` decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.tokens import TokenMeter

# Classes within classes are looked into this deep.
MAX_CLASS_DEPTH = 16
# Signatures and docstrings beyond this many characters are no context.
MAX_CONTEXT = 300

_STRING = (
    r'"(?:""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+"""|[^"\\\n]*+(?:\\.[^"\\\n]*+)*+")'
    r"|'(?:''[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+'''|[^'\\\n]*+(?:\\.[^'\\\n]*+)*+')"
)
# Brackets within brackets are followed this deep.
_MAX_BRACKETS = 10


def _bracketed(depth: int) -> str:
    inner = rf"|{_bracketed(depth - 1)}" if depth else ""
    return rf"[(\[{{](?:[^'\"#()\[\]{{}}\\]++|{_STRING}|\\.|#[^\n]*+{inner})*+[)\]}}]"


# A logical line. Everything is possessive: what does not match fails at once, and is found by what the lines lack.
_LINE = re.compile(
    rf"(?:[^'\"#()\[\]{{}}\\\n]++|{_bracketed(_MAX_BRACKETS)}|{_STRING}|\\.)*+(?:#[^\n]*+)?\n", re.DOTALL
)
_STRINGS = re.compile(f"({_STRING}|#[^\n]*+)", re.DOTALL)
# Indents of anything but spaces; a return that ends no line.
_ODD_INDENT = re.compile(r"(?:\A\ufeff?|\n) *+[^\S \r\n]|\r(?!\n)")
_ODD_SPACES = "\t\r\f\v\x1c\x1d\x1e\x1f"
_HEAD = re.compile(
    r"(?P<clause>(?:else|elif|except|finally)\b)|(?P<decorator>@)"
    r"|(?P<kind>(?:async[ \t]++)?def|class)[ \t]++(?P<name>\w++)"
)
_DOCSTRING = re.compile(r"[\ufeff]?[rRuUbB]{0,2}[\"']")
_UNFINISHED = re.compile(r"(?:(?:async[ \t]++)?def|class)\b")
_NEWLINE, _HASH = b"\n#"
# What a logical line begins with that may be none of its own, or before such lines.
_MAY_CONTINUE = re.compile(rb"[@ef]")
# What an item may begin with that is looked at.
_HEADS = frozenset("acdef@")


class Unit(NamedTuple):
    """Lines that belong together: from `row` (counted from 0) up to the next unit.

    `whole` is a definition: a chunk of its own. Others are statements, grouped with their neighbours. `cuts` are the
    rows at which it may be cut where it does not fit.
    """

    row: int
    symbol: str | None
    context: str
    whole: bool
    cuts: tuple[int, ...] = ()


def line_starts(codes: NDArray[np.uint8]) -> list[int]:
    """Where each line starts (character), from one byte a character."""
    return [0, *(np.flatnonzero(codes == _NEWLINE) + 1).tolist()]


def scanned_units(text: str, lines: list[int], meter: TokenMeter, limit: int) -> list[Unit] | None:
    """The units in order, the first one at row 0, no two at the same row; None where the text is not as expected.

    `lines` says where each line starts. Definitions that do not fit `limit` tokens have cuts, classes their members.
    """
    found = _Logical.of(text, lines, meter.codes)
    if found is None:
        return None
    try:
        return _Outline(text, lines, meter, limit, found).units()
    except _UnsureError:
        return None


class _UnsureError(Exception):
    """The lines do not fit the picture."""


@dataclass(frozen=True, slots=True)
class _Logical:
    """The logical lines of a text that are not blank, comments included, a list for each property.

    `row` is the first line and `last` the last one, `at` the first character behind the indent. The `indent` of a
    comment is that of the block which it belongs to.
    """

    row: NDArray[np.int64]
    last: list[int]
    at: list[int]
    indent: NDArray[np.int64]
    is_comment: list[bool]

    @classmethod
    def of(cls, text: str, lines: list[int], codes: NDArray[np.uint8]) -> _Logical | None:
        parts = _LINE.findall(text if text.endswith("\n") else f"{text}\n")
        stops = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
        if stops[-1:].sum() < len(text):
            return None  # a bracket or a quote is not closed, or closed too often
        may_be_odd = not text.isascii() or any(space in text for space in _ODD_SPACES)
        if may_be_odd and _ODD_INDENT.search(text):
            return None
        has_mark = text.startswith("\ufeff")
        if has_mark:
            parts[0] = parts[0][1:]
        bodies = np.fromiter(map(len, map(str.lstrip, parts)), np.int64, len(parts))
        starts = np.concatenate((np.zeros(1, np.int64), stops[:-1]))
        row = np.searchsorted(np.array(lines, np.int64), starts)
        last = np.append(row[1:] - 1, len(lines) - 1)
        kept = np.flatnonzero(bodies)
        at = stops[kept] - bodies[kept]
        indent = at - starts[kept]
        if has_mark and at[:1].tolist() == [1]:
            indent[0] = 0
        is_comment = codes[at] == _HASH
        return cls(
            row=row[kept],
            last=last[kept].tolist(),
            at=at.tolist(),
            indent=_with_comments(indent, is_comment),
            is_comment=is_comment.tolist(),
        )


def _with_comments(indent: NDArray[np.int64], is_comment: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indents with those of comments set to the block that they belong to.

    That is the block of the following statement, unless that ends blocks and the comment is indented as one of them.
    """
    code = np.flatnonzero(~is_comment)
    if len(code) == len(indent) or not len(code):
        return indent
    comments = np.flatnonzero(is_comment)
    after = np.searchsorted(code, comments)
    around = np.concatenate((np.zeros(1, np.int64), indent[code], np.zeros(1, np.int64)))
    before, following = around[after], around[after + 1]
    own = indent[comments]
    within = (following < before) & (own > following)
    indent[comments] = np.where(within, np.minimum(own, before), following)
    return indent


@dataclass(slots=True)
class _Item:
    """A statement, definition or comment of one block: its logical lines from `first` to `last`.

    `head` is the one that holds `def` or `class`; `last` is set when the next item is met.
    """

    first: int
    head: int
    name: str | None = None
    is_class: bool = False
    is_comment: bool = False
    last: int = 0


class _Outline:
    """The units of one module."""

    def __init__(self, text: str, lines: list[int], meter: TokenMeter, limit: int, logical: _Logical) -> None:
        self._text, self._lines, self._meter, self._limit, self._logical = text, lines, meter, limit, logical
        self._units: list[Unit] = []

    def units(self) -> list[Unit]:
        items = self._items(0, len(self._logical.row), 0)
        first = next((item for item in items if not item.is_comment), None)
        context = self._docstring(first) if first is not None and first.name is None else ""
        # The docstring itself, and what is grouped with it, needs no context.
        self._units.append(Unit(0, None, "", whole=False))
        self._walk(items, (), context, 0)
        return self._units

    def _docstring(self, item: _Item) -> str:
        """The first line of a statement that is one string."""
        logical = self._logical
        start, stop = logical.at[item.first], self._stop(logical.last[item.first])
        if _DOCSTRING.match(self._text, start) is None:
            return ""
        parts = [part.strip() for part in _STRINGS.split(self._text[start:stop])]
        if "".join(parts[2::2]).lstrip(";") and not parts[2].startswith(";"):
            return ""
        if any(part[:1] in ("'", '"') for part in parts[3::2]) and not parts[2].startswith(";"):
            return ""
        return self._line(int(logical.row[item.first])).strip("\"' \t\ufeff")

    def _items(self, low: int, high: int, level: int) -> list[_Item]:
        """The items of the block whose lines are `low` up to `high`, indented by `level`."""
        indent = self._logical.indent[low:high]
        if len(indent) and (indent.min() < level or indent[0] != level):
            raise _UnsureError
        text, items, decorated = self._text, list[_Item](), cast("_Item | None", None)
        for index in (np.flatnonzero(indent == level) + low).tolist():
            if self._logical.is_comment[index]:
                if decorated is None:
                    items.append(_Item(index, index, is_comment=True))
                continue
            at = self._logical.at[index]
            head = _HEAD.match(text, at) if text[at] in _HEADS else None
            kind = None if head is None else head.lastgroup
            if kind == "clause":
                _continue(items, decorated)
            elif kind == "decorator":
                decorated = decorated or _Item(index, index)
            elif head is not None:
                item = decorated or _Item(index, index)
                item.head, item.name, item.is_class = index, head["name"], head["kind"] == "class"
                items.append(item)
                decorated = None
            elif decorated is not None or (text[at] in "acd" and _UNFINISHED.match(text, at)):
                raise _UnsureError
            else:
                items.append(_Item(index, index))
        _close(items, decorated, high - 1)
        return items

    def _walk(self, items: list[_Item], scope: tuple[str, ...], context: str, depth: int) -> None:
        symbol = ".".join(scope) or None
        logical = self._logical
        above: int | None = None
        end = -1
        for item in items:
            row = int(logical.row[item.first])
            if above is not None and row > end + 1:
                above = None
            if item.is_comment:
                # Comments in lines of their own right above a definition belong to it.
                above = row if above is None and row > end else above
                self._add(Unit(above or row, symbol, context, whole=False))
            elif item.name is not None:
                self._define(item, row if above is None else above, (*scope, item.name), context, depth)
                above = None
            else:
                self._add(Unit(row, symbol, context, whole=False, cuts=self._inner_rows(item, row)))
                above = None
            end = logical.last[item.last]

    def _define(self, item: _Item, row: int, path: tuple[str, ...], context: str, depth: int) -> None:
        cuts = self._inner_rows(item, row)
        self._add(Unit(row, ".".join(path), context, whole=True, cuts=() if item.is_class else cuts))
        if cuts and item.is_class and depth < MAX_CLASS_DEPTH:
            # Comments between the head of a class and its first statement stay with the head.
            body = next(index for index in range(item.head + 1, item.last + 1) if not self._logical.is_comment[index])
            items = self._items(body, item.last + 1, int(self._logical.indent[body]))
            self._walk(items, path, self._line(int(self._logical.row[item.head])).strip(), depth + 1)

    def _add(self, unit: Unit) -> None:
        if self._units[-1].row < unit.row:
            self._units.append(unit)
        elif self._units[-1].row == unit.row and unit.whole:
            # A definition takes the place of the comments above it, or of the empty head of its module.
            self._units[-1] = unit

    def _inner_rows(self, item: _Item, row: int) -> tuple[int, ...]:
        """Rows of the statements inside `item`, whose lines begin at `row`; none where it fits."""
        logical = self._logical
        if self._meter.fits(self._lines[row], self._stop(logical.last[item.last]), self._limit):
            return ()
        low, high = item.head + 1, item.last + 1
        return tuple(logical.row[low:high][self._is_statement[low:high]].tolist())

    @cached_property
    def _is_statement(self) -> NDArray[np.bool_]:
        """Which logical lines begin a statement or are a comment: no `else` or the like, nothing behind a decorator."""
        text, logical = self._text, self._logical
        leads = self._meter.codes[logical.at].tobytes()
        found = np.ones(len(leads), np.bool_)
        passed = 0
        for lead in _MAY_CONTINUE.finditer(leads):
            index = lead.start()
            if index < passed:
                continue
            if lead[0] != b"@":
                found[index] = not _is_clause(text, logical.at[index])
                continue
            passed = index + 1
            while passed < len(leads) and leads[passed] in b"@#":
                passed += 1
            passed += 1
            found[index + 1 : passed] = False
        return found

    def _stop(self, row: int) -> int:
        """Where the line `row` ends."""
        return self._lines[row + 1] if row + 1 < len(self._lines) else len(self._text)

    def _line(self, row: int) -> str:
        return self._text[self._lines[row] : min(self._stop(row), self._lines[row] + MAX_CONTEXT)].rstrip()


def _is_clause(text: str, at: int) -> bool:
    head = _HEAD.match(text, at)
    return head is not None and head.lastgroup == "clause"


def _continue(items: list[_Item], decorated: _Item | None) -> None:
    """An `else` or the like goes on with the statement before it; comments between them are within it."""
    while items and items[-1].is_comment:
        items.pop()
    if not items or items[-1].name is not None or decorated is not None:
        raise _UnsureError


def _close(items: list[_Item], decorated: _Item | None, last: int) -> None:
    """Each item ends before the next one, the last one at the line `last`."""
    if decorated is not None:
        raise _UnsureError
    for item, following in pairwise(items):
        item.last = following.first - 1
    if items:
        items[-1].last = last
