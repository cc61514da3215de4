"""The chunker of documents: blocks of any reader become the reading and its pieces.

Sections are chunks, and small neighbours are joined, by the rules of Markdown (`chunks.text`). In a section that does
not fit, a table, a list or code that fits stays whole, with the line that leads to it; one that does not is cut between
its rows, which then have the table's header as context; all else is cut at paragraphs, sentences and words.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from mesh_assets.chunks.cutting import (
    CONTEXT_SHARE,
    PROSE_SHARE,
    Cutter,
    fitted_context,
    grouped,
    line_cuts,
    prose_cuts,
)
from mesh_assets.chunks.documents.blocks import Attachment, Block, Reader
from mesh_assets.chunks.documents.reading import Page, Reading, Unit
from mesh_assets.chunks.headings import Section
from mesh_assets.chunks.members import member_parts
from mesh_assets.chunks.protocol import Part, Piece, Source
from mesh_assets.chunks.text import joined, tiny_worth
from mesh_assets.chunks.tokens import PARTS, TokenMeter
from mesh_assets.errors import FormatError, SourceError
from mesh_assets.schemas.rejects import Reject

_NO_LETTERS = "If it shows pictures of text, run it through a text recognition (OCR) and drop the result."
_NO_CELLS = "None of its cells holds any: save it with some, or take it out of the drop."
# Where a piece ends (character), and its context with the tokens of that.
_Cut = tuple[int, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class DocumentChunker:
    """Cuts the documents that `reader` reads."""

    reader: Reader

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        """The pieces of the document, then the parts of the files in it. `symbol` is the heading path.

        FormatError where the reader breaks on it, or finds nothing to read.
        """
        reading = Reading()
        attachments: list[Attachment] = []
        is_empty = True
        for block in _checked(source, self.reader):
            if isinstance(block, Reject):
                is_empty = False
                yield block
            elif isinstance(block, Attachment):
                attachments.append(block)
            else:
                if reading.is_full_before(block):
                    yield from _pieces(reading, chunk_tokens)
                    is_empty = False
                reading.add(block)
        for piece in _pieces(reading, chunk_tokens):
            is_empty = False
            yield piece
        if is_empty and not attachments:
            raise FormatError(
                "no text in it",
                f"{source.path} was read to its end as {source.format}, and holds no text.",
                remedy=_NO_CELLS if source.format == "ipynb" else _NO_LETTERS,
            )
        for attachment in attachments:
            yield from member_parts(source, attachment.name, attachment.data, chunk_tokens=chunk_tokens)


def _checked(source: Source, reader: Reader) -> Iterator[Block | Reject]:
    try:
        yield from reader(source)
    except (SourceError, MemoryError):
        raise
    except RecursionError as error:
        raise FormatError(
            "nested too deeply",
            f"{source.path} holds parts in parts in parts, more than a {source.format} has.",
            remedy="Open it with the program that it is of and save it anew, or leave it out.",
        ) from error
    except Exception as error:
        # Whatever a library does with a broken file is the file's fault, but for the file not being there any more.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FormatError(
            f"broken {source.format}",
            f"{source.path} cannot be read as {source.format}: {type(error).__name__}: {error}"[:500],
            remedy="Open it with the program that it is of and save it anew, or leave it out.",
        ) from error


def _pieces(reading: Reading, limit: int) -> Iterator[Piece]:
    """The pieces of the next window of the reading."""
    first = reading.byte == 0
    page = reading.page()
    if page is None:
        return
    cutter = Cutter.of(page.window, "text")
    times = (reading.moment, reading.moment) if reading.moment else None
    starts = [at for at, _, _ in page.places]
    for section, start, stop in _sections(page, cutter.meter, limit):
        for stop_at, context in _Cuts(page, cutter.meter, limit, reading.letterhead, first).of(section, start, stop):
            place = _place(page.places, starts, cutter.start, stop_at)
            yield cutter.cut(stop_at, context=context, symbol=section.title or None, times=times, place=place)


def _sections(page: Page, meter: TokenMeter, limit: int) -> Iterator[tuple[Section, int, int]]:
    """The sections of a window with their start and stop, tiny ones joined."""
    sections = page.sections
    starts = [section.start for section in sections] + [len(page.window.text)]
    index = 0
    while index < len(sections):
        section, count = sections[index], 1
        if meter.before(starts[index + 1]) - meter.before(starts[index]) <= tiny_worth(limit):
            section, count = joined(meter, sections, starts, index, limit)
        yield section, starts[index], starts[index + count]
        index += count


def _place(places: list[tuple[int, str, int]], starts: list[int], start: int, stop: int) -> str | None:
    """`page 3`, or `pages 3 to 4` for a piece that lies on both."""
    first = max(bisect_right(starts, start) - 1, 0)
    last = max(bisect_left(starts, stop) - 1, first)
    if not places:
        return None
    _, unit, number = places[first]
    _, _, until = places[last]
    return f"{unit} {number}" if until == number else f"{unit}s {number} to {until}"


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Where sections of one window are cut. The first piece of a document needs no letterhead: it holds that."""

    page: Page
    meter: TokenMeter
    limit: int
    letterhead: str
    first: bool

    def of(self, section: Section, start: int, stop: int) -> Iterator[_Cut]:
        """The cuts of the section that lies from `start` to `stop`."""
        context = self._fitted(self.letterhead, section.title)
        own = self._fitted(section.title) if self.first and start == 0 else context
        if self.meter.fits(start, stop, self.limit - own[1]):
            yield stop, own
        elif self.meter.fits(start, stop, self.limit):
            # A section that fits is not split for the sake of its context, which becomes shorter.
            worth = (self.meter.before(stop) - self.meter.before(start) + PARTS - 1) // PARTS
            yield stop, fitted_context(own[0], self.limit - worth, "text")
        else:
            for cut, given in self._large(section, start, stop, context):
                yield cut, own if given is context else given
                own = context

    def _fitted(self, *texts: str) -> tuple[str, int]:
        return fitted_context("\n".join(filter(None, texts)), self.limit // CONTEXT_SHARE, "text")

    def _large(self, section: Section, start: int, stop: int, context: tuple[str, int]) -> Iterator[_Cut]:
        meter, room = self.meter, self.limit - context[1]
        usual = int(room * PROSE_SHARE)
        units = self.page.units
        index = bisect_left(units, start, key=lambda unit: unit.start)
        while index < len(units) and units[index].start < stop:
            unit = units[index]
            index += 1
            if unit.start > start:
                for cut in self._prose(start, unit.start, room):
                    if cut < unit.start:
                        yield cut, context
                        start = cut
            if meter.fits(start, unit.stop, usual):
                continue
            lead = self._lead(start, unit)
            if lead > start:
                yield lead, context
            start = unit.stop
            if meter.fits(lead, unit.stop, usual):
                start = lead
            else:
                yield from self._rows(section, lead, unit, context)
        if start < stop:
            for cut in self._prose(start, stop, room):
                yield cut, context

    def _prose(self, start: int, stop: int, room: int) -> Iterator[int]:
        """The cuts of prose. Headings are not cut off from what they are above."""
        text, meter = self.page.window.text, self.meter
        body = start
        while text.startswith("#", body) and 0 <= (end := text.find("\n\n", body, stop)) < stop - 2:
            body = end + 2
        left = room - meter.tokens(start, body)
        if body > start and left > room // 2:
            start, _ = next(prose_cuts(text, meter, body, stop, left))
            yield start
        if start < stop:
            yield from _prose(text, meter, start, stop, room)

    def _lead(self, start: int, unit: Unit) -> int:
        """Where the line that leads to a unit starts, if it is short; else where the unit does."""
        text = self.page.window.text
        end = text.rfind("\n\n", start, max(unit.start - 2, start))
        lead = end + 2 if end >= 0 else start
        if all(line.startswith("#") for line in text[start:lead].split("\n\n") if line):
            lead = start  # headings go with it
        is_short = self.meter.before(unit.start) - self.meter.before(lead) <= tiny_worth(self.limit)
        return lead if is_short else unit.start

    def _rows(self, section: Section, start: int, unit: Unit, context: tuple[str, int]) -> Iterator[_Cut]:
        """The cuts of a unit that is a part of its own; where it does not fit, its header stays with the first row."""
        text, meter = self.page.window.text, self.meter
        if meter.fits(start, unit.stop, self.limit - context[1]):
            yield unit.stop, context
            return
        behind = context
        if unit.header:
            header = text[unit.start : unit.ends[unit.header - 1]].strip()
            shown, tokens = fitted_context(header, self.limit // CONTEXT_SHARE, "text")
            behind = (f"{context[0]}\n{shown}".strip(), context[1] + tokens)
        room = self.limit - behind[1]
        ends = unit.ends[unit.header :]
        own = context
        for _, count in grouped(text, ends, start, meter, room):
            stop = ends[count - 1]
            if meter.fits(start, stop, room):
                yield stop, own
            else:
                cuts = (
                    line_cuts(text, meter, start, stop, room)
                    if unit.by_line
                    else _prose(text, meter, start, stop, room)
                )
                for cut in cuts:
                    yield cut, own
                    own = behind
            start, own = stop, behind


def _prose(text: str, meter: TokenMeter, start: int, stop: int, limit: int) -> Iterator[int]:
    for cut, _ in prose_cuts(text, meter, start, stop, limit):
        yield cut
