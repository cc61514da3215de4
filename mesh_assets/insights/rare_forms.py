"""Entities that are rare in most texts: an array says where one could be, a regular expression whether it is one.

Every pattern is linear: no two neighbouring parts can match the same bytes, and every repetition is bounded.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import string
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mesh_assets.insights.byte_text import (
    DIGIT,
    FOREIGN,
    LOWER,
    UNDERSCORE,
    UPPER,
    WORD,
    ByteText,
    Flags,
    Places,
    Spans,
    classes_in,
    hashes_of,
    is_one_of,
)
from mesh_assets.insights.number_forms import DigitRuns

_ALNUM = (string.ascii_letters + string.digits).encode()
_EMAIL = re.compile(rb"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,6}[A-Za-z]{2,24}(?![\w\x80-\xff])")
_EMAIL_LOCAL = _ALNUM + b"._%+-"
_ENDS_LOCAL = np.zeros(256, np.bool_)
_ENDS_LOCAL[list(_EMAIL_LOCAL)] = True
_HOST_START = _ALNUM + b".-"
_UUID = re.compile(rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?![\w\x80-\xff])")
_IPV6 = re.compile(rb"(?<![\w:.\x80-\xff])(?:[0-9a-fA-F]{0,4}:){2,8}[0-9a-fA-F]{0,4}(?![\w:\x80-\xff])")
_WINDOWS_PATH = re.compile(
    rb"[A-Za-z]:\\[^\\/:*?\"<>|\s\x00]{1,80}(?:\\[^\\/:*?\"<>|\s\x00]{1,80}){0,30}(?![\x80-\xbf])"
)
_MORE_DIGITS = rb"\d{0,14}(?:[.,']\d{3}){0,5}(?:[.,]\d{1,2})?"
_SIGNS = rb"(?:\xe2\x82\xac|\xc2\xa3|\xc2\xa5|\$)"
_SCALE = rb"(?: ?(?:million|billion|bn|[kKmM])(?![\w\x80-\xff]))?"
_SIGN_FIRST = re.compile(_SIGNS + rb" ?\d" + _MORE_DIGITS + _SCALE)
_CODE_FIRST = re.compile(rb"(?:EUR|USD|GBP|CHF|JPY|CNY) \d" + _MORE_DIGITS + _SCALE)
_AMOUNT_BEFORE = re.compile(rb"(?<![\w.\x80-\xff])\d" + _MORE_DIGITS + rb" ?\Z")
_BEFORE = 48  # bytes before a currency in which its amount stands
_CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY", "CNY")
_ERROR_CODE = re.compile(
    rb"(?:CVE-\d{4}-\d{4,7}|ORA-\d{4,5}|ERR_[A-Z_]{3,40}|E\d{3,5}|HRESULT[:= ]{1,3}0x[0-9A-Fa-f]{8})(?![\w\x80-\xff])"
)
_HTTP_BEFORE = re.compile(
    rb"(?:HTTP(?:/\d(?:\.\d)?)?\"?[ :=]{1,2}|(?<![\w\x80-\xff])status(?:[ _-]?code)?[\"']?[ :=]{1,3})\Z"
)
_NO_IDENTIFIER = tuple(b"UTF SHA ISO RFC CVE MD ORA AES RSA UTC GMT".split())
_ERRNO_HASHES = hashes_of(errno.errorcode.values())
_TOP_LEVEL_NAMES = (
    "com org net io edu gov mil dev cloud local localdomain internal lan corp".split()
    + "de uk fr nl eu ch at jp cn ru br au".split()
)
_TOP_LEVEL = hashes_of(_TOP_LEVEL_NAMES)
# By their first two bytes, few words behind a full stop can be one.
_TOP_LEVEL_STARTS = np.zeros((256, 256), np.bool_)
_TOP_LEVEL_STARTS[tuple(zip(*(name[:2].encode() for name in _TOP_LEVEL_NAMES), strict=True))] = True
_CURRENCY_HASHES = hashes_of(code.lower() for code in _CURRENCIES)
_HEX = np.zeros(256, np.bool_)
_HEX[[ord(c) for c in string.hexdigits]] = True

Found = Iterable[tuple[int, int]]


def spans_of(found: Found) -> Spans:
    """Pairs of start and stop as spans, in order."""
    pairs = np.array(sorted(found), np.int64).reshape(-1, 2)
    return Spans(pairs[:, 0], pairs[:, 1])


def _back(raw: bytes, stop: int, characters: bytes, most: int) -> int:
    """Where the run of `characters` that ends at `stop` begins, at most `most` before it."""
    head = raw[max(0, stop - most) : stop]
    return stop - len(head) + len(head.rstrip(characters))


def emails(text: ByteText) -> Spans:
    """E-mail addresses, told by their `@`."""
    at = text.places("@")
    at = at[_ENDS_LOCAL[text.data[at - 1]] & ((text.classes[at + 1] & (WORD & ~UNDERSCORE)) != 0)]
    return spans_of(_emails(text.raw, at))


def _emails(raw: bytes, at: Places) -> Iterator[tuple[int, int]]:
    for place in at.tolist():
        match = _EMAIL.match(raw, place)
        if match is not None:
            yield _back(raw, place, _EMAIL_LOCAL, 64), match.end()


def uuids(text: ByteText) -> Spans:
    """UUIDs, told by the places of their hyphens."""
    at = text.places("-")
    at = at[_HEX[text.data[at - 1]]]  # not the lines of hyphens that stand between parts of a text
    for distance in (5, 10, 15):
        at = at[text.data[at + distance] == ord("-")]
    at = at[at >= 8] - 8
    at = at[(text.classes[at - 1] & WORD) == 0]
    return spans_of((start, start + 36) for start in at.tolist() if _UUID.match(text.raw, start))


def addresses_of_version_6(text: ByteText) -> Spans:
    """IPv6 addresses: `::` within hexadecimal digits, or eight groups of them."""
    colons = text.places(":")
    if len(colons) < 2:
        return spans_of(())
    short = colons[text.data[colons + 1] == ord(":")]
    # `std::vector` has a letter there that is none of an address.
    after, before = text.data[short + 2], text.data[short - 1]
    inside = _HEX[after] | ((text.classes[short + 2] & WORD) == 0)
    inside &= _HEX[before] | ((text.classes[short - 1] & WORD) == 0)
    long = colons[:-6][colons[6:] - colons[:-6] <= 30] if len(colons) > 6 else colons[:0]
    return spans_of(set(_version_6(text.raw, np.concatenate((short[inside], long)))))


def _version_6(raw: bytes, at: Places) -> Iterator[tuple[int, int]]:
    for place in at.tolist():
        match = _IPV6.match(raw, _back(raw, place, string.hexdigits.encode() + b":", 40))
        # Most are times of day: an address is written with all its eight groups or with `::`.
        if match is not None and len(match[0]) > 4 and (b"::" in match[0] or match[0].count(b":") == 7):
            try:
                ipaddress.IPv6Address(match[0].decode())
            except ValueError:
                continue
            yield match.span()


def amounts(text: ByteText) -> Spans:
    """Amounts of money: a currency, and digits on one side of it."""
    signs = [text.places("$")]
    leads = text.leads[(text.data[text.leads] == 0xE2) | (text.data[text.leads] == 0xC2)]
    signs.append(leads[(text.data[leads + 1] == 0x82) & (text.data[leads + 2] == 0xAC)])
    signs.append(leads[(text.data[leads + 1] == 0xA3) | (text.data[leads + 1] == 0xA5)])
    at = np.concatenate(signs)
    width = np.where(text.data[at] == ord("$"), 1, np.where(text.data[at] == 0xE2, 3, 2))
    words, flags = text.capitals
    codes = words.where((words.stops - words.starts == 3) & ((flags & (LOWER | DIGIT | UNDERSCORE)) == 0))
    codes = codes.where(is_one_of(text.hashes(codes), _CURRENCY_HASHES))
    starts = np.concatenate((at, codes.starts))
    stops = np.concatenate((at + width, codes.stops))
    return spans_of(_without_overlap(_amounts(text, *_beside_digits(text, starts, stops))))


def _beside_digits(text: ByteText, starts: Places, stops: Places) -> tuple[Places, Places]:
    def is_digit(at: Places) -> Flags:
        return (text.classes[at] & DIGIT) != 0

    blank_after, blank_before = text.data[stops] == ord(" "), text.data[starts - 1] == ord(" ")
    near = is_digit(stops + blank_after) | is_digit(starts - 1 - blank_before)
    return starts[near], stops[near]


def _amounts(text: ByteText, starts: Places, stops: Places) -> Iterator[tuple[int, int]]:
    raw = text.raw
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        match = _SIGN_FIRST.match(raw, start) or _CODE_FIRST.match(raw, start)
        if match is not None:
            yield match.span()
            continue
        before = _AMOUNT_BEFORE.search(raw, max(0, start - _BEFORE), start)
        if before is not None and not text.classes[stop] & WORD:
            yield before.start(), stop


def _without_overlap(found: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    last = 0
    for start, stop in sorted(found):
        if start >= last:
            yield start, stop
            last = stop


def error_codes(text: ByteText, digits: DigitRuns) -> Spans:
    """Names of system errors, codes as `CVE-2021-44228`, statuses of HTTP that are errors."""
    words, flags = text.capitals
    length = words.stops - words.starts
    words = words.where(((flags & (LOWER | FOREIGN)) == 0) & (length > 2) & (length < 50))
    named = is_one_of(text.hashes(words, lowered=False), _ERRNO_HASHES)
    first, second = text.data[words.starts], text.data[words.starts + 1]
    coded = ~named & (first == ord("E")) & ((second == ord("R")) | ((second >= ord("0")) & (second <= ord("9"))))
    coded |= ((first == ord("C")) | (first == ord("O"))) & (words.stops - words.starts == 3)
    coded |= (first == ord("H")) & (second == ord("R"))
    codes = (match.span() for start in words.starts[coded].tolist() if (match := _ERROR_CODE.match(text.raw, start)))
    names = words.where(named)
    found = *zip(names.starts.tolist(), names.stops.tolist(), strict=True), *codes, *_statuses(text.raw, digits)
    return spans_of(_without_overlap(found))


def _statuses(raw: bytes, digits: DigitRuns) -> Iterator[tuple[int, int]]:
    n, text = digits.count, digits.text
    starts = digits.starts[:n]
    first, before = text.data[starts], text.data[starts - 1]
    found = (digits.lengths[:n] == 3) & ((first == ord("4")) | (first == ord("5")))
    found &= (before == ord(" ")) | (before == ord(":")) | (before == ord("="))
    found &= (text.classes[digits.stops[:n]] & WORD) == 0
    for start in starts[found].tolist():
        if _HTTP_BEFORE.search(raw, start - 24, start):
            yield start, start + 3


def exceptions(text: ByteText) -> Spans:
    """`ValueError`, `IllegalStateException`."""
    words, flags = text.capitals
    length = words.stops - words.starts
    mixed = (flags & (UPPER | LOWER | UNDERSCORE | FOREIGN)) == (UPPER | LOWER)
    found = words.where(mixed & (length > 6) & (length < 72))
    found = found.where(text.data[found.stops - 2] == ord("o"))
    raised = np.zeros(len(found.starts), np.bool_)
    for ending in (b"Error", b"Exception"):
        before = found.stops - len(ending) - 1  # a small letter: `Error` alone is any error
        ends = (before >= found.starts) & ((text.classes[before] & (LOWER | FOREIGN)) == LOWER)
        for place, byte in enumerate(ending, 1):
            ends &= text.data[before + place] == byte
        raised |= ends
    return found.where(raised)


def identifiers(text: ByteText) -> Spans:
    """`PROJ-123`: capitals, a hyphen, a number."""
    words, flags = text.capitals
    length = words.stops - words.starts
    capital = ((flags & (LOWER | UNDERSCORE | FOREIGN)) == 0) & (length >= 2) & (length <= 10)
    words = words.where(capital & (text.data[words.stops] == ord("-")))
    at, follows = text.words_starting(words.stops + 1)
    numbers = text.words.where(at[follows])
    number = ((classes_in(text.classes, numbers) & WORD) == DIGIT) & (numbers.stops - numbers.starts <= 6)
    number &= text.data[numbers.stops] != ord("-")
    raw, starts = text.raw, words.starts[follows][number].tolist()
    return spans_of(
        (start, stop)
        for start, stop in zip(starts, numbers.stops[number].tolist(), strict=True)
        if not raw.startswith(_NO_IDENTIFIER, start)
    )


def windows_paths(text: ByteText) -> Spans:
    """`C:\\Users\\...`"""
    at = text.places("\\")
    at = at[text.data[at - 1] == ord(":")] - 2
    at = at[(text.classes[at - 1] & WORD) == 0]
    return spans_of(_windows(text.raw, at))


def _windows(raw: bytes, at: Places) -> Iterator[tuple[int, int]]:
    for start in at.tolist():
        match = _WINDOWS_PATH.match(raw, start)
        if match is not None:
            yield start, start + len(match[0].rstrip(b".,;:!)"))


def hosts(text: ByteText, is_taken: Callable[[Spans], Flags]) -> Spans:
    """Names that end in a top-level domain that few other words are. `is_taken` says which words may not be in one."""
    dots = text.places(".") + 1
    dots = dots[_TOP_LEVEL_STARTS[text.data[dots], text.data[dots + 1]]]
    ends = text.words.where(text.words_starting(dots)[0])
    ends = ends.where(ends.stops - ends.starts <= 11)
    after = text.data[ends.stops]
    goes_on = (after == ord("(")) | (after == ord("="))
    goes_on |= (after == ord(".")) & ((text.classes[ends.stops + 1] & WORD) != 0)
    ends = ends.where(~goes_on)
    ends = ends.where(is_one_of(text.hashes(ends, lowered=False), _TOP_LEVEL))
    return spans_of(_without_overlap(_hosts(text.raw, ends.where(~is_taken(ends)))))


def _hosts(raw: bytes, ends: Spans) -> Iterator[tuple[int, int]]:
    for dot, stop in zip((ends.starts - 1).tolist(), ends.stops.tolist(), strict=True):
        start = _back(raw, dot, _HOST_START, 100)
        start += len(raw[start:dot]) - len(raw[start:dot].lstrip(b".-"))
        if start < dot:
            yield start, stop
