"""Columns of a table as a person reads them: one line each, with a type, what is filled, a range and a distribution.

Read from an insight's JSON by its shape: a list of objects that have a name and a type. Drawing belongs to `plots`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from mesh_assets.wording import brief, count, shorten

# Columns that a person still reads; texts in their cells, and bars of one.
MAX_COLUMNS = 24
_TEXT, _LABEL, _BARS = 120, 40, 24


@dataclass(frozen=True, slots=True)
class ColumnLine:
    """One column: each field as it is shown. `bars` count values in equal intervals from the lowest to the highest."""

    name: str
    type: str
    filled: str
    distinct: str
    values: str
    bars: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """The columns of a table in their order; `more` are not shown."""

    columns: tuple[ColumnLine, ...]
    more: int = 0


def read_profile(value: object) -> Profile | None:
    """The profile in a value of an insight's JSON; None where it has another shape."""
    if not isinstance(value, list) or not value:
        return None
    lines: list[ColumnLine] = []
    for item in cast("list[object]", value):
        if not isinstance(item, dict):
            return None
        column = cast("dict[str, object]", item)
        name, kind = column.get("name"), column.get("type")
        if not isinstance(name, str) or not isinstance(kind, str):
            return None
        if len(lines) < MAX_COLUMNS:
            lines.append(_line(name, kind, column))
    return Profile(tuple(lines), len(cast("list[object]", value)) - len(lines))


def _line(name: str, kind: str, column: dict[str, object]) -> ColumnLine:
    filled, distinct = _number(column.get("filled")), _number(column.get("distinct"))
    return ColumnLine(
        shorten(name, _TEXT),
        shorten(kind, _LABEL),
        "" if filled is None else _percent(filled),
        "" if distinct is None else f"{'' if column.get('exact', True) else '≈ '}{brief_count(distinct)}",
        _values(column),
        _bars(column.get("bars")),
    )


def _values(column: dict[str, object]) -> str:
    """A range with its quartiles, or the first and the last date, or the most frequent values."""
    low, high = _number(column.get("min")), _number(column.get("max"))
    if low is not None and high is not None:
        quartiles = _numbers(column.get("quartiles"))
        middle = f"; half of them {count(quartiles[0])} to {count(quartiles[2])}" if len(quartiles) == 3 else ""
        return f"{count(low)} to {count(high)}{middle}"
    first, last = column.get("first"), column.get("last")
    if isinstance(first, str) and isinstance(last, str):
        return shorten(f"{first} to {last}", _TEXT)
    top = column.get("top")
    if not isinstance(top, dict):
        return ""
    counts = [(label, _number(n) or 0.0) for label, n in cast("dict[str, object]", top).items()]
    ranked = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    return shorten(", ".join(f"{shorten(label, _LABEL)} ({count(n)})" for label, n in ranked), _TEXT)


def brief_count(value: float) -> str:
    """A count as short as a cell needs it: `812`, `1.24 M`."""
    return brief(value) if value >= 100_000 else count(value)


def _percent(part: float) -> str:
    """`100%` of all, and less of nearly all."""
    percent = 100 * min(max(part, 0.0), 1.0)
    return f"{math.floor(percent * 10) / 10:g}%" if 90 < percent < 100 else f"{percent:.0f}%"


def _bars(value: object) -> tuple[float, ...]:
    found = _numbers(value)
    return tuple(max(n, 0.0) for n in found[:_BARS]) if len(found) > 1 else ()


def _numbers(value: object) -> list[float]:
    if not isinstance(value, list):
        return []
    found = [_number(item) for item in cast("list[object]", value)]
    return [n for n in found if n is not None] if None not in found else []


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
