"""What a Python module defines, and what each definition imports, calls and inherits, from its logical lines.

A definition is a head and the deeper lines behind it; a call is names joined by dots before a bracket. Both are looked
for in the text without strings and comments. The syntax tree says the same (tests compare the two) at a sixth of the
speed. Rows are made in `syntax.rows`; where pieces are cut belongs to `python_scan`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import partial
from keyword import kwlist
from typing import NamedTuple

import numpy as np

from mesh_assets.chunks.python_text import STRINGS, Lines, Logical

# Names of more characters are none that a person wrote.
_MAX_NAME = 120
_MAX_BASE = 400
# What is longer is no name.
_MAX_ARGUMENT = 4000
_MAX_HEAD = 1200
_MAX_SYMBOL = 1000
# Brackets in brackets of a base that are looked into.
_MAX_DEPTH = 20
# Where a statement that imports begins: so many lines and characters before its `import`.
_MAX_CONTINUED, _MAX_BEFORE = 5, 1000
_MAX_DOC = 400

_HEAD = re.compile(r"(?:(?:async[ \t]++)?def|(class))[ \t]++(\w++)")
_CONSTANT = re.compile(r"(_?[A-Z][A-Z0-9_]*+)[ \t]*+(?:=(?!=)|:(?!=))")
_ALIAS = re.compile(r"type[ \t]++(\w++(?:\[[^\]]*+\])?+)[ \t]*+=(?!=)")
# Backwards, a bracket and the names before it: forwards, where each name may be called, it takes fifteen times as long.
_CALLED = re.compile(r"\([ \t]*+(?:\n\r?\\[ \t]*+)?([\w.]++)|\0")
# Between the parts of definitions.
_BETWEEN = "\0"
_IMPORT = re.compile(r"import(?=[ \t\\(*])")
_FROM = re.compile(r"(?:.*[;:])?[ \t]*+from[ \t]*+([.\w \t]+?)[ \t]*+\Z", re.DOTALL)
_CONTINUED = re.compile(r"[\\\r\n]")
_BEFORE_STATEMENT = re.compile(r"(?:.*[;:])?[ \t\ufeff]*+\Z", re.DOTALL)
_IN_NAME = frozenset("_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_IMPORTED = re.compile(r"[ \t\\\r\n]*+(?:\(([^();:]*+)\)|((?:[\w.,* \t]|\\\r?\n)*+))")
_BRACKET_OR_COLON = re.compile(r"[()\[\]{}:]")
_BRACKET_OR_COMMA = re.compile(r"[()\[\]{},]")
_INNERMOST = re.compile(r"\([^()\[\]{}]*+\)|\[[^()\[\]{}]*+\]|\{[^()\[\]{}]*+\}")
_BASE = re.compile(r"(?![\d.])[\w.]++\s*+")
_CASE = re.compile(r"^[ \t]*+case\b(?![ \t]*+[=.,)\]:]).*?(?:\bif\b|:)", re.MULTILINE)
_MATCH = re.compile(r"^[ \t]*+(?:match|case)\b(?=[ \t]*+\(.*:[ \t\r]*+$)", re.MULTILINE)
_KEYWORDS = frozenset(kwlist)
_STRING_LEADS = frozenset(b"\"'rRuUbBfF")
_DOC = re.compile(r"[rRuUbBfF]{0,2}(?=[\"'])")
_DEFINING = re.compile(rb"[acdt]")
_BLOCKS = frozenset({"function", "class"})
_AT, _HASH, _TYPE = b"@#t"
_ABOVE = frozenset(b"@#")
_IS_CAPITAL = np.isin(np.arange(256), list(b"_ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


class Definition(NamedTuple):
    """One definition: characters from `start` to `stop` with its decorators, and the rows (from 0) that those are in.

    `lead` is where the comments directly above begin, `owner` the number of the definition around it, or -1. `head` is
    what it says up to its body, `doc` the string that its body begins with.
    """

    type: str
    name: str
    symbol: str
    start: int
    stop: int
    row: int
    last_row: int
    lead: int
    owner: int
    head: str
    doc: str | None
    bases: list[str]


_DEFINITION = partial(tuple.__new__, Definition)


class _Head(NamedTuple):
    """Where something is defined: the logical line, the character there, what, its name, and behind it."""

    line: int
    start: int
    what: str
    name: str
    behind: int


class _Callees(dict[str, str]):
    """What is called, by the names that stand before a bracket, written backwards."""

    def __missing__(self, backwards: str) -> str:
        callee = self[backwards] = _callee(backwards[::-1])
        return callee


class PythonSymbols:
    """The definitions of one module in the order of their starts, and what the file (first) and each of them uses."""

    def __init__(self, text: str, lines: Lines, logical: Logical) -> None:
        self.text, self._lines, self._logical = text, lines, logical
        self._masked = _without_patterns(logical.masked).replace(_BETWEEN, " ")
        self.definitions: list[Definition] = []
        # Parts of the text, by their starts, and the definition that each belongs to.
        self._parts: list[int] = []
        self._stops_of_parts: list[int] = []
        self._owners: list[int] = []
        self._define()
        self.calls = self._called()
        self.imports = self._imported()

    def _define(self) -> None:
        heads = self._heads()
        stops = self._stops([head[0] for head in heads])
        logical = self._logical
        at, leads = logical.at, logical.leads
        around: list[tuple[int, int]] = []  # where it ends, and its number
        place = 0
        for head, stop in zip(heads, stops, strict=True):
            line, start, what, _, behind = head
            if line and leads[line - 1] in _ABOVE and what in _BLOCKS:
                start = at[self._first_decorator(line)]
            while around and around[-1][0] <= start:
                end, number = around.pop()
                self._add_part(place, end, number)
                place = max(place, end)
            owner = around[-1][1] if around else -1
            self._add_part(place, start, owner)
            number = len(self.definitions)
            if what in _BLOCKS:
                self._add_part(start, at[line], number)
                end = self._end(stop - 1)
                self._add_block(head, stop, (start, end), owner)
            else:
                stop = line + 1
                end = self._statement_end(start, line)
                self._add(head, (start, end), line, owner, self.text[start:end], None, [])
            place = behind
            around.append((end, number))
        while around:
            end, number = around.pop()
            self._add_part(place, end, number)
            place = max(place, end)
        self._add_part(place, len(self.text), -1)

    def _heads(self) -> list[_Head]:
        """What defines something, in order."""
        masked, logical = self._masked, self._logical
        at, leads = logical.at, logical.leads
        heads: list[_Head] = []
        match = _HEAD.match
        for lead in _DEFINING.finditer(leads):
            line = lead.start()
            if (head := match(masked, at[line])) is not None:
                what, name = head.groups()
                heads.append(_Head(line, at[line], "class" if what else "function", name, head.end()))
            elif leads[line] == _TYPE and (alias := _ALIAS.match(masked, at[line])) is not None:
                heads.append(_Head(line, at[line], "type", alias[1], at[line]))
        leading = np.frombuffer(leads, np.uint8)
        for line in np.flatnonzero((logical.indents == 0) & _IS_CAPITAL[leading]).tolist():
            start, stop = at[line], self._line_stop(line)
            for statement in masked[start:stop].split(";"):
                start += len(statement) - len(statement.lstrip())
                if (constant := _CONSTANT.match(masked, start, stop)) is not None:
                    heads.append(_Head(line, start, "constant", constant[1], start))
                start += len(statement.lstrip()) + 1
        heads.sort()
        return heads

    def _statement_end(self, start: int, line: int) -> int:
        """Where a statement in the logical line ends that is no block."""
        stop = self._line_stop(line)
        end = self._masked.find(";", start, stop)
        return start + len(self._masked[start : end if end >= 0 else stop].rstrip())

    def _stops(self, heads: list[int]) -> list[int]:
        """Behind the last logical line of the block that begins in each of these."""
        indents = self._logical.indents
        lines = np.array(heads, np.int64)
        own = indents[lines]
        stops = np.full(len(heads), len(indents), np.int64)
        for level in np.unique(own).tolist():
            outer = np.append(np.flatnonzero(indents <= level), len(indents))
            here = np.flatnonzero(own == level)
            stops[here] = outer[outer.searchsorted(lines[here], "right")]
        return stops.tolist()

    def _first_decorator(self, line: int) -> int:
        leads, first = self._logical.leads, line
        above = line - 1
        while above >= 0 and leads[above] in _ABOVE:
            if leads[above] == _AT:
                first = above
            above -= 1
        return first

    def _line_stop(self, line: int) -> int:
        return self._lines.starts[self._logical.lasts[line] + 1]

    def _end(self, line: int) -> int:
        """Where the content of a logical line ends, with the comment behind it."""
        start = self._logical.at[line]
        return start + len(self.text[start : self._line_stop(line)].rstrip())

    def _add_block(self, head: _Head, stop: int, place: tuple[int, int], owner: int) -> None:
        """A function or class whose logical lines go up to `stop`."""
        masked, leads = self._masked, self._logical.leads
        line, start, what, _, behind = head
        line_stop = self._line_stop(line)
        content = masked[start:line_stop].rstrip()
        doc = None
        if content[-1] == ":":
            head_stop = start + len(content)
            body = line + 1
            while body < stop and leads[body] == _HASH:
                body += 1
            if body < stop and leads[body] in _STRING_LEADS:
                doc = self._string_at(self._logical.at[body], self._line_stop(body))
        else:
            head_stop = self._colon(behind, start + len(content))
            rest = self.text[head_stop:line_stop]
            doc = self._string_at(line_stop - len(rest.lstrip()), line_stop)
        bases = _once(self._bases(behind, head_stop)) if what == "class" else []
        said = self.text[start : min(head_stop, start + _MAX_HEAD)]
        self._add(head, place, stop - 1, owner, said, doc, bases)

    def _add(
        self,
        head: _Head,
        place: tuple[int, int],
        last: int,
        owner: int,
        said: str,
        doc: str | None,
        bases: list[str],
    ) -> None:
        """A definition from and to the characters `place`, its last logical line being `last`."""
        line, _, what, name, _ = head
        start, end = place
        name = symbol = name[:_MAX_NAME]
        if owner >= 0:
            outer = self.definitions[owner]
            symbol = f"{outer.symbol}.{name}"[:_MAX_SYMBOL]
            if what == "function" and outer.type == "class":
                what = "method"
        logical = self._logical
        if start < head.start:
            line = bisect_left(logical.at, start)  # of its decorators
        lead = start
        if line and logical.leads[line - 1] == _HASH and start == logical.at[line]:
            lead = self._lead(line)
        self.definitions.append(
            _DEFINITION(
                (
                    what, name, symbol, start, end, logical.rows[line], logical.lasts[last], lead, owner, said, doc,
                    bases,
                )
            )
        )  # fmt: skip

    def _colon(self, behind: int, end: int) -> int:
        """Behind the colon of a head that a statement follows in the same line."""
        depth = 0
        for part in _BRACKET_OR_COLON.finditer(self._masked, behind, end):
            if part[0] == ":" and not depth:
                return part.end()
            depth += (part[0] in "([{") - (part[0] in ")]}")
        return end

    def _string_at(self, start: int, end: int) -> str | None:
        """The string that is all of the statement at `start`, in a logical line that stops at `end`."""
        text = self.text
        prefix = _DOC.match(text, start)
        string = STRINGS.match(text, prefix.end()) if prefix is not None else None
        if string is None or self._masked[string.end() : end].lstrip()[:1] not in ("", ";", ","):
            return None
        return text[start : min(string.end(), start + _MAX_DOC)]

    def _lead(self, first: int) -> int:
        """Where the comments in lines of their own directly above the logical line `first` begin."""
        leads, rows = self._logical.leads, self._logical.rows
        while first and leads[first - 1] == _HASH and rows[first - 1] + 1 == rows[first]:
            first -= 1
        return self._logical.at[first]

    def _bases(self, behind: int, head_stop: int) -> Iterator[str]:
        """What a class inherits from, whose name ends at `behind`: names, and elements and calls of such."""
        masked = self._masked
        for start, stop in _arguments(masked, behind, head_stop):
            plain = masked[start : min(stop, start + _MAX_ARGUMENT)].strip()
            for _ in range(_MAX_DEPTH):
                plain, count = _INNERMOST.subn("", plain)
                if not count:
                    break
            if _BASE.fullmatch(plain) and plain not in _KEYWORDS:
                raw = self.text[start:stop]
                if "#" in raw:
                    raw = STRINGS.sub(lambda part: " " if part[0][0] == "#" else part[0], raw)
                yield " ".join(raw.strip()[:_MAX_BASE].split())

    def _add_part(self, start: int, stop: int, owner: int) -> None:
        """From `start` to `stop` the text is of the definition `owner`."""
        if start < stop:
            self._parts.append(start)
            self._stops_of_parts.append(stop)
            self._owners.append(owner)

    def _called(self) -> list[list[str]]:
        """What the file, then each definition calls."""
        masked = self._masked
        parts = _BETWEEN.join([masked[a:b] for a, b in zip(self._parts, self._stops_of_parts, strict=True)])
        backwards: list[list[str]] = [[] for _ in range(len(self.definitions) + 1)]
        owners = iter(reversed(self._owners))
        callees = _Callees()
        names = backwards[next(owners, -1) + 1]
        for name in _CALLED.findall(parts[::-1]):
            if name:
                names.append(callees[name])
            else:
                names = backwards[next(owners) + 1]
        return [_once(reversed(names)) if names else [] for names in backwards]

    def _imported(self) -> list[list[str]]:
        """What the file, with all its definitions, then each definition imports."""
        masked = self._masked
        imports: list[list[str]] = [[] for _ in range(len(self.definitions) + 1)]
        for found in _IMPORT.finditer(masked):
            module = self._module_before(found.start())
            if module is None:
                continue
            names = _IMPORTED.match(masked, found.end())
            assert names is not None
            owner = self._owners[bisect_right(self._parts, found.start()) - 1]
            for each in (names[1] or names[2] or "").replace("\\", " ").split(","):
                words = each.split()
                if not words:
                    continue
                name = f"{module}{words[0]}"
                imports[0].append(name)
                if owner >= 0:
                    imports[owner + 1].append(name)
        return [_once(names) if names else [] for names in imports]

    def _module_before(self, place: int) -> str | None:
        """What is before the names that a statement with `import` at `place` imports; None where that is none."""
        masked = self._masked
        start = masked.rfind("\n", 0, place) + 1
        if place > start and masked[place - 1] in _IN_NAME:
            return None
        for _ in range(_MAX_CONTINUED):
            if start < 2 or not masked.endswith(("\\", "\\\r"), 0, start - 1):
                break
            start = masked.rfind("\n", 0, start - 1) + 1
        before = _CONTINUED.sub(" ", masked[max(start, place - _MAX_BEFORE) : place])
        if _BEFORE_STATEMENT.match(before) is not None:
            return ""
        module = _FROM.match(before)
        if module is None:
            return None
        name = "".join(module[1].split())
        return "" if name == "__future__" else name if name.endswith(".") else f"{name}."

    @property
    def file_doc(self) -> str | None:
        """The string that the module begins with."""
        leads = self._logical.leads
        first = next((line for line in range(len(leads)) if leads[line] != _HASH), None)
        if first is None or leads[first] not in _STRING_LEADS:
            return None
        return self._string_at(self._logical.at[first], self._line_stop(first))

    def comments(self) -> list[tuple[int, int]]:
        """Comments before everything else."""
        logical = self._logical
        found: list[tuple[int, int]] = []
        for line, lead in enumerate(logical.leads):
            if lead != _HASH:
                break
            found.append((logical.at[line], self._end(line)))
        return found


def _callee(name: str) -> str:
    """What is called where `name` stands before a bracket: the last name where it is no path of names."""
    if name in _KEYWORDS or len(name) > _MAX_NAME or name[0] in ".0123456789" or ".." in name:
        name = name.rpartition(".")[2] if "." in name else ""
        return "" if name[:1].isdigit() else name
    return name if name[-1] != "." else ""


def _arguments(masked: str, behind: int, stop: int) -> Iterator[tuple[int, int]]:
    """From where to where the arguments in the first round brackets between `behind` and `stop` are, one by one."""
    around: list[str] = []
    start = -1
    for part in _BRACKET_OR_COMMA.finditer(masked, behind, stop):
        what = part[0]
        if what in "([{":
            around.append(what)
            if what == "(" and len(around) == 1:
                start = part.end()
        elif what != ",":
            around.pop()
            if start >= 0 and not around:
                yield start, part.start()
                return
        elif start >= 0 and len(around) == 1:
            yield start, part.start()
            start = part.end()


def _without_patterns(masked: str) -> str:
    """`masked` without the patterns of `case`, which look like calls, and without `match` before a bracket."""
    if "case" not in masked or "match" not in masked:
        return masked
    masked = _CASE.sub(lambda found: found[0].replace("(", " ").replace(")", " "), masked)
    return _MATCH.sub(lambda found: " " * len(found[0]), masked)


def _once(names: Iterable[str]) -> list[str]:
    """Each name once, in order, but for empty ones."""
    found = dict.fromkeys(names)
    found.pop("", None)
    return list(found)
