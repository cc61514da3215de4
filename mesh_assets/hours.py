"""Working hours: when the owner lets the mesh work, as text, and whether a moment is within. Pure; local wall time.

always
19:00-07:00                                   every day; a window past midnight ends on the next day
Mon-Fri 19:00-07:00; Sat-Sun 00:00-24:00      windows by the day on which they begin
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

ALWAYS = "always"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"(?:(?P<days>[A-Za-z,\- ]+?)\s+)?(?P<start>\d{1,2}:\d\d)\s*-\s*(?P<stop>\d{1,2}:\d\d)")
_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """`start` and `stop` in minutes after midnight of the days on which it begins; `stop` may lie on the next day."""

    days: frozenset[int]
    start: int
    stop: int

    def holds(self, moment: datetime) -> bool:
        """Whether `moment` is within."""
        minute = moment.hour * 60 + moment.minute
        today = moment.weekday() in self.days and self.start <= minute < self.stop
        return today or ((moment.weekday() - 1) % 7 in self.days and minute + _MINUTES_A_DAY < self.stop)


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows in which the mesh may work; none of them means always."""

    windows: tuple[Window, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Hours:
        """The hours written as `text`; ValueError says what is wrong with it."""
        if text.strip().lower() in ("", ALWAYS):
            return cls()
        return cls(tuple(_window(part.strip()) for part in text.split(";") if part.strip()))

    def hold(self, moment: datetime) -> bool:
        """Whether the mesh may work at `moment`."""
        return not self.windows or any(window.holds(moment) for window in self.windows)

    def next_start(self, moment: datetime) -> datetime | None:
        """When the mesh may work again, to the minute; None where it may already."""
        if self.hold(moment):
            return None
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        starts = (
            midnight + timedelta(days=day, minutes=window.start)
            for window in self.windows
            for day in range(8)
            if (midnight + timedelta(days=day)).weekday() in window.days
        )
        return min(start for start in starts if start > moment)


def _window(text: str) -> Window:
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no window such as `19:00-07:00` or `Mon-Fri 19:00-07:00`")
    start, stop = _minute(match["start"]), _minute(match["stop"])
    if start == stop:
        raise ValueError(f"{text!r} begins when it ends; `00:00-24:00` is a whole day")
    return Window(_days(match["days"] or ""), start, stop if stop > start else stop + _MINUTES_A_DAY)


def _minute(text: str) -> int:
    hour, minute = map(int, text.split(":"))
    if minute > 59 or hour * 60 + minute > _MINUTES_A_DAY:
        raise ValueError(f"{text!r} is no time of day")
    return hour * 60 + minute


def _days(text: str) -> frozenset[int]:
    if not text:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        begin, end = _day(first), _day(last or first)
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(found)


def _day(text: str) -> int:
    for number, name in enumerate(_DAYS):
        if len(text) >= 3 and text.lower().startswith(name):
            return number
    raise ValueError(f"{text!r} is no day; days are Mon, Tue, Wed, Thu, Fri, Sat, Sun")
