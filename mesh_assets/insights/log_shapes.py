"""What log records say: the shapes of their messages, and the values measured in them, by the words beside them.

What a shape is, and which shapes are one message with another name in it, is decided in `template_miner`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, cast

from mesh_assets.chunks.log_records import BEFORE_STAMP, BEHIND_STAMP, LEVELS, LogRecord
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.template_miner import CALENDAR, Shape, shape_of

# Words in which measured values are looked for; behind them are the arguments of a call.
_MAX_WORDS = 24
MAX_NUMBERS = 4
# A unit behind a number is at most so long; other words there are what comes next.
_MAX_UNIT = 8
_MAX_MESSAGE = 1000  # characters
_MAX_JSON = 8000

_TOKEN = re.compile(r"\S+")
_QUOTED = re.compile(r"\"[^\"\n]{0,400}\"|(?<!\w)'[^'\n]{0,200}'(?!\w)")
_STARS = re.compile(r"\*+")
_PLAIN = re.compile(
    r"(?P<before>[(<]?(?:(?P<key>[A-Za-z_.]{1,40})[=:])?)(?P<number>-?\d{1,15}(?:\.\d{1,9})?)(?P<unit>[A-Za-zµ%]{0,5}(?:/s)?)(?P<after>[,;:.)>]{0,2})"
)
# How a word with such a number begins, behind the first word.
_MAY_MEASURE = re.compile(r"(?<=\s)[(<]?(?:[A-Za-z_.]{1,40}[=:])?-?\d|^[(<]?[A-Za-z_.]{1,40}[=:]-?\d")
_STATUS = re.compile(r"[1-5]\d\d")
# What comes after these words names a thing; it does not measure anything.
_NAMES_A_THING = re.compile(
    r"(?:.*[_.-])?(?:id|ids|pid|tid|uid|gid|euid|port|thread|session|sess|seq|sequence|line|offset|job|task|stage|user|order|request|req|txn|"
    r"tx|block|blk|node|worker|partition|shard|version|build|step|epoch|no|number|nr|index|idx|key|hash|code|year|month|day|slot|child)"
)
_HEADER = {*LEVELS, "WARNING", "ERR", "V", "D", "I", "W", "E", "F", "-"}
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]{6,}")


@lru_cache(maxsize=100_000)
def _word(word: str) -> tuple[str, float | None, bool]:
    """A word as it stands in a shape, the number that it holds, and whether its own key says that it names a thing."""
    if word in CALENDAR:
        return "<id>", None, False
    if word.isalpha():
        return (word if not (len(word) > 15 and _HEX.fullmatch(word)) else "<id>"), None, False
    plain = _PLAIN.fullmatch(word)
    if plain is not None:
        key = plain["key"] or ""
        if key.lower().endswith(("status", "code")) and _STATUS.fullmatch(plain["number"]):
            return word, None, True
        named = bool(key) and _NAMES_A_THING.fullmatch(key.lower()) is not None
        return f"{plain['before']}<n>{plain['unit']}{plain['after']}", float(plain["number"]), named
    if not any(c.isdigit() for c in word):
        return ("<path>" if word.count("/") > 1 and not word.startswith("<") else word[:60]), None, False
    key, equals, _ = word.partition("=")
    if equals and key and not any(c.isdigit() for c in key):
        return f"{key[:40]}=<id>", None, False
    if "/" in word:
        return "<path>", None, False
    head = word.rstrip("0123456789.:,;)]>-")
    letters = re.match(r"[^\d]{1,30}", word)
    if letters is not None and letters[0] == head:  # sshd[123]: and worker-7
        return f"{head}<id>{word[len(word.rstrip(']:,;)>')) :]}", None, False
    return (f"{letters[0]}<id>" if letters is not None and letters[0][-1] in "[(=:" else "<id>"), None, False


class Measurement(NamedTuple):
    """A value, its label (the words around it, `<n>` for itself: `took <n> ms`), and its characters in the message."""

    label: str
    value: float
    start: int
    stop: int


class Said(NamedTuple):
    """What a record says: the shape of its message, measured values by their labels (no two equal), what wrote it."""

    shape: Shape
    numbers: tuple[Measurement, ...]
    source: str | None


def said_in(record: LogRecord, layout: LogLayout) -> Said:
    """What `record` says, a line of a log of that layout. Of a line in JSON its fields are told apart instead."""
    message, source = record.message, None
    fields = _json_fields(record.text) if "{" in record.text[:3] else None
    if fields is not None:
        told = message = _whole(_json_message(fields) or message)
        source = _json_source(fields)
    else:
        line = record.text.split("\n", 1)[0]
        told = layout.message(line) if layout.has_head else message
        source = layout.source_of(line)
    return Said(shape_of(told), tuple(_measured(message)), source)


def number_spans(record: LogRecord, numbers: Iterable[Measurement]) -> list[tuple[int, int]]:
    """Where `numbers` of the record's message stand in its first line, their signs included (characters)."""
    line = record.text.split("\n", 1)[0]
    head, tail = line[: record.stamp_start], line[record.stamp_stop :]
    before = len(head.strip(BEFORE_STAMP))
    first = len(head) - len(head.lstrip(BEFORE_STAMP))
    second = record.stamp_stop + len(tail) - len(tail.lstrip(BEHIND_STAMP)) - (before + 1 if before else 0)
    found: list[tuple[int, int]] = []
    for measured in numbers:
        at = first if measured.start < before else second
        found.append((measured.start + at, measured.stop + at))
    return found


def _measured(message: str) -> list[Measurement]:
    """The first `MAX_NUMBERS` values that are measured in a message."""
    message = message[:_MAX_MESSAGE]
    if _MAY_MEASURE.search(message) is None:
        return []
    if '"' in message or "'" in message:
        message = _QUOTED.sub(_blanked, message)
    words: list[str] = []
    numbers: list[tuple[int, float, int, int]] = []
    before, said = "", False  # numbers before the first word of the message are threads and processes
    for token in _TOKEN.finditer(message):
        if len(words) >= _MAX_WORDS:
            break
        raw = token[0]
        word, value, named = _word(raw)
        if value is None:
            said = said or (word[0] not in "<[(" and word.strip(":").upper() not in _HEADER)
        elif len(raw) == 3 and _STATUS.fullmatch(raw) and _before_status(before):
            word = raw
        elif (said or "=" in raw) and not named and not _names_a_thing(before) and len(numbers) < MAX_NUMBERS:
            start, stop = cast("re.Match[str]", _PLAIN.fullmatch(raw)).span("number")
            numbers.append((len(words), value, token.start() + start, token.start() + stop))
        words.append(word)
        before = raw
    labels: list[str] = []
    for at, *_ in numbers:
        labels.append(_label(words, at, labels))
    return [Measurement(label, *number[1:]) for label, number in zip(labels, numbers, strict=True)]


def _label(words: list[str], at: int, taken: list[str]) -> str:
    """The words that tell what number `at` of `words` measures; more of those before it where fewer are `taken`."""
    behind = words[at + 1 : at + 2] if words[at].endswith("<n>") else []
    if not all(word.isalpha() and len(word) <= _MAX_UNIT for word in behind):
        behind = []
    first = at if "=" in words[at] else max(0, at - 1)  # a key before `=` names the number
    while True:
        label = _STARS.sub("*", " ".join((*words[first : at + 1], *behind)))
        if label not in taken:
            return label
        if first == 0:
            return f"{label} {at + 1}"
        first -= 1


def _names_a_thing(word: str) -> bool:
    """Whether a number behind `word` names something: an id, or the day of a month."""
    return word in CALENDAR or _NAMES_A_THING.fullmatch(word.lower().rstrip(":=#")) is not None


def _before_status(word: str) -> bool:
    return word.endswith('"') or word.lower().rstrip(":=") in ("status", "code", "http", "returned", "->")


def _blanked(match: re.Match[str]) -> str:
    """As many characters without what is quoted."""
    return f"{match[0][0]}{'*' * (len(match[0]) - 2)}{match[0][-1]}"


_JSON_MESSAGE = ("message", "msg", "event", "log", "error", "text")


_JSON_SOURCE = ("logger", "component", "service", "module", "program", "process", "app", "source")


def _json_fields(text: str) -> dict[str, object] | None:
    """The fields of a log line in JSON; None where it is no JSON object."""
    try:
        fields = json.loads(text[:_MAX_JSON])
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", fields) if isinstance(fields, dict) else None


def _whole(text: str) -> str:
    """The text with `?` for what no text can hold: half of a character, which JSON can write."""
    return text.encode("utf-8", "replace").decode()


def _json_source(fields: dict[str, object]) -> str | None:
    named = (fields.get(name) for name in _JSON_SOURCE)
    return next((_whole(value) for value in named if isinstance(value, str) and value), None)


def _json_message(fields: dict[str, object]) -> str | None:
    """The message of a log line in JSON, with its numeric fields behind it; None where it has neither."""
    parts: list[str] = []
    for name in _JSON_MESSAGE:
        value = fields.get(name)
        if isinstance(value, str):
            parts.append(value)
            break
    for key, value in fields.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and " " not in key and len(key) <= 40:
            parts.append(f"{key}={value}")
        elif key in ("level", "severity", "logger", "method", "service") and isinstance(value, str):
            parts.insert(0, value)
    return " ".join(parts) or None
