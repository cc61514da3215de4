"""What formats of metrics have in common: samples, the lines they are written in, and moments in any unit.

How a format writes them belongs to its own module.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from mesh_assets.chunks.moments import NONE

# Years 1 to 9999 in microseconds since 1970 UTC: what a `datetime` can say.
FIRST_MOMENT, LAST_MOMENT = -62_135_596_800_000_000, 253_402_300_799_999_999
# Whole numbers of the years 2001 to 5138 in seconds, ms, us and ns do not overlap.
_UNITS = ((10**9, 10**11, 1_000_000), (10**12, 10**14, 1000), (10**15, 10**17, 1))


class Sample(NamedTuple):
    """One value of one metric. `time` counts microseconds since 1970 UTC, None where the file has none.

    `row` is the number of the line that says it among the lines of the text that hold samples, from 0.
    """

    name: str
    labels: dict[str, str]
    time: int | None
    value: float
    row: int = 0


class LineKind(Enum):
    """What a line is: one or more samples, a comment or a blank, neither."""

    SAMPLE = 1
    NOTE = 2
    BAD = 3


class Line(NamedTuple):
    """One line of a text, up to the character `stop`, its line break included.

    `name` is the metric that it samples, or that a comment describes, else empty. `time` is as in `LineTimes`.
    """

    stop: int
    kind: LineKind
    name: str = ""
    time: int = NONE


def microseconds(number: int, *, per_unit: float) -> int:
    """The moment of a whole number, whose unit its size tells: seconds, ms or us of the years since 2001.

    Any other number counts units of `per_unit` microseconds. ValueError beyond the years 1 to 9999.
    """
    scale = next((scale for low, high, scale in _UNITS if low <= number < high), per_unit)
    return checked(number * scale if scale >= 1 else number // round(1 / scale))


def checked(time: float) -> int:
    """`time`, in microseconds since 1970 UTC, rounded. ValueError where it is in none of the years 1 to 9999."""
    if not FIRST_MOMENT <= time <= LAST_MOMENT:
        raise ValueError("a moment beyond the years 1 to 9999")
    return round(time)
