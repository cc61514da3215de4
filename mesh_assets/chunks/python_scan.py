"""The outline of a Python module without a parser: one expression for its logical lines, NumPy for their indents.

Lines and their indents say where each statement, function and class begins and ends. What does not fit that
picture (a bracket or quote that is not closed, tabs, an indent out of step) is not guessed at: no outline is given, and
the syntax tree of `python_tree` decides.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from mesh_assets.chunks.python_text import STRINGS, Lines, Logical

# Classes within classes are looked into this deep.
MAX_CLASS_DEPTH = 16

_HEAD = re.compile(r"(?:else|elif|except|finally)\b|@|(?:(?:async[ \t]++)?def|class)[ \t]++(?P<name>\w++)")
_DOCSTRING = re.compile(r"[\ufeff]?[rRuUbB]{0,2}[\"']")
_UNFINISHED = re.compile(r"(?:(?:async[ \t]++)?def|class)\b")
_CLAUSE = re.compile(r"(?:else|elif|except|finally)\b")
_HASH, _DECORATOR, _CLASS = b"#@c"
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


def scanned_units(text: str, lines: Lines, logical: Logical, limit: int) -> list[Unit] | None:
    """The units in order, the first one at row 0, no two at the same row; None where the text is not as expected.

    Definitions that do not fit `limit` tokens have cuts, classes their members.
    """
    try:
        return _Outline(text, lines, limit, logical).units()
    except _UnsureError:
        return None


class _UnsureError(Exception):
    """The lines do not fit the picture."""


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

    def __init__(self, text: str, lines: Lines, limit: int, logical: Logical) -> None:
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
        parts = [part.strip() for part in STRINGS.split(self._text[start:stop])]
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
                add(_UNIT((above, symbol, context, False, ())))
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
