"""Lines of PDF pages as blocks: which lines make a paragraph, which are headings, items, or the page's own furniture.

A PDF knows no paragraphs. They are told from where lines lie and how large they are: against the usual distance of
lines on the page, and against the usual size in the document. How lines are got from a page belongs to `pdf`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from mesh_assets.chunks.documents.blocks import Block, Heading, Item, Paragraph

# A line that is larger than usual by this much is a heading; so much smaller or larger is another kind of text.
_LARGER, _OTHER_SIZE = 1.08, 0.08
# Headings have at most so many lines and characters.
_HEADING_LINES, _HEADING_CHARACTERS = 3, 160
# Lines further apart than this many times the usual distance are of two paragraphs.
_APART = 1.3
# Running heads and feet lie within this share of the page's height from its edges (page numbers alone within the second
# one), on every third page of a sample.
_MARGIN, _NUMBER_MARGIN, _REPEATED_SHARE = 0.09, 0.13, 3
# A first line that is set in by this many heights, or ends so much of the column before its end, shows a paragraph.
_INDENT, _SHORT = 0.8, 0.15
# Lines that end this share of a block's width before its end were broken by their author.
_BROKEN = 0.25
# Lines that start within so many points of each other are of one column.
_COLUMN = 20.0
# Rows of numbers have at least so many words, half of them numbers.
_ROW_WORDS = 4

_NUMBER = re.compile(r"\W*(?:page\s*)?(?:\d{1,4}|[ivxlc]{1,6})(?:\s*(?:/|-|of)\s*\d{1,4})?\W*", re.IGNORECASE)
_NUMBER_CHARACTERS = 20
_DIGITS = re.compile(r"\d+")
# Signs, and where fonts that say nothing of what theirs mean have them.
_BULLET = re.compile(r"(?:[•▪◦‣●○■□❖➢➤►✓☐☑☒\u00b7\x80-\x9f\uf020-\uf0ff]\s*|[–—*-]\s+)(?=\S)")
_NUMBERED_ITEM = re.compile(r"\(?(?:\d{1,2}|[a-z])[.)]\s+(?=\S)")
_NUMBERED_HEADING = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+[^\W\d_]")
_LEADERS = re.compile(r"\s*(?:\. ?){4,}\s*|\s*…{2,}\s*")
_WORDS = re.compile(r"[^\W\d_]{2}")
_ENDS = (".", "!", "?", ":", ";", "。", ".”", '."', ")")


class Line(NamedTuple):
    """One line: where it starts, ends and stands, in points from the lower left of the page, and how high it is."""

    text: str
    left: float
    right: float
    bottom: float
    height: float
    bold: bool


class PageLines(NamedTuple):
    """The lines of page `number`, counted from 1, in the order of reading."""

    number: int
    height: float
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Style:
    """What is usual in a document, told from a sample of its pages."""

    size: float
    bold: bool
    sizes: tuple[float, ...]
    furniture: frozenset[str]

    @classmethod
    def of(cls, pages: Sequence[PageLines]) -> Style:
        """The usual size and weight by characters, the sizes of headings, and the lines that pages repeat."""
        weights: Counter[tuple[float, bool]] = Counter()
        repeated: Counter[str] = Counter()
        for page in pages:
            for line in page.lines:
                weights[round(line.height * 2) / 2, line.bold] += len(line.text)
            repeated.update({_repeatable(line) for line in page.lines if _is_at_edge(page, line)})
        (size, bold), _ = weights.most_common(1)[0] if weights else ((0.0, False), 0)
        larger = {at for (at, _), count in weights.items() if at > size * _LARGER and count > 1}
        least = max(3, len(pages) // _REPEATED_SHARE)
        furniture = frozenset(text for text, count in repeated.items() if count >= least)
        return cls(size, bold, _distinct(sorted(larger, reverse=True)), furniture)

    def level(self, height: float) -> int:
        """The level of a heading of this size."""
        return 1 + sum(height < size * (1 - _OTHER_SIZE / 2) for size in self.sizes[:-1])


def _distinct(sizes: list[float]) -> tuple[float, ...]:
    """At most three sizes, those that hardly differ taken for one."""
    found: list[float] = []
    for size in sizes:
        if not found or size < found[-1] * (1 - _OTHER_SIZE):
            found.append(size)
    return tuple(found[:1] + found[-2:]) if len(found) > 3 else tuple(found)


def _repeatable(line: Line) -> str:
    return _DIGITS.sub("#", line.text.strip())


def _is_at_edge(page: PageLines, line: Line, margin: float = _MARGIN) -> bool:
    return line.bottom + line.height < page.height * margin or line.bottom > page.height * (1 - margin)


def page_blocks(page: PageLines, style: Style) -> Iterator[Heading | Paragraph | Item]:
    """The blocks of a page, without the numbers and titles that all pages have."""
    lines = [line for line in page.lines if not _is_furniture(page, line, style)]
    lines = _whole_lines(lines)
    for group in _paragraphs(lines):
        yield _block(group, style, _column_end(group[0].left, lines) if len(group) > 1 else 0.0)


def _is_furniture(page: PageLines, line: Line, style: Style) -> bool:
    if not _is_at_edge(page, line, _NUMBER_MARGIN):
        return False
    if len(line.text) <= _NUMBER_CHARACTERS and _NUMBER.fullmatch(line.text):
        return True
    return _is_at_edge(page, line) and _repeatable(line) in style.furniture


def _whole_lines(lines: list[Line]) -> list[Line]:
    """Parts of one line that the page has apart (fractions, raised figures, cells) as one."""
    found: list[Line] = []
    for line in lines:
        last = found[-1] if found else None
        if last and abs(last.bottom - line.bottom) < last.height / 3 and line.left > last.right - last.height / 2:
            gap = " " if line.left - last.right > last.height / 5 else ""
            found[-1] = last._replace(
                text=f"{last.text.rstrip()}{gap}{line.text.lstrip()}", right=line.right, bold=last.bold and line.bold
            )
        else:
            found.append(line)
    return found


def _paragraphs(lines: list[Line]) -> Iterator[list[Line]]:
    steps = [last.bottom - line.bottom for last, line in pairwise(lines)]
    near = sorted(s for s, line in zip(steps, lines, strict=False) if 0 < s < 3 * line.height)
    usual = near[len(near) // 3] if near else 0.0  # most steps are within paragraphs, and these are the smaller ones
    group: list[Line] = []
    for line in lines:
        if group and _parts(group, line, usual):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _parts(group: list[Line], line: Line, usual: float) -> bool:
    """Whether `line` begins a paragraph, and does not go on with that of `group`."""
    last = group[-1]
    step = last.bottom - line.bottom
    if abs(line.height - last.height) > _OTHER_SIZE * last.height or line.bold != last.bold:
        return not line.text[:1].islower() or step > 2 * usual
    if _BULLET.match(line.text):
        return True
    is_ended = last.text.rstrip().endswith(_ENDS)
    if step < -last.height / 2:  # the next column
        return is_ended or not line.text[:1].islower()
    if step > max(_APART * usual, line.height):
        return is_ended or not line.text[:1].islower() or step > 2 * _APART * usual
    if not is_ended:
        return False
    width = max(each.right for each in group) - min(each.left for each in group)
    is_set_in = line.left > last.left + _INDENT * line.height
    is_set_out = len(group) > 1 and line.left < last.left - _INDENT * line.height
    is_short = len(group) > 1 and last.right < max(each.right for each in group) - _SHORT * width
    return is_set_in or is_set_out or is_short or _NUMBERED_ITEM.match(line.text) is not None


def _column_end(left: float, lines: list[Line]) -> float:
    """Where most lines of the column that begins about `left` end at the latest."""
    ends = sorted(line.right for line in lines if abs(line.left - left) < _COLUMN)
    return ends[len(ends) * 4 // 5] if ends else 0.0


def _block(group: list[Line], style: Style, end: float) -> Heading | Paragraph | Item:
    first = group[0]
    bullet = _BULLET.match(first.text)
    if bullet is not None and len(first.text) > 2:
        rest = first._replace(text=first.text[bullet.end() :])
        return Item(_joined_text([rest, *group[1:]], end))
    text = _joined_text(group, end)
    level = _heading_level(group, text, style)
    return Heading(text, level) if level else Paragraph(text)


def _heading_level(group: list[Line], text: str, style: Style) -> int:
    """The level of the heading that the lines are, 0 for none."""
    if len(group) > _HEADING_LINES or len(text) > _HEADING_CHARACTERS or not _WORDS.search(text):
        return 0
    if text.endswith((".", ",", ";")) or " ... " in text:
        return 0
    below = len(style.sizes) + 1
    if all(line.height > style.size * _LARGER for line in group):
        return style.level(group[0].height)
    numbered = _NUMBERED_HEADING.match(text) if len(group) == 1 else None
    if all(line.bold for line in group) and not style.bold:
        return below + (numbered[1].count(".") if numbered else 0)
    # Of numbers alone, only those with a point are no items of lists.
    if numbered and "." in numbered[1] and group[0].height >= style.size * (1 - _OTHER_SIZE):
        return below + numbered[1].count(".")
    return 0


def _joined_text(group: list[Line], end: float) -> str:
    """The lines as running text. Breaks stay where their author, and not the width of the column, ended a line."""
    right = max(end, *(line.right for line in group)) if len(group) > 1 else end
    least = right - _BROKEN * (right - group[0].left)
    found = group[0].text.strip()
    for last, line in pairwise(group):
        text = line.text.strip()
        if found.endswith("-") and found[-2:-1].isalpha() and text[:1].islower():
            found = f"{found[:-1]}{text}"
        elif last.bottom > line.bottom and (last.right < least or _is_row(last.text) or _is_row(line.text)):
            found = f"{found}\n{text}"
        else:
            found = f"{found} {text}"
    return _LEADERS.sub(" ... ", found) if ". ." in found or "..." in found else found


def _is_row(text: str) -> bool:
    """Whether a line is one of a table of numbers or contents, as far as can be told without the ruled lines."""
    if _LEADERS.search(text):
        return True
    words = text.split()
    return len(words) >= _ROW_WORDS and 2 * sum(word[0].isdigit() or word[-1].isdigit() for word in words) >= len(words)


def going_on(last: Block | None, first: Block) -> Block:
    """The first block of a page, marked where it goes on with the last one of the page before."""
    if not isinstance(first, Paragraph) or not isinstance(last, Paragraph | Item):
        return first
    return first._replace(goes_on=first.text[:1].islower() and not last.text.endswith(_ENDS))
