"""Blocks written as text: the reading of a document, in windows that fit in memory.

Headings are written `# Title`, items `- item`, rows of a table `a | b | c`; blocks are parted by a blank line. Where
the text is cut belongs to `chunker`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from mesh_assets.chunks.documents.blocks import Block, Break, Code, Heading, Item, Letterhead, Paragraph, Picture, Table
from mesh_assets.chunks.headings import MAX_LEVEL, Outline, Section
from mesh_assets.chunks.windows import Window, codec_for

# A window ends before a heading or page behind so many characters, and before any block behind four times as many.
WINDOW_CHARACTERS = 1 << 18
# What no text holds, marks of no width (soft hyphens, joiners of words), and what UTF-8 cannot encode.
_NO_TEXT = re.compile("[\0-\b\x0b-\x1f\x7f-\x9f\xad\u200b\u2060\ufeff\ud800-\udfff\ufffe\uffff]")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Unit:
    """A table, a list or code, from character to character: whole where it fits, else cut at its `ends`.

    `ends` are the ends of its rows, items or lines, the last being `stop`; its first `header` rows, if any, explain
    the others. Lines of code have no sentences (`by_line`).
    """

    start: int
    stop: int
    ends: list[int]
    header: int = 0
    by_line: bool = False


@dataclass(slots=True)
class Page:
    """One window of the reading with what is known of it. Places are (character, unit, number), in order."""

    window: Window
    sections: list[Section]
    units: list[Unit]
    places: list[tuple[int, str, int]]


@dataclass(slots=True)
class Reading:
    """Takes blocks and gives windows. What a block said of what follows it (headings, page, letterhead) stays."""

    outline: Outline = field(default_factory=Outline)
    letterhead: str = ""
    moment: datetime | None = None
    place: tuple[str, int] | None = None
    byte: int = 0
    line: int = 1
    texts: list[str] = field(default_factory=list[str])
    length: int = 0
    sections: list[Section] = field(default_factory=list[Section])
    units: list[Unit] = field(default_factory=list[Unit])
    places: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])
    items: list[int] = field(default_factory=list[int])

    def is_full_before(self, block: Block) -> bool:
        """Whether a window should end before `block`."""
        size = WINDOW_CHARACTERS if isinstance(block, Heading | Break) else 4 * WINDOW_CHARACTERS
        return self.length >= size

    def add(self, block: Block) -> None:
        """Write `block` behind the others."""
        if isinstance(block, Paragraph) and block.goes_on and self.length:
            self._go_on(_clean(block.text).strip())
            return
        if self.items and not isinstance(block, Item | Break):
            self._end_list()
        self._add(block)

    def _add(self, block: Block) -> None:
        if isinstance(block, Paragraph):
            self._write(_clean(block.text).strip())
        elif isinstance(block, Heading):
            self._head(block)
        elif isinstance(block, Item):
            self._item(block)
        elif isinstance(block, Table):
            self._table(block)
        elif isinstance(block, Code):
            self._code(_clean(block.text).strip("\n"))
        elif isinstance(block, Picture):
            words = _line(block.alt)
            self._write(f"[image: {words}]" if words else "")
        elif isinstance(block, Break):
            self.place = (block.unit, block.number)
        elif isinstance(block, Letterhead):
            self.letterhead, self.moment = _clean(block.text).strip(), block.moment

    def page(self) -> Page | None:
        """What was added since the last window, None where that is nothing."""
        self._end_list()
        if not self.length:
            return None
        text = "".join(self.texts)
        codec = codec_for("utf-8")
        stop = self.byte + codec.size(text)
        page = Page(
            Window(text, self.byte, stop, self.line, codec, final=False), self.sections, self.units, self.places
        )
        if len(page.sections) > 1 and page.sections[1].start == 0:
            del page.sections[0]
        self.byte, self.line = stop, self.line + text.count("\n")
        self.texts, self.length, self.sections, self.units, self.places = [], 0, [], [], []
        return page

    def _write(self, text: str, end: str = "\n\n") -> None:
        if not text:
            return
        if not self.sections:
            self.sections.append(self.outline.here(0))
        if self.place is not None and (not self.places or self.places[-1][1:] != self.place):
            self.places.append((self.length, *self.place))
        self.texts += (text, end)
        self.length += len(text) + len(end)

    def _go_on(self, text: str) -> None:
        """Write `text` behind the last block, in the same line."""
        end = self.texts[-1]
        self.texts[-1] = " "
        self.length += 1 - len(end)
        self._write(text, end)
        if self.items:
            self.items[-1] = self.length

    def _head(self, block: Heading) -> None:
        words = _line(block.text)
        if words:
            level = min(max(block.level, 1), MAX_LEVEL)
            if not self.sections:
                self.sections.append(self.outline.here(0))
            self.sections.append(self.outline.enter(self.length, level, words))
            self._write(f"{'#' * level} {words}")

    def _item(self, block: Item) -> None:
        text = _clean(block.text).strip()
        if text:
            if not self.items:
                self.items.append(self.length)
            indent = "  " * min(block.depth, 8)
            self._write(f"{indent}{block.mark} {text}", "\n")
            self.items.append(self.length)

    def _end_list(self) -> None:
        """The items so far are a list; a blank line parts it from what follows."""
        if not self.items:
            return
        start, *ends = self.items
        self.texts.append("\n")
        self.length += 1
        ends[-1] = self.length
        self.units.append(Unit(start, self.length, ends))
        self.items = []

    def _table(self, block: Table) -> None:
        start = self.length
        lines: list[str] = []
        ends: list[int] = []
        for row in block.rows:
            line = _row(row)
            if line:
                lines.append(line)
                start += len(line) + 1
                ends.append(start)
        if lines:
            start = self.length
            ends[-1] += 1
            self._write("\n".join(lines))
            self.units.append(Unit(start, self.length, ends, header=min(block.header, len(lines) - 1)))

    def _code(self, text: str) -> None:
        if not text.strip():
            return
        start = self.length
        self._write(text)
        ends: list[int] = []
        at = 0
        while (at := text.find("\n", at) + 1) > 0:
            ends.append(start + at)
        self.units.append(Unit(start, self.length, [*ends, self.length], by_line=True))


def _row(cells: list[str]) -> str:
    """A row as a line, empty where it has nothing in it."""
    words = [_line(cell) for cell in cells]
    while words and not words[-1]:
        words.pop()
    return " | ".join(words)


def _line(text: str) -> str:
    return _SPACES.sub(" ", _clean(text)).strip()


def _clean(text: str) -> str:
    """`text` without characters that are none; line breaks as `\\n`."""
    if text.isprintable():
        return text
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _NO_TEXT.sub("", text)
