"""PDF as blocks: the text of each page by pdfium, in lines with their place and size.

What lines are paragraphs and headings belongs to `pdf_layout`. A page without text is a picture of one: where tesseract
is installed it is read by that, else it is part of a reject that says so.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO, cast

from mesh_assets.chunks.documents.blocks import Block, Break, Heading, Paragraph, part_reject
from mesh_assets.chunks.documents.ocr import recognised, recognises
from mesh_assets.chunks.documents.pdf_layout import Line, PageLines, Style, going_on, page_blocks
from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage  # pyright: ignore[reportMissingTypeStubs]

# Pages from which it is told what is usual in a document.
_SAMPLE_PAGES = 12
# Documents up to this size are read at once.
_IN_MEMORY = 64 << 20
# What pdfium writes for the hyphen of a word that goes on in the next line, with the line's end where it leaves that.
_HYPHEN = re.compile("\ufffe(?:\r\n)?")
_BOLD = re.compile(rb"bold|black|heavy|semibold|demi", re.IGNORECASE)
_FORCE_BOLD = 1 << 18
_NAME_BYTES = 64
_OCR_REMEDY = (
    "Run it through a text recognition (OCR) and drop the result, or install tesseract: the mesh then reads such pages."
)


def pdf_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a PDF, page by page. FormatError where it is encrypted or broken, or no page can be read."""
    with source.open() as stream:
        # The document reads from the stream where it is large; that must stay open.
        document = _opened(source, stream.read() if source.stop - source.start <= _IN_MEMORY else stream)
        try:
            yield from _document_blocks(source, document)
        finally:
            document.close()


def _opened(source: Source, content: bytes | BinaryIO) -> PdfDocument:
    from pypdfium2 import PdfDocument, PdfiumError  # pyright: ignore[reportMissingTypeStubs]

    try:
        return PdfDocument(content)
    except PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise FormatError(
                "encrypted",
                f"{source.path} is a PDF that opens only with a password.",
                remedy="Open it with its password, save it without one and drop that.",
            ) from error
        raise


def _document_blocks(source: Source, document: PdfDocument) -> Iterator[Block | Reject]:
    blank: list[int] = []
    broken: list[int] = []
    pages = _pages(document, blank, broken)
    sample = list(islice(pages, _SAMPLE_PAGES))
    style = Style.of([page for page in sample if page.lines])
    count = 0
    last: Block | None = None
    shift = 0
    for page in chain(sample, pages):
        blocks: list[Block] = list(page_blocks(page, style))
        if not page.lines and recognises():
            blocks = [Paragraph(text) for text in recognised(_picture(document[page.number - 1])).split("\n\n")]
            if any(block[0] for block in blocks):
                blank.remove(page.number)
        if blocks:
            is_at_top = bool(page.lines) and page.lines[0].bottom > page.height / 2
            if last is None and is_at_top and isinstance(blocks[0], Heading) and blocks[0].level > 1:
                # A title that is set no larger than the headings below it.
                blocks[0], shift = Heading(blocks[0].text, 0), 1
            blocks[0] = going_on(last, blocks[0])
            last = blocks[-1]
            count += 1
            yield Break("page", page.number)
            yield from (b._replace(level=b.level + shift) if isinstance(b, Heading) else b for b in blocks)
    yield from _rejects(source, blank, broken, is_all=not count)


def _rejects(source: Source, blank: list[int], broken: list[int], *, is_all: bool) -> Iterator[Reject]:
    broken_remedy = "Open it with a PDF viewer and print it to a new PDF, or leave it out."
    for numbers, reason, remedy in (
        (broken, "broken page", broken_remedy),
        (blank, "page without text", _OCR_REMEDY),
    ):
        if numbers and is_all:
            raise FormatError(reason, f"{source.path} has no page that can be read as text.", remedy=remedy)
        if numbers:
            yield part_reject(source, reason, _page_numbers(numbers), remedy)


def _page_numbers(numbers: list[int]) -> str:
    """`pages 1, 4 to 7`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    written = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in spans)
    return f"page {written}" if len(numbers) == 1 else f"pages {written}"


def _pages(document: PdfDocument, blank: list[int], broken: list[int]) -> Iterator[PageLines]:
    """The pages in order; those without text go to `blank` too, those that cannot be read only to `broken`."""
    from pypdfium2 import PdfiumError  # pyright: ignore[reportMissingTypeStubs]

    for number in range(1, len(document) + 1):
        try:
            page = document[number - 1]
        except PdfiumError:
            broken.append(number)
            continue
        try:
            lines = _lines(page)
        except PdfiumError:
            broken.append(number)
            continue
        finally:
            height = page.get_height()
            page.close()
        if not lines:
            blank.append(number)
        yield PageLines(number, height, lines)


def _lines(page: PdfPage) -> list[Line]:
    text_page = page.get_textpage()
    try:
        text = text_page.get_text_range()
        measure = _Measure(text_page.raw)
        found: list[Line] = []
        at = 0
        for line in text.split("\r\n"):
            words = line.strip()
            if words:
                first = at + len(line) - len(line.lstrip())
                found.append(measure.line(_HYPHEN.sub("", words), first, first + len(words) - 1))
            # Indices count in UTF-16, where a rare character takes two.
            at += (len(line) if line.isascii() or max(line) < "\U00010000" else len(line.encode("utf-16-le")) // 2) + 2
        return found
    finally:
        text_page.close()


class _Measure:
    """Asks pdfium where characters are: its buffers are made once a page, because there are calls for each line."""

    def __init__(self, raw: object) -> None:
        import pypdfium2.raw as pdfium  # pyright: ignore[reportMissingTypeStubs]

        self._raw = raw
        self._index = pdfium.FPDFText_GetCharIndexFromTextIndex
        self._box_of = pdfium.FPDFText_GetLooseCharBox
        self._font_of = pdfium.FPDFText_GetFontInfo
        self._first, self._last = pdfium.FS_RECTF(), pdfium.FS_RECTF()
        self._name = ctypes.create_string_buffer(_NAME_BYTES)
        self._flags = ctypes.c_int()

    def line(self, text: str, first: int, last: int) -> Line:
        """The line of the characters `first` to `last` of the page's text."""
        raw, left, right = self._raw, self._first, self._last
        start, stop = self._index(raw, first), self._index(raw, last)
        self._box_of(raw, start, left)
        self._box_of(raw, stop, right)
        bold = self._is_bold(stop) and self._is_bold(start)
        # The first character may be a bullet of a smaller font, the last a raised figure.
        height = max(left.top - left.bottom, right.top - right.bottom)
        bottom = min(left.bottom, right.bottom)
        if right.right < left.left:
            # Written from right to left: measured in a mirror, a line starts at its left as any other.
            return Line(text, -left.right, -right.left, bottom, height, bold)
        return Line(text, left.left, right.right, bottom, height, bold)

    def _is_bold(self, at: int) -> bool:
        self._font_of(self._raw, at, self._name, _NAME_BYTES, self._flags)
        return bool(self._flags.value & _FORCE_BOLD) or _BOLD.search(self._name.value) is not None


def _picture(page: PdfPage) -> bytes:
    """The page as PNG, in the 200 dots an inch that text recognition wants at least."""
    from io import BytesIO

    width, height = page.get_size()
    # A page may be declared a mile wide: no side has more than 4,000 dots.
    scale = min(200 / 72, 4000 / max(width, height, 1.0))
    written = BytesIO()
    # Its stub takes the type of the default.
    page.render(scale=cast("int", scale), grayscale=True).to_pil().save(written, "png")
    page.close()
    return written.getvalue()
