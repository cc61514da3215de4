"""Source code: Python by its syntax tree, everything else by blocks of lines between blank ones.

A Python function, with its decorators and the comments above it, is one chunk if it fits, and so is a class; a larger
class becomes its head and its methods, a larger function is cut between its statements. Other statements are grouped
while they fit. All cuts are at line starts, so a semicolon splits nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, fitted_context, grouped, line_cuts
from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.chunks.windows import Window, text_windows

if TYPE_CHECKING:
    from tree_sitter import Node

# A larger file is no source that a person wrote: it is cut by lines, without the memory that a syntax tree takes.
MAX_PARSED_BYTES = 4 << 20
# Classes within classes are looked into this deep.
MAX_CLASS_DEPTH = 16
# Signatures and docstrings beyond this many characters are no context.
MAX_CONTEXT = 300

_DEFINITIONS = frozenset({"function_definition", "class_definition", "decorated_definition"})
# Nodes that hold statements, and nodes that lead to those.
_HOLDERS = frozenset({"block", "case_block"})
_COMPOUND = _DEFINITIONS | frozenset(
    {
        "if_statement", "elif_clause", "else_clause", "for_statement", "while_statement", "with_statement",
        "try_statement", "except_clause", "finally_clause", "match_statement", "case_clause", "ERROR",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """Lines that belong together: from `row` (counted from 0) up to the next unit.

    `whole` is a definition: a chunk of its own. Others are statements, grouped with their neighbours. `cuts` are the
    rows at which it may be cut where it does not fit.
    """

    row: int
    symbol: str | None
    context: str
    whole: bool
    cuts: tuple[int, ...] = ()


class LineChunker:
    """Cuts source code of any language into blocks of lines."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Piece]:
        """Blocks between blank lines, grouped while they fit; a larger block is cut at lines."""
        for window in text_windows(source):
            cutter = Cutter.of(window, "code")
            yield from _blocks(cutter, len(window.text), chunk_tokens)


class PythonChunker:
    """Cuts Python; a file that is too large for a syntax tree is cut as any other code."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Piece]:
        """Functions, classes and groups of statements. `symbol` is the dotted path.

        `context` is the class's signature for a method, the function's for its later parts, else the first line of the
        module's docstring. Lines that do not parse are statements.
        """
        if source.stop - source.start > MAX_PARSED_BYTES:
            yield from LineChunker().chunk(source, chunk_tokens=chunk_tokens)
            return
        for window in text_windows(source, size=MAX_PARSED_BYTES + 1):
            yield from _python_pieces(window, chunk_tokens)


def _blocks(
    cutter: Cutter, stop: int, limit: int, context: tuple[str, int] = ("", 0), symbol: str | None = None
) -> Iterator[Piece]:
    """Pieces up to the character `stop`, cut between blocks, else lines."""
    text, start = cutter.window.text, cutter.start
    ends: list[int] = []
    at = text.find("\n\n", start, stop)
    while at >= 0:
        ends.append(at + 2)
        at = text.find("\n\n", at + 2, stop)
    if not ends or ends[-1] < stop:
        ends.append(stop)
    for _, last in grouped(text, ends, start, cutter.meter, limit):
        for cut in line_cuts(text, cutter.meter, cutter.start, ends[last - 1], limit):
            yield cutter.cut(cut, context=context, symbol=symbol)


def _python_pieces(window: Window, limit: int) -> Iterator[Piece]:
    text = window.text
    cutter = Cutter.of(window, "code")
    lines = [0]
    at = text.find("\n")
    while at >= 0:
        lines.append(at + 1)
        at = text.find("\n", at + 1)
    outline = _PythonOutline(text, lines, cutter, limit)
    units = outline.units()
    stops = [lines[unit.row] for unit in units[1:]] + [len(text)]
    index = 0
    while index < len(units):
        unit = units[index]
        count = 1 if unit.whole else _joined(units, stops, index, cutter, limit)
        stop = stops[index + count - 1]
        index += count
        if cutter.meter.fits(cutter.start, stop, limit):
            room = limit - cutter.meter.tokens(cutter.start, stop)
            yield cutter.cut(stop, context=fitted_context(unit.context, room, "code"), symbol=unit.symbol)
        else:
            yield from _cut_unit(cutter, unit, [lines[row] for row in unit.cuts if lines[row] < stop], stop, limit)


def _joined(units: list[Unit], stops: list[int], index: int, cutter: Cutter, limit: int) -> int:
    """How many statements from `index` on fit together."""
    count = 1
    while index + count < len(units):
        following = units[index + count]
        if following.whole or following.symbol != units[index].symbol:
            break
        if not cutter.meter.fits(cutter.start, stops[index + count], limit):
            break
        count += 1
    return count


def _cut_unit(cutter: Cutter, unit: Unit, cuts: list[int], stop: int, limit: int) -> Iterator[Piece]:
    """A unit that does not fit: cut before the last of its statements that does not fit any more, else at lines."""
    text = cutter.window.text
    context = fitted_context(unit.context, limit // CONTEXT_SHARE, "code")
    later = context
    if unit.whole:
        signature = text[cutter.start : stop].split("\n", 1)[0][:MAX_CONTEXT].strip()
        later = fitted_context(f"{unit.context}\n{signature}".strip(), limit // CONTEXT_SHARE, "code")
    ends = [*cuts, stop]
    for _, last in grouped(text, ends, cutter.start, cutter.meter, limit - later[1]):
        for cut in line_cuts(text, cutter.meter, cutter.start, ends[last - 1], limit - later[1]):
            yield cutter.cut(cut, context=context, symbol=unit.symbol)
            context = later


class _PythonOutline:
    """The units of one module, from its syntax tree."""

    def __init__(self, text: str, lines: list[int], cutter: Cutter, limit: int) -> None:
        self._text, self._lines, self._cutter, self._limit = text, lines, cutter, limit
        self._units: list[Unit] = []

    def units(self) -> list[Unit]:
        """The units in order, the first one at row 0, no two at the same row."""
        import tree_sitter_python
        from tree_sitter import Language, Parser

        parser = Parser(Language(tree_sitter_python.language()))
        # Undecodable bytes become question marks here: rows stay, and columns are not used.
        root = parser.parse(self._text.encode("utf-8", "replace")).root_node
        children = root.named_children
        first = next((child for child in children if child.type != "comment"), None)
        has_docstring = first is not None and first.type == "expression_statement" and self._is_string(first)
        context = self._line(first.start_point.row).strip("\"' \t\ufeff") if first is not None and has_docstring else ""
        # The docstring itself, and what is grouped with it, needs no context.
        self._units.append(Unit(0, None, "", whole=False))
        self._walk(children, (), context, 0)
        return self._units

    @staticmethod
    def _is_string(statement: Node) -> bool:
        return bool(statement.named_children) and statement.named_children[0].type == "string"

    def _add(self, unit: Unit) -> None:
        if self._units[-1].row < unit.row:
            self._units.append(unit)
        elif self._units[-1].row == unit.row and unit.whole:
            # A definition takes the place of the comments above it, or of the empty head of its module.
            self._units[-1] = unit

    def _walk(self, children: list[Node], scope: tuple[str, ...], context: str, depth: int) -> None:
        symbol = ".".join(scope) or None
        above: int | None = None
        end = -1
        for child in children:
            row = child.start_point.row
            if above is not None and row > end + 1:
                above = None
            if child.type == "comment":
                # Comments in lines of their own right above a definition belong to it.
                above = row if above is None and row > end else above
                self._add(Unit(above or row, symbol, context, whole=False))
            elif child.type in _DEFINITIONS:
                self._define(child, row if above is None else above, scope, context, depth)
                above = None
            else:
                self._add(Unit(row, symbol, context, whole=False, cuts=self._inner_rows(child, row)))
                above = None
            end = child.end_point.row

    def _define(self, node: Node, row: int, scope: tuple[str, ...], context: str, depth: int) -> None:
        definition = node.child_by_field_name("definition") or node
        name = definition.child_by_field_name("name")
        path = (*scope, name.text.decode("utf-8", "replace") if name is not None and name.text else "?")
        body = definition.child_by_field_name("body")
        cuts = self._inner_rows(node, row)
        is_class = definition.type == "class_definition"
        self._add(Unit(row, ".".join(path), context, whole=True, cuts=() if is_class else cuts))
        if cuts and is_class and body is not None and depth < MAX_CLASS_DEPTH:
            self._walk(body.named_children, path, self._line(definition.start_point.row).strip(), depth + 1)

    def _inner_rows(self, node: Node, row: int) -> tuple[int, ...]:
        """Rows of the statements inside `node`, whose lines begin at `row`; none where it fits."""
        end = node.end_point.row + 1
        stop = self._lines[end] if end < len(self._lines) else len(self._text)
        if self._cutter.meter.fits(self._lines[row], stop, self._limit):
            return ()
        rows: set[int] = set()
        ahead = [node]
        while ahead:
            for child in ahead.pop().named_children:
                if child.type in _HOLDERS:
                    ahead.append(child)
                    rows.update(statement.start_point.row for statement in child.named_children)
                elif child.type in _COMPOUND:
                    ahead.append(child)
        return tuple(sorted(each for each in rows if each > row))

    def _line(self, row: int) -> str:
        stop = self._lines[row + 1] if row + 1 < len(self._lines) else len(self._text)
        return self._text[self._lines[row] : min(stop, self._lines[row] + MAX_CONTEXT)].rstrip()
