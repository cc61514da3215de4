"""Lines of metrics as chunks: one metric each, with the lines that describe it as context.

Metrics that come line about line, as agents write them, share chunks. What a line says belongs to the format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import numpy as np

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, fitted_context, grouped, line_cuts
from mesh_assets.chunks.metrics.prometheus import metric_of
from mesh_assets.chunks.metrics.samples import Line, LineKind
from mesh_assets.chunks.moments import LineTimes
from mesh_assets.chunks.protocol import Piece, Source, moment
from mesh_assets.chunks.windows import Window, text_windows
from mesh_assets.schemas.rejects import Reject

# Fewer neighbouring samples of a metric than this, that nothing describes, share a chunk with what is beside them.
OWN_SAMPLES = 4
# Metrics of which the description is kept for chunks further on, and characters of it.
MAX_DESCRIBED, MAX_DESCRIPTION = 10_000, 1000
# Rejects of one extent, each ending a chunk: with more it is a file of another format, whose lines are text.
MAX_REJECTS = 1000
# Names of metrics that share a chunk, in its symbol.
MAX_SYMBOL = 120
# Bad lines at the end of a window that are read again with what follows: a text within quotes may go on there.
_MAX_HELD = 1 << 16

# A run of lines: the metric of all of them, None of bad ones.
_BAD = None


class MetricLinesChunker:
    """Cuts texts of which `lines` tells what each line is."""

    def __init__(self, form: str, lines: Callable[[str], Iterator[Line]]) -> None:
        self._form = form
        self._lines = lines

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Piece | Reject]:
        """Groups of lines of one metric, which is the `symbol`; `row_start` and `row_stop` count lines with samples.

        A line that is neither a sample nor a comment is a reject; after `MAX_REJECTS` of them such lines are kept.
        """
        cutter = MetricCutter(source.path, self._form, self._lines, chunk_tokens)
        for window in text_windows(source):
            yield from cutter.parts(window)


class _Run(NamedTuple):
    """Neighbouring lines, by their numbers: of one metric, or of several where it has several names."""

    names: tuple[str, ...]
    first: int
    stop: int
    is_bad: bool = False


class _Group(NamedTuple):
    """Lines of a run that fit in one piece, or one line that does not: their numbers, context and moments."""

    run: _Run
    lines: tuple[int, int]
    context: tuple[str, int]
    times: tuple[datetime, datetime] | None


@dataclass(slots=True)
class MetricCutter:
    """Cuts the windows of one text, in order. `form` is what its format is called."""

    path: str
    form: str
    lines: Callable[[str], Iterator[Line]]
    limit: int
    row: int = 0
    left: int = MAX_REJECTS
    _descriptions: dict[str, str] = field(default_factory=dict[str, str])
    _going_on: str | None = None

    def parts(self, window: Window) -> Iterator[Piece | Reject]:
        """The pieces and rejects of `window`; what may go on in the next one is held."""
        cutter = Cutter.of(window, "structured")
        table = _Table(window.text, list(self.lines(window.text)))
        self._describe(table)
        names = table.names(self._descriptions, is_open=not window.final)
        runs = list(self._runs(names if self.left else [name or "" for name in names], table))
        length = len(window.text)
        is_torn = bool(runs) and runs[-1].is_bad and length - table.start_of(runs[-1].first) <= _MAX_HELD
        for at, run in enumerate(runs):
            # Bad lines at the end may be the beginning of one that is good, and of the metric before.
            is_open = not window.final and at >= len(runs) - 1 - is_torn
            if not (run.is_bad and self.left):
                yield from self._pieces(cutter, table, run, is_open=is_open)
            elif is_open and is_torn and cutter.start > 0:
                window.held = length - cutter.start
            else:
                self.left -= 1
                yield self._reject(cutter, table.ends[run.stop - 1], table.bad(run.first, run.stop))
            if window.held:
                return

    def _describe(self, table: _Table) -> None:
        """Keep the lines that describe metrics: also the last ones of a window, whose samples come in the next."""
        noted = ((line.name, at) for at, line in enumerate(table.lines) if line.kind is LineKind.NOTE and line.name)
        for name, notes in groupby(noted, key=lambda note: note[0]):
            if name in self._descriptions or len(self._descriptions) < MAX_DESCRIBED:
                text = "".join(table.text_of(at) for _, at in notes).strip()
                self._descriptions[name] = text[:MAX_DESCRIPTION]

    def _runs(self, names: Sequence[str | None], table: _Table) -> Iterator[_Run]:
        """Runs of lines of one metric; short ones that nothing describes are joined to one of several."""
        short: list[_Run] = []
        first = 0
        for name, group in groupby(names):
            stop = first + sum(1 for _ in group)
            run = _Run((name or "",), first, stop, is_bad=name is _BAD)
            is_own = name is _BAD or (first == 0 and name == self._going_on) or table.is_own(first, stop)
            if is_own:
                yield from _joined(short)
                yield run
                short = []
            else:
                short.append(run)
            first = stop
        yield from _joined(short)
        self._going_on = None

    def _pieces(self, cutter: Cutter, table: _Table, run: _Run, *, is_open: bool) -> Iterator[Piece]:
        """The pieces of a run. The last group is held where the run `is_open`, if anything comes before it."""
        window = cutter.window
        ends = table.ends[run.first : run.stop]
        context = self._context(run, table)
        is_whole = cutter.meter.fits(cutter.start, ends[-1], self.limit)
        room = self.limit - context[1]
        groups = [(0, len(ends))] if is_whole else list(grouped(window.text, ends, cutter.start, cutter.meter, room))
        edges = np.array([cutter.start, *(ends[stop - 1] for _, stop in groups)], np.int64)
        times = (map(moment, bounds.tolist()) for bounds in table.times.of_parts(edges[:-1], edges[1:]))
        for (first, stop), low, high in zip(groups, *times, strict=True):
            if stop == len(ends) and is_open and cutter.start > 0:
                window.held = len(window.text) - cutter.start
                self._going_on = next(iter(run.names)) if len(run.names) == 1 and first else None
                return
            lines = (run.first + first, run.first + stop)
            span = None if low is None or high is None else (low, high)
            yield from self._group(cutter, table, _Group(run, lines, context, span))

    def _group(self, cutter: Cutter, table: _Table, group: _Group) -> Iterator[Piece]:
        run, lines, context, times = group
        stop = table.ends[lines[1] - 1]
        rows = (self.row, self.row + table.samples(*lines))
        # Lines that are the metric's description need none.
        around = ("", 0) if table.describes(lines[0]) else context
        room = self.limit - around[1]
        if cutter.meter.fits(cutter.start, stop, self.limit):
            left = self.limit - cutter.meter.tokens(cutter.start, stop)
            around, room = (around if around[1] <= left else fitted_context(around[0], left, "structured")), self.limit
        symbol = _symbol(run.names if len(run.names) == 1 else table.named(*lines))
        for cut in line_cuts(cutter.window.text, cutter.meter, cutter.start, stop, room):
            yield cutter.cut(cut, context=around, symbol=symbol, rows=rows, times=times)
        self.row = rows[1]

    def _context(self, run: _Run, table: _Table) -> tuple[str, int]:
        if len(run.names) > 1 or table.samples(run.first, run.stop) == 0:
            return "", 0
        known = self._descriptions.get(next(iter(run.names)), "")
        return fitted_context(known, self.limit // CONTEXT_SHARE, "structured")

    def _reject(self, cutter: Cutter, stop: int, count: int) -> Reject:
        """One reject for all bad lines up to the character `stop`."""
        line, start = cutter.line, cutter.byte
        last = line + cutter.skip(stop).rstrip().count("\n")
        where = f"line {line}" if last == line else f"lines {line} to {last}"
        what = "a line" if count == 1 else f"{count:,} lines"
        detail = f"{where}: {what} that {'is' if count == 1 else 'are'} no sample and no comment of {self.form}"
        return Reject(
            path=self.path,
            reason="no sample of a metric",
            remedy="Correct or delete it; the other lines of the file are used.",
            detail=detail if self.left else f"{detail}; further ones are kept as text",
            byte_start=start,
            byte_stop=cutter.byte,
        )


class _Table:
    """The lines of one window: where each ends, what it is, its metric and its moment."""

    def __init__(self, text: str, lines: list[Line]) -> None:
        self.lines, self._text = lines, text
        self.ends = [line.stop for line in lines]
        self._starts = [0, *self.ends[:-1]]
        kinds = [line.kind for line in lines]
        self._samples = np.cumsum([0, *(kind is LineKind.SAMPLE for kind in kinds)]).tolist()
        self._described = np.cumsum([0, *map(self.describes, range(len(lines)))]).tolist()
        times = np.array([line.time for line in lines], np.int64)
        self.times = LineTimes(np.array(self._starts, np.int64), times)
        self._names: list[str | None] = []

    def start_of(self, at: int) -> int:
        """Where the line number `at` starts."""
        return self._starts[at]

    def text_of(self, at: int) -> str:
        """The line number `at`."""
        return self._text[self._starts[at] : self.ends[at]]

    def names(self, described: dict[str, str], *, is_open: bool) -> list[str | None]:
        """The metric of each line, None of bad ones. A comment is of the metric behind it, a blank of the line before.

        What `is_open` may go on: comments behind a bad line at the end are then of that, which may be text in quotes.
        """
        cache: dict[str, str] = {}
        before: str | None = ""
        for at, line in enumerate(self.lines):
            if line.kind is LineKind.BAD:
                before = _BAD
            elif line.name:
                if line.name not in cache:
                    cache[line.name] = metric_of(line.name, described)
                before = cache[line.name]
            elif not self.text_of(at).isspace():
                self._names.append("")
                continue
            self._names.append(before)
        self._fill(range(len(self._names) - 1, -1, -1))
        self._fill(range(len(self._names)))
        stop = len(self._names)
        while is_open and stop and self._names[stop - 1] == "":
            stop -= 1
        if stop and self._names[stop - 1] is _BAD:
            self._names[stop:] = [_BAD] * (len(self._names) - stop)
        return self._names

    def _fill(self, order: range) -> None:
        """Comments without a metric get that of the line before them in this order, where it has one."""
        beside: str | None = None
        for at in order:
            if self._names[at] == "" and beside:
                self._names[at] = beside
            beside = self._names[at]

    def named(self, first: int, stop: int) -> list[str]:
        """The metrics of some lines, each once."""
        return [name for name in dict.fromkeys(self._names[first:stop]) if name]

    def samples(self, first: int, stop: int) -> int:
        """How many lines from `first` up to `stop` hold samples."""
        return self._samples[stop] - self._samples[first]

    def bad(self, first: int, stop: int) -> int:
        """How many of them are neither samples nor comments."""
        return sum(line.kind is LineKind.BAD for line in self.lines[first:stop])

    def describes(self, at: int) -> bool:
        """Whether the line number `at` describes a metric."""
        return self.lines[at].kind is LineKind.NOTE and bool(self.lines[at].name)

    def is_own(self, first: int, stop: int) -> bool:
        """Whether lines of one metric are chunks of their own: there are several samples, or they say what it is."""
        return self.samples(first, stop) >= OWN_SAMPLES or self._described[stop] > self._described[first]


def _joined(runs: list[_Run]) -> Iterator[_Run]:
    """Neighbouring runs as one."""
    if runs:
        names = dict.fromkeys(name for run in runs for name in run.names)
        yield _Run(tuple(names), runs[0].first, runs[-1].stop)


def _symbol(names: Sequence[str]) -> str | None:
    """The names of metrics, as many as fit, the first one whole."""
    shown = ""
    for at, name in enumerate(names):
        if at and len(shown) + len(name) > MAX_SYMBOL:
            return f"{shown} …"
        shown = f"{shown}, {name}" if at else name
    return shown or None
