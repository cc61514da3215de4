"""Entities that are written in digits: times, addresses, versions, percentages, durations.

All are told from the runs of digits of a batch and what stands between them, as arrays. Amounts of money and other
forms that are rare are in `rare_forms`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mesh_assets.insights.byte_text import (
    DIGIT,
    LETTER,
    NO_SPANS,
    WORD,
    Bytes,
    ByteText,
    Flags,
    Places,
    Spans,
    hashes_of,
    is_one_of,
    runs,
)

# Runs behind a run that a form may take in: a time has six and two of its zone.
_AHEAD = 8
_UNITS = hashes_of("ns us µs ms s sec secs second seconds min mins minute minutes h hour hours day days".split())
_UNIT_STARTS = np.zeros(256, np.bool_)
_UNIT_STARTS[[ord(c) for c in "nusmhd\u00c2"]] = True


@dataclass(frozen=True)
class DigitRuns:
    """The runs of digits of a text: where they start and stop, their lengths, and what stands between neighbours.

    `between` is the one byte between a run and the next, 0 where there is another number of bytes. All have `_AHEAD`
    empty runs behind them.
    """

    text: ByteText
    count: int
    starts: Places
    stops: Places
    lengths: Places
    between: Bytes
    begins_number: Flags

    @classmethod
    def of(cls, text: ByteText) -> DigitRuns:
        """The runs of `text`."""
        found = runs((text.classes & DIGIT) != 0)
        end = len(text.data) - 1
        starts, stops = (np.append(column, np.full(_AHEAD, end)) for column in found)
        between = np.zeros(len(starts), np.uint8)
        near = np.flatnonzero(starts[1:] - stops[:-1] == 1)
        between[near] = text.data[stops[near]]
        before = text.data[starts - 1]
        inner = (text.classes[starts - 1] & WORD) != 0
        inner |= before == ord(".")
        inner |= (before == ord(":")) & ((text.classes[starts - 2] & DIGIT) != 0)
        return cls(text, len(found.starts), starts, stops, stops - starts, between, ~inner)

    def first_of(self, wanted: Flags) -> Places:
        """The runs that `wanted` (of all but the empty ones behind) is true of and that begin a number."""
        return np.flatnonzero(wanted & self.begins_number[: self.count])

    def follows(self, at: Places, byte: str, lengths: tuple[int, int]) -> Flags:
        """Whether `byte` stands behind each run, and behind that a run with a length within `lengths`."""
        length = self.lengths[at + 1]
        return (self.between[at] == ord(byte)) & (length >= lengths[0]) & (length <= lengths[1])

    def spans(self, first: Places, stops: Places) -> Spans:
        """From the start of each run in `first` to the places `stops`."""
        return Spans(self.starts[first], stops)


def times(digits: DigitRuns) -> Spans:
    """Dates as ISO writes them, with what follows of clock, fraction and zone."""
    n = digits.count
    at = digits.first_of((digits.lengths[:n] == 4) & (digits.between[:n] == ord("-")))
    at = at[digits.follows(at, "-", (2, 2))]
    at = at[digits.follows(at + 1, "-", (2, 2))]
    data = digits.text.data
    at = at[(data[digits.starts[at + 1]] <= ord("1")) & (data[digits.starts[at + 2]] <= ord("3"))]
    stops = digits.stops[at + 2]
    clock = (digits.between[at + 2] == ord("T")) | (digits.between[at + 2] == ord(" "))
    clock &= (digits.lengths[at + 3] == 2) & (data[digits.starts[at + 3]] <= ord("2"))
    clock &= digits.follows(at + 3, ":", (2, 2)) & (data[digits.starts[at + 4]] <= ord("5"))
    stops = np.where(clock, digits.stops[at + 4], stops)
    seconds = clock & digits.follows(at + 4, ":", (2, 2)) & (data[digits.starts[at + 5]] <= ord("6"))
    stops = np.where(seconds, digits.stops[at + 5], stops)
    fraction = seconds & (digits.follows(at + 5, ".", (1, 9)) | digits.follows(at + 5, ",", (1, 9)))
    stops = np.where(fraction, digits.stops[at + 6], stops)
    return digits.spans(at, np.where(clock, _with_zone(digits.text, stops), stops))


def numeric_dates(digits: DigitRuns) -> Spans:
    """`03.05.2024` and `3/5/2024`: day and month in either order, and a year of four digits behind them."""
    n = digits.count
    between = digits.between[:n]
    at = digits.first_of((digits.lengths[:n] <= 2) & ((between == ord(".")) | (between == ord("/"))))
    at = at[(digits.between[at + 1] == digits.between[at]) & (digits.lengths[at + 1] <= 2)]
    at = at[digits.lengths[at + 2] == 4]
    data, stops = digits.text.data, digits.stops[at + 2]
    first, second = _value(digits, at), _value(digits, at + 1)
    good = (np.minimum(first, second) >= 1) & (np.minimum(first, second) <= 12) & (np.maximum(first, second) <= 31)
    century = data[digits.starts[at + 2]]
    good &= (century == ord("1")) | (century == ord("2"))
    good &= (data[stops] != ord("/")) & ((digits.text.classes[stops] & WORD) == 0)
    good &= (data[stops] != ord(".")) | ((digits.text.classes[stops + 1] & DIGIT) == 0)
    good &= data[digits.starts[at] - 1] != ord("/")
    return digits.spans(at[good], stops[good])


def _with_zone(text: ByteText, stops: Places) -> Places:
    """`stops` behind the zone that follows, `Z`, `+02:00` or `+0200`, with or without a blank before."""
    data, classes = text.data, text.classes
    at = stops + (data[stops] == ord(" "))
    utc = (data[at] == ord("Z")) & ((classes[at + 1] & WORD) == 0)
    sign = (data[at] == ord("+")) | (data[at] == ord("-"))
    hours = ((classes[at + 1] & DIGIT) != 0) & ((classes[at + 2] & DIGIT) != 0)
    colon = (data[at + 3] == ord(":")).astype(np.int64)
    end = at + 5 + colon
    minutes = ((classes[end - 2] & DIGIT) != 0) & ((classes[end - 1] & DIGIT) != 0) & ((classes[end] & WORD) == 0)
    return np.where(utc, at + 1, np.where(sign & hours & minutes, end, stops))


def addresses(digits: DigitRuns) -> Spans:
    """IPv4 addresses, with the port that follows."""
    at = digits.first_of((digits.lengths[: digits.count] <= 3) & (digits.between[: digits.count] == ord(".")))
    for more in range(3):
        at = at[digits.follows(at + more, ".", (1, 3))]
    good = np.ones(len(at), np.bool_)
    for part in range(4):
        good &= _value(digits, at + part) <= 255
    at = at[good]
    port = digits.follows(at + 3, ":", (1, 5))
    stops = np.where(port, digits.stops[at + 4], digits.stops[at + 3])
    whole = _ends_here(digits.text, stops)
    return digits.spans(at[whole], stops[whole])


def _value(digits: DigitRuns, at: Places) -> Places:
    """The numbers that runs of up to three digits write."""
    data = digits.text.data
    value = np.zeros(len(at), np.int64)
    for place in range(3):
        inside = digits.lengths[at] > place
        digit = data[digits.starts[at] + place].astype(np.int64) - ord("0")
        value = np.where(inside, value * 10 + digit, value)
    return value


def _ends_here(text: ByteText, stops: Places) -> Flags:
    """Whether neither a letter or digit follows, nor a full stop with one behind: that would be a longer form."""
    goes_on = (text.classes[stops] & WORD) != 0
    return ~goes_on & ~((text.data[stops] == ord(".")) & ((text.classes[stops + 1] & WORD) != 0))


def versions(digits: DigitRuns) -> Spans:
    """Three numbers with full stops, or two behind a `v`; `-rc1` and the like belong to it."""
    n, data, classes = digits.count, digits.text.data, digits.text.classes
    dotted = (digits.between[:n] == ord(".")) & (digits.lengths[:n] <= 4)
    at = digits.first_of(dotted)
    at = at[digits.follows(at, ".", (1, 5)) & digits.follows(at + 1, ".", (1, 6))]
    plain = digits.spans(at, digits.stops[at + 2])
    named = np.flatnonzero(dotted & (data[digits.starts[:n] - 1] == ord("v")))
    named = named[((classes[digits.starts[named] - 2] & WORD) == 0) & digits.follows(named, ".", (1, 5))]
    third = digits.follows(named + 1, ".", (1, 6))
    stops = np.where(third, digits.stops[named + 2], digits.stops[named + 1])
    starts = np.concatenate((plain.starts, digits.starts[named] - 1))
    stops = np.concatenate((plain.stops, stops))
    stops = _with_suffix(digits.text, stops)
    order = np.argsort(starts, kind="stable")
    order = order[_ends_here(digits.text, stops[order])]
    return Spans(starts[order], stops[order])


def _with_suffix(text: ByteText, stops: Places) -> Places:
    """`stops` behind `-beta.2` or `+build7`, where that has at most 21 bytes."""
    sign = (text.data[stops] == ord("-")) | (text.data[stops] == ord("+"))
    found = np.flatnonzero(sign & ((text.classes[stops + 1] & LETTER) != 0) & (text.data[stops + 1] < 0x80))
    extended = stops.copy()
    for place in found.tolist():
        end = int(stops[place]) + 1
        limit = end + 21
        while end < limit and (text.classes[end] & WORD or (text.data[end] == 46 and text.classes[end + 1] & WORD)):
            end += 1
        if end < limit:
            extended[place] = end
    return extended


def percentages(digits: DigitRuns) -> Spans:
    """`45%`, `99.5 %`."""
    signs = digits.text.places("%")
    if not len(signs):
        return Spans(signs, signs)
    behind: Places = signs - (digits.text.data[signs - 1] == ord(" "))
    last = np.searchsorted(digits.stops[: digits.count], behind)
    found = (last < digits.count) & (digits.stops[np.minimum(last, digits.count)] == behind)
    last, stops = last[found], signs[found] + 1
    first = last - _is_fraction(digits, last)
    good = digits.begins_number[first] & (digits.lengths[first] <= 9)
    return digits.spans(first[good], stops[good])


def _is_fraction(digits: DigitRuns, at: Places) -> Places:
    """1 for each run that is the fraction of the number before it, else 0."""
    before = np.maximum(at - 1, 0)
    point = (digits.between[before] == ord(".")) | (digits.between[before] == ord(","))
    return (point & (at > 0) & digits.begins_number[before] & (digits.lengths[at] <= 9)).astype(np.int64)


def durations(digits: DigitRuns) -> Spans:
    """`35 ms`, `2.5s`, `10 minutes`."""
    n, text = digits.count, digits.text
    if not n:
        return NO_SPANS
    stops = digits.stops[:n]
    units: Places = stops + (text.data[stops] == ord(" "))
    last = np.flatnonzero(_UNIT_STARTS[text.data[units]])
    units = units[last]
    # Without a blank, the unit is the end of a word that begins with the digits.
    place, apart = text.words_starting(units)
    inside = np.searchsorted(text.words.starts, units) - 1
    ends = text.words.stops[np.where(apart, place, inside)]
    short = (ends > units) & (ends - units <= 8)
    last, units, ends = last[short], units[short], ends[short]
    known = is_one_of(text.hashes(Spans(units, ends), lowered=False), _UNITS)
    last, ends = last[known], ends[known]
    first = last - (_is_fraction(digits, last) * (digits.between[np.maximum(last - 1, 0)] == ord(".")))
    good = digits.begins_number[first] & (digits.lengths[first] <= 12)
    return digits.spans(first[good], ends[good])
