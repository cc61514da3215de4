"""Headings of Markdown (ATX and setext, fenced code respected) and of reStructuredText (underlined titles).

Lines that could be headings are found by NumPy on one byte a character; only those are looked at one by one. How
sections become chunks belongs to `text`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# This much of a title is kept in heading paths; longer ones are prose by mistake.
MAX_TITLE = 120
# Markdown's own limit; more levels of reStructuredText than this are one.
MAX_LEVEL = 6
# Front matter ends within this many characters, or it is a horizontal rule.
_FRONT_MATTER = 1 << 16

_SPACE, _NEWLINE = b" \n"
_MARKDOWN = b"#`~=-"
_RULED = b"=-"
# The characters that the reStructuredText documentation recommends for underlining titles.
_ADORNMENTS = b"=-`:.'\"~^_*+#"


class Section(NamedTuple):
    """Text from the character `start` up to the next section; `heads` says that it starts with a heading.

    `path` holds the titles that it is under, its own last.
    """

    start: int
    path: tuple[str, ...]
    heads: bool = False


@dataclass(slots=True)
class Outline:
    """What was met so far: open headings (level, title), the open fence, adornments in the order of their levels."""

    headings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    fence: str = ""
    adornments: list[str] = field(default_factory=list[str])

    @property
    def path(self) -> tuple[str, ...]:
        """Titles of the open headings, outermost first."""
        return tuple([title for _, title in self.headings])

    def enter(self, level: int, title: str) -> tuple[str, ...]:
        """The path below a new heading of `level`."""
        while self.headings and self.headings[-1][0] >= level:
            self.headings.pop()
        self.headings.append((level, " ".join(title.split())[:MAX_TITLE]))
        return self.path


def markdown_sections(text: str, codes: NDArray[np.uint8], outline: Outline, *, first: bool) -> Iterator[Section]:
    """The sections of `text`, one for each heading. `first` says that the extent starts here (front matter may)."""
    passed = _front_matter(text) if first else 0
    for line in _candidates(text, codes, _MARKDOWN, doubled=_RULED, indent=3):
        if line.start < passed:
            continue
        body = text[line.content : line.stop].rstrip()
        if outline.fence or body[:3] in ("```", "~~~"):
            _fence(body, outline)
        elif body[0] == "#":
            level = len(body) - len(body.lstrip("#"))
            if level <= MAX_LEVEL and body[level : level + 1] in ("", " ", "\t"):
                yield Section(line.start, outline.enter(level, body.strip("#").strip()), heads=True)
        elif body[0] in "=-" and not body.strip(body[0]):
            title = _line_before(text, line.start)
            if title and title.content >= passed and _is_title(text, title):
                level = 1 if body[0] == "=" else 2
                yield Section(title.start, outline.enter(level, text[title.content : title.stop]), heads=True)


def rst_sections(text: str, codes: NDArray[np.uint8], outline: Outline) -> Iterator[Section]:
    """The sections of `text`, one for each underlined title; levels are in the order in which adornments appear."""
    for line in _candidates(text, codes, _ADORNMENTS, doubled=_ADORNMENTS, indent=0):
        body = text[line.content : line.stop].rstrip()
        title = _line_before(text, line.start)
        if body.strip(body[0]) or title is None:
            continue
        words = text[title.content : title.stop].rstrip()
        over = _line_before(text, title.start)
        overlined = over is not None and text[over.start : over.stop].rstrip() == body
        fits = len(words.strip("\ufeff")) <= len(body)
        if not fits or not words.strip(body[0]) or not (overlined or _is_title(text, title)):
            continue
        style = body[0] + ("over" if overlined else "")
        if style not in outline.adornments:
            outline.adornments.append(style)
        level = min(outline.adornments.index(style) + 1, MAX_LEVEL)
        start = over.start if over is not None and overlined else title.start
        yield Section(start, outline.enter(level, words), heads=True)


class _Line(NamedTuple):
    """A line by characters: its start, its first character behind indentation, its end without the line break."""

    start: int
    content: int
    stop: int


def _candidates(text: str, codes: NDArray[np.uint8], leads: bytes, *, doubled: bytes, indent: int) -> Iterator[_Line]:
    """Lines that begin with one of `leads`, behind up to `indent` spaces; those of `doubled` at least twice."""
    starts = np.concatenate((np.zeros(1, np.int64), np.flatnonzero(codes == _NEWLINE) + 1))
    padded = np.concatenate((codes, np.full(indent + 2, _NEWLINE, np.uint8)))
    content = starts.copy()
    if text.startswith("\ufeff"):
        content[0] = 1
    for _ in range(indent):
        content += padded[content] == _SPACE
    lead = padded[content]
    wanted = np.zeros(256, np.bool_)
    wanted[list(leads)] = True
    twice = np.zeros(256, np.bool_)
    twice[list(doubled)] = True
    found = np.flatnonzero(wanted[lead] & (~twice[lead] | (padded[content + 1] == lead)))
    stops = np.append(starts[1:] - 1, len(text))[found]
    yield from map(_Line._make, zip(starts[found].tolist(), content[found].tolist(), stops.tolist(), strict=True))


def _fence(body: str, outline: Outline) -> None:
    """Open or close a fenced code block at the line `body`."""
    mark = body[0]
    length = len(body) - len(body.lstrip(mark))
    if not outline.fence:
        if mark == "~" or "`" not in body[length:]:
            outline.fence = mark * length
    elif mark == outline.fence[0] and length >= len(outline.fence) and length == len(body):
        outline.fence = ""


def _line_before(text: str, start: int) -> _Line | None:
    """The line that ends where another one starts, None where that is blank or there is none."""
    if start == 0:
        return None
    begin = text.rfind("\n", 0, start - 1) + 1
    line = text[begin : start - 1]
    content = begin + len(line) - len(line.lstrip(" \t\ufeff"))
    return _Line(begin, content, start - 1) if line.strip("\ufeff \t\r") else None


def _is_title(text: str, line: _Line) -> bool:
    """Whether a line that is underlined can be a title: alone, hardly indented, no table, quote, item or fence."""
    plain = line.content - line.start <= 3 and text[line.content] not in "#>|-*+=`~"
    return plain and line.stop - line.content <= 2 * MAX_TITLE and _line_before(text, line.start) is None


def _front_matter(text: str) -> int:
    """Where the YAML block that `text` begins with ends; 0 where it begins with none."""
    if not text.startswith(("---\n", "---\r\n")):
        return 0
    close = text.find("\n---", 3, _FRONT_MATTER)
    return close + 5 if close >= 0 else 0
