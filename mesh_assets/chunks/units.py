"""Units of one kind, thousands in a text (records of a log, rows of a table), as pieces: all of a window at once.

What a unit is belongs to its chunker, and how units are grouped to `cutting`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.cutting import Cutter, fitted_context, grouped_by, line_cuts
from mesh_assets.chunks.moments import LineTimes
from mesh_assets.chunks.protocol import NO_MOMENT, NO_ROW, Pieces
from mesh_assets.chunks.tokens import MAX_CHARACTERS_PER_TOKEN, PARTS

_Numbers = NDArray[np.int64]
_LINE_BREAK = ord("\n")


@dataclass(frozen=True, slots=True)
class Units:
    """Units of a window that end at the characters `ends`, and what is said of each.

    `row` is the number of the first one, below 0 for what is above the rows of a table. `times` has the moments of the
    lines. `place` says where rows are, from the first up to the last one, exclusive.
    """

    ends: Sequence[int]
    context: tuple[str, int] = ("", 0)
    row: int | None = None
    times: LineTimes | None = None
    symbol: str | None = None
    place: Callable[[int, int], str] | None = None

    def numbers(self, first: _Numbers, last: _Numbers) -> tuple[_Numbers, _Numbers]:
        """The rows that the units from `first` up to `last` are."""
        if self.row is None:
            none = np.full(len(first), NO_ROW)
            return none, none
        return np.maximum(first + self.row, 0), np.maximum(last + self.row, 0)

    def moments(self, starts: _Numbers, stops: _Numbers) -> tuple[_Numbers, _Numbers]:
        """The earliest and the latest moment of each part."""
        if self.times is None:
            none = np.full(len(stops), NO_MOMENT)
            return none, none
        return self.times.of_parts(starts, stops)


def unit_pieces(cutter: Cutter, units: Units, limit: int, *, may_go_on: bool = False) -> Generator[Pieces, None, int]:
    """The pieces of groups of `units` that fit, from where `cutter` is, as `grouped` makes them; returns of how many.

    Where the last unit of a window `may_go_on` in the next one, the last group is left for that, if it is not the whole
    window. A unit that does not fit is cut at its lines; context gives way to what fits without it.
    """
    window, meter, ends = cutter.window, cutter.meter, units.ends
    at, worths = meter.before(cutter.start), meter.before_each(ends)
    groups = grouped_by(window.text, ends, worths, cutter.start, at, limit - units.context[1])
    lasts = [last for _, last in groups]
    if may_go_on and lasts and (cutter.start or len(lasts) > 1):
        lasts.pop()
        window.held = len(window.text) - (ends[lasts[-1] - 1] if lasts else cutter.start)
    if not lasts:
        return 0
    last = np.array(lasts, np.int64)
    stops = np.array([ends[last - 1] for last in lasts], np.int64)
    first, starts = _from(0, last), _from(cutter.start, stops)
    columns = (*units.numbers(first, last), *units.moments(starts, stops))
    contexts = [units.context] * len(lasts)
    if units.row is not None and units.row < 0:  # the chunk that holds the header needs no context
        for group in np.flatnonzero(first < -units.row).tolist():
            contexts[group] = ("", 0)
    cuts = _fit(cutter, starts, stops, contexts, limit)
    if cuts:
        stops = np.array([cut for group, stop in enumerate(stops.tolist()) for cut in cuts.get(group, (stop,))])
        which = np.repeat(np.arange(len(lasts)), [len(cuts.get(group, (0,))) for group in range(len(lasts))])
        columns = tuple(column[which] for column in columns)
        contexts = [contexts[group] for group in which.tolist()]
    yield _pieces(cutter, units, stops, columns, contexts)
    return lasts[-1]


def _fit(
    cutter: Cutter, starts: _Numbers, stops: _Numbers, contexts: list[tuple[str, int]], limit: int
) -> dict[int, list[int]]:
    """Shortens contexts where there is no room for them. Where groups that do not fit without any are cut."""
    meter = cutter.meter
    tokens = _tokens(cutter, starts, stops)
    are_large = (stops - starts > limit * MAX_CHARACTERS_PER_TOKEN) | (tokens + _counts(contexts) > limit)
    cuts: dict[int, list[int]] = {}
    for group in np.flatnonzero(are_large).tolist():
        start, stop, (context, count) = int(starts[group]), int(stops[group]), contexts[group]
        if meter.fits(start, stop, limit):
            contexts[group] = fitted_context(context, limit - int(tokens[group]), "structured")
        else:
            cuts[group] = list(line_cuts(cutter.window.text, meter, start, stop, limit - count))
    return cuts


def _pieces(
    cutter: Cutter, units: Units, stops: _Numbers, columns: tuple[_Numbers, ...], contexts: list[tuple[str, int]]
) -> Pieces:
    """The pieces from where `cutter` is that end at the characters `stops`, with rows and moments as `columns`."""
    window, breaks, starts = cutter.window, cutter.meter.breaks, _from(cutter.start, stops)
    whole = window.text
    texts = [whole[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
    if cutter.by_character:
        bytes_before = stops + (cutter.byte - cutter.start)
    else:
        bytes_before = np.cumsum([window.codec.size(text) for text in texts], dtype=np.int64) + cutter.byte
    if stops[-1] == len(whole):
        bytes_before[-1] = window.byte_stop  # as in `Cutter.skip`
    lines = np.searchsorted(breaks, stops) + (cutter.line - int(np.searchsorted(breaks, cutter.start)))
    place = units.place
    row_start, row_stop, time_start, time_stop = columns
    pieces = Pieces(
        text=texts,
        byte_start=_from(cutter.byte, bytes_before),
        byte_stop=bytes_before,
        line_start=_from(cutter.line, lines),
        # A piece that ends with its line break does not reach into the next line.
        line_stop=lines - (cutter.meter.codes[stops - 1] == _LINE_BREAK),
        tokens=_tokens(cutter, starts, stops) + _counts(contexts),
        context=[context for context, _ in contexts],
        symbol=[units.symbol] * len(texts),
        row_start=row_start,
        row_stop=row_stop,
        time_start=time_start,
        time_stop=time_stop,
        place=list(map(place, row_start.tolist(), row_stop.tolist())) if place else [None] * len(texts),
    )
    cutter.start, cutter.byte, cutter.line = int(stops[-1]), int(bytes_before[-1]), int(lines[-1])
    return pieces


def _from(first: int, stops: _Numbers) -> _Numbers:
    """Where each of parts starts that follow each other."""
    return np.concatenate((np.array([first], np.int64), stops[:-1]))


def _tokens(cutter: Cutter, starts: _Numbers, stops: _Numbers) -> _Numbers:
    worths = cutter.meter.before_all(stops) - cutter.meter.before_all(starts)
    return (worths.astype(np.int64) + (PARTS - 1)) // PARTS


def _counts(contexts: list[tuple[str, int]]) -> _Numbers:
    return np.array([tokens for _, tokens in contexts], np.int64)
