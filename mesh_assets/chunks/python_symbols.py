"""What a Python module defines, and what each definition imports, calls and inherits, from its logical lines.

A definition is a head and the deeper lines behind it; a call is names joined by dots before a bracket. Both are looked
for in the text without strings and comments. The syntax tree says the same (tests compare the two) at a sixth of the
speed. Rows are made in `syntax.rows`; where pieces are cut belongs to `python_scan`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from keyword import kwlist
from typing import NamedTuple

import numpy as np

from mesh_assets.chunks.python_text import STRINGS, Lines, Logical
from mesh_assets.chunks.syntax.outline import Uses

# Names of more characters are none that a person wrote.
_MAX_NAME = 120
_MAX_BASE = 400
_MAX_HEAD = 1200
_MAX_DOC = 400

_HEAD = re.compile(r"(?:(?:async[ \t]++)?def|(?P<class>class))[ \t]++(?P<name>\w++)")
_CONSTANT = re.compile(r"(_?[A-Z][A-Z0-9_]*+)[ \t]*+(?:=(?!=)|:(?!=))")
_ALIAS = re.compile(r"type[ \t]++(\w++(?:\[[^\]]*+\])?+)[ \t]*+=(?!=)")
_CALLED = re.compile(r"[\w.]++(?=[ \t]*+(?:\\\r?\n[ \t]*+)?\()")
_IMPORT = re.compile(r"import(?=[ \t\\(*])")
_FROM = re.compile(r"(?:.*[;:])?[ \t]*+from[ \t]*+([.\w \t]+?)[ \t]*+\Z", re.DOTALL)
_BEFORE_STATEMENT = re.compile(r"(?:.*[;:])?[ \t\ufeff]*+\Z", re.DOTALL)
_IN_NAME = frozenset("_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_IMPORTED = re.compile(r"[ \t\\\r\n]*+(?:\(([^)]*+)\)|((?:[^\n;\\]|\\\r?\n)*+))")
_BRACKET_OR_COLON = re.compile(r"[()\[\]{}:]")
_BRACKET_OR_COMMA = re.compile(r"[()\[\]{},]")
# A base that is a name, or something of one; with what is in brackets left out.
_BASE = re.compile(r"(?!\d)[\w.]++(?:\s*+(?:\(\)|\[\]|\.[\w.]++))*+\Z")
_CASE = re.compile(r"^[ \t]*+case\b(?![ \t]*+[=.,)\]:]).*?:", re.MULTILINE)
_MATCH = re.compile(r"^[ \t]*+(?:match|case)\b(?=[ \t]*+\(.*:[ \t\r]*+$)", re.MULTILINE)
_KEYWORDS = frozenset(kwlist)
_STRING_LEADS = frozenset(b"\"'rRuUbBfF")
_DOC = re.compile(r"[rRuUbBfF]{0,2}(?=[\"'])")
_DEFINING = re.compile(rb"[acdt]")
_AT, _HASH = b"@#"


class Definition(NamedTuple):
    """One definition: characters from `start` to `stop` with its decorators, rows (from 0) that those are in.

    `lead` is where the comments directly above begin. `owner` is the number of the definition around it, or -1.
    """

    type: str
    name: str
    symbol: str
    start: int
    stop: int
    first_row: int
    last_row: int
    signature: str
    lead: int
    owner: int


class _Found(NamedTuple):
    """A definition in logical lines: from `first` up to `stop`, its head in `line`, its name up to `behind`."""

    type: str
    name: str
    first: int
    line: int
    stop: int
    start_at: int
    head_at: int
    behind: int
    stop_at: int


class PythonSymbols:
    """The definitions of one module in the order of their starts, and what each of them, and the file, uses."""

    def __init__(self, text: str, lines: Lines, logical: Logical) -> None:
        self.text = self._text = text
        self._lines, self._logical = lines, logical
        self._masked = _without_patterns(logical.masked)
        self.definitions: list[Definition] = []
        self.file = Uses()
        self.uses: list[Uses] = []
        self._resolved: dict[str, str] = {}
        # Parts of the text, by their starts, and the definition that each belongs to.
        self._part_starts: list[int] = []
        self._part_owners: list[int] = []
        self._define()
        self._add_imports()

    # ------------------------------------------------------------------ definitions

    def _define(self) -> None:
        around: list[tuple[int, int, int]] = []  # line and character behind, number
        at = 0
        for found in self._found():
            while around and around[-1][0] <= found.first:
                _, stop, number = around.pop()
                self._add_calls(at, stop, number)
                at = max(at, stop)
            owner = around[-1][2] if around else -1
            self._add_calls(at, found.start_at, owner)
            number = len(self.definitions)
            self._add_definition(found, owner)
            self._add_calls(found.start_at, found.head_at, number)
            at = found.behind
            around.append((found.stop, found.stop_at, number))
        while around:
            _, stop, number = around.pop()
            self._add_calls(at, stop, number)
            at = max(at, stop)
        self._add_calls(at, len(self._text), -1)

    def _found(self) -> Iterator[_Found]:
        """Definitions and constants in the order of their lines."""
        logical, masked = self._logical, self._masked
        at, leads, indents = logical.at, logical.leads, logical.indents
        heads: list[tuple[int, str, str, int, int]] = []
        for lead in _DEFINING.finditer(leads):
            index = lead.start()
            if (head := _HEAD.match(masked, at[index])) is not None:
                heads.append((index, "class" if head["class"] else "function", head["name"], head.end(), -1))
            elif lead[0] == b"t" and (alias := _ALIAS.match(masked, at[index])) is not None:
                heads.append((index, "type", alias[1], at[index], -1))
        for index in np.flatnonzero(indents == 0).tolist():
            if 65 <= leads[index] <= 90 or leads[index] == 95:
                if (constant := _CONSTANT.match(masked, at[index])) is not None:
                    heads.append((index, "constant", constant[1], at[index], index + 1))
        heads.sort()
        stops = self._stops([head[0] for head in heads])
        for (index, what, name, behind, own_stop), stop in zip(heads, stops, strict=True):
            stop = own_stop if own_stop >= 0 else index + 1 if what == "type" else stop
            first = index
            if what in ("function", "class"):
                above = index - 1
                while above >= 0 and leads[above] in (_AT, _HASH):
                    if leads[above] == _AT:
                        first = above
                    above -= 1
            yield _Found(what, name, first, index, stop, at[first], at[index], behind, self._end(stop - 1, has_comment=what in ("function", "class")))

    def _stops(self, heads: list[int]) -> list[int]:
        """Behind the last logical line of what begins with each of these."""
        indents = self._logical.indents
        own = indents[heads]
        stops = np.full(len(heads), len(indents), np.int64)
        for level in np.unique(own).tolist():
            outer = np.append(np.flatnonzero(indents <= level), len(indents))
            here = np.flatnonzero(own == level)
            stops[here] = outer[np.searchsorted(outer, np.array(heads)[here], "right")]
        return stops.tolist()

    def _end(self, line: int, *, has_comment: bool = False) -> int:
        """Where the content of a logical line ends, which may be a comment behind it."""
        start, stop = self._logical.at[line], self._lines.starts[self._logical.lasts[line] + 1]
        content = (self._text if has_comment else self._masked)[start:stop]
        return start + len(content.rstrip())

    def _add_definition(self, found: _Found, owner: int) -> None:
        outer = self.definitions[owner] if owner >= 0 else None
        what = found.type
        if what == "function" and outer is not None and outer.type == "class":
            what = "method"
        symbol = f"{outer.symbol}.{found.name}" if outer is not None else found.name
        uses = Uses()
        logical = self._logical
        head_stop = found.stop_at
        if what in ("function", "method", "class"):
            head_stop = self._head_stop(found)
            uses.doc = self._doc(found, head_stop)
        if what == "class":
            for base in self._bases(found.behind, head_stop):
                uses.bases[base] = None
        signature = self._text[found.head_at : min(head_stop, found.head_at + _MAX_HEAD)]
        rows = self._lines.starts
        last_row = bisect_right(rows, max(found.stop_at - 1, found.start_at)) - 1
        self.uses.append(uses)
        self.definitions.append(
            Definition(
                what, found.name[:_MAX_NAME], symbol, found.start_at, found.stop_at, logical.rows[found.first],
                last_row, signature, self._lead(found.first), owner,
            )
        )  # fmt: skip

    def _head_stop(self, found: _Found) -> int:
        """Behind the colon of a head."""
        end = self._end(found.line)
        if self._masked[end - 1] == ":":
            return end
        depth = 0
        for part in _BRACKET_OR_COLON.finditer(self._masked, found.behind, end):
            if part[0] in "([{":
                depth += 1
            elif part[0] in ")]}":
                depth -= 1
            elif depth == 0:
                return part.end()
        return end

    def _doc(self, found: _Found, head_stop: int) -> str | None:
        logical = self._logical
        end = self._lines.starts[logical.lasts[found.line] + 1]
        if self._masked[head_stop:end].strip():  # in the same line
            start = head_stop + len(self._text[head_stop:end]) - len(self._text[head_stop:end].lstrip())
            return self._string_at(start, end)
        following = found.line + 1
        while following < found.stop and logical.leads[following] == _HASH:
            following += 1
        return self._doc_in(following) if following < found.stop else None

    def _doc_in(self, line: int) -> str | None:
        logical = self._logical
        if logical.leads[line] not in _STRING_LEADS:
            return None
        return self._string_at(logical.at[line], self._lines.starts[logical.lasts[line] + 1])

    def _string_at(self, start: int, end: int) -> str | None:
        """The string that is all of the statement at `start`, in a logical line that stops at `end`."""
        text = self._text
        prefix = _DOC.match(text, start)
        string = STRINGS.match(text, prefix.end()) if prefix is not None else None
        if string is None or self._masked[string.end() : end].lstrip()[:1] not in ("", ";", ","):
            return None
        doc = text[start : min(string.end(), start + _MAX_DOC)]
        return doc if doc.isascii() else doc.encode()[:_MAX_DOC].decode("utf-8", "replace")

    def _lead(self, first: int) -> int:
        """Where the comments in lines of their own directly above the logical line `first` begin."""
        leads, rows = self._logical.leads, self._logical.rows
        while first and leads[first - 1] == _HASH and rows[first - 1] + 1 == rows[first]:
            first -= 1
        return self._logical.at[first]

    def _bases(self, behind: int, head_stop: int) -> Iterator[str]:
        masked = self._masked
        start = depth = -1
        flat: list[str] = []
        at = begun = 0
        depth = 0
        for part in _BRACKET_OR_COMMA.finditer(masked, behind, head_stop):
            what = part[0]
            if depth == 0:
                if what == "[":  # parameters of types
                    depth = 1
                    start = -1
                elif what == "(":
                    depth, start, at, begun, flat = 1, part.start(), part.end(), part.end(), []
                continue
            if start < 0:
                depth += (what in "([{") - (what in ")]}")
                continue
            if depth == 1 and what in ",)":
                flat.append(masked[at : part.start()])
                if _BASE.match("".join(flat).strip()):
                    raw = self._text[begun : part.start()].strip()[:_MAX_BASE]
                    if raw not in _KEYWORDS:
                        yield " ".join(raw.split())
                if what == ")":
                    return
                flat, at, begun = [], part.end(), part.end()
            elif what in "([{":
                if depth == 1:
                    flat.append(masked[at : part.end()])
                depth += 1
            elif what in ")]}":
                depth -= 1
                if depth == 1:
                    at = part.start()

    # ------------------------------------------------------------------ uses

    def _add_calls(self, start: int, stop: int, owner: int) -> None:
        if start >= stop:
            return
        self._part_starts.append(start)
        self._part_owners.append(owner)
        names = dict.fromkeys(_CALLED.findall(self._masked, start, stop))
        if not names:
            return
        calls = (self.uses[owner] if owner >= 0 else self.file).calls
        resolved = self._resolved
        for name in names:
            callee = resolved.get(name)
            if callee is None:
                callee = resolved[name] = _callee(name)
            if callee:
                calls[callee] = None

    def _add_imports(self) -> None:
        masked = self._masked
        for found in _IMPORT.finditer(masked):
            start = masked.rfind("\n", 0, found.start()) + 1
            if found.start() > start and masked[found.start() - 1] in _IN_NAME:
                continue
            while start > 1 and masked[: start - 1].endswith(("\\", "\\\r")):
                start = masked.rfind("\n", 0, start - 1) + 1
            before = masked[start : found.start()].replace("\\", " ").replace("\n", " ").replace("\r", " ")
            module = None
            if _BEFORE_STATEMENT.match(before) is None:
                source = _FROM.match(before)
                if source is None:
                    continue
                module = source[1].replace(" ", "").replace("\t", "")
            names = _IMPORTED.match(masked, found.end())
            assert names is not None
            owner = self._part_owners[bisect_right(self._part_starts, start) - 1] if self._part_starts else -1
            own = self.uses[owner] if owner >= 0 else self.file
            for each in (names[1] or names[2] or "").replace("\\", " ").split(","):
                words = each.split()
                if not words:
                    continue
                name = words[0]
                if module is not None and module != "__future__":
                    name = f"{module}{name}" if module.endswith(".") else f"{module}.{name}"
                own.imports[name] = None
                self.file.imports[name] = None

    # ------------------------------------------------------------------ the file

    @property
    def file_doc(self) -> str | None:
        """The string that the module begins with."""
        leads = self._logical.leads
        first = next((line for line in range(len(leads)) if leads[line] != _HASH), None)
        return self._doc_in(first) if first is not None else None

    def comments(self) -> list[tuple[int, int]]:
        """Comments before everything else."""
        logical = self._logical
        found: list[tuple[int, int]] = []
        for line, lead in enumerate(logical.leads):
            if lead != _HASH:
                break
            found.append((logical.at[line], self._end(line, has_comment=True)))
        return found


def _callee(name: str) -> str:
    """What is called where `name` stands before a bracket: the last name where it is no path of names."""
    if name in _KEYWORDS or len(name) > _MAX_NAME or name[0] in ".0123456789" or ".." in name:
        name = name.rpartition(".")[2] if "." in name else ""
        return "" if name[:1].isdigit() else name
    return name if name[-1] != "." else ""


def _without_patterns(masked: str) -> str:
    """`masked` without the patterns of `case`, which look like calls, and without `match` before a bracket."""
    if "case" not in masked or "match" not in masked:
        return masked
    masked = _CASE.sub(lambda found: found[0].replace("(", " ").replace(")", " "), masked)
    return _MATCH.sub(lambda found: " " * len(found[0]), masked)
