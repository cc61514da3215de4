"""Numbers and spans of time as sentences say them; figures on their own, and sizes, are in `mesh_assets.wording`."""

from __future__ import annotations

from datetime import datetime


def amount(value: float) -> str:
    """`4,100`, `35`, `2.5`, `0.04`."""
    if abs(value) >= 10 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def share(part: float, whole: float) -> str:
    """A percentage: `45%`, `0.3%`."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "less than 0.1%"
    return f"{percent:.0f}%" if percent >= 10 or percent == 0 else f"{percent:.2g}%"


def plural(count: float, one: str, many: str | None = None) -> str:
    """`1 file`, `3 files`."""
    return f"{amount(count)} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """The two largest units that matter: `45 seconds`, `25 minutes`, `3 hours`, `2 days`."""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * length or seconds == length:
            return plural(round(seconds / length, 1) if seconds < 10 * length else round(seconds / length), unit)
    return plural(max(round(seconds), 1), "second")


def period(start: datetime, stop: datetime) -> str:
    """`Between 10:42 and 10:47 UTC on 2024-05-03`; with seconds where it is short, with both days where they differ."""
    clock = "%H:%M" if (stop - start).total_seconds() >= 120 else "%H:%M:%S"
    if start.date() == stop.date():
        if start.strftime(clock) == stop.strftime(clock):
            return f"At {start.strftime(clock)} UTC on {start:%Y-%m-%d}"
        return f"Between {start.strftime(clock)} and {stop.strftime(clock)} UTC on {start:%Y-%m-%d}"
    return f"Between {start:%Y-%m-%d %H:%M} and {stop:%Y-%m-%d %H:%M} UTC"


def usual(expected: float) -> str:
    """What was to be expected, after `instead of`."""
    return "almost none" if expected < 0.5 else amount(expected)


def rate(observed: float, expected: float, seconds: float, what: str) -> str:
    """`312 errors a minute instead of 2`, or counts where it lasted less than a minute or came less than that often."""
    for unit, length in (("a minute", 60), ("an hour", 3600)):
        factor = length / seconds
        if observed * factor >= 2 and seconds >= length:
            return f"{amount(observed * factor)} {what} {unit} instead of {usual(expected * factor)}"
    return f"{amount(observed)} {what} in {duration(seconds)} instead of {usual(expected)}"
