"""Code: functions and classes by their symbols, the largest of them, what is marked as unfinished."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mesh_assets.insights.locators import ChunkText
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.wording import amount, plural, share
from mesh_assets.schemas.citations import Citation

_LARGEST = 5
_SHOWN = 5
# A definition longer than two screens is hard to keep in mind.
_LONG_LINES = 100
_MARK = re.compile(r"\b(?:TODO|FIXME|HACK|XXX)\b[^\n]{0,200}")
_DEFINITION = (
    r"(?m)^[ \t]{0,80}(?:(?:export|public|private|protected|static|final|abstract|async|pub|default|open|override)"
    r"[ \t]{1,8}){0,5}"
    r"(class|interface|struct|trait|enum|def|function|func|fn|fun)\b"
)
_CLASS_WORDS = frozenset({"class", "interface", "struct", "trait", "enum"})
_DOCUMENTED = re.compile(r"(?:\s|#[^\n]{0,400}\n){0,60}[rRuU]?(?:\"\"\"|''')")


@dataclass(slots=True)
class _Open:
    """The definition that is being read: path and symbol, its first chunk, its first and its last line."""

    name: tuple[str, object]
    batch: SliceBatch
    row: int
    line_start: int
    line_stop: int


class CodeInsight:
    """Adds up definitions; the chunks of one definition come together."""

    def __init__(self) -> None:
        self._files = 0
        self._lines = 0
        self._definitions = 0
        self._classes = 0
        self._python = 0
        self._undocumented: list[Citation] = []
        self._without = 0
        self._marks: Counter[str] = Counter()
        self._mark_count = 0
        self._shown_marks: list[Citation] = []
        self._largest: list[tuple[int, int, str, ChunkText]] = []
        self._open: _Open | None = None
        self._path = ""
        self._last_line = 0

    def observe(self, batch: SliceBatch) -> None:
        """Read the chunks of code."""
        rows = batch.rows_of("code")
        if not rows:
            return
        kept = batch.texts.gather(rows)
        words = kept.str.extract(_DEFINITION, 1).to_list()
        marked = kept.str.contains(_MARK.pattern).to_list()
        paths, symbols, forms = batch.strings("path"), batch.column("symbol"), batch.column("format")
        starts, stops = batch.whole("line_start").tolist(), batch.whole("line_stop").tolist()
        for row, word, mark in zip(rows, words, marked, strict=True):
            path, start, stop = paths[row], starts[row], stops[row]
            if path != self._path:
                self._path, self._last_line = path, start - 1
                self._file(batch, row, str(forms[row]))
            if self._open is not None and self._open.name == (path, symbols[row]):
                self._open.line_stop = stop
            else:
                self._close()
                self._open = None
                if symbols[row] is not None:
                    self._classes += word in _CLASS_WORDS
                    self._definitions += 1
                    self._open = _Open((path, symbols[row]), batch, row, start, stop)
            self._lines += stop - max(start - 1, self._last_line)
            self._last_line = stop
            if mark:
                self._find_marks(batch.chunk(row))

    def _file(self, batch: SliceBatch, row: int, form: str) -> None:
        self._files += 1
        if form == "python":
            chunk = batch.chunk(row)
            if chunk.byte_start == 0:
                self._python += 1
                if chunk.text.strip() and _DOCUMENTED.match(chunk.text) is None:
                    self._without += 1
                    if len(self._undocumented) < _SHOWN:
                        self._undocumented.append(chunk.cite_opening())

    def _close(self) -> None:
        known = self._open
        if known is None or known.line_stop - known.line_start + 1 < _LONG_LINES:
            return
        length = known.line_stop - known.line_start + 1
        chunk = known.batch.chunk(known.row)
        heapq.heappush(self._largest, (length, -self._definitions, str(known.name[1]), chunk))
        if len(self._largest) > _LARGEST:
            heapq.heappop(self._largest)

    def _find_marks(self, chunk: ChunkText) -> None:
        for match in _MARK.finditer(chunk.text):
            self._mark_count += 1
            if len(self._marks) < 2000 or chunk.path in self._marks:
                self._marks[chunk.path] += 1
            if len(self._shown_marks) < _SHOWN:
                self._shown_marks.append(chunk.cite(*match.span()))

    def conclude(self) -> Iterable[Insight]:
        """What the code consists of, its long definitions, its marks."""
        self._close()
        self._open = None
        if self._files:
            yield self._overview()
            yield from self._long()
            yield from self._marked()

    def _overview(self) -> Insight:
        said = f"{plural(self._files, 'file')} of code, {plural(self._lines, 'line')}"
        if self._definitions:
            said += (
                f", {plural(self._definitions, 'definition')}, {plural(self._classes, 'class', 'classes')} among them"
            )
        if self._without:
            said += (
                f"; {share(self._without, self._python)} of the Python files do not say in a docstring what they are"
            )
        return Insight(
            kind="code",
            type="code_overview",
            title="Code",
            statement=f"{said}.",
            score=0.25,
            value={
                "files": self._files,
                "lines": self._lines,
                "definitions": self._definitions,
                "classes": self._classes,
                "python_files": self._python,
                "python_files_without_docstring": self._without,
            },
            evidence=tuple(self._undocumented),
        )

    def _long(self) -> Iterator[Insight]:
        ranked = sorted(self._largest, key=lambda item: item[:2], reverse=True)
        if ranked:
            listed = ", ".join(
                f"{symbol} in {chunk.path} ({amount(lines)} lines)" for lines, _, symbol, chunk in ranked
            )
            yield Insight(
                kind="code",
                type="code_overview",
                title="Longest definitions",
                statement=f"The longest definitions are {listed}.",
                score=0.3,
                value={"lines": {f"{chunk.path}:{symbol}": lines for lines, _, symbol, chunk in ranked}},
                evidence=tuple(chunk.cite_opening() for *_, chunk in ranked),
            )

    def _marked(self) -> Iterator[Insight]:
        if self._mark_count:
            places = ", ".join(f"{path} ({count})" for path, count in self._marks.most_common(3))
            yield Insight(
                kind="code",
                type="code_overview",
                title="Marked as unfinished",
                statement=f"{plural(self._mark_count, 'place')} marked TODO, FIXME, HACK or XXX, most in {places}.",
                score=0.3,
                value={"marks": self._mark_count, "files": dict(self._marks.most_common(10))},
                evidence=tuple(self._shown_marks),
            )
