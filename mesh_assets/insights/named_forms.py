"""Entities that one telling word gives away: written dates, people by title, companies by legal form, addresses.

Each telling word begins with a capital; an array says where one stands, a regular expression what belongs to it. Names
without such a word need a model and are not here. Every pattern is linear, and every repetition bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mesh_assets.insights.byte_text import DIGIT, ByteText, Places, Spans, hashes_of, is_one_of

_MONTHS = "January February March April May June July August September October November December".split()
_SHORT = "Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec".split()
_TITLES = "Mr Mrs Ms Dr Prof Professor Sir Dame Lord Lady Judge Justice Captain Senator".split()
_FORMS = "Ltd Limited Inc Incorporated GmbH AG SE LLC LLP Corp Corporation Plc BV NV SA SpA AB ASA Oy Pty".split()
_STREETS = "Street Road Avenue Lane Square Boulevard Drive Terrace St Ave Rd Blvd".split()
_ANY_MONTH = b"(?:" + "|".join(sorted(_MONTHS + _SHORT, key=len, reverse=True)).encode() + b")"
_NAME = rb"[A-Z][A-Za-z\x80-\xff]{0,30}(?:['-][A-Z][A-Za-z\x80-\xff]{1,30})?"
_DAY = rb"(?<![\w.,/-])(?:[12]\d|3[01]|0?[1-9])"
_DAY_BEFORE = re.compile(_DAY + rb"(?:st|nd|rd|th|\.)? (?:of )?\Z")
_YEAR_AFTER = re.compile(rb"\.?,? (?:1[5-9]|20)\d\d(?![\w\x80-\xff])")
_DAY_AND_YEAR_AFTER = re.compile(rb"\.? (?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?,? (?:1[5-9]|20)\d\d(?![\w\x80-\xff])")
_NAMES_AFTER = re.compile(rb"\.? " + _NAME + rb"(?: " + _NAME + rb"){0,2}")
_COMPANY_WORD = rb"[A-Z][\w&\x80-\xff-]{0,30}"
_COMPANY_BEFORE = re.compile(
    rb"(?<![\w\x80-\xff])(?:" + _COMPANY_WORD + rb" (?:(?:&|and) )?){0,3}" + _COMPANY_WORD + rb",? \Z"
)
_HOUSE_BEFORE = re.compile(rb"(?<![\w\x80-\xff.,])\d{1,4}[A-Za-z]? (?:" + _NAME + rb" ){1,3}\Z")
_TOWN_AFTER = re.compile(
    rb"\.?(?:, "
    + _NAME
    + rb"(?: "
    + _NAME
    + rb"){0,2})?(?:,? (?:[A-Z]{2} )?[A-Z0-9]{2,4}[0-9][A-Z0-9 ]{1,5})?(?![\w\x80-\xff])"
)
_BEFORE, _AFTER = 80, 100
_KINDS: tuple[tuple[str, Sequence[str]], ...] = (
    ("time", _MONTHS + _SHORT),
    ("person", _TITLES),
    ("organisation", _FORMS),
    ("address", _STREETS),
)
_WORDS = [word for _, words in _KINDS for word in words]
_HASHES = hashes_of(_WORDS)
# By their first two bytes few words that begin with a capital can be one.
_STARTS = np.zeros((256, 256), np.bool_)
_STARTS[tuple(zip(*(word[:2].encode() for word in _WORDS), strict=True))] = True
_LONGEST = max(map(len, _WORDS))
_KIND_OF = {word.encode(): kind for kind, words in _KINDS for word in words}


class NamedForms(NamedTuple):
    """What was found, in order of place, by label."""

    times: Spans
    people: Spans
    organisations: Spans
    addresses: Spans


def named_forms(text: ByteText) -> NamedForms:
    """All of them, in one look for telling words."""
    words, _ = text.capitals
    words = words.where(_STARTS[text.data[words.starts], text.data[words.starts + 1]])
    words = words.where(words.stops - words.starts <= _LONGEST)
    words = words.where(is_one_of(text.hashes(words, lowered=False), _HASHES))
    words = words.where(_may_be_told(text, words))
    found: dict[str, list[tuple[int, int]]] = {kind: [] for kind, _ in _KINDS}
    for start, stop in zip(words.starts.tolist(), words.stops.tolist(), strict=True):
        kind = _KIND_OF.get(text.raw[start:stop])
        if kind is not None:
            found[kind].extend(_FINDERS[kind](text.raw, start, stop))
    return NamedForms(*(_spans(found[kind]) for kind, _ in _KINDS))


def _may_be_told(text: ByteText, words: Spans) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """A blank on one side at least; behind the short stamp of a log line, `Jun 14 15:16:01`, stands no year."""
    data, after = text.data, words.stops
    beside = (data[after] == ord(" ")) | (data[after] == ord(".")) | (data[words.starts - 1] == ord(" "))
    day = after + 1 + (data[after + 1] == ord(" "))
    second = (text.classes[day + 1] & DIGIT) != 0
    clock = day + 1 + second
    stamp = ((text.classes[day] & DIGIT) != 0) & (data[clock] == ord(" ")) & (data[clock + 3] == ord(":"))
    return beside & ~stamp


def _times(raw: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    day = _DAY_BEFORE.search(raw, max(0, start - 12), start)
    year = _YEAR_AFTER.match(raw, stop)
    if day is not None and year is not None:
        yield day.start(), year.end()
        return
    after = _DAY_AND_YEAR_AFTER.match(raw, stop)
    if after is not None:
        yield start, after.end()


def _people(raw: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    names = _NAMES_AFTER.match(raw, stop)
    if names is not None:
        yield start, names.end()


def _organisations(raw: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    before = _COMPANY_BEFORE.search(raw, max(0, start - _BEFORE), start)
    if before is not None:
        yield before.start(), stop


def _addresses(raw: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    house = _HOUSE_BEFORE.search(raw, max(0, start - _BEFORE), start)
    if house is not None:
        town = _TOWN_AFTER.match(raw, stop, stop + _AFTER)
        yield house.start(), town.end() if town is not None else stop


_FINDERS = {"time": _times, "person": _people, "organisation": _organisations, "address": _addresses}


def _spans(found: Iterable[tuple[int, int]]) -> Spans:
    pairs = np.array(sorted(found), np.int64).reshape(-1, 2)
    starts: Places = pairs[:, 0]
    return Spans(starts, pairs[:, 1])
