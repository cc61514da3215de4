"""Entities by pattern: what can be told by its form alone. Names of people and places need a model and are not here.

Every pattern is linear: no two neighbouring parts can match the same characters, and every repetition is bounded.
Each is searched only where a literal that it needs occurs, which is what makes this fast on ordinary text.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import string
from collections.abc import Iterator
from typing import NamedTuple

from mesh_assets.insights.secrets import find_secrets

# Bounds what one chunk can add to the table; a chunk of 256 tokens rarely holds more distinct ones.
MAX_ENTITIES = 64


class Entity(NamedTuple):
    """A named thing at the characters `start` up to `stop` of a text. The text of a secret is a description."""

    label: str
    text: str
    start: int
    stop: int


_URL = re.compile(
    r"\b(?:https?|ftp|file|s3|gs|ssh|git|wss?|jdbc|postgres(?:ql)?|mysql|redis|mongodb|amqp|hdfs)://[^\s<>\"'`{}|\\^\x00-\x1f]{1,400}"
)
_EMAIL = re.compile(r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,6}[A-Za-z]{2,24}\b")
_ALNUM = string.ascii_letters + string.digits
_EMAIL_LOCAL = f"{_ALNUM}._%+-"
_HOST_END = re.compile(
    r"\.(?:com|org|net|io|edu|gov|mil|dev|cloud|local|localdomain|internal|lan|corp|de|uk|fr|nl|eu|ch|at|jp|cn|ru|br|au)\b(?![\w(=]|\.\w)"
)
_HOST_START = f"{_ALNUM}.-"
_UUID_REST = re.compile(r"-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,8}[0-9a-fA-F]{0,4}(?![\w:])")
_SLASHED = re.compile(r"(?:/[\w.@+~-]{1,80}){1,30}")
_SLASHED_START = f"{_ALNUM}_.@+~-"
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}\Z")
_WINDOWS_PATH = re.compile(r"\b[A-Za-z]:\\[^\\/:*?\"<>|\s]{1,80}(?:\\[^\\/:*?\"<>|\s]{1,80}){0,30}")
_CURRENCY = r"(?:EUR|USD|GBP|CHF|JPY|CNY|[€£¥$])"
_MORE_DIGITS = r"\d{0,14}(?:[.,']\d{3}){0,5}(?:[.,]\d{1,2})?"
# Every form starts with a digit, written once in front: the engine then skips to the digits of a text.
_DIGITS = re.compile(
    r"\d(?:"
    r"(?P<time>\d{3}-[01]\d-[0-3]\d"
    r"(?:[T ][0-2]\d:[0-5]\d(?::[0-6]\d(?:[.,]\d{1,9})?)?(?: ?(?:Z\b|[+-]\d\d:?\d\d\b))?)?)"
    r"|(?P<ip>\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?::\d{1,5})?(?![\w.]))"
    r"|(?P<version>\d{0,3}\.\d{1,5}\.\d{1,6}(?:[-+][A-Za-z][\w.]{0,20})?(?![\w.]))"
    r"|(?P<percent>\d{0,8}(?:[.,]\d{1,6})? ?%)"
    r"|(?P<duration>\d{0,11}(?:\.\d{1,9})? ?(?:ns|us|µs|ms|s|sec|secs|seconds?|mins?|minutes?|h|hours?|days?)\b)"
    rf"|(?P<amount>{_MORE_DIGITS} ?{_CURRENCY}(?!\w))"
    r"|(?P<other>[\w.:]{1,80}))"
)
_SIGNS = "€£¥$"
_CODED = ("EUR ", "USD ", "GBP ", "CHF ", "JPY ", "CNY ")
_SCALE = r"(?: ?(?:million|billion|bn|[kKmM])\b)?"
_SIGN_FIRST = re.compile(rf"[{_SIGNS}] ?\d{_MORE_DIGITS}{_SCALE}")
_CODE_FIRST = re.compile(rf"\b(?:EUR|USD|GBP|CHF|JPY|CNY) \d{_MORE_DIGITS}{_SCALE}")
_V_VERSION = re.compile(r"v(?<!\wv)\d{1,4}\.\d{1,5}(?:\.\d{1,6})?(?:[-+][A-Za-z][\w.]{0,20})?(?![\w])")
_CODES = re.compile(
    r"\b(?:(?P<identifier>(?!UTF|SHA|ISO|RFC|CVE|MD|ORA|AES|RSA|UTC|GMT)[A-Z][A-Z0-9]{1,9}-\d{1,6}(?![\w-]))"
    r"|(?P<error_code>CVE-\d{4}-\d{4,7}|ORA-\d{4,5}|ERR_[A-Z_]{3,40}|E\d{3,5}|HRESULT[:= ]{1,3}0x[0-9A-Fa-f]{8})\b"
    r"|(?P<errno>E[A-Z0-9]{3,14})\b"
    r"|(?P<exception>[A-Z][A-Za-z0-9]{1,60}(?<=[a-z])(?:Error|Exception))\b)"
)
_HTTP_STATUS = re.compile(r"HTTP(?:/\d(?:\.\d)?)?\"?[ :=]{1,2}(?P<code>[45]\d\d)\b")
_STATUS = re.compile(r"\bstatus(?:[ _-]?code)?[\"']?[ :=]{1,3}(?P<code>[45]\d\d)\b")
_ERRNO_NAMES = frozenset(errno.errorcode.values())


def find_entities(text: str) -> list[Entity]:
    """At most `MAX_ENTITIES` entities of `text` in order, none overlapping; a secret wins, then the longer form."""
    found = [
        Entity("secret", f"{s.name}, {s.stop - s.start} characters, masked", s.start, s.stop)
        for s in find_secrets(text)
    ]
    for find in _FINDERS:
        found.extend(find(text))
    if not found:
        return found
    taken = bytearray(len(text))
    kept: list[Entity] = []
    for entity in found:  # in the order of the finders: the more specific form first
        if not any(taken[entity.start : entity.stop]):
            taken[entity.start : entity.stop] = b"\x01" * (entity.stop - entity.start)
            kept.append(entity)
    kept.sort(key=lambda entity: entity.start)
    if len(kept) > MAX_ENTITIES:  # never drop a secret for an ordinary thing
        kept = sorted(sorted(kept, key=lambda e: e.label != "secret")[:MAX_ENTITIES], key=lambda e: e.start)
    return kept


def _urls_and_mails(text: str) -> Iterator[Entity]:
    if "://" in text:
        for match in _URL.finditer(text):
            url = match[0].rstrip(".,;:!?)]*")
            yield Entity("url", url, match.start(), match.start() + len(url))
    if "@" in text:
        for match in _EMAIL.finditer(text):
            start = _back(text, match.start(), _EMAIL_LOCAL, 64)
            if start < match.start():
                yield Entity("email", text[start : match.end()], start, match.end())


def _back(text: str, stop: int, characters: str, most: int) -> int:
    """Where the run of `characters` that ends at `stop` begins, at most `most` before it.

    Matching the rare part of a form first and then looking back costs nothing on text without it.
    """
    head = text[max(0, stop - most) : stop]
    return stop - len(head) + len(head.rstrip(characters))


def _addresses(text: str) -> Iterator[Entity]:
    if text.count("-") >= 4:
        for match in _UUID_REST.finditer(text):
            start = _back(text, match.start(), string.hexdigits, 9)
            if match.start() - start == 8:
                yield Entity("uuid", text[start : match.end()], start, match.end())
    if text.count(":") >= 2:
        for match in _IPV6.finditer(text):
            # Most are times of day: an address is written with all its eight groups or with `::`.
            if len(match[0]) > 4 and ("::" in match[0] or match[0].count(":") == 7) and _is_ipv6(match[0]):
                yield Entity("ip", *_span(match, 0))


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).max_prefixlen == 128
    except ValueError:
        return False


def _span(match: re.Match[str], group: str | int) -> tuple[str, int, int]:
    return match[group], match.start(group), match.end(group)


def _numbers(text: str) -> Iterator[Entity]:
    for match in _DIGITS.finditer(text):
        label, before = match.lastgroup or "other", text[max(0, match.start() - 1) : match.start()]
        if label == "other" or before == "." or before == "_" or before.isalnum():
            continue
        if label == "ip" and any(int(part) > 255 for part in match[0].split(":")[0].split(".")):
            continue
        yield Entity(label, *_span(match, 0))
    if any(sign in text for sign in _SIGNS):
        for match in _SIGN_FIRST.finditer(text):
            yield Entity("amount", *_span(match, 0))
    if any(code in text for code in _CODED):
        for match in _CODE_FIRST.finditer(text):
            yield Entity("amount", *_span(match, 0))
    for match in _V_VERSION.finditer(text):
        yield Entity("version", *_span(match, 0))


def _codes(text: str) -> Iterator[Entity]:
    if "HTTP" in text:
        for match in _HTTP_STATUS.finditer(text):
            yield Entity("error_code", *_span(match, "code"))
    if "status" in text:
        for match in _STATUS.finditer(text):
            yield Entity("error_code", *_span(match, "code"))
    for match in _CODES.finditer(text):
        if match.lastgroup == "errno":
            if match[0] in _ERRNO_NAMES:
                yield Entity("error_code", *_span(match, 0))
        else:
            yield Entity(match.lastgroup or "", *_span(match, 0))


def _paths_and_hosts(text: str) -> Iterator[Entity]:
    if "/" in text:
        for match in _SLASHED.finditer(text):
            yield from _path(text, match)
    if ":\\" in text:
        for match in _WINDOWS_PATH.finditer(text):
            path = match[0].rstrip(".,;:!)")
            yield Entity("path", path, match.start(), match.start() + len(path))
    if "." in text:
        for match in _HOST_END.finditer(text):
            start = _back(text, match.start(), _HOST_START, 100)
            start += len(text[start : match.start()]) - len(text[start : match.start()].lstrip(".-"))
            if start < match.start():
                yield Entity("host", text[start : match.end()], start, match.end())


def _path(text: str, match: re.Match[str]) -> Iterator[Entity]:
    """An absolute path of two or more parts, or a relative one whose file has an extension."""
    start = _back(text, match.start(), _SLASHED_START, 80)
    path = text[start : match.end()].rstrip(".")
    if start and text[start - 1] in "<:/":
        return
    named = _EXTENSION.search(path) is not None
    if (start == match.start() and path.count("/") >= 2) or (named and "/" in path and not path[0].isdigit()):
        yield Entity("path", path, start, start + len(path))


_FINDERS = (_urls_and_mails, _addresses, _numbers, _codes, _paths_and_hosts)
