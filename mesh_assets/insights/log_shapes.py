"""Shapes of log messages: their words with what varies masked, and the measured values in them.

Which shapes are the same message with another name in it is found in `log_templates`.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import islice
from typing import cast

from mesh_assets.chunks.log_records import BEFORE_STAMP, BEHIND_STAMP, LEVELS, LogRecord

# A shape longer than this differs in its tail only by what it was called with.
MAX_WORDS = 24
MAX_NUMBERS = 4
_MAX_MESSAGE = 1000  # characters
_MAX_JSON = 8000

_TOKEN = re.compile(r"\S+")
_QUOTED = re.compile(r"\"[^\"\n]{0,400}\"|(?<!\w)'[^'\n]{0,200}'(?!\w)")
_REQUEST = re.compile(r"\"([A-Z]{3,8}) \S")
_PLAIN = re.compile(
    r"(?P<before>[(<]?(?:(?P<key>[A-Za-z_.]{1,40})[=:])?)(?P<number>-?\d{1,15}(?:\.\d{1,9})?)(?P<unit>[A-Za-zµ%]{0,5}(?:/s)?)(?P<after>[,;:.)>]{0,2})"
)
_STATUS = re.compile(r"[1-5]\d\d")
# What comes after these words names a thing; it does not measure anything.
_NAMES_A_THING = re.compile(
    r"(?:.*[_.-])?(?:id|ids|pid|tid|uid|gid|euid|port|thread|session|sess|seq|sequence|line|offset|job|task|stage|user|order|request|req|txn|"
    r"tx|block|blk|node|worker|partition|shard|version|build|step|epoch|no|number|nr|index|idx|key|hash|code|year|month|day|slot|child)"
)
_HEADER = {*LEVELS, "WARNING", "ERR", "V", "D", "I", "W", "E", "F", "-"}
_CALENDAR = frozenset(
    (
        "Mon",
        "Tue",
        "Wed",
        "Thu",
        "Fri",
        "Sat",
        "Sun",
        "Jan",
        "Feb",
        "Mar",
        "Apr",
        "May",
        "Jun",
        "Jul",
        "Aug",
        "Sep",
        "Oct",
        "Nov",
        "Dec",
    )
)
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]{6,}")


@lru_cache(maxsize=100_000)
def _word(word: str) -> tuple[str, float | None, bool]:
    """A word as it stands in a shape, the number that it holds, and whether its own key says that it names a thing."""
    if word in _CALENDAR:
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


def shape(record: LogRecord) -> tuple[tuple[str, ...], tuple[tuple[int, float], ...]]:
    """The words of a record's message with what varies masked, and the measured values in it by their place."""
    message = record.message[:_MAX_MESSAGE]
    if "{" in record.text[:3]:
        message = _json_message(record.text) or message
    if '"' in message or "'" in message:
        message = _QUOTED.sub(_quoted, message)
    words: list[str] = []
    numbers: list[tuple[int, float]] = []
    before, said = "", False  # numbers before the first word of the message are threads and processes
    for raw in message.split(None, MAX_WORDS)[:MAX_WORDS]:
        word, value, named = _word(raw)
        if value is None:
            said = said or (word[0] not in "<[(" and word.strip(":").upper() not in _HEADER)
        elif len(raw) == 3 and _STATUS.fullmatch(raw) and _before_status(before):
            word = raw
        elif (said or "=" in raw) and not named and not _names_a_thing(before):
            numbers.append((len(words), value))
        words.append(word)
        before = raw
    return tuple(words), tuple(numbers[:MAX_NUMBERS])


def number_spans(record: LogRecord) -> dict[int, tuple[int, int]]:
    """Where the number of each place of the words stands in the record's first line, its sign included (characters)."""
    message = _QUOTED.sub(lambda match: f"{match[0][0]}{'*' * (len(match[0]) - 2)}{match[0][0]}", record.message)
    line = record.text.split("\n", 1)[0]
    head, tail = line[: record.stamp_start], line[record.stamp_stop :]
    before = len(head.strip(BEFORE_STAMP))
    first = len(head) - len(head.lstrip(BEFORE_STAMP))
    second = record.stamp_stop + len(tail) - len(tail.lstrip(BEHIND_STAMP)) - (before + 1 if before else 0)
    found: dict[int, tuple[int, int]] = {}
    for place, token in enumerate(islice(_TOKEN.finditer(message[:_MAX_MESSAGE]), MAX_WORDS)):
        plain = _PLAIN.fullmatch(token[0])
        if plain is not None:
            at = token.start() + (first if token.start() < before else second)
            found[place] = at + plain.start("number"), at + plain.end("number")
    return found


def _names_a_thing(word: str) -> bool:
    """Whether a number behind `word` names something: an id, or the day of a month."""
    return word in _CALENDAR or _NAMES_A_THING.fullmatch(word.lower().rstrip(":=#")) is not None


def _before_status(word: str) -> bool:
    return word.endswith('"') or word.lower().rstrip(":=") in ("status", "code", "http", "returned", "->")


def _quoted(match: re.Match[str]) -> str:
    request = _REQUEST.match(match[0])
    return f'"{request[1]}"' if request else f"{match[0][0]}*{match[0][0]}"


_JSON_MESSAGE = ("message", "msg", "event", "log", "error", "text")


def _json_message(text: str) -> str | None:
    """The message of a log line in JSON, with its numeric fields behind it; None where it is no JSON object."""
    line = text[:_MAX_JSON]
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    parts: list[str] = []
    for name in _JSON_MESSAGE:
        value = cast("dict[str, object]", fields).get(name)
        if isinstance(value, str):
            parts.append(value)
            break
    for key, value in cast("dict[str, object]", fields).items():
        if isinstance(value, int | float) and not isinstance(value, bool) and " " not in key and len(key) <= 40:
            parts.append(f"{key}={value}")
        elif key in ("level", "severity", "logger", "method", "service") and isinstance(value, str):
            parts.insert(0, value)
    return " ".join(parts) or None
