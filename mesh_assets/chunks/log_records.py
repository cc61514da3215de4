"""Records of a log: one event with its time, level and text, its continuation lines (stack traces) included.

Works on any text of a log: a window of a file or the text of one chunk. How records are put into chunks belongs to
`log`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mesh_assets.chunks.moments import NONE, LineTimes
from mesh_assets.chunks.timestamps import Stamp, TimestampParser

# Levels by rising severity, after WARNING and ERR were written WARN and ERROR.
LEVELS = (
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "SEVERE", "CRITICAL", "FATAL", "ALERT", "EMERG",
)  # fmt: skip
# What a person would call an error.
ERROR_LEVELS = frozenset(LEVELS[LEVELS.index("ERROR") :])

# What stands between a timestamp and the words around it.
BEFORE_STAMP = " \t\ufeff[(\"'"
BEHIND_STAMP = " \t])',;:-|"
# Characters of a record, from its start, in which its level stands; later words are prose.
_LEVEL_HEAD = 240
_SAME_LEVEL = {"WARNING": "WARN", "ERR": "ERROR", "EMERGENCY": "EMERG", "CRIT": "CRITICAL"}
_LETTERS = {"V": "TRACE", "D": "DEBUG", "I": "INFO", "W": "WARN", "E": "ERROR", "F": "FATAL"}
_NAMES = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|CRITICAL|CRIT|FATAL|ALERT|EMERG|EMERGENCY"
# A level is a word in capitals, or in any case where its place says so: `[error]`, `level=error`, `"level":"error"`.
_LEVEL = re.compile(
    rf"\b({_NAMES})\b|(?i:[\[<]|\b(?:level|lvl|severity)\W{{1,4}})(?i:[a-z_0-9]{{1,32}}:)?((?i:{_NAMES}))\b", re.ASCII
)
# Android: process and thread, then a letter.
_LETTER = re.compile(r" {1,8}[0-9]{1,8} {1,8}[0-9]{1,8} ([VDIWEF]) ", re.ASCII)
# Access logs: the request in quotes, then the status and the size.
_STATUS = re.compile(r'" ([1-5])[0-9]{2} (?:[0-9]{1,19}|-)(?: |$)', re.MULTILINE)

# Lines of a log without timestamps that continue the line before. A Python traceback runs to its exception's line.
_CONTINUED = r"[ \t\r\n}\])]|Caused by:|\.\.\. [0-9]|During handling of the above|The above exception was"
_START = re.compile(
    rf"^(?:Traceback \(most recent call last\)[^\n]*\n(?:[ \t][^\n]*\n)*[^\n]*|(?!{_CONTINUED})(?P<start>[^\n]+))",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """The text of one event, and where its timestamp stands in it (characters); both are 0 where it has none."""

    text: str
    stamp_start: int = 0
    stamp_stop: int = 0

    @property
    def message(self) -> str:
        """The first line without its timestamp: what two events of a kind have in common."""
        stop = self.text.find("\n")
        line = self.text if stop < 0 else self.text[:stop]
        before = line[: self.stamp_start].strip(BEFORE_STAMP)
        after = line[self.stamp_stop :].lstrip(BEHIND_STAMP).rstrip()
        return f"{before} {after}" if before else after


# Characters that show the format of a text of which no sample was given.
SAMPLE = 1 << 16


def record_stamps(text: str, parser: TimestampParser | None) -> list[tuple[int, Stamp | None]]:
    """Where each record of `text` starts (character), with its timestamp; the first one always starts at 0.

    With timestamps, a line without one continues the record before it. Without, a line that is indented, or that
    continues a stack trace, does.
    """
    if not text:
        return []
    starts: list[tuple[int, Stamp | None]]
    if parser is None:
        starts = [(start, None) for start in (0, *record_starts(text, None))]
    else:
        starts = [(stamp.line, stamp) for stamp in parser.stamps(text)]
        if not starts or starts[0][0] > 0:
            starts.insert(0, (0, None))
    return starts


def record_starts(text: str, times: LineTimes | None) -> list[int]:
    """Where each record of `text` but the first one starts (character), told by the `times` of its lines if there are.

    The same records as those of `record_stamps`.
    """
    if times is not None:
        starts = times.starts[times.times != NONE]
        return starts[starts > 0].tolist()
    starts = (match.start() for match in _START.finditer(text) if match["start"] is not None)
    return [start for start in starts if start > 0]


def level_of(record: str, after: int = 0) -> str | None:
    """The level of `record`, looked for behind the character `after` (the end of its timestamp).

    An access log's status says it: 5xx is ERROR, 4xx is WARN.
    """
    stop = record.find("\n", after)
    line_stop = len(record) if stop < 0 else stop
    status = _STATUS.search(record, after, min(line_stop, after + 4096))
    if status is not None:
        return {"5": "ERROR", "4": "WARN"}.get(status[1])
    letter = _LETTER.match(record, after)
    if letter is not None:
        return _LETTERS[letter[1]]
    # java.util.logging writes the level on the second line, so the head is not cut at the line's end.
    found = _LEVEL.search(record, after, after + _LEVEL_HEAD)
    if found is None and after:
        found = _LEVEL.search(record, 0, after)
    if found is None:
        return None
    name = (found[1] or found[2]).upper()
    return _SAME_LEVEL.get(name, name)
