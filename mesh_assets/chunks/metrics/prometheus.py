r"""The text format of Prometheus, version 0.0.4, and OpenMetrics: `name{label="value"} 1.5 1700000000000`.

Source: "Exposition formats" of the Prometheus documentation, with its quoted UTF-8 names (`{"a.b", "c.d"="e"} 1`), and
the OpenMetrics specification 1.0 (moments in seconds, exemplars, `# UNIT`, `# EOF`). How lines become chunks belongs to
`chunker`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import cast

from mesh_assets.chunks.metrics.samples import Line, LineKind, Sample, checked, microseconds
from mesh_assets.chunks.moments import NONE
from mesh_assets.intake.metric_lines import BLANK, NAME, PROMETHEUS_LINE, STRING

_DESCRIBED = re.compile(rf"\ufeff?{BLANK}\#{BLANK}(?:HELP|TYPE|UNIT)[ \t]++({STRING}|{NAME})(?![^ \t\r\n])")
_ENTRIES = re.compile(rf"(?:([a-zA-Z_][a-zA-Z0-9_]*+)|({STRING})){BLANK}(?:={BLANK}({STRING}))?")
_ESCAPE = re.compile(r"\\(.)")
_PLAIN_NAME, _PLAIN_LABEL = re.compile(NAME), re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*+")
# What a metric is called in the samples of its parts, behind its own name.
_PARTS = ("_bucket", "_count", "_sum", "_total", "_created", "_info", "_gcount", "_gsum", "_min", "_max")
_NAME_LABEL = "__name__"


def lines(text: str) -> Iterator[Line]:
    """The lines of `text` in order; together they are all of it."""
    for match in PROMETHEUS_LINE.finditer(text):
        stop = match.end()
        if stop == match.start():
            return
        name, labels, named, value, time, note = match.groups()
        if value is not None:
            yield _sample_line(stop, name or _name_in(named or labels), time)
        elif note is None:
            yield Line(stop, LineKind.BAD)
        else:
            described = _DESCRIBED.match(note)
            yield Line(stop, LineKind.NOTE, _unquoted(described[1]) if described else "")


def _sample_line(stop: int, name: str, time: str | None) -> Line:
    try:
        moment = NONE if time is None else _moment(time)
    except ValueError:
        name = ""
        moment = NONE
    return Line(stop, LineKind.SAMPLE, name, moment) if name else Line(stop, LineKind.BAD)


def samples(text: str) -> Iterator[Sample]:
    """The samples of `text`, such as a chunk; lines that are none are left out."""
    row = 0
    for match in PROMETHEUS_LINE.finditer(text):
        name, braces, named, value, time, _ = match.groups()
        if value is None:
            continue
        labels = _labels(braces or named)
        name = name or labels.pop("", "") or labels.pop(_NAME_LABEL, "")
        try:
            moment = None if time is None else _moment(time)
        except ValueError:
            continue
        if name:
            yield Sample(name, labels, moment, float(value), row)
            row += 1


def metric_of(name: str, described: set[str] | dict[str, str]) -> str:
    """The metric that a sample called `name` is of: `_sum` is part of a histogram that is `described`."""
    if name not in described:
        for part in _PARTS:
            if name.endswith(part) and name[: -len(part)] in described:
                return name[: -len(part)]
    return name


def is_description(line: str) -> bool:
    """Whether `line` says what a metric is."""
    return _DESCRIBED.match(line) is not None


def written(sample: Sample) -> str:
    """`sample` as one line: what `samples` reads as the same one. Names that are no words are quoted."""
    is_plain = _PLAIN_NAME.fullmatch(sample.name) is not None
    entries = [] if is_plain else [quoted(sample.name)]
    for key, value in sample.labels.items():
        entries.append(f"{key if _PLAIN_LABEL.fullmatch(key) else quoted(key)}={quoted(value)}")
    head = sample.name if is_plain else ""
    braces = f"{{{','.join(entries)}}}" if entries else ""
    time = "" if sample.time is None else f" {_written_time(sample.time)}"
    return f"{head}{braces} {_written_value(sample.value)}{time}\n"


def described(name: str, *, kind: str, unit: str, text: str) -> str:
    """The lines that describe a metric; what is empty is left out."""
    shown = name if _PLAIN_NAME.fullmatch(name) else quoted(name)
    escaped = _one_line(text.replace("\\", "\\\\"))
    said = (("HELP", escaped), ("TYPE", kind), ("UNIT", _one_line(unit)))
    return "".join(f"# {word} {shown} {what}\n" for word, what in said if what)


def quoted(text: str) -> str:
    """`text` between quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_one_line(escaped)}"'


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n").replace("\r", " ")


def _written_value(value: float) -> str:
    if math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _written_time(time: int) -> str:
    """Milliseconds, or seconds with a fraction where those would not say it, or be taken for seconds."""
    if time % 1000 == 0 and time >= 10**14:
        return str(time // 1000)
    seconds, rest = divmod(abs(time), 1_000_000)
    return f"{'-' if time < 0 else ''}{seconds}.{rest:06}"


def _moment(text: str) -> int:
    """Microseconds since 1970: of whole milliseconds or seconds, as their size tells, or seconds with a fraction."""
    if "e" in text or "E" in text:
        return checked(float(text) * 1e6)
    if "." in text:
        whole, _, fraction = text.partition(".")
        part = int(fraction[:6].ljust(6, "0"))
        return checked(int(whole) * 1_000_000 + (-part if whole.startswith("-") else part))
    return microseconds(int(text), per_unit=1000)


def _name_in(braces: str | None) -> str:
    labels = _labels(braces)
    return labels.get("") or labels.get(_NAME_LABEL, "")


def _labels(braces: str | None) -> dict[str, str]:
    """The labels between braces; a string that stands there alone, the metric's name, has the key ''."""
    found: dict[str, str] = {}
    for word, string, value in cast("list[tuple[str, str, str]]", _ENTRIES.findall(braces or "")):
        key = word or _unquoted(string)
        if value:
            found[key] = _unquoted(value)
        else:
            found[""] = key
    return found


def _unquoted(text: str) -> str:
    """What a name or a string between quotes says."""
    if text[:1] != '"':
        return text
    inner = text[1:-1]
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], inner) if "\\" in inner else inner
