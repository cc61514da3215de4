"""What figures, moments and hostile text look like to people. No markup: HTML and Markdown have their own files."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta

from mesh_assets.mesh.shapes import Proof
from mesh_assets.schemas.citations import Citation
from mesh_assets.wording import count, duration, shorten, size

# Characters that act instead of being seen: controls, bidirectional overrides and marks, invisible format characters,
# line separators, surrogates, noncharacters and tags. Tab, newline and the joiners that scripts need are left.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e0fff]"
)
# Seconds in three thousand years: what is longer is no time that a person reads.
_LONGEST = 1e11


def visible(text: str) -> str:
    """`text` with every character that acts rather than shows written as `\\xNN` or `\\uNNNN`; newlines are plain."""
    return _INVISIBLE.sub(_escaped, text.replace("\r\n", "\n"))


def _escaped(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def one_line(text: str) -> str:
    """`text` visible, with each run of white space as one space."""
    return " ".join(visible(text).split())


def figure(value: str | float, name: str) -> str:
    """One figure of an insight: a text on one short line; bytes and seconds, by `name`, with a unit; others counted."""
    if isinstance(value, str):
        return shorten(one_line(value), 120)
    if "bytes" in name.lower() and value >= 0:
        return size(value)
    if name.lower().endswith("seconds") and 0 <= value < _LONGEST:
        return duration(timedelta(seconds=value))
    return count(value)


def amount(value: int, noun: str) -> str:
    """`1 file`, `1,234 files`; `noun` is singular and takes an s."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def moment(when: datetime) -> str:
    """`2024-01-31 10:05:00 UTC`; a moment without a zone is taken as UTC."""
    return f"{_utc(when):%Y-%m-%d %H:%M:%S} UTC"


def span(start: datetime | None, stop: datetime | None) -> str:
    """`2024-01-31 10:05:00 to 10:25:00 UTC (20 min)`, or one moment, or nothing."""
    if start is None or stop is None or start == stop:
        when = start if start is not None else stop
        return moment(when) if when is not None else ""
    first, last = _utc(start), _utc(stop)
    until = f"{last:%H:%M:%S}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M:%S}"
    return f"{first:%Y-%m-%d %H:%M:%S} to {until} UTC ({duration(last - first)})"


def words(identifier: str) -> str:
    """`table_outlier` as `Table outlier`."""
    text = one_line(identifier.replace("_", " "))
    return text[:1].upper() + text[1:]


def place(citation: Citation) -> str:
    """Where a citation lies, for people: file and page or line, or bytes where the line is not known."""
    path = shorten(one_line(citation.path), 160)
    if citation.place:
        return f"{path}, {shorten(one_line(citation.place), 80)}"
    if citation.line_start > 0:
        return f"{path}, line {citation.line_start:,}"
    return f"{path}, bytes {citation.byte_start:,} to {citation.byte_stop:,}"


def show_command(citation: Citation) -> str:
    """The shell command that opens `citation`, on one line and safe to paste.

    A path with characters that cannot be seen is written byte by byte in `$'...'`, which bash, zsh and ksh read.
    """
    text = str(citation)
    if visible(text) == text and not re.search(r"[\n\t]", text):
        return f"mesh show {shlex.quote(text)}"
    data = text.encode("utf-8", "surrogatepass")
    plain = "".join(chr(b) if 0x20 <= b < 0x7F and b not in b"'\\" else f"\\x{b:02x}" for b in data)
    return f"mesh show $'{plain}'"


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def tested(test: Proof) -> str:
    """What came of a claim that was put to the data, as sentences."""
    how = "By the past of what it foretells" if test.by == "past" else "By a query of its own"
    said = {True: "it holds", False: "it does not hold", None: "it cannot be told"}[test.holds]
    return f"{how} {said}: {test.result}"
