"""The moments of all lines of a text at once, by NumPy: for windows, of which only the ends of each chunk are wanted.

The patterns of `timestamps` decide what a stamp is. Here stand the usual ways of writing one, character by character;
a line that begins as a stamp and goes on in another way is left to the pattern (`DOUBT`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.protocol import NO_MOMENT

Times = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Instead of a moment, which is in microseconds since 1970 UTC: the line has none; its pattern has to say.
NONE, DOUBT = NO_MOMENT, NO_MOMENT + 1
# A stamp that is not at the start of its line starts within these characters.
HEAD = 128

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DIGITS = "0123456789"
_DIGIT_SIGNS = "YmdHMSyEzZ"
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# What may stand at a place of a notation, by the sign that stands there for it. (Letters of names: all that could.)
_CLASSES = {
    **dict.fromkeys(_DIGIT_SIGNS, _DIGITS),
    "1": "1",
    "D": " " + _DIGITS,
    "~": "-/.",
    "_": "T _-",
    ";": ":.",
    "±": "+-",
    **{sign: "".join({name[at] for name in _MONTH_NAMES}) for at, sign in enumerate("bce")},
    **{sign: "".join({name[at] for name in _DAY_NAMES}) for at, sign in enumerate("wvu")},
}
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_MAX_FRACTION = 9
_ZONE = re.compile(rb" ?(?:Z|([+-])([0-9]{2}):?([0-9]{2}))(?![0-9A-Za-z])")
_ALPHANUMERIC = np.array([chr(code).isascii() and chr(code).isalnum() for code in range(256)])
_GOES_ON = _ALPHANUMERIC | np.array([chr(code) in ".:-" for code in range(256)])
_IS_DIGIT = np.array([chr(code) in _DIGITS for code in range(256)])
_BEGINS_ZONE = np.array([chr(code) in "Z+-" for code in range(256)])
# What may stand before a stamp at the start of a line: a bracket or quote; or what only the pattern reads (a byte order
# mark is a `?` here).
_BRACKET = np.array([chr(code) in "[(\"'" for code in range(256)])
_OTHER_LEAD = np.array([chr(code) in "<?" for code in range(256)])
_MONTHS = {sum(ord(letter) << 8 * at for at, letter in enumerate(name)): n for n, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = np.array([sum(ord(letter) << 8 * at for at, letter in enumerate(name)) for name in _DAY_NAMES])
_SORTED_MONTHS = np.array(sorted(_MONTHS))
_MONTH_NUMBERS = np.array([_MONTHS[code] for code in sorted(_MONTHS)])
# Behind the longest notation: a fraction, a zone and the character after it.
_TAIL = 20


@dataclass(frozen=True)
class Notation:
    """How a format is mostly written: `written` by the signs of `_CLASSES`, of which every stamp has the first `sure`.

    `tail` says what may follow: a `fraction`, a fraction of three to six digits (`millis`), a fraction and a `zone`,
    three digits or nothing, but no letter (`epoch`), no digit (`end`), a comma behind a digit or two (`comma`). One
    with only its first signs is never sure. With a `clock`, each stamp has digits with a colon between.
    """

    written: str
    sure: int
    tail: str = ""
    clock: bool = True

    @cached_property
    def beginning(self) -> list[tuple[int, str]]:
        """Places and signs of the sure characters, first those that texts have fewest of."""
        return sorted(
            enumerate(self.written[: self.sure]), key=lambda place: (place[1] in _DIGIT_SIGNS, place[1] in " ~")
        )


NOTATIONS = {
    "iso": Notation("YYYY~mm~dd_HH;MM;SS", 19, "zone", clock=False),
    "common log": Notation("dd/bce/YYYY:HH:MM:SS ±zzZZ", 26),
    "ctime": Notation("wvu bce Dd HH:MM:SS YYYY", 8),
    "java.util.logging": Notation("bce ", 4, "comma"),
    "syslog": Notation("bce Dd HH:MM:SS", 4, "fraction"),
    "android": Notation("mm-dd HH:MM:SS.", 15, "millis"),
    "short year": Notation("yy/mm/dd HH:MM:SS", 17, "end"),
    "hdfs": Notation("yymmdd HHMMSS", 13, "end", clock=False),
    "epoch": Notation("1EEEEEEEEE", 10, "epoch", clock=False),
}


@dataclass(frozen=True, slots=True)
class LineTimes:
    """Where the lines of a text start (character), and the moment of each, or `NONE`."""

    starts: Times
    times: Times

    def of_parts(self, starts: Times, stops: Times) -> tuple[Times, Times]:
        """The earliest and the latest moment of each part, or `NONE`; parts are in order and begin with a line."""
        if not len(stops):
            return stops, stops
        first, last = self.starts.searchsorted(starts), int(self.starts.searchsorted(int(stops[-1])))
        times = self.times[:last]
        latest: Times = np.maximum.reduceat(times, first)
        earliest: Times = np.minimum.reduceat(np.where(times == NONE, -NONE, times), first)
        return np.where(latest == NONE, NONE, earliest), latest


def line_starts(codes: NDArray[np.uint8]) -> Times:
    """Where the lines of a text start (character); one that would start at its end is none."""
    starts = np.flatnonzero(codes[:-1] == ord("\n")) + 1
    return np.concatenate((np.zeros(min(1, len(codes)), np.int64), starts))


def moments(
    notation: Notation, codes: NDArray[np.uint8], starts: Times, latest: datetime, *, anchored: bool
) -> tuple[Times, Times]:
    """The moment of each line that starts at `starts`, or `NONE` or `DOUBT`; and where its stamp starts (else 0).

    `codes` is the text, one byte a character, with `?` for those that Latin-1 lacks. A stamp stands at the start of
    its line where they are `anchored`, else at most `HEAD` characters behind it. A year that is not written is the
    last one that puts the stamp at or before `latest`.
    """
    times, places = np.full(len(starts), NONE, np.int64), np.zeros(len(starts), np.int64)
    padded = _padded(notation, codes)
    if anchored:
        at = starts + _BRACKET[codes[starts]]
        times[_OTHER_LEAD[codes[starts]]] = DOUBT
        lines = np.flatnonzero(_fits(notation.written[0], padded[at]))
        at = at[lines]
    else:
        lines, at = _within(notation, padded, starts)
    if len(lines):
        cells = np.lib.stride_tricks.sliding_window_view(padded, len(notation.written) + _TAIL)[at].T.copy()
        fitting = _begin(notation, cells)
        if not fitting.all():
            lines, at, cells = lines[fitting], at[fitting], cells[:, fitting]
        if not anchored and len(lines):
            lines, first = np.unique(lines, return_index=True)
            at, cells = at[first], cells[:, first]
        times[lines], places[lines] = _read(notation, cells, latest), at
    return times, places


def _begin(notation: Notation, cells: NDArray[np.uint8]) -> Flags:
    """Which columns of `cells` begin as every stamp of the format does."""
    sure = notation.written[: notation.sure]
    digits = [at for at, sign in enumerate(sure) if sign in _DIGIT_SIGNS]
    fitting: Flags = np.logical_and.reduce(_fits("d", cells[digits]))
    for at, sign in enumerate(sure):
        if sign == "b":
            fitting &= np.isin(_letters(cells, at), _SORTED_MONTHS)
        elif sign == "w":
            fitting &= np.isin(_letters(cells, at), _DAYS)
        elif sign not in _DIGIT_SIGNS and sign not in "cevu":
            fitting &= _fits(sign, cells[at])
    if notation.tail == "comma":
        fitting &= (cells[5] == ord(",")) | (cells[6] == ord(","))
    return fitting


def _fits(sign: str, codes: NDArray[np.uint8]) -> Flags:
    """Which characters may stand where the notation has `sign`."""
    if sign in _DIGIT_SIGNS:
        return codes - np.uint8(ord("0")) < len(_DIGITS)
    allowed = _CLASSES.get(sign, sign)
    found = codes == ord(allowed[0])
    for other in allowed[1:]:
        found |= codes == ord(other)
    return found


def _letters(cells: NDArray[np.uint8], at: int) -> Times:
    """The three letters from row `at` on as one number."""
    first, second, third = cells[at : at + 3].astype(np.int64)
    return first + (second << 8) + (third << 16)


def _within(notation: Notation, padded: NDArray[np.uint8], starts: Times) -> tuple[Times, Times]:
    """Lines and places at which a stamp may begin, by some of its characters."""
    at = _places(notation, padded)
    at = at[(at == 0) | ~_ALPHANUMERIC[padded[at - 1]]]
    lines: Times = np.searchsorted(starts, at, "right").astype(np.int64) - 1
    begin = padded[starts[lines]]
    fitting = (at - starts[lines] <= HEAD) & (begin != ord(" ")) & (begin != ord("\t"))
    return lines[fitting], at[fitting]


def _places(notation: Notation, padded: NDArray[np.uint8]) -> Times:
    """Where the characters stand that texts have fewest of, of those that every stamp has."""
    offset, sign = notation.beginning[0]
    at = np.flatnonzero(_fits(sign, padded)).astype(np.int64) - offset
    at = at[np.searchsorted(at, 0) :]
    for offset, sign in notation.beginning[1:4]:
        at = at[_fits(sign, padded[at + offset])]
    return at


def may_hold(notations: Sequence[Notation], codes: NDArray[np.uint8]) -> Iterator[bool]:
    """Of which notations a stamp may be anywhere in a text: of most there is none, and that is soon told."""
    colons = np.flatnonzero(codes[1:-2] == ord(":"))
    with_clock = bool((_IS_DIGIT[codes[colons]] & _IS_DIGIT[codes[colons + 2]] & _IS_DIGIT[codes[colons + 3]]).any())
    for notation in notations:
        yield (with_clock or not notation.clock) and len(_places(notation, _padded(notation, codes))) > 0


def _padded(notation: Notation, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate((codes, np.zeros(len(notation.written) + _TAIL, np.uint8)))


def _read(notation: Notation, cells: NDArray[np.uint8], latest: datetime) -> Times:
    """The moments of the stamps in the columns of `cells`, or `DOUBT`."""
    width, count = len(notation.written), len(cells[0])
    if width == notation.sure == 4:
        return np.full(count, DOUBT, np.int64)
    is_sure = np.ones(count, np.bool_)
    for offset, sign in enumerate(notation.written[notation.sure :], notation.sure):
        is_sure &= _fits(sign, cells[offset])
    fields = _fields(notation.written, cells)
    if "E" in notation.written:
        times = fields["E"] * _SECOND + 1_000_000_000 * _SECOND
    else:
        times = _clock(fields, is_sure)
        times += _midnights(fields, latest, times, is_sure)
    # The point of `millis` is part of both.
    times += _tail(notation.tail, cells[width - (notation.tail == "millis") :], is_sure)
    return np.where(is_sure, times, DOUBT)


def _fields(written: str, cells: NDArray[np.uint8]) -> dict[str, Times]:
    """The numbers that the signs of the notation write."""
    fields: dict[str, Times] = {}
    for offset, sign in enumerate(written):
        if sign in _DIGIT_SIGNS or sign == "D":
            name = sign.replace("D", "d")
            # A space before a day of one digit is a zero.
            digit = (cells[offset] & 15).astype(np.int64)
            fields[name] = fields[name] * 10 + digit if name in fields else digit
        elif sign == "b":
            fields["m"] = _MONTH_NUMBERS[np.searchsorted(_SORTED_MONTHS, _letters(cells, offset))]
        elif sign == "±":
            fields[sign] = np.where(cells[offset] == ord("-"), -1, 1)
    return fields


def _clock(fields: dict[str, Times], is_sure: Flags) -> Times:
    """Microseconds since midnight UTC."""
    hour, minute, second = fields["H"], fields["M"], fields["S"]
    is_sure &= (hour < 24) & (minute < 60) & (second < 60)
    seconds = hour * 3600 + minute * 60 + second
    if "z" in fields:
        ahead = fields["z"] * 3600 + fields["Z"] * 60
        is_sure &= ahead < 86_400
        seconds -= fields["±"] * ahead
    return seconds * _SECOND


def _midnights(fields: dict[str, Times], latest: datetime, clocks: Times, is_sure: Flags) -> Times:
    """When the days of the stamps begin."""
    day, month = fields["d"], fields["m"]
    is_sure &= (month >= 1) & (month <= 12) & (day >= 1)
    month = np.clip(month, 1, 12)
    if "Y" in fields:
        year = fields["Y"]
        is_sure &= (year > 1) & (year < 9998)
    elif "y" in fields:
        year = fields["y"] + 2000
    else:
        year = np.full(len(day), latest.year)
        last = round((latest - _EPOCH).total_seconds()) * _SECOND
        is_sure &= ((month != 2) | (day != 29)) & (latest.year > 1)
        # To the second: one that is as late as `latest` is left to the pattern.
        this_year = _day_starts(year, month, day, is_sure) + clocks
        is_sure &= np.abs(this_year - last) > 2 * _SECOND
        year = year - (this_year > last)
    return _day_starts(year, month, day, is_sure)


def _day_starts(year: Times, month: Times, day: Times, is_sure: Flags) -> Times:
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    is_sure &= days.astype("datetime64[M]") == months
    return days.astype(np.int64) * _DAY


def _tail(tail: str, cells: NDArray[np.uint8], is_sure: Flags) -> Times | int:
    """Microseconds to be added for what stands behind the notation."""
    if tail == "end":
        is_sure &= ~_IS_DIGIT[cells[0]]
    elif tail == "epoch":
        return _epoch_tail(cells, is_sure)
    elif tail:
        added, length = _fraction(cells, is_sure)
        if tail == "millis":
            is_sure &= (length >= 3) & (length <= 6)
        return added - _zones(cells, np.where(length > 0, length + 1, 0), is_sure) if tail == "zone" else added
    return 0


def _epoch_tail(cells: NDArray[np.uint8], is_sure: Flags) -> Times:
    has_millis = _IS_DIGIT[cells[0]] & _IS_DIGIT[cells[1]] & _IS_DIGIT[cells[2]]
    millis = (cells[:3] & 15).astype(np.int64)
    is_sure &= ~np.where(has_millis, _GOES_ON[cells[3]], _GOES_ON[cells[0]])
    return np.where(has_millis, (millis[0] * 100 + millis[1] * 10 + millis[2]) * 1000, 0)


def _fraction(cells: NDArray[np.uint8], is_sure: Flags) -> tuple[Times, Times]:
    """Microseconds of the fractions, and how many digits they have."""
    length = np.zeros(len(is_sure), np.int64)
    added = np.zeros(len(is_sure), np.int64)
    goes_on = (cells[0] == ord(".")) | (cells[0] == ord(","))
    worth = _SECOND // 10
    for place in range(1, _MAX_FRACTION + 2):
        goes_on = goes_on & _IS_DIGIT[cells[place]]
        if not goes_on.any():
            break
        length += goes_on
        added += np.where(goes_on, (cells[place] & 15).astype(np.int64) * worth, 0)
        worth //= 10
    is_sure &= length <= _MAX_FRACTION
    return added, length


def _zones(cells: NDArray[np.uint8], offsets: Times, is_sure: Flags) -> Times:
    """Microseconds that the zones at these offsets of each stamp's tail are ahead of UTC."""
    ahead = np.zeros(len(offsets), np.int64)
    columns = np.arange(len(offsets))
    first, second = cells[offsets, columns], cells[offsets + 1, columns]
    with_zone = np.flatnonzero(_BEGINS_ZONE[first] | ((first == ord(" ")) & _BEGINS_ZONE[second]))
    if len(with_zone):
        tails = cells[offsets[with_zone] + np.arange(8)[:, None], with_zone].T.copy().view(np.uint64).ravel()
        distinct, which = np.unique(tails, return_inverse=True)
        found = [_zone(tail.tobytes()) for tail in distinct]
        ahead[with_zone] = np.array([0 if zone is None else zone for zone in found], np.int64)[which]
        is_sure[with_zone] &= np.array([zone is not None for zone in found])[which]
    return ahead


def _zone(tail: bytes) -> int | None:
    """Microseconds that the zone which `tail` begins with is ahead of UTC, none is 0; None where it is no zone."""
    match = _ZONE.match(tail)
    if match is None or match[1] is None:
        return 0
    ahead = (int(match[2]) * 60 + int(match[3])) * 60 * _SECOND
    if ahead >= _DAY:
        return None
    return -ahead if match[1] == b"-" else ahead
