"""The outline of a Python module without a parser: one expression for its logical lines, NumPy for their indents.

Lines and their indents say where each statement, function and class begins and ends. What does not fit that
picture (a bracket or quote that is not closed, tabs, an indent out of step) is not guessed at: no outline is given, and
the syntax tree of `python_tree` decides.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.tokens import MAX_CHARACTERS_PER_TOKEN, PARTS, TokenMeter, numbers

# Classes within classes are looked into this deep.
MAX_CLASS_DEPTH = 16
# Signatures and docstrings beyond this many characters are no context.
MAX_CONTEXT = 300

_STRING = (
    r'"(?:""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+"""|[^"\\\n]*+(?:\\.[^"\\\n]*+)*+")'
    r"|'(?:''[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+'''|[^'\\\n]*+(?:\\.[^'\\\n]*+)*+')"
)
_STRINGS = re.compile(f"({_STRING}|#[^\n]*+)", re.DOTALL)
# Brackets within brackets are followed this deep.
_MAX_BRACKETS = 10
# What says nothing of logical lines is one letter, and all brackets are round: runs of one letter are passed quickly.
_PLAIN = bytes(
    code if code in b"'\"#()\\\n" else ord("(") if code in b"[{" else ord(")") if code in b"]}" else ord("a")
    for code in range(256)
)


def _bracketed(depth: int) -> str:
    inner = rf"{_bracketed(depth - 1)}|" if depth else ""
    return rf"\(a*+(?:(?:{inner}{_STRING}|\n|\\.|#[^\n]*+)a*+)*+\)"


# A logical line of a text that was made plain. Everything is possessive: what does not match fails at once, and is
# found by what the lines lack.
_LINE = re.compile(rf"a*+(?:(?:{_bracketed(_MAX_BRACKETS)}|{_STRING}|\\.)a*+)*+(?:#[^\n]*+)?\n".encode(), re.DOTALL)
_HEAD = re.compile(r"(?:else|elif|except|finally)\b|@|(?:(?:async[ \t]++)?def|class)[ \t]++(?P<name>\w++)")
_DOCSTRING = re.compile(r"[\ufeff]?[rRuUbB]{0,2}[\"']")
_UNFINISHED = re.compile(r"(?:(?:async[ \t]++)?def|class)\b")
_CLAUSE = re.compile(r"(?:else|elif|except|finally)\b")
_NEWLINE, _RETURN, _SPACE, _HASH, _DECORATOR, _CLASS, _OTHER = b"\n\r #@c?"
# Indents of anything but spaces; a character that is none of Latin-1 may be white space too.
_IS_ODD = np.isin(np.arange(256), list(b"\t\f\v\x1c\x1d\x1e\x1f\x85\xa0"))
_IS_CONTENT = ~np.isin(np.arange(256), (_NEWLINE, _RETURN))
# What a logical line begins with that may be none of its own, or before such lines.
_MAY_CONTINUE = re.compile(rb"[@ef]")
# What an item may begin with that is looked at; what a definition begins with.
_HEADS, _DEFINITION_HEADS = frozenset(b"acdef@"), frozenset(b"acd")


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


# Its fields in order as one tuple: a third of the time of a call by name, and there are thousands in a MB.
_UNIT = partial(tuple.__new__, Unit)


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a text: where each starts (character) and what all before it is worth; the text's end is the last.

    A text that ends with a line break has an empty line behind it.
    """

    places: NDArray[np.int64]
    starts: Sequence[int]
    worths: Sequence[int]

    @classmethod
    def of(cls, meter: TokenMeter) -> Lines:
        """The lines of the text of `meter`."""
        (breaks,) = (meter.codes == _NEWLINE).nonzero()
        places = np.zeros(len(breaks) + 2, np.int64)
        np.add(breaks, 1, out=places[1:-1])
        places[-1] = len(meter.codes)
        return cls(places, numbers(places), numbers(meter.before_all(places)))

    def fits(self, row: int, stop: int, limit: int) -> bool:
        """Whether the lines from `row` up to `stop` are within `limit` tokens, as `TokenMeter.fits`."""
        worths, starts = self.worths, self.starts
        return (
            worths[stop] - worths[row] <= limit * PARTS
            and starts[stop] - starts[row] <= limit * MAX_CHARACTERS_PER_TOKEN
        )

    def line(self, text: str, row: int) -> str:
        """The line without white space behind it, up to `MAX_CONTEXT` characters."""
        start = self.starts[row]
        return text[start : min(self.starts[row + 1], start + MAX_CONTEXT)].rstrip()


def scanned_units(text: str, lines: Lines, meter: TokenMeter, limit: int) -> list[Unit] | None:
    """The units in order, the first one at row 0, no two at the same row; None where the text is not as expected.

    Definitions that do not fit `limit` tokens have cuts, classes their members.
    """
    found = _Logical.of(text, lines, meter.codes)
    if found is None:
        return None
    try:
        return _Outline(text, lines, limit, found).units()
    except _UnsureError:
        return None


class _UnsureError(Exception):
    """The lines do not fit the picture."""


@dataclass(frozen=True, slots=True)
class _Logical:
    """The logical lines of a text that are not blank, comments included, an entry for each property.

    `rows` are the first lines and `lasts` the last ones, `at` the first characters behind the indents, `leads` what
    those are in Latin-1. The indent of a comment is that of the block which it belongs to.
    """

    rows: list[int]
    lasts: Sequence[int]
    at: Sequence[int]
    indents: NDArray[np.int64]
    leads: bytes

    @classmethod
    def of(cls, text: str, lines: Lines, codes: NDArray[np.uint8]) -> _Logical | None:
        plain = codes.tobytes().translate(_PLAIN)
        if not plain.endswith(b"\n"):
            plain += b"\n"
        parts = _LINE.findall(plain)
        stops = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
        if len(plain) > (stops[-1] if parts else 0):
            return None  # a bracket or a quote is not closed, or closed too often
        if "\r" in text and text.count("\r") != text.count("\r\n"):
            return None  # a return that ends no line
        has_mark = text.startswith("\ufeff")
        at, leads = _contents(lines, codes, has_mark=has_mark)
        if _IS_ODD[leads].any() or any(text[place].isspace() for place in at[leads == _OTHER].tolist()):
            return None
        rows = np.zeros(len(parts) + 1, np.int64)
        rows[1:] = lines.places[:-1].searchsorted(stops)
        (kept,) = _IS_CONTENT[leads[rows[:-1]]].nonzero()
        lasts = rows[kept + 1] - 1
        rows = rows[kept]
        at, leads = at[rows], leads[rows]
        indents = at - lines.places[rows]
        if has_mark and at[:1].tolist() == [1]:
            indents[0] = 0
        return cls(
            rows=rows.tolist(),
            lasts=numbers(lasts),
            at=numbers(at),
            indents=_with_comments(indents, leads == _HASH),
            leads=leads.tobytes(),
        )


def _contents(lines: Lines, codes: NDArray[np.uint8], *, has_mark: bool) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Where each line has its first character that is no space, and which one; the text's end is a line break."""
    padded = np.full(len(codes) + 1, _NEWLINE, np.uint8)
    padded[:-1] = codes
    is_other = padded != _SPACE
    is_other[0] &= not has_mark
    (others,) = is_other.nonzero()
    at = others[others.searchsorted(lines.places[:-1])]
    return at, padded[at]


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


class _Item(NamedTuple):
    """A statement, definition or comment of one block: its logical lines from `first` on, up to the next item.

    `head` is the one that holds `def` or `class`, `lead` the first character of that one, `name` what it defines.
    """

    first: int
    head: int
    lead: int
    name: str | None


_ITEM = partial(tuple.__new__, _Item)


class _Outline:
    """The units of one module."""

    def __init__(self, text: str, lines: Lines, limit: int, logical: _Logical) -> None:
        self._text, self._lines, self._limit, self._logical = text, lines, limit, logical
        self._units: list[Unit] = []

    def units(self) -> list[Unit]:
        count = len(self._logical.rows)
        items = self._items(0, count, 0)
        first = next((item for item in items if item.lead != _HASH), None)
        context = self._docstring(first.first) if first is not None and first.name is None else ""
        # The docstring itself, and what is grouped with it, needs no context.
        self._units.append(Unit(0, None, "", whole=False))
        self._walk(items, count, "", context, 0)
        return self._units

    def _docstring(self, index: int) -> str:
        """The first line of a statement that is one string."""
        logical = self._logical
        start, stop = logical.at[index], self._lines.starts[logical.lasts[index] + 1]
        if _DOCSTRING.match(self._text, start) is None:
            return ""
        parts = [part.strip() for part in _STRINGS.split(self._text[start:stop])]
        if "".join(parts[2::2]).lstrip(";") and not parts[2].startswith(";"):
            return ""
        if any(part[:1] in ("'", '"') for part in parts[3::2]) and not parts[2].startswith(";"):
            return ""
        return self._lines.line(self._text, logical.rows[index]).strip("\"' \t\ufeff")

    def _items(self, low: int, high: int, level: int) -> list[_Item]:
        """The items of the block whose lines are `low` up to `high`, indented by `level`."""
        indents = self._logical.indents[low:high]
        if len(indents) and (indents.min() < level or indents[0] != level):
            raise _UnsureError
        text, at, leads = self._text, self._logical.at, self._logical.leads
        items: list[_Item] = []
        decorated: int | None = None
        for index in (np.flatnonzero(indents == level) + low).tolist():
            lead = leads[index]
            head = _HEAD.match(text, at[index]) if lead in _HEADS else None
            if head is None:
                if decorated is None:
                    if lead in _DEFINITION_HEADS and _UNFINISHED.match(text, at[index]):
                        raise _UnsureError
                    items.append(_ITEM((index, index, lead, None)))
                elif lead != _HASH:
                    raise _UnsureError
            elif name := head["name"]:
                items.append(_ITEM((index if decorated is None else decorated, index, lead, name)))
                decorated = None
            elif lead == _DECORATOR:
                decorated = index if decorated is None else decorated
            else:
                _continue(items, is_decorated=decorated is not None)
        if decorated is not None:
            raise _UnsureError
        return items

    def _walk(self, items: list[_Item], high: int, scope: str, context: str, depth: int) -> None:
        """Adds the units of the `items`, whose lines go up to `high`; `scope` is what is before their names."""
        symbol = scope[:-1] or None
        rows, lasts, add, fits, limit = (
            self._logical.rows,
            self._logical.lasts,
            self._add,
            self._lines.fits,
            self._limit,
        )
        starts = [*[item.first for item in items], high]
        above: int | None = None
        end = -1
        for (first, head, lead, name), stop in zip(items, starts[1:], strict=True):
            row = rows[first]
            if row > end + 1:
                above = None
            if lead == _HASH:
                # Comments in lines of their own right above a definition belong to it.
                above = row if above is None and row > end else above
                add(_UNIT((above or row, symbol, context, False, ())))
                end = lasts[stop - 1]
                continue
            end = lasts[stop - 1]
            if name is None:
                add(
                    _UNIT(
                        (row, symbol, context, False, () if fits(row, end + 1, limit) else self._inner_rows(head, stop))
                    )
                )
            else:
                row = row if above is None else above
                unit = _UNIT((row, scope + name, context, True, ()))
                if fits(row, end + 1, limit):
                    add(unit)
                else:
                    self._cut_definition(unit, head, stop, depth)
            above = None

    def _cut_definition(self, unit: Unit, head: int, stop: int, depth: int) -> None:
        """Adds a definition that does not fit, whose logical lines from `head` on go up to `stop`, or its members."""
        cuts, logical = self._inner_rows(head, stop), self._logical
        if logical.leads[head] != _CLASS:
            self._add(unit._replace(cuts=cuts))
            return
        self._add(unit)
        if cuts and depth < MAX_CLASS_DEPTH:
            # Comments between the head of a class and its first statement stay with the head.
            body = next(index for index in range(head + 1, stop) if logical.leads[index] != _HASH)
            items = self._items(body, stop, int(logical.indents[body]))
            signature = self._lines.line(self._text, logical.rows[head]).strip()
            self._walk(items, stop, f"{unit.symbol}.", signature, depth + 1)

    def _add(self, unit: Unit) -> None:
        last, row = self._units[-1][0], unit[0]
        if last < row:
            self._units.append(unit)
        elif last == row and unit.whole:
            # A definition takes the place of the comments above it, or of the empty head of its module.
            self._units[-1] = unit

    def _inner_rows(self, head: int, stop: int) -> tuple[int, ...]:
        """Rows of the statements between the logical line `head` and the logical line `stop`."""
        rows, statements = self._logical.rows, self._statements
        return tuple(statements[bisect_right(statements, rows[head]) : bisect_right(statements, rows[stop - 1])])

    @cached_property
    def _statements(self) -> list[int]:
        """Rows of logical lines that begin a statement or are a comment: no `else` or the like, nothing decorated."""
        text, logical = self._text, self._logical
        rows, leads, at = logical.rows, logical.leads, logical.at
        found: list[int] = []
        start = passed = 0
        for lead in _MAY_CONTINUE.finditer(leads):
            index = lead.start()
            if index < passed:
                continue
            if lead[0] == b"@":
                passed = index + 1
                while passed < len(leads) and leads[passed] in b"@#":
                    passed += 1
                passed += 1
                found += rows[start : index + 1]
                start = passed
            elif _CLAUSE.match(text, at[index]):
                found += rows[start:index]
                start = index + 1
        found += rows[start:]
        return found


def _continue(items: list[_Item], *, is_decorated: bool) -> None:
    """An `else` or the like goes on with the statement before it; comments between them are within it."""
    while items and items[-1].lead == _HASH:
        items.pop()
    if not items or items[-1].name is not None or is_decorated:
        raise _UnsureError
