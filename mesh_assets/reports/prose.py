"""What numbers, moments and hostile text look like to people. No markup: HTML and Markdown have their own files."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta

from mesh_assets.schemas.citations import Citation

# Characters that act instead of being seen: controls, bidirectional overrides and marks, invisible format characters,
# line separators, surrogates, noncharacters and tags. Tab, newline and the joiners that scripts need are left.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e0fff]"
)
_SECONDS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
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


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, with an ellipsis where some were left off."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def count(value: float) -> str:
    """1234 as `1,234`, 0.12345 as `0.123`, 3.0 as `3`; beyond 15 digits as `1.2e+20`."""
    if abs(value) >= 1e15:
        return f"{value:.2g}"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"


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


def size(length: float) -> str:
    """12345678 bytes as `12.3 MB`: decimal units, three digits."""
    return _scaled(length, ("B", "kB", "MB", "GB", "TB", "PB", "EB"))


def brief(value: float) -> str:
    """1234567 as `1.23 M`, for the axis of a chart; below a thousand as `count` gives it."""
    scaled = _scaled(abs(value), ("", "k", "M", "G", "T", "P", "E")).rstrip()
    return f"-{scaled}" if value < 0 else scaled


def _scaled(value: float, units: tuple[str, ...]) -> str:
    step = 0
    while value >= 999.5 and step < len(units) - 1:
        value /= 1000
        step += 1
    return f"{count(float(f'{value:.3g}'))} {units[step]}"


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


def duration(length: timedelta) -> str:
    """The two largest units: `2 d 3 h`, `20 min`, `45 s`; below a second `0.25 s`."""
    seconds = abs(length.total_seconds())
    if seconds < 1:
        return f"{seconds:.2g} s"
    parts: list[str] = []
    left = int(seconds)
    for unit, worth in _SECONDS:
        whole, left = divmod(left, worth)
        if whole:
            parts.append(f"{whole:,} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def words(identifier: str) -> str:
    """`table_outlier` as `Table outlier`."""
    text = one_line(identifier.replace("_", " "))
    return text[:1].upper() + text[1:]


def place(citation: Citation) -> str:
    """Where a citation lies, for people: file and line, or bytes where the line is not known."""
    path = shorten(one_line(citation.path), 160)
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
