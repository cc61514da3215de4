"""The numbers of an insight, read from its JSON: a series to plot, breakdowns to list, figures, columns of a table.

Read by shape, never by the insight's type, so that a new insight needs no line here. Whatever has no shape that people
can be shown is left out; no text makes these functions fail. Drawing belongs to `plots`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from mesh_assets.reports.profiles import Profile, read_profile
from mesh_assets.reports.prose import moment

# A chart is about 700 pixels wide; more points than this cannot be told apart.
MAX_POINTS = 240
# Entries of one breakdown, breakdowns and figures of one insight that a person still reads.
MAX_ENTRIES = 12
MAX_BREAKDOWNS = 6
MAX_FIGURES = 8
# Entries kept while breakdowns of many slices are added up: enough that the top dozen is right in practice.
_HELD_ENTRIES = 500
_LABEL_LIMIT = 120
# Far above anything that is counted; keeps every product of a chart finite.
_HIGHEST = 1e30
_LABEL_KEYS = ("label", "name", "text", "template", "value", "path")
_COUNT_KEYS = ("count", "n", "mentions", "chunks", "rows", "lines", "files", "bytes", "size")
# Figures that count things: those of several slices add up. Others (a median, a share, a peak) do not.
ADDITIVE = frozenset(
    {*_COUNT_KEYS, "classes", "copies", "documents", "functions", "hits", "records", "text_bytes", "tokens"}
)


@dataclass(frozen=True, slots=True)
class Series:
    """Points in order; `x` are ISO times or labels, `marked` the first and last index of what stands out."""

    x: tuple[str, ...]
    y: tuple[float, ...]
    unit: str = ""
    marked: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """How often each of several things occurs, most frequent first; `more` things are not listed."""

    name: str
    entries: tuple[tuple[str, float], ...]
    more: int = 0


Figures = tuple[tuple[str, str | float], ...]


@dataclass(frozen=True, slots=True)
class Values:
    """Everything that an insight's JSON has for people."""

    series: Series | None = None
    breakdowns: tuple[Breakdown, ...] = ()
    figures: Figures = ()
    profile: Profile | None = None


def read_values(text: str) -> Values:
    """The values in JSON `text`; nothing where it is no JSON object."""
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return Values()
    if not isinstance(parsed, dict):
        return Values()
    found = cast("dict[str, object]", parsed)
    series = _series(found.pop("series", None))
    profile = read_profile(found.get("columns"))
    if profile is not None:
        del found["columns"]
    breakdowns: list[Breakdown] = []
    figures: list[tuple[str, str | float]] = []
    for name, value in sorted(found.items()):
        figure = _figure(value)
        if figure is not None:
            figures.append((name, figure))
        else:
            breakdowns.extend(_breakdowns(name, value))
    return Values(series, tuple(breakdowns[:MAX_BREAKDOWNS]), tuple(figures[:MAX_FIGURES]), profile)


def number(value: object) -> float | None:
    """`value` as a number that can be drawn: finite, and tiny ones as zero; None for others (booleans are none)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    if not math.isfinite(converted) or abs(converted) > _HIGHEST:
        return None
    return converted if abs(converted) > 1 / _HIGHEST else 0.0


def when(text: str) -> datetime | None:
    """The moment that an ISO text names, taken as UTC where it has no zone; None where it names none."""
    if not text[:4].isdigit() or len(text) < 8:
        return None
    try:
        named = datetime.fromisoformat(text)
        return named.replace(tzinfo=UTC) if named.tzinfo is None else named.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def at(x: str) -> str:
    """An x of a series for people: its moment, or the label as it is."""
    time = when(x)
    return x if time is None else moment(time)


def shown(breakdown: Breakdown) -> Breakdown:
    """`breakdown` with as many entries as a person reads."""
    left = len(breakdown.entries) - MAX_ENTRIES
    if left <= 0:
        return breakdown
    return Breakdown(breakdown.name, breakdown.entries[:MAX_ENTRIES], breakdown.more + left)


def add_breakdowns(groups: Iterable[tuple[Breakdown, ...]]) -> tuple[Breakdown, ...]:
    """Breakdowns of the same name added up, label by label."""
    totals: dict[str, dict[str, float]] = {}
    more: dict[str, int] = {}
    for breakdown in (breakdown for group in groups for breakdown in group):
        total = totals.setdefault(breakdown.name, {})
        more[breakdown.name] = max(more.get(breakdown.name, 0), breakdown.more)
        for label, n in breakdown.entries:
            total[label] = total.get(label, 0.0) + n
    summed = [_ranked(name, total.items(), more[name]) for name, total in totals.items()]
    return tuple(summed[:MAX_BREAKDOWNS])


def add_series(parts: list[Series]) -> Series:
    """Series of one unit on one axis, in order of x; equal x are added. What was marked in any part stays marked.

    Where that gives more than `MAX_POINTS`, each group of neighbours becomes its highest point: a peak stays visible
    and the unit stays true.
    """
    points: dict[str, float] = {}
    for part in parts:
        for x, y in zip(part.x, part.y, strict=True):
            points[x] = points.get(x, 0.0) + y
    ordered = sorted(points, key=lambda x: (when(x) or datetime.max.replace(tzinfo=UTC), x))
    index = {x: i for i, x in enumerate(ordered)}
    marks = [index[part.x[i]] for part in parts if part.marked is not None for i in part.marked]
    marked = (min(marks), max(marks)) if marks else None
    return coarsened(Series(tuple(ordered), tuple(points[x] for x in ordered), parts[0].unit, marked))


def coarsened(series: Series, limit: int = MAX_POINTS) -> Series:
    """`series` in at most `limit` points, each the highest of its neighbours."""
    step = -(-len(series.x) // limit)
    if step <= 1:
        return series
    y = tuple(max(series.y[i : i + step]) for i in range(0, len(series.y), step))
    marked = (series.marked[0] // step, series.marked[1] // step) if series.marked else None
    return Series(series.x[::step], y, series.unit, marked)


def add_figures(groups: list[Figures], *, keep_others: bool) -> Figures:
    """The figures of the first group; what counts things is the sum over all. Without `keep_others` only counts."""
    added: list[tuple[str, str | float]] = []
    for name, value in groups[0]:
        if name in ADDITIVE and not isinstance(value, str):
            same = (dict(group).get(name) for group in groups)
            added.append((name, sum(n for n in same if n is not None and not isinstance(n, str))))
        elif keep_others:
            added.append((name, value))
    return tuple(added)


def _figure(value: object) -> str | float | None:
    """A text, a number, or a list of texts as one text; None for anything else."""
    if isinstance(value, str):
        return value or None
    if not isinstance(value, list):
        return number(value)
    texts = [item for item in cast("list[object]", value[:MAX_ENTRIES]) if isinstance(item, str)]
    return ", ".join(texts) or None


def _series(value: object) -> Series | None:
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, object]", value)
    xs, ys = fields.get("x"), fields.get("y")
    if not isinstance(xs, list) or not isinstance(ys, list):
        return None
    pairs = zip(cast("list[object]", xs), map(number, cast("list[object]", ys)), strict=False)
    points = [(str(x)[:_LABEL_LIMIT], 0.0 if y is None else y) for x, y in pairs]
    if len(points) < 2:
        return None
    unit = fields.get("unit")
    x, y = zip(*points, strict=True)
    unit = unit[:_LABEL_LIMIT] if isinstance(unit, str) else ""
    return coarsened(Series(x, y, unit, _marked(fields.get("marked"), len(x))))


def _marked(value: object, length: int) -> tuple[int, int] | None:
    if not isinstance(value, list) or len(cast("list[object]", value)) != 2:
        return None
    first, last = map(number, cast("list[object]", value))
    if first is None or last is None or not 0 <= first <= last < length:
        return None
    return int(first), int(last)


def _breakdowns(name: str, value: object) -> list[Breakdown]:
    """Breakdowns in `value`: those of `_breakdown`, or a dictionary of them by name."""
    if isinstance(value, dict):
        inner = cast("dict[str, object]", value).items()
        if nested := [breakdown for key, part in inner if number(part) is None for breakdown in _breakdown(key, part)]:
            return nested
    return _breakdown(name, cast(object, value))


def _breakdown(name: str, value: object) -> list[Breakdown]:
    """The breakdown in {label: n}, [[label, n]] or [{"label": .., "count": ..}]; an empty list for others."""
    total: dict[str, float] = {}
    pairs: list[tuple[str, float | None]] = []
    if isinstance(value, dict):
        pairs = [(label, number(n)) for label, n in cast("dict[str, object]", value).items()]
    elif isinstance(value, list):
        pairs = [_labelled(item) for item in cast("list[object]", value)]
    for label, n in pairs:
        if label and n is not None and n > 0:
            total[label[:_LABEL_LIMIT]] = total.get(label[:_LABEL_LIMIT], 0.0) + n
    return [_ranked(name, total.items(), 0)] if total else []


def _labelled(item: object) -> tuple[str, float | None]:
    if isinstance(item, dict):
        fields = cast("Mapping[str, object]", item)
        label = next((fields[key] for key in _LABEL_KEYS if isinstance(fields.get(key), str)), "")
        n = next((n for key in _COUNT_KEYS if (n := number(fields.get(key))) is not None), None)
        return str(label), n
    if isinstance(item, list):
        pair = cast("list[object]", item)
        if len(pair) == 2 and isinstance(pair[0], str):
            return pair[0], number(pair[1])
    return "", None


def _ranked(name: str, pairs: Iterable[tuple[str, float]], more: int) -> Breakdown:
    ranked = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    return Breakdown(name[:_LABEL_LIMIT], tuple(ranked[:_HELD_ENTRIES]), more + max(len(ranked) - _HELD_ENTRIES, 0))
