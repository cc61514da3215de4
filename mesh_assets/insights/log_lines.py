"""Lines of logs by their form: two lines that differ in numbers, quoted texts, ids or paths only have one key.

What a form means (its level, its words) is found once for each, in `log_forms`; here many lines are cut and compared at
once. Digits that decide what a line means are kept: the status of a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl

from mesh_assets.insights.byte_text import (
    DIGIT,
    LETTER,
    UPPER,
    WORD,
    Bytes,
    ByteText,
    Flags,
    Hashes,
    Places,
    Spans,
    runs,
)
from mesh_assets.insights.columns import strings_of

# Digits of a number and of its fraction; what is longer is an id.
_MAX_NUMBER = 15
_MAX_FRACTION = 9
_MAX_QUOTED = 400
_IN_PATH = np.zeros(256, np.bool_)
_IN_PATH[[ord(c) for c in "/.@+~-"]] = True
# Signs for what is not kept: no text has these characters for another reason.
_ID, _ID_DIGIT_FIRST, _PATH, _PATH_WITH_DIGITS = 1, 2, 3, 4
# What stands before a status: the end of these words.
_BEFORE_STATUS = ("status", "code", "http", "returned", "->", '"')


@dataclass(frozen=True)
class LogLines:
    """The lines of the texts of some chunks, without their line ends, each with a key of its form.

    `rows` says which text a line is of; `is_json` which lines begin like a JSON object, and have no form. `digits` are
    the runs of digits that may vary within a form: those of line `i` are `digits[first_digits[i] : ...]`, and equally
    many for each line of a form.
    """

    text: ByteText
    spans: Spans
    rows: Places
    keys: Hashes
    is_json: Flags
    digits: Spans
    first_digits: Places

    @classmethod
    def of(cls, text: ByteText) -> LogLines:
        """The lines of `text`."""
        spans, rows = _lines(text)
        masked, kept, digits = _masked(text, spans)
        places = np.flatnonzero(kept)
        offsets = np.append(np.searchsorted(places, spans.starts), np.searchsorted(places, spans.stops[-1:]))
        strings = strings_of(masked[places], offsets)
        keys = cast("pl.Series", pl.from_arrow(strings)).hash(1).to_numpy()
        braces = text.places("{")
        found = np.searchsorted(braces, spans.starts)
        near = np.append(braces, len(text.data))[found]
        return cls(
            text,
            spans,
            rows,
            keys,
            (near < spans.starts + 3) & (near < spans.stops),
            digits,
            np.searchsorted(digits.starts, spans.starts),
        )

    def digits_of(self, number: int) -> list[tuple[int, int]]:
        """The runs of digits of a line, as bytes of it."""
        start, stop = int(self.spans.starts[number]), int(self.spans.stops[number])
        first, last = int(self.first_digits[number]), int(np.searchsorted(self.digits.starts, stop))
        found = self.digits.starts[first:last] - start, self.digits.stops[first:last] - start
        return list(zip(*(column.tolist() for column in found), strict=True))

    def line(self, number: int) -> str:
        """The text of a line."""
        return self.text.raw[self.spans.starts[number] : self.spans.stops[number]].decode("utf-8", "replace")


def _lines(text: ByteText) -> tuple[Spans, Places]:
    ends = text.data == 10
    ends[text.stops] = True
    stops = np.flatnonzero(ends)
    starts = np.concatenate((text.starts[:1], stops[:-1] + 1))
    rows = text.rows_of(starts)
    real = starts < text.stops[rows]  # not what is behind the last line end of a text
    return Spans(starts[real], stops[real]), rows[real]


def _masked(text: ByteText, lines: Spans) -> tuple[Bytes, Flags, Spans]:
    """The bytes with what varies replaced, which of them make the key, and the runs of digits that are left."""
    is_digit = (text.classes & DIGIT) != 0
    masked = np.where(is_digit, np.uint8(ord("0")), text.data)
    kept = np.ones(len(masked), np.bool_)
    kept[lines.stops - 1] = text.data[lines.stops - 1] != 13  # of a line end of Windows
    kept[1:] &= ~(is_digit[1:] & is_digit[:-1])  # of a number, its first digit
    digits = runs(is_digit)
    _mask_numbers(text, digits, masked, kept)
    _mask_ids(text, digits, masked, kept)
    _mask_paths(text, digits, masked, kept)
    _mask_quoted(text, lines, masked, kept)
    return masked, kept, digits.where(kept[digits.starts] & (masked[digits.starts] >= ord("0")))


def _drop(kept: Flags, starts: Places, stops: Places) -> None:
    lengths = np.maximum(stops - starts, 0)
    inside = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept[np.repeat(starts, lengths) + inside] = False


def _mask_numbers(text: ByteText, digits: Spans, masked: Bytes, kept: Flags) -> None:
    """Numbers are `0`, those that are too long for one `2`."""
    lengths = digits.stops - digits.starts
    limit = np.where(text.data[digits.starts - 1] == ord("."), _MAX_FRACTION, _MAX_NUMBER)
    masked[digits.starts[lengths > limit]] = ord("2")
    first_digit = text.data[digits.starts]
    at = np.flatnonzero((lengths == 3) & (first_digit >= ord("1")) & (first_digit <= ord("5")))
    places = digits.starts[at[_after_status(text, digits.starts[at])]]
    places = (places[:, None] + np.arange(3)).ravel()
    masked[places] = text.data[places]
    kept[places] = True


def _after_status(text: ByteText, places: Places) -> Flags:
    """Whether a word that a status follows ends one or two separators before each place."""
    data = text.data
    ends = places.copy()
    for _ in range(2):
        before = data[ends - 1]
        ends = ends - ((before == ord(" ")) | (before == ord("=")) | (before == ord(":")))
    found = np.zeros(len(places), np.bool_)
    for word in _BEFORE_STATUS:
        is_word = ends < places
        for at, letter in enumerate(reversed(word), 1):
            is_word &= data[ends - at] | 0x20 == ord(letter)  # either case; the signs have that bit
        found |= is_word
    return found


def _mask_ids(text: ByteText, digits: Spans, masked: Bytes, kept: Flags) -> None:
    """Words in which digits and letters take turns become one sign: hashes, ids. The clock behind a `T` is none."""
    words = text.words
    mixed = np.flatnonzero((text.word_flags & DIGIT != 0) & (text.word_flags & (WORD & ~DIGIT) != 0))
    found = words.where(mixed)
    first = np.searchsorted(digits.starts, found.starts)
    count = np.searchsorted(digits.starts, found.stops) - first
    if not len(mixed):
        return
    inner = (digits.starts[np.minimum(first, len(digits.starts) - 1)] > found.starts) & (
        digits.stops[np.minimum(first, len(digits.stops) - 1)] < found.stops
    )
    is_clock = (found.stops - found.starts == 5) & (text.data[found.starts + 2] == ord("T"))
    found = found.where((inner | (count > 1)) & ~is_clock)
    letter_first = text.classes[found.starts] & LETTER != 0
    masked[found.starts] = np.where(letter_first, _ID, _ID_DIGIT_FIRST)
    kept[found.starts] = True
    _drop(kept, found.starts + 1, found.stops)


def _mask_paths(text: ByteText, digits: Spans, masked: Bytes, kept: Flags) -> None:
    """Paths of several parts become one sign, another with digits in them. Dates with slashes are none."""
    slashes = text.places("/")
    if len(slashes) < 2:
        return
    found = runs(((text.classes & WORD) != 0) | _IN_PATH.take(text.data))
    count = np.searchsorted(slashes, found.stops) - np.searchsorted(slashes, found.starts)
    is_date = ((text.classes[found.starts] & DIGIT) != 0) & (found.stops - found.starts <= 12)
    found = found.where((count > 1) & ~is_date)
    has_digits = np.searchsorted(digits.starts, found.stops) > np.searchsorted(digits.starts, found.starts)
    masked[found.starts] = np.where(has_digits, _PATH_WITH_DIGITS, _PATH)
    kept[found.starts] = True
    _drop(kept, found.starts + 1, found.stops)


def _mask_quoted(text: ByteText, lines: Spans, masked: Bytes, kept: Flags) -> None:
    """What stands in quotes is left out, but for the method of a request."""
    quotes = text.places('"')
    if len(quotes) < 2:
        return
    line = np.searchsorted(lines.starts, quotes, side="right")
    begins = np.flatnonzero(np.diff(line, prepend=-1))
    number = np.arange(len(quotes)) - np.repeat(begins, np.diff(begins, append=len(quotes)))
    opening = np.flatnonzero((number[:-1] % 2 == 0) & (line[1:] == line[:-1]))
    starts, stops = quotes[opening] + 1, quotes[opening + 1]
    short = stops - starts <= _MAX_QUOTED
    starts, stops = starts[short], stops[short]
    word, is_word = text.words_starting(starts)
    _drop(kept, starts, stops)
    if is_word.any():
        ends = text.words.stops[word]
        method = is_word & (text.word_flags[word] & (WORD & ~UPPER) == 0) & (ends - starts >= 3) & (ends - starts <= 8)
        method &= (text.data[ends] == ord(" ")) & (ends + 1 < stops) & (text.data[ends + 1] > ord(" "))
        for start, stop in zip(starts[method].tolist(), (ends[method] + 1).tolist(), strict=True):
            kept[start:stop] = True
