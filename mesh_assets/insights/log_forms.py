"""What a form of log lines means: found from one line of it, and then read from all others by their digits alone.

The line that stands for a form is read by `log_shapes`, as any line could be. Where a number is not told by digits that
the form leaves visible, its lines are read one by one. Times are read by `chunks.timestamps`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.log_records import BEFORE_STAMP, BEHIND_STAMP, LEVELS, LogRecord, level_of
from mesh_assets.insights.byte_text import Bytes, Places
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_shapes import MAX_NUMBERS, Measurement, number_spans, said_in
from mesh_assets.insights.template_miner import Shape, may_end_before_status

# What a form does not tell of a source, because it is masked there.
_MASKED = frozenset("0123456789/")


class Measure(NamedTuple):
    """A measured number: its label, its run, that of its fraction (or -1), and its sign."""

    label: str
    run: int
    fraction: int
    sign: int


@dataclass(frozen=True, slots=True)
class Form:
    """What the lines of a form say that begin records; where they are `read_alone`, nothing is told of them.

    `level` is that of a record of one line. `source` is what wrote the line; where it `varies` within the form it is
    that of one line.
    """

    read_alone: bool = False
    level: str | None = None
    shape: Shape = ()
    numbers: tuple[Measure, ...] = ()
    source: str | None = None

    @property
    def varies(self) -> bool:
        """Whether lines of this form may name other sources."""
        return self.source is not None and not _MASKED.isdisjoint(self.source)


READ_ALONE = Form(read_alone=True)


def form_of(line: str, digits: list[tuple[int, int]], stamp: re.Pattern[str] | None, layout: LogLayout) -> Form:
    """The form of `line`, which begins a record of a log of that layout.

    `digits` are its visible runs of digits, as bytes of it; `stamp` is the pattern of its timestamp, if it has one.
    """
    start, stop = stamp_in(line, stamp)
    if "{" in line[:3] or _reads_otherwise(line, start, stop):  # the fields of JSON may come in any order
        return READ_ALONE
    record = LogRecord(line, start, stop)
    said = said_in(record, layout)
    measures: tuple[Measure, ...] | None = ()
    if stamp is not None and said.numbers:
        if not line.isascii():
            digits = [(_characters(line, at), _characters(line, end)) for at, end in digits]
        measures = _measures(record, said.numbers, digits)
        if measures is None:
            return READ_ALONE
    return Form(False, level_of(line, stop), said.shape, measures, said.source)


def stamp_in(line: str, pattern: re.Pattern[str] | None) -> tuple[int, int]:
    """Where the stamp stands in a line that begins with one (characters), and (0, 0) where it has none."""
    match = None if pattern is None else pattern.match(line)
    return (0, 0) if match is None else match.span("stamp")


def _reads_otherwise(line: str, start: int, stop: int) -> bool:
    """Whether quotes or a status mean something else in the message, which is without the stamp, than in the line."""
    before = line[:start]
    shown = before.strip(BEFORE_STAMP)
    if not shown and '"' not in before:
        return False
    odd = before.count('"') % 2 or shown.count('"') % 2
    return bool(odd) or (line[stop:].lstrip(BEHIND_STAMP)[:1].isdigit() and may_end_before_status(shown))


def _characters(line: str, byte: int) -> int:
    return len(line.encode("utf-8", "replace")[:byte].decode("utf-8", "ignore"))


def _measures(
    record: LogRecord, numbers: tuple[Measurement, ...], runs: list[tuple[int, int]]
) -> tuple[Measure, ...] | None:
    """The numbers of a line as visible runs; None where one is not visible."""
    found: list[Measure] = []
    starts = {first: number for number, (first, _) in enumerate(runs)}
    for measured, (start, stop) in zip(numbers, number_spans(record, numbers), strict=True):
        sign = -1 if record.text[start] == "-" else 1
        start += sign < 0
        written = record.text[start:stop]
        run = starts.get(start)
        fraction = starts.get(start + written.index(".") + 1) if "." in written else -1
        if run is None or fraction is None:
            return None
        found.append(Measure(measured.label, run, fraction, sign))
    return tuple(found)


# --- reading many lines ---------------------------------------------------------------------------------------------


class FormTable:
    """Forms as arrays: what is looked up for many lines at once. Row `i` is the form that was added as number `i`."""

    def __init__(self) -> None:
        self.forms: list[Form] = []
        self.shapes: list[Shape] = []
        self.labels: list[str] = []
        self._shapes: dict[Shape, int] = {}
        self._labels: dict[str, int] = {}
        self._facts = np.zeros((0, 3), np.int64)
        self._numbers = np.zeros((0, MAX_NUMBERS, 4), np.int64)

    def add(self, form: Form) -> int:
        """The number of a new form."""
        number = len(self.forms)
        if number == len(self._facts):
            more = max(64, number)
            self._facts = np.concatenate((self._facts, np.zeros((more, 3), np.int64)))
            none = np.broadcast_to(np.array([-1, -1, -1, 1]), (more, MAX_NUMBERS, 4))
            self._numbers = np.concatenate((self._numbers, none))
        self._facts[number] = form.read_alone, level_number(form.level), self.shape(form.shape)
        for place, measure in enumerate(form.numbers):
            self._numbers[number, place] = self.label(measure.label), measure.run, measure.fraction, measure.sign
        self.forms.append(form)
        return number

    def shape(self, shape: Shape) -> int:
        """The place of a shape in `shapes`."""
        return _place_in(shape, self._shapes, self.shapes)

    def label(self, label: str) -> int:
        """The place of a label in `labels`."""
        return _place_in(label, self._labels, self.labels)

    def numbers(self, forms: Places) -> NDArray[np.int64]:
        """The measures of forms, of shape (forms, `MAX_NUMBERS`, 4); those that are none have the label -1."""
        return self._numbers[forms]

    def facts(self, forms: Places) -> tuple[Places, Places, Places]:
        """Of forms, whether they are read alone, their levels as places in `LEVELS` or -1, and their shapes."""
        alone, levels, shapes = self._facts[forms].T
        return alone, levels, shapes


T = TypeVar("T")


def _place_in(value: T, places: dict[T, int], values: list[T]) -> int:
    place = places.setdefault(value, len(values))
    if place == len(values):
        values.append(value)
    return place


def level_number(level: str | None) -> int:
    """The place of a level in `LEVELS`, -1 for none."""
    return -1 if level is None else LEVELS.index(level)


def whole_numbers(data: Bytes, starts: Places, lengths: Places) -> NDArray[np.int64]:
    """The numbers that digits write, of at most 18 each."""
    values = np.zeros(len(starts), np.int64)
    at = np.arange(len(starts))
    for place in range(int(lengths.max()) if len(lengths) else 0):
        at = at[lengths[at] > place]
        values[at] = values[at] * 10 + (data[starts[at] + place].astype(np.int64) - ord("0"))
    return values
