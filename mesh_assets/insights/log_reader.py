"""From chunks of logs to events: a record with its source, time, level, the words of its shape and its numbers.

How records and timestamps are read is decided in `chunks.log_records`. What events say together is not decided here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import cast

from mesh_assets.chunks.log_records import ERROR_LEVELS, LEVELS, LogRecord, iter_records
from mesh_assets.chunks.timestamps import CLOCK_SKEW, SAMPLE_LINES, TimestampParser
from mesh_assets.insights.locators import QUOTE_CHARACTERS, ChunkText, shorten
from mesh_assets.insights.secrets import mask
from mesh_assets.schemas.citations import Citation

# A shape longer than this differs in its tail only by what it was called with.
MAX_WORDS = 24
MAX_NUMBERS = 4
_MAX_MESSAGE = 1000  # characters
_MAX_JSON = 8000
# A record longer than this is cited by its first line: nobody reads more as evidence.
_MAX_CITED = 4000
# Parsers kept for the files that were read last; chunks of one file come together.
_MAX_PARSERS = 64


@dataclass(frozen=True, slots=True)
class Witness:
    """Where an event can be seen. The line is masked when it is cited, not for each of millions of events."""

    time: float
    chunk: tuple[str, str, str]  # dataset, path, source hash
    byte_start: int
    byte_stop: int
    line: int
    text: str

    def citation(self) -> Citation:
        """The event's bytes, quoted by its first and last line."""
        dataset, path, source_hash = self.chunk
        quote = shorten(mask(self.text))
        return Citation(dataset, path, self.byte_start, self.byte_stop, source_hash, self.line, quote)


@dataclass(frozen=True, slots=True)
class Event:
    """One record. `time` is in seconds since 1970 UTC or None; `level` is error, warning, other or none.

    `words` is the message with what varies masked, `numbers` the measured values in it, by their place in `words`.
    """

    source: str
    time: float | None
    level: str
    words: tuple[str, ...]
    numbers: tuple[tuple[int, float], ...]
    _chunk: ChunkText
    _start: int
    _line: int
    _text: str

    def witness(self) -> Witness:
        """Where it can be seen: the whole record, or the first line of one that is very long.

        The text is its first line and, of a stack trace, its last, which names the cause.
        """
        chunk = self._chunk
        whole = self._text.rstrip()
        lines = whole.splitlines() or [""]
        shown = whole if len(whole) <= _MAX_CITED else lines[0]
        text = (
            lines[0]
            if len(lines) == 1 or shown is lines[0]
            else f"{lines[0][: QUOTE_CHARACTERS // 2]}\n… {lines[-1].strip()}"
        )
        byte_start, byte_stop = chunk.byte_span(self._start, self._start + len(shown))
        return Witness(
            self.time or 0.0,
            (chunk.dataset, chunk.path, chunk.source_hash),
            byte_start,
            byte_stop,
            chunk.line_start + self._line - 1,
            text[: 2 * QUOTE_CHARACTERS],
        )


class LogReader:
    """Reads the events of chunks, remembering how each file writes its timestamps."""

    def __init__(self) -> None:
        self._parsers: dict[str, TimestampParser | None] = {}

    def events(self, chunk: ChunkText, latest: datetime | None) -> Iterator[Event]:
        """The events of `chunk`; `latest` is its `time_stop`. A record's tail from the chunk before is left out."""
        parser = self._parser(chunk, latest)
        source = source_of(chunk.path)
        at = 0
        for record in iter_records(chunk.text, parser=parser):
            start = at
            at += len(record.text)
            if (record.time is None and parser is not None) or not record.text.strip():
                continue
            words, numbers = _shape(record)
            yield Event(
                source=source,
                time=None if record.time is None else record.time.timestamp(),
                level=_level(record.level),
                words=words,
                numbers=numbers,
                _chunk=chunk,
                _start=start,
                _line=record.line_start,
                _text=record.text,
            )

    def _parser(self, chunk: ChunkText, latest: datetime | None) -> TimestampParser | None:
        parser = self._parsers.get(chunk.path)
        if parser is None or next(iter(parser.stamps(chunk.text)), None) is None:
            lines = chunk.text.split("\n", SAMPLE_LINES)[:SAMPLE_LINES]
            parser = TimestampParser.detect(lines, latest=latest) or parser
            if len(self._parsers) >= _MAX_PARSERS:
                self._parsers.pop(next(iter(self._parsers)))
            self._parsers[chunk.path] = parser
        if parser is not None and latest is not None and latest.year < 9998:
            parser = replace(parser, latest=latest + CLOCK_SKEW)
        return parser


def _level(level: str | None) -> str:
    if level is None:
        return "none"
    return "error" if level in ERROR_LEVELS else "warning" if level == "WARN" else "other"


_ROTATION = re.compile(r"(?:[._-](?:\d{1,14}|\d{2,4}[-_.]\d\d[-_.]\d\d(?:[-_.T]\d{1,6})?|gz|bz2|zst|xz|old))+(?=\.|$)")


@lru_cache(maxsize=1024)
def source_of(path: str) -> str:
    """The log that `path` is a part of: rotated files (`app.log.1`, `app-2024-05-03.log`) are one log."""
    name = PurePosixPath(path)
    plain = _ROTATION.sub("", name.name)
    return str(name.with_name(plain)) if plain and plain not in (".", "..") else path


# --- shapes ---------------------------------------------------------------------------------------------------------

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


def _shape(record: LogRecord) -> tuple[tuple[str, ...], tuple[tuple[int, float], ...]]:
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
