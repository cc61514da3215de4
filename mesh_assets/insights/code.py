"""Code: functions and classes by their symbols, the largest of them, what is marked as unfinished."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights.byte_text import Places
from mesh_assets.insights.columns import column_of, rows_of
from mesh_assets.insights.locators import ChunkText
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.wording import amount, plural, share
from mesh_assets.schemas.citations import Citation

_LARGEST = 5
_SHOWN = 5
# A definition longer than two screens is hard to keep in mind.
_LONG_LINES = 100
_MARKS = r"\b(?:TODO|FIXME|HACK|XXX)\b"
_MARK = re.compile(_MARKS + r"[^\n]{0,200}")
_DEFINITION = (
    r"(?m)^[ \t]{0,80}(?:(?:export|public|private|protected|static|final|abstract|async|pub|default|open|override)"
    r"[ \t]{1,8}){0,5}"
    r"(class|interface|struct|trait|enum|def|function|func|fn|fun)\b"
)
_CLASS_WORDS = frozenset({"class", "interface", "struct", "trait", "enum"})
_DOCUMENTED = re.compile(r"(?:\s|#[^\n]{0,400}\n){0,60}[rRuU]?(?:\"\"\"|''')")


def _differs(column: pa.Array[Any]) -> NDArray[np.bool_]:
    """Whether each value but the first is another than the one before; null is a value too."""
    codes = np.asarray(cast(Any, column).dictionary_encode(null_encoding="encode").indices)
    return codes[1:] != codes[:-1]


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
        places = np.array(rows)
        paths, symbols = (rows_of(column_of(batch.chunks, name), places) for name in ("path", "symbol"))
        starts, stops = batch.whole("line_start")[places], batch.whole("line_stop")[places]
        new_file = np.append(str(paths[0]) != self._path, _differs(paths))
        last = np.append(self._last_line, stops[:-1])
        self._lines += int((stops - np.where(new_file, starts - 1, np.maximum(starts - 1, last))).sum())
        self._path, self._last_line = str(paths[-1]), int(stops[-1])
        for row in places[new_file].tolist():
            self._file(batch, row)
        begins = np.flatnonzero(np.append(True, new_file[1:] | _differs(symbols)))
        self._add_definitions(batch, places, begins)
        kept = batch.texts.gather(places)
        for row in places[kept.str.contains(_MARKS).to_numpy()].tolist():
            self._find_marks(batch.chunk(row))

    def _add_definitions(self, batch: SliceBatch, rows: Places, begins: Places) -> None:
        """Definitions from where path or symbol change, at the numbers `begins` of the `rows`."""
        firsts = rows[begins]
        starts = batch.whole("line_start")[firsts].tolist()
        stops = batch.whole("line_stop")[rows[np.append(begins[1:], len(rows)) - 1]].tolist()
        names = [rows_of(column_of(batch.chunks, name), firsts).to_pylist() for name in ("path", "symbol")]
        opened: list[int] = []
        for row, start, stop, *name in zip(firsts.tolist(), starts, stops, *names, strict=True):
            if self._open is not None and self._open.name == tuple(name):
                self._open.line_stop = stop
                continue
            self._close()
            self._open = None
            if name[1] is not None:
                self._definitions += 1
                self._open = _Open((name[0], name[1]), batch, row, start, stop)
                opened.append(row)
        texts = batch.texts.gather(np.array(opened, np.int64))
        texts = texts.filter(texts.str.contains("|".join(sorted(_CLASS_WORDS))))
        self._classes += sum(word in _CLASS_WORDS for word in texts.str.extract(_DEFINITION, 1).to_list())

    def _file(self, batch: SliceBatch, row: int) -> None:
        self._files += 1
        if batch.value("format", row) == "python" and batch.value("byte_start", row) == 0:
            self._python += 1
            text = str(batch.value("text", row))
            if text.strip() and _DOCUMENTED.match(text) is None:
                self._without += 1
                if len(self._undocumented) < _SHOWN:
                    self._undocumented.append(batch.chunk(row).cite_opening())

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
