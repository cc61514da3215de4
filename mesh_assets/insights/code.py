"""Code: functions and classes by their symbols, the largest of them, what is marked as unfinished."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights.locators import ChunkText, chunk_texts
from mesh_assets.insights.protocol import Insight
from mesh_assets.insights.wording import amount, plural, share
from mesh_assets.schemas.citations import Citation

_LARGEST = 5
_SHOWN = 5
# A definition longer than two screens is hard to keep in mind.
_LONG_LINES = 100
_MARK = re.compile(r"\b(?:TODO|FIXME|HACK|XXX)\b[^\n]{0,200}")
_DEFINITION = re.compile(
    r"^[ \t]{0,80}(?:(?:export|public|private|protected|static|final|abstract|async|pub|default|open|override)"
    r"[ \t]{1,8}){0,5}"
    r"(?P<word>class|interface|struct|trait|enum|def|function|func|fn|fun)\b",
    re.MULTILINE,
)
_CLASS_WORDS = frozenset({"class", "interface", "struct", "trait", "enum"})
_DOCUMENTED = re.compile(r"(?:\s|#[^\n]{0,400}\n){0,60}[rRuU]?(?:\"\"\"|''')")


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
        self._open: tuple[str, str, ChunkText, int] | None = None
        self._path = ""
        self._last_line = 0

    def observe(self, chunks: pa.RecordBatch, insights: pa.RecordBatch, vectors: NDArray[np.float32]) -> None:
        """Read the chunks of code."""
        names = ("symbol", "format", "line_stop")
        columns = [cast("list[object]", chunks.column(name).to_pylist()) for name in names]
        for chunk, symbol, form, line_stop in zip(chunk_texts(chunks), *columns, strict=True):
            if chunk.kind == "code":
                self._file(chunk, str(form))
                self._definition(chunk, cast("str | None", symbol), cast(int, line_stop))
                self._lines += cast(int, line_stop) - max(chunk.line_start - 1, self._last_line)
                self._last_line = cast(int, line_stop)
                self._find_marks(chunk)

    def _file(self, chunk: ChunkText, form: str) -> None:
        if chunk.path == self._path:
            return
        self._path, self._last_line = chunk.path, chunk.line_start - 1
        self._files += 1
        if form == "python" and chunk.byte_start == 0:
            self._python += 1
            if chunk.text.strip() and _DOCUMENTED.match(chunk.text) is None:
                self._without += 1
                if len(self._undocumented) < _SHOWN:
                    self._undocumented.append(chunk.cite_opening())

    def _definition(self, chunk: ChunkText, symbol: str | None, line_stop: int) -> None:
        known = self._open
        if known is not None and (chunk.path, symbol) == known[:2]:
            self._open = (*known[:3], line_stop)
            return
        self._close()
        self._open = None if symbol is None else (chunk.path, symbol, chunk, line_stop)
        if symbol is not None:
            found = _DEFINITION.search(chunk.text)
            self._classes += found is not None and found["word"] in _CLASS_WORDS
            self._definitions += 1

    def _close(self) -> None:
        if self._open is None:
            return
        _, symbol, chunk, line_stop = self._open
        heapq.heappush(self._largest, (line_stop - chunk.line_start + 1, -self._definitions, symbol, chunk))
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
        ranked = sorted((item for item in self._largest if item[0] >= _LONG_LINES), key=lambda i: i[:2], reverse=True)
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
