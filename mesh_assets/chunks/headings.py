"""Headings of Markdown (ATX and setext, fenced code respected) and of reStructuredText (underlined titles).

Lines that could be headings are found by NumPy on one byte a character; only those are looked at one by one. How
sections become chunks belongs to `text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.tokens import worth

# This much of a title is kept in heading paths; longer ones are prose by mistake.
MAX_TITLE = 120
# Markdown's own limit; more levels of reStructuredText than this are one.
MAX_LEVEL = 6
# Front matter ends within this many characters, or it is a horizontal rule.
_FRONT_MATTER = 1 << 16

_NEWLINE = 10
_SEPARATOR = " > "
# Lines that may be or end a heading, or open or close a fence, without their indentation.
_MARKDOWN = re.compile(r" {0,3}((?:#|```|~~~|=|--)[^\n]*)")
_MARKDOWN_LEADS = b" #`~=-"
# MediaWiki's headings, which lie in many a Markdown or plain file: as many signs before as behind.
_WIKI = re.compile(r"(=(?: ?=){0,5}) ?([^=\n]*[^=\s]) ?\1")
# The characters that the reStructuredText documentation recommends for underlining titles.
_RST = re.compile(r"(([=\-`:.'\"~^_*+#])\2[^\n]*)")
_RST_LEADS = b"=-`:.'\"~^_*+#"


class Section(NamedTuple):
    """Text from the character `start` up to the next section; `heads` says that it starts with a heading.

    `path` holds the titles that it is under, its own last; `title` is the path as it is written, `worth` what that is
    worth in 64ths of a token.
    """

    start: int
    path: tuple[str, ...]
    title: str
    worth: int
    heads: bool


class Heading(NamedTuple):
    """An open heading: its level, and of its section what `Section` has."""

    level: int
    path: tuple[str, ...]
    title: str
    worth: int


# Half the time of a call by name, and there is one of each for each heading.
_SECTION, _HEADING = partial(tuple.__new__, Section), partial(tuple.__new__, Heading)
_TOP = Heading(0, (), "", 0)


@cache
def _among(leads: bytes) -> NDArray[np.bool_]:
    """Which bytes are among `leads`."""
    found = np.zeros(256, np.bool_)
    found[list(leads)] = True
    return found


def path_title(path: tuple[str, ...]) -> str:
    """A heading path as it is written."""
    return _SEPARATOR.join(path)


@dataclass(slots=True)
class Outline:
    """What was met so far: open headings below the top, the open fence, adornments in the order of their levels."""

    headings: list[Heading] = field(default_factory=lambda: [_TOP])
    fence: str = ""
    adornments: list[str] = field(default_factory=list[str])

    def here(self, start: int) -> Section:
        """The section that begins at `start` without a heading."""
        _, path, title, worths = self.headings[-1]
        return Section(start, path, title, worths, heads=False)

    def enter(self, start: int, level: int, title: str) -> Section:
        """The section below a new heading of `level`."""
        headings = self.headings
        while headings[-1][0] >= level:
            headings.pop()
        _, path, above, worths = headings[-1]
        own = " ".join(title.split())[:MAX_TITLE]
        if path:
            below = f"{_SEPARATOR}{own}"
            path, above, worths = (*path, own), above + below, worths + worth(below, "text")
        else:
            path, above, worths = (own,), own, worth(own, "text")
        headings.append(_HEADING((level, path, above, worths)))
        return _SECTION((start, path, above, worths, True))


def markdown_sections(text: str, codes: NDArray[np.uint8], outline: Outline, *, first: bool) -> Iterator[Section]:
    """The sections of `text`, one for each heading. `first` says that the extent starts here (front matter may)."""
    passed = _front_matter(text) if first else 0
    for start, body in _candidates(text, codes, _MARKDOWN, _MARKDOWN_LEADS):
        if start < passed:
            continue
        mark = body[0]
        if outline.fence or mark in "`~":
            _fence(body, outline)
        elif mark == "#":
            words = body.lstrip("#")
            level = len(body) - len(words)
            if level <= MAX_LEVEL and (not words or words[0] in " \t"):
                yield outline.enter(start, level, words.rstrip("#"))
        elif not body.strip(mark):
            title = _line_before(text, start)
            if title and title.content >= passed and _is_title(text, title):
                yield outline.enter(title.start, 1 if mark == "=" else 2, text[title.content : title.stop])
        elif mark == "=" and (wiki := _WIKI.fullmatch(body)):
            yield outline.enter(start, min(wiki[1].count("="), MAX_LEVEL), wiki[2])


def rst_sections(text: str, codes: NDArray[np.uint8], outline: Outline) -> Iterator[Section]:
    """The sections of `text`, one for each underlined title; levels are in the order in which adornments appear."""
    for below, body in _candidates(text, codes, _RST, _RST_LEADS):
        title = _line_before(text, below)
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
        yield outline.enter(start, level, words)


class _Line(NamedTuple):
    """A line by characters: its start, its first character behind indentation, its end without the line break."""

    start: int
    content: int
    stop: int


def _candidates(text: str, codes: NDArray[np.uint8], marks: re.Pattern[str], leads: bytes) -> Iterator[tuple[int, str]]:
    """The start of each line that `marks` matches, and what its group 1 holds, without white space at the end.

    Such lines begin with one of `leads`; the first line of a text may have a byte order mark before it.
    """
    starts = np.flatnonzero(codes[:-1] == _NEWLINE)
    starts += 1
    match = marks.match
    first = match(text, 1 if text[0] == "\ufeff" else 0)
    if first is not None:
        yield 0, first[1].rstrip()
    for start in starts[_among(leads).take(codes.take(starts))].tolist():
        found = match(text, start)
        if found is not None:
            yield start, found[1].rstrip()


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
