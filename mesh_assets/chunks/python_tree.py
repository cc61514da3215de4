"""The outline of a Python module from its syntax tree: slow (5 MB per CPU-second), for what `python_scan` is unsure of.

Lines that do not parse are statements. What a unit is belongs to `python_scan`; how units become chunks to `code`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_assets.chunks.python_scan import MAX_CLASS_DEPTH, Unit
from mesh_assets.chunks.python_text import Lines

if TYPE_CHECKING:
    from tree_sitter import Node

_DEFINITIONS = frozenset({"function_definition", "class_definition", "decorated_definition"})
# Nodes that hold statements, and nodes that lead to those.
_HOLDERS = frozenset({"block", "case_block"})
_COMPOUND = _DEFINITIONS | frozenset(
    {
        "if_statement", "elif_clause", "else_clause", "for_statement", "while_statement", "with_statement",
        "try_statement", "except_clause", "finally_clause", "match_statement", "case_clause", "ERROR",
    }
)  # fmt: skip


def parsed_units(text: str, lines: Lines, limit: int) -> list[Unit]:
    """As `python_scan.scanned_units`, for any text."""
    return _PythonOutline(text, lines, limit).units()


class _PythonOutline:
    """The units of one module."""

    def __init__(self, text: str, lines: Lines, limit: int) -> None:
        self._text, self._lines, self._limit = text, lines, limit
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
        context = (
            self._lines.line(self._text, first.start_point.row).strip("\"' \t\ufeff")
            if first is not None and has_docstring
            else ""
        )
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
            self._walk(
                body.named_children, path, self._lines.line(self._text, definition.start_point.row).strip(), depth + 1
            )

    def _inner_rows(self, node: Node, row: int) -> tuple[int, ...]:
        """Rows of the statements inside `node`, whose lines begin at `row`; none where it fits."""
        if self._lines.fits(row, node.end_point.row + 1, self._limit):
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
