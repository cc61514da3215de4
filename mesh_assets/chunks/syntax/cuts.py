"""Where a program is cut: its definitions and statements as units, for `mesh_assets.chunks.code` to group.

A definition that fits is a unit, with the comments and attributes directly above it. A larger class becomes its head
and its members, a larger function is cut between statements, any larger node between the nodes in it. Cuts are at line
starts, but for long lines, as programs that a program wrote have them. What a piece is belongs to `code`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mesh_assets.chunks.cutting import CONTEXT_SHARE
from mesh_assets.chunks.python_scan import Unit
from mesh_assets.chunks.python_text import MAX_CONTEXT, Lines
from mesh_assets.chunks.syntax.grammar import FUNCTIONS, GROUPED
from mesh_assets.chunks.syntax.outline import Definition, Outline, children_of, is_sound, lost_parts
from mesh_assets.chunks.tokens import TokenMeter, numbers

if TYPE_CHECKING:
    from tree_sitter import Node

# A node that begins further behind the start of its line than this may be cut off there.
_LONG_LINE = 200
# Nodes that go on with the statement before them.
_CONTINUES = frozenset(
    {
        "block", "compound_statement", "statement_block", "class_body", "declaration_list",
        "else", "else_clause", "elif_clause", "else_if_clause", "elsif", "elseif_statement", "elseif_clause",
        "else_statement", "catch_clause", "catch_block", "catch", "finally_clause", "finally_block", "rescue", "ensure",
        "except_clause", "then",
    }
)  # fmt: skip
# What may end the line of a definition.
_TAIL = re.compile(r"[\s;,)}\]]{0,200}?\n")
_BLANK = " {:=;,"


@dataclass(slots=True)
class Cuts:
    """Units in order, the first at 0, and the places they are at as `Lines`; later parts of a unit have its `heads`.

    `broken` are parts (bytes of the outline) that do not parse and do not fit: these are cut by lines.
    """

    units: list[Unit]
    lines: Lines
    heads: dict[int, str]
    broken: list[tuple[int, int]]


def cuts_of(text: str, outline: Outline, characters: Sequence[int], meter: TokenMeter, limit: int) -> Cuts:
    """The units of `text`, which `outline` is of; `characters` are the places of its bytes."""
    return _Cutting(text, outline, characters, meter, limit).cuts()


@dataclass(slots=True)
class _Place:
    """A unit before its places are numbered."""

    at: int
    symbol: str | None
    context: str
    whole: bool
    cuts: list[int] = field(default_factory=list[int])
    # Where a definition that fits ends, and what follows it is called.
    stop: int = -1
    around: tuple[str | None, str] = (None, "")
    head: str = ""


@dataclass(slots=True)
class _Scope:
    """What is being cut: a definition that does not fit, or the file. `items` are nodes in it, not yet looked at."""

    nodes: list[Iterator[Node]]
    number: int
    symbol: str | None
    context: str
    # How many of `nodes` are around a statement that does not fit.
    inner: int = 0
    # Where its head ends (byte), within which there is no cut.
    floor: int = 0


class _Cutting:
    """The units of one program."""

    def __init__(self, text: str, outline: Outline, characters: Sequence[int], meter: TokenMeter, limit: int) -> None:
        self._text, self._outline, self._characters, self._meter = text, outline, characters, meter
        self._limit = limit
        # Parts of what does not fit come with a context.
        self._room = limit - limit // CONTEXT_SHARE
        self._places: list[_Place] = []
        self._broken: list[tuple[int, int]] = []
        self._end = 0  # of the last node or definition that was added
        self._added = -1

    def cuts(self) -> Cuts:
        self._places.append(_Place(0, None, "", whole=False))
        self._walk()
        self._add_tails()
        ends = {place.at for place in self._places}
        for place in self._places:
            ends.update(place.cuts)
        places = np.array([*sorted(ends), len(self._text)], np.int64)
        rows = {at: row for row, at in enumerate(places[:-1].tolist())}
        units = [
            Unit(rows[each.at], each.symbol, each.context, each.whole, tuple(rows[at] for at in each.cuts))
            for each in self._places
        ]
        heads = {rows[each.at]: each.head for each in self._places if each.head}
        lines = Lines(places, numbers(places), numbers(self._meter.before_all(places)))
        return Cuts(units, lines, heads, self._broken)

    def _walk(self) -> None:
        """Goes through the tree, into what does not fit, without recursion: programs may be nested without end."""
        root = self._outline.root
        scopes = [_Scope([children_of(root)], -1, None, "")]
        while scopes:
            scope = scopes[-1]
            child = next(scope.nodes[-1], None)
            if child is None:
                scope.nodes.pop()
                if len(scope.nodes) < scope.inner:
                    scope.inner = 0
                if not scope.nodes:
                    scopes.pop()
                continue
            number = self._outline.by_extent.get((child.start_byte, child.end_byte), -1)
            if number > scope.number:
                if number != self._added:
                    self._added = max(self._added, number)
                    inner = self._define(number, child, scope)
                    if inner is not None:
                        scopes.append(inner)
            else:
                self._step(child, scope)

    def _step(self, child: Node, scope: _Scope) -> None:
        """Adds a node that is no definition, or goes into it."""
        start, stop = self._characters[child.start_byte], self._characters[child.end_byte]
        fits = self._meter.fits(start, stop, self._room)
        is_first = child.is_named and child.type not in _CONTINUES and child.start_byte >= scope.floor
        is_added = is_first and self._add_statement(start, scope)
        if fits or not child.child_count:
            self._end = max(self._end, stop)
            return
        scope.nodes.append(self._sound(child, scope) if child.is_error else children_of(child))
        if is_added and not scope.inner:
            scope.inner = len(scope.nodes)

    def _sound(self, error: Node, scope: _Scope) -> Iterator[Node]:
        """The nodes to look at in one that does not parse; what is between them and does not fit is cut by lines."""
        lost = {
            start: stop
            for start, stop in lost_parts(error)
            if not self._meter.fits(self._characters[start], self._characters[stop], self._room)
        }
        self._broken += lost.items()
        at = error.start_byte
        for child in children_of(error):
            if not is_sound(child):
                continue
            if at in lost:
                self._add_statement(self._characters[at], scope)
            yield child
            at = max(at, child.end_byte)
        if at in lost:
            self._add_statement(self._characters[at], scope)

    def _add_statement(self, start: int, scope: _Scope) -> bool:
        """Adds a place to cut at, if it is one: of a larger statement where that is within one, else a unit."""
        at = self._line_start(start)
        if at is None:
            if start - self._text.rfind("\n", max(start - _LONG_LINE, 0), start) - 1 < min(_LONG_LINE, start):
                return False
            at = start
        last = self._places[-1]
        if at <= (last.cuts[-1] if last.cuts else last.at) or last.stop > at or at >= len(self._text):
            return False
        is_own = last.symbol == scope.symbol and last.stop < 0
        if is_own and (last.whole or scope.inner):
            last.cuts.append(at)
        else:
            self._places.append(_Place(at, scope.symbol, scope.context, whole=False))
        return True

    def _define(self, number: int, node: Node, scope: _Scope) -> _Scope | None:
        """Adds a definition; what is to be cut of it where it does not fit."""
        definition = self._outline.definitions[number]
        lead, start = self._characters[definition.lead], self._characters[definition.start]
        stop = self._line_stop(self._characters[definition.stop])
        at = self._line_start(lead)
        if at is None:
            last_line = self._text.rfind("\n", max(lead - _LONG_LINE, 0), lead) + 1
            at = last_line if self._end <= last_line and lead - last_line < _LONG_LINE and last_line else lead
        fits = self._meter.fits(at, stop, self._limit)
        whole = definition.is_long and definition.type not in GROUPED
        if fits and not whole:
            self._add_statement(lead, scope)
            self._end = max(self._end, stop)
            return None
        is_function = definition.type in FUNCTIONS
        place = _Place(at, definition.symbol, scope.context, whole=fits or is_function or not whole)
        place.around = scope.symbol, scope.context
        self._take(at, start)
        if fits:
            place.stop = stop
            self._places.append(place)
            self._end = max(self._end, stop)
            return None
        head = self.head(definition)
        place.head = head
        self._places.append(place)
        context = f"{scope.context}\n{head}".strip() if is_function else head
        made = _Scope([children_of(node)], number, definition.symbol, context)
        if definition.body < definition.stop and self._meter.fits(at, self._characters[definition.body], self._room):
            made.floor = definition.body
        return made

    def _take(self, at: int, start: int) -> None:
        """A definition takes the places from `at` on: those of comments above it."""
        while len(self._places) > 1 and self._places[-1].at >= at:
            self._places.pop()
        last = self._places[-1]
        while last.cuts and last.cuts[-1] >= at:
            last.cuts.pop()
        if len(self._places) == 1 and last.at == at:
            self._places.pop()

    def head(self, definition: Definition) -> str:
        """The head of a definition in one line, at most `MAX_CONTEXT` characters."""
        start, body = definition.head, definition.body
        raw = self._outline.data[start : min(max(body, start), start + 4 * MAX_CONTEXT)].decode("utf-8", "ignore")
        if body >= definition.stop:
            raw = raw.lstrip().split("\n", 1)[0]  # without a body, what follows is what it is made of
        return one_line(raw)

    def _line_start(self, at: int) -> int | None:
        """The start of the line, where only white space is before `at` in it."""
        start = self._text.rfind("\n", max(at - _LONG_LINE, 0), at) + 1
        if start == 0 and at > _LONG_LINE:
            return None
        return start if not self._text[start:at].strip(" \t\r\f\v\ufeff") else None

    def _line_stop(self, stop: int) -> int:
        tail = _TAIL.match(self._text, stop)
        return tail.end() if tail and not tail[0].strip().strip(";,") else stop

    def _add_tails(self) -> None:
        """What follows a definition goes with it where that fits, else it is a unit of its own."""
        found: list[_Place] = []
        for place, following in zip(self._places, [*self._places[1:], None], strict=True):
            found.append(place)
            after = len(self._text) if following is None else following.at
            if 0 <= place.stop < after and not self._meter.fits(place.at, after, self._limit):
                symbol, context = place.around
                found.append(_Place(place.stop, symbol, context, whole=False))
        self._places = found


def one_line(raw: str) -> str:
    """`raw` in one line without what a body begins with, at most `MAX_CONTEXT` characters."""
    text = " ".join(raw.split()).rstrip(_BLANK)
    while text.endswith(" where"):  # of Rust
        text = text[:-6].rstrip(_BLANK)
    return text[:MAX_CONTEXT]
