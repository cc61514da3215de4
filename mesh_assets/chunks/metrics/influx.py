r"""The line protocol of InfluxDB and Telegraf: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.

Source: "Line protocol reference" of the InfluxDB documentation. A line does not say the unit of its moment, which is
nanoseconds unless its size tells another. How lines become chunks belongs to `chunker`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from mesh_assets.chunks.metrics.samples import Line, LineKind, Sample, microseconds
from mesh_assets.chunks.moments import NONE
from mesh_assets.intake.metric_lines import INFLUX_LINE, KEY, NUMBER, TEXT, TRUTH

_TAGS = re.compile(rf",({KEY})=({KEY})")
_FIELDS = re.compile(rf"({KEY})=(?:({TEXT})|({NUMBER}|{TRUTH}))(?:,|\Z)")
_ESCAPED = re.compile(r"\\([,= ])")
# The field whose series is called by its measurement alone.
_ONLY_FIELD = "value"
_NANOSECOND = 1e-3  # microseconds


def lines(text: str) -> Iterator[Line]:
    """The lines of `text` in order; together they are all of it. A line's text may hold line breaks within quotes."""
    for match in INFLUX_LINE.finditer(text):
        stop = match.end()
        if stop == match.start():
            return
        name, _, _, time, note = match.groups()
        if name is not None:
            try:
                moment = NONE if time is None else _moment(time)
            except ValueError:
                yield Line(stop, LineKind.BAD)
            else:
                yield Line(stop, LineKind.SAMPLE, _unescaped(name), moment)
        else:
            yield Line(stop, LineKind.BAD if note is None else LineKind.NOTE)


def samples(text: str) -> Iterator[Sample]:
    """One sample for each field that is a number or a truth (1 or 0), called `measurement.field`.

    A field called `value` has the name of its measurement. Texts are no samples.
    """
    row = 0
    for match in INFLUX_LINE.finditer(text):
        name, tags, fields, time, _ = match.groups()
        if name is None:
            continue
        try:
            moment = None if time is None else _moment(time)
        except ValueError:
            continue
        measurement = _unescaped(name)
        labels = {_unescaped(key): _unescaped(value) for key, value in _TAGS.findall(tags)}
        for key, string, value in cast("list[tuple[str, str, str]]", _FIELDS.findall(fields)):
            if not string:
                field = _unescaped(key)
                called = measurement if field == _ONLY_FIELD else f"{measurement}.{field}"
                yield Sample(called, labels, moment, _value(value), row)
        row += 1


def _value(text: str) -> float:
    if text[0] in "tTfF":
        return float(text[0] in "tT")
    return float(text.rstrip("iu"))


def _moment(text: str) -> int:
    return microseconds(int(text), per_unit=_NANOSECOND)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text
