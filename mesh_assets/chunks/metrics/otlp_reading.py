"""The reading of a file of OpenTelemetry's metrics, and its chunks: what Prometheus writes of the same metrics.

So whatever reads samples of that format reads these too. What an export says belongs to `otlp`, chunks to `chunker`.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from mesh_assets.chunks.members import room_of, take_room
from mesh_assets.chunks.metrics import prometheus
from mesh_assets.chunks.metrics.chunker import MAX_REJECTS, MetricCutter
from mesh_assets.chunks.metrics.otlp import TARGET_INFO, Metric, resources
from mesh_assets.chunks.metrics.samples import Sample
from mesh_assets.chunks.protocol import Part, Piece, Source
from mesh_assets.chunks.windows import Window, codec_for, text_windows
from mesh_assets.errors import FormatError
from mesh_assets.intake.metric_lines import EXPORT
from mesh_assets.schemas.rejects import Reject, printable

# Characters of a document, or of one line: parsed JSON takes about ten times its size in memory.
MAX_PARSED = 96 << 20
# Bytes read at once, and characters of the reading that are gathered before they are cut.
_READ, BLOCK = 4 << 20, 1 << 18
# Lines at the start that show whether each is an export.
_HEAD_LINES = 3
# Metrics and resources that are described once; of more of them, each time.
_MAX_KNOWN = 10_000
# What one reject says of its place.
_MAX_DETAILS = 20
_UTF8 = codec_for("utf-8")


class OtlpChunker:
    """Cuts files of which each line is an export in JSON, or the whole is one."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        """Groups of samples of one metric, which is the `symbol`; the lines that describe it are context.

        A line that is no export, and a point that cannot be read, is a part reject. FormatError where the file is one
        document that is no JSON, or too large.
        """
        lines = _lines(source)
        first = list(islice(lines, _HEAD_LINES))
        filled = [line for _, line in first if line.strip()]
        by_line = bool(filled) and (_parsed(filled[0]) is not None or any(map(EXPORT.match, filled[1:])))
        reading = _Reading(replace(source, room=room_of(source)), chunk_tokens, "line" if by_line else "resource")
        for number, line in chain(first, lines) if by_line else ():
            if line.strip():
                yield from reading.line_export(number, line)
        if not by_line:
            yield from reading.document(_document(chain(first, lines), source))
        yield from reading.end()


def _lines(source: Source) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, from 1; of one that is longer than `MAX_PARSED`, its start."""
    number, is_within = 1, False
    for window in text_windows(source, size=_READ, line_limit=MAX_PARSED):
        lines = window.text.split("\n")
        for at, line in enumerate(lines):
            is_last = at == len(lines) - 1
            if not is_within and (line or not is_last):
                yield number, line
            is_within = is_last and (is_within or bool(line))
            number += not is_last


def _document(lines: Iterator[tuple[int, str]], source: Source) -> object:
    """The file as one value."""
    parts: list[str] = []
    size = 0
    for _, line in lines:
        parts.append(line)
        size += len(line) + 1
        if size > MAX_PARSED:
            raise FormatError(
                "too large for one document",
                f"{printable(source.path)} is one JSON document of more than {MAX_PARSED >> 20} MiB.",
                remedy="Write one export a line, as the file exporter of the collector does.",
            )
    try:
        return json.loads("\n".join(parts).strip("\ufeff \t\r\n"), strict=False)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            "broken JSON",
            f"{printable(source.path)} is no JSON: {error}.",
            remedy="Export it again; a file of one export a line is used up to the line that breaks.",
        ) from error


def _parsed(line: str) -> object:
    """The value that a line is in JSON, None where it is none."""
    try:
        return json.loads(line.strip("\ufeff \t\r\n"), strict=False)
    except (ValueError, RecursionError):
        return None


@dataclass(slots=True)
class _Reading:
    """The reading as far as it is written; `noun` says what its places count."""

    source: Source
    limit: int
    noun: str
    byte: int = 0
    line: int = 1
    _cutter: MetricCutter = field(init=False)
    _waiting: list[str] = field(default_factory=list[str])
    _size: int = 0
    # Where the reading of each line or resource begins, and its number.
    _marks: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    _written: int = 0
    _faults: list[str] = field(default_factory=list[str])
    _left: int = MAX_REJECTS
    _known: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self._cutter = MetricCutter(self.source.path, "metrics", prometheus.lines, self.limit)

    def line_export(self, number: int, line: str) -> Iterator[Part]:
        """What one line says."""
        document = _parsed(line)
        try:
            yield from self._export(document, number)
        except ValueError:
            self._faults.append(f"line {number} is no export of metrics in JSON")

    def document(self, document: object) -> Iterator[Part]:
        """What a file of one document says. FormatError where it is no export."""
        try:
            yield from self._export(document, None)
        except ValueError as error:
            raise FormatError(
                "no metrics of OpenTelemetry",
                f"{printable(self.source.path)} is JSON without resourceMetrics.",
                remedy="Export it again as OTLP JSON.",
            ) from error

    def _export(self, document: object, line: int | None) -> Iterator[Part]:
        for number, resource in enumerate(resources(document), 1):
            where = number if line is None else line
            info = prometheus.written(Sample(TARGET_INFO, resource.attributes, None, 1.0))
            told = "" if not resource.attributes or self._is_known(info) else info
            for metric in resource.metrics:
                if metric.faults:
                    what = "a point" if metric.faults == 1 else f"{metric.faults:,} points"
                    called = metric.name or "a metric without a name"
                    self._faults.append(f"{self.noun} {where}: {what} of {called} cannot be read")
                if metric.samples:
                    yield from self._write(told + self._metric(metric), where)
                    told = ""

    def _metric(self, metric: Metric) -> str:
        """The samples of a metric as text, described where it is met for the first time."""
        head = prometheus.described(metric.name, kind=metric.kind, unit=metric.unit, text=metric.text)
        text = "".join(map(prometheus.written, metric.samples))
        return text if self._is_known(head) else head + text

    def _is_known(self, text: str) -> bool:
        if text in self._known:
            return True
        if len(self._known) < _MAX_KNOWN:
            self._known.add(text)
        return False

    def _write(self, text: str, number: int) -> Iterator[Part]:
        yield from self._rejects()
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()
        size = len(text) if text.isascii() else len(text.encode())
        take_room(room_of(self.source), size, self.source.path)
        if not self._marks or self._marks[-1][1] != number:
            self._marks.append((self._written, number))
        self._waiting.append(text)
        self._size += len(text)
        self._written += size
        if self._size >= BLOCK:
            yield from self._cut(final=False)

    def end(self) -> Iterator[Part]:
        """What still waits."""
        yield from self._cut(final=True)
        yield from self._rejects()

    def _rejects(self) -> Iterator[Reject]:
        """One reject for all that could not be read since the last text."""
        if not self._faults:
            return
        shown = self._faults[:_MAX_DETAILS]
        more = len(self._faults) - len(shown)
        self._faults = []
        if not self._left:
            return
        self._left -= 1
        details = "; ".join(shown) + (f"; and {more:,} more" if more else "")
        yield Reject(
            path=self.source.path,
            reason="no samples of metrics",
            remedy="Correct or delete it; the rest of the file is used.",
            detail=details if self._left else f"{details}; further ones are not listed",
            byte_start=self._written,
            byte_stop=self._written,
        )

    def _cut(self, *, final: bool) -> Iterator[Part]:
        text = "".join(self._waiting)
        if not text:
            return
        window = Window(text, self.byte, self._written, self.line, _UTF8, final=final)
        for part in self._cutter.parts(window):
            yield part._replace(place=self._place(part)) if isinstance(part, Piece) else part
        held = text[len(text) - window.held :] if window.held else ""
        self.byte = self._written - len(held.encode())
        self.line += text.count("\n", 0, len(text) - window.held)
        self._waiting, self._size = [held] if held else [], len(held)
        first = bisect_right(self._marks, self.byte, key=lambda mark: mark[0]) - 1
        self._marks = self._marks[max(first, 0) :]

    def _place(self, piece: Piece) -> str:
        """Which lines or resources of the file a piece is of."""
        first, last = (
            self._marks[bisect_right(self._marks, byte, key=lambda mark: mark[0]) - 1][1]
            for byte in (piece.byte_start, piece.byte_stop - 1)
        )
        return f"{self.noun} {first}" if first == last else f"{self.noun}s {first} to {last}"
