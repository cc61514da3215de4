"""What a syntax tree says of a program: its definitions, one within another, and what each of them uses.

tree-sitter's query finds the nodes (in C); here they get their extents, names and owners. All places are bytes of the
UTF-8 that was parsed. Where pieces are cut belongs to `cuts`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import thread_time
from typing import TYPE_CHECKING

from mesh_assets.chunks.syntax.grammar import CLASSES, FUNCTIONS, OUTER_ONLY, Grammar, loaded

if TYPE_CHECKING:
    from tree_sitter import Node

# The parser asks after each hundred steps whether to go on: 5 to 55 times for 1,000 bytes of a program. What takes more
# than this is none: what some grammars do to mend 1,000 bytes of it takes minutes. (Counted, not timed, so that the
# same file is cut the same way on any machine.)
ASKED_PER_BYTE = 0.08
MIN_ASKED = 500
# All the same some of those steps take a thousand times as long as others. Programs of `MAX_PARSED_BYTES` take 3 s.
MAX_CPU_SECONDS = 30.0
# The clock is a system call: looked at each time, it takes a sixth of the whole.
_ASKED_PER_CLOCK = 16
_READ_BYTES = 1 << 16
# A node of fewer bytes, in what does not parse, is a word that happens to be one.
_SOUND_BYTES = 16
_MANY_CHILDREN = 1000
# Names and callees of more bytes than this are expressions.
_MAX_NAME = 120
_MAX_USE = 400

# What is called on a call, an element or a literal has no path of names; the last name is all that is known.
_NO_PATH = re.compile(rb"[(\[{\n]|[\"'`]\s*+\.")
_LAST_NAME = re.compile(rb"[\w$\x80-\xff]+[!?]?$")
# Scanners of some grammars look characters up in C's tables, which end at 255: what is far behind those is no memory
# (bash 0.25 dies of `{` and U+FF999). Letters of 1 to 255 with as many bytes take their place.
_FOUR_BYTES = re.compile(b"[\xf0-\xf4][\x80-\xbf]{3}")
_THREE_BYTES = re.compile(b"[\xe0-\xef][\x80-\xbf]{2}")
_TWO_BYTES = re.compile(b"[\xc4-\xdf][\x80-\xbf]")
_QUOTES = b"\"'` \t\r\n"
_TEXT_ENDS = _QUOTES + b";"


@dataclass(slots=True)
class Definition:
    """One definition: from `start` to `stop` with its decorators, its head from `head` to `body`.

    `lead` is where what belongs to it begins: comments and attributes directly above. `owner` is the `number` of
    the definition around it, -1 for the file. `name_at` is where the
    name is.
    """

    type: str
    name: str
    symbol: str
    start: int
    stop: int
    head: int
    body: int
    node: Node
    name_at: int
    number: int = -1
    owner: int = -1
    lead: int = -1
    is_long: bool = False


@dataclass(slots=True)
class Uses:
    """What one definition, or the file outside of all, uses; each name once, in the order of the text."""

    imports: dict[str, None] = field(default_factory=dict[str, None])
    calls: dict[str, None] = field(default_factory=dict[str, None])
    bases: dict[str, None] = field(default_factory=dict[str, None])
    doc: str | None = None

    @property
    def lists(self) -> tuple[list[str], list[str], list[str]]:
        """Imports, calls and bases."""
        return list(self.imports), list(self.calls), list(self.bases)


@dataclass(slots=True)
class Outline:
    """The definitions of one program in the order of their starts, outer ones first; `errors` do not parse."""

    data: bytes
    grammar: Grammar
    root: Node
    definitions: list[Definition]
    captured: dict[str, list[Node]]
    errors: list[Node]
    # Numbers of definitions by their extents; equations of one function have the same.
    by_extent: dict[tuple[int, int], int]

    def uses(self) -> tuple[Uses, list[Uses]]:
        """What the file uses outside of its definitions, with all its imports, and what each definition does."""
        return _Uses(self).found()

    @property
    def error_bytes(self) -> int:
        """How many bytes do not parse."""
        lost = at = 0
        for start, stop in sorted(part for node in self.errors for part in lost_parts(node)):
            lost += max(stop - max(start, at), 0)
            at = max(at, stop)
        return lost


def children_of(node: Node) -> Iterator[Node]:
    """The children in order; of a node with many (a table of numbers has millions) without a list of them."""
    if node.child_count <= _MANY_CHILDREN:
        yield from node.children
        return
    cursor = node.walk()
    more = cursor.goto_first_child()
    while more:
        assert cursor.node is not None
        yield cursor.node
        more = cursor.goto_next_sibling()


def lost_parts(error: Node) -> Iterator[tuple[int, int]]:
    """The parts of a node that does not parse between those nodes in it that do, or have errors of their own."""
    at = error.start_byte
    for child in children_of(error):
        if is_sound(child):
            if child.start_byte > at:
                yield at, child.start_byte
            at = max(at, child.end_byte)
    if at < error.end_byte:
        yield at, error.end_byte


def is_sound(child: Node) -> bool:
    """Whether a node within one that does not parse is a statement or the like, or has some: a word says little."""
    if child.is_error:
        return any(not inner.is_error and is_sound(inner) for inner in child.children)
    return child.end_byte - child.start_byte >= _SOUND_BYTES and (child.child_count > 1 or child.is_extra)


def parsed(data: bytes, grammar_name: str) -> Outline | None:
    """The outline of the program `data` (UTF-8); None where the parser gives up."""
    from tree_sitter import Parser, QueryCursor

    known = loaded(grammar_name)
    asked = 0
    most = MIN_ASKED + int(len(data) * ASKED_PER_BYTE)
    until = thread_time() + MAX_CPU_SECONDS

    def is_too_much(_offset: int, _has_error: bool) -> bool:
        nonlocal asked
        asked += 1
        return asked > most or (asked % _ASKED_PER_CLOCK == 0 and thread_time() > until)

    safe = _safe(data, known.grammar)
    try:
        tree = Parser(known.language).parse(
            lambda offset, _point: safe[offset : offset + _READ_BYTES], progress_callback=is_too_much
        )
    except ValueError:
        return None
    named: list[dict[str, list[Node]]] = []
    captured: dict[str, list[Node]] = {}
    for _, captures in QueryCursor(known.query).matches(tree.root_node):
        if "name" in captures:
            named.append(captures)
        else:
            for what, nodes in captures.items():
                captured.setdefault(what, []).extend(nodes)
    definitions, by_extent = _definitions(data, named, known.grammar)
    _set_leads(data, definitions, captured)
    errors = captured.get("error", [])
    return Outline(data, known.grammar, tree.root_node, definitions, captured, errors, by_extent)


def _safe(data: bytes, grammar: Grammar) -> bytes:
    """`data` for the parser, byte by byte: characters that its scanners may not survive are other letters."""
    if data.isascii():
        return data
    if grammar.is_narrow:
        data = data[:3] + _TWO_BYTES.sub("é".encode(), _THREE_BYTES.sub("éa".encode(), data[3:]))
    return _FOUR_BYTES.sub("éé".encode(), data)


def _definitions(
    data: bytes, named: list[dict[str, list[Node]]], grammar: Grammar
) -> tuple[list[Definition], dict[tuple[int, int], int]]:
    found: dict[tuple[int, int, str], Definition] = {}
    for captures in named:
        made = _definition(data, captures, grammar)
        if made is not None:
            found.setdefault((made.start, -made.stop, made.name), made)
    ordered = [found[key] for key in sorted(found)]
    parts: dict[tuple[int, int], tuple[int, int]] = {}
    if grammar.merged:
        ordered, parts = _merged(data, ordered)
    kept = _nested(ordered)
    by_extent: dict[tuple[int, int], int] = {}
    for number, each in enumerate(kept):
        by_extent.setdefault((each.start, each.stop), number)
    for extent, whole in parts.items():
        if whole in by_extent:
            by_extent.setdefault(extent, by_extent[whole])
    return kept, by_extent


def _nested(ordered: list[Definition]) -> list[Definition]:
    """`ordered` with their owners and symbols, without what is only a variable of a function."""
    kept: list[Definition] = []
    around: list[Definition] = []
    for each in ordered:
        while around and around[-1].stop < each.stop:
            around.pop()
        outer = around[-1] if around else None
        if outer is not None and outer.start == each.start and outer.stop == each.stop:
            outer = kept[outer.owner] if outer.owner >= 0 else None  # another name in the same statement
        if each.type in OUTER_ONLY and any(one.type in FUNCTIONS for one in around):
            continue
        each.number = len(kept)
        each.owner = outer.number if outer is not None else -1
        if each.type == "prototype":
            each.type = "function"
        if each.type == "function" and outer is not None and outer.type in CLASSES:
            each.type = "method"
        each.symbol = f"{outer.symbol}.{each.name}" if outer is not None else each.name
        around.append(each)
        kept.append(each)
    return kept


def _merged(data: bytes, ordered: list[Definition]) -> tuple[list[Definition], dict[tuple[int, int], tuple[int, int]]]:
    """Equations of one function as one definition, and the extent of each with that of the whole."""
    kept: list[Definition] = []
    parts: dict[int, list[tuple[int, int]]] = {}
    for each in ordered:
        extent = (each.start, each.stop)
        last = kept[-1] if kept else None
        while last is not None and each.start < last.stop:  # within it: look at what is around
            last = None
        if last is not None and last.name == each.name and not data[last.stop : each.start].strip():
            if last.type == "prototype":
                last.type, last.node = each.type, each.node
            last.stop, last.is_long = each.stop, True
            parts[id(last)].append(extent)
        else:
            kept.append(each)
            parts[id(each)] = [extent]
    return kept, {extent: (each.start, each.stop) for each in kept for extent in parts[id(each)]}


def _definition(data: bytes, captures: dict[str, list[Node]], grammar: Grammar) -> Definition | None:
    kind = node = None
    for capture, nodes in captures.items():
        if capture not in ("name", "scope", "body", "head") and capture[0] != "_":
            kind, node = capture, nodes[0]
    if kind is None or node is None:
        return None
    names = [captures[key][0] for key in ("scope", "name") if key in captures]
    name = ".".join([_name(data[part.start_byte : part.end_byte], grammar.joints) for part in names])
    if not name:
        return None
    outer = node
    while (parent := outer.parent if grammar.wrappers else None) is not None and parent.type in grammar.wrappers:
        outer = parent
    start, stop = outer.start_byte, outer.end_byte
    if start >= stop:
        return None
    return Definition(
        kind, name, "", start, stop, _head(outer, grammar), _head_stop(node, captures, grammar, stop), node,
        captures["name"][0].start_byte, is_long=node.start_point[0] != node.end_point[0],
    )  # fmt: skip


def _head(node: Node, grammar: Grammar) -> int:
    """Where the head begins: behind annotations, decorators and attributes."""
    if not grammar.passed:
        return node.start_byte
    at = node
    while True:
        for child in at.children:
            if child.type not in grammar.passed and child.type not in grammar.comments:
                break
        else:
            return at.start_byte
        if child.type != "modifiers":
            return child.start_byte
        if all(part.type in grammar.passed for part in child.children):
            following = child.next_sibling
            return following.start_byte if following is not None else at.start_byte
        at = child


def _head_stop(node: Node, captures: dict[str, list[Node]], grammar: Grammar, stop: int) -> int:
    if "head" in captures:
        return captures["head"][0].end_byte
    body = captures["body"][0] if "body" in captures else node.child_by_field_name("body")
    if body is None and grammar.bodies:
        body = next((child for child in node.children if child.type in grammar.bodies), None)
    return stop if body is None else body.start_byte


def _name(raw: bytes, joints: tuple[str, ...]) -> str:
    text = b" ".join(raw.strip(_QUOTES).split())[:_MAX_NAME].decode("utf-8", "ignore")
    for joint in joints:
        text = text.replace(joint, ".")
    return text


def _set_leads(data: bytes, definitions: list[Definition], captured: dict[str, list[Node]]) -> None:
    """Gives each definition the comments and attributes in lines of their own directly above it."""
    above = sorted((node.start_byte, node.end_byte) for key in ("comment", "above") for node in captured.get(key, ()))
    stops = [stop for _, stop in above]
    for each in definitions:
        lead = each.start
        at = bisect_right(stops, lead) - 1
        while at >= 0:
            start, stop = above[at]
            between = data[stop:lead]
            breaks = between.count(b"\n") + (data[stop - 1 : stop] == b"\n")
            if between.strip() or breaks > 1 or not _is_first(data, start):
                break
            lead = start
            at -= 1
        each.lead = lead
        at = bisect_right(stops, each.body) - 1
        while at >= 0 and above[at][0] > each.head and not data[above[at][1] : each.body].strip():
            each.body = above[at][0]  # comments before the first statement of a body that has no brace
            at -= 1


def _is_first(data: bytes, at: int) -> bool:
    """Whether there is only white space before `at` in its line."""
    before = data[max(at - _MAX_NAME, 0) : at]
    line = before[before.rfind(b"\n") + 1 :]
    return not line.strip(b" \t\xef\xbb\xbf") and (len(line) < _MAX_NAME)


class _Uses:
    """One sweep over what a program uses, and over its definitions, in the order of the text."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._data = outline.data
        self._file = Uses()
        self._found = [Uses() for _ in outline.definitions]

    def found(self) -> tuple[Uses, list[Uses]]:
        module = b""
        objects = {node.end_byte: node.start_byte for node in self._outline.captured.get("object", ())}
        for start, stop, what, owner in self._owned():
            uses = self._found[owner] if owner >= 0 else self._file
            text = self._data[start : min(stop, start + _MAX_USE)]
            if what == "call":
                if owner >= 0 and self._outline.definitions[owner].name_at == start:
                    continue  # a head that is written as a call
                uses.calls[self._callee(start, stop, objects)] = None
            elif what == "module":
                module = text
            elif what == "doc":
                uses.doc = uses.doc or text.decode("utf-8", "replace")
            elif what == "base":
                uses.bases[_text(text)] = None
            else:
                if what == "member":
                    text = module + (b"" if module.endswith(b".") else b".") + text
                uses.imports[_text(text)] = None
                self._file.imports[_text(text)] = None
        for each in (self._file, *self._found):
            each.calls.pop("", None)
        return self._file, self._found

    def _owned(self) -> Iterator[tuple[int, int, str, int]]:
        """Each use with the number of the innermost definition around it."""
        nodes = [
            (node.start_byte, node.end_byte, what)
            for what in ("call", "import", "module", "member", "base", "doc")
            for node in self._outline.captured.get(what, ())
        ]
        nodes.sort()
        definitions = self._outline.definitions
        around: list[int] = []
        following = 0
        for start, stop, what in nodes:
            while following < len(definitions) and definitions[following].start <= start:
                each = definitions[following]
                last = definitions[around[-1]] if around else None
                if last is None or (each.start, each.stop) != (last.start, last.stop):
                    while around and definitions[around[-1]].stop <= each.start:
                        around.pop()
                    around.append(following)
                following += 1
            while around and definitions[around[-1]].stop <= start:
                around.pop()
            yield start, stop, what, around[-1] if around else -1

    def _callee(self, start: int, stop: int, objects: dict[int, int]) -> str:
        data = self._data
        for gap in (1, 2, 3):  # `.`, `->`, `::`, `?->`
            if start - gap in objects and not data[start - gap : start].strip(b".->:?&"):
                start = objects[start - gap]
                break
        raw = data[max(start, stop - _MAX_USE) : stop]
        if len(raw) > _MAX_NAME or _NO_PATH.search(raw):
            last = _LAST_NAME.search(raw)
            raw = last[0] if last else b""
        return raw.decode("utf-8", "replace")


def _text(raw: bytes) -> str:
    text = b" ".join(raw.strip(_TEXT_ENDS).split())
    return text.removeprefix(b"import ").decode("utf-8", "replace")
