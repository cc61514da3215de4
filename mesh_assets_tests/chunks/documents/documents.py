"""Documents made by libraries that write them, and the promise of every reading: one text, covered once, in order."""

from __future__ import annotations

import ctypes
import io
import zipfile
from collections.abc import Sequence

from mesh_assets.chunks.documents.chunker import DocumentChunker
from mesh_assets.chunks.protocol import Part, Piece
from mesh_assets.chunks.registry import direct_chunker
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.sources import source


def parts_of(data: bytes | str, form: str, *, tokens: int = 256, encoding: str = "utf-8") -> list[Part]:
    """What the chunker of a format makes of `data`, in this process."""
    chunker = direct_chunker("text", form)
    assert isinstance(chunker, DocumentChunker)
    return list(chunker.chunk(source(data, "text", form, encoding=encoding), chunk_tokens=tokens))


def read(data: bytes | str, form: str, *, tokens: int = 256, encoding: str = "utf-8") -> list[Piece]:
    """The pieces of a document without rejects, after checking the promise, also for other sizes of chunks."""
    parts = parts_of(data, form, tokens=tokens, encoding=encoding)
    pieces = [part for part in parts if isinstance(part, Piece)]
    assert len(pieces) == len(parts)
    reading = covered(pieces)
    for other in (16, 1000):
        again = parts_of(data, form, tokens=other, encoding=encoding)
        assert covered([part for part in again if isinstance(part, Piece)]) == reading
    return pieces


def covered(pieces: Sequence[Piece]) -> str:
    """The reading that the pieces are, after checking that each begins where the one before it ended."""
    at, line = 0, 1
    for piece in pieces:
        size = len(piece.text.encode())
        assert (piece.byte_start, piece.byte_stop) == (at, at + size)
        assert piece.line_start == line
        at, line = at + size, line + piece.text.count("\n")
        assert piece.line_stop in (line, line - 1)
    return "".join(piece.text for piece in pieces)


def text_of(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def rejects_of(parts: Sequence[Part]) -> list[Reject]:
    return [part for part in parts if isinstance(part, Reject)]


def zipped(parts: dict[str, str | bytes]) -> bytes:
    """An archive of `parts`; `mimetype` is stored as it is, as the formats that have one want it."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED)
    return written.getvalue()


# A line of a page: text, distance from the left and from the bottom in points, size, font.
PdfLine = tuple[str, float, float, float, str]


def pdf(pages: Sequence[Sequence[PdfLine]]) -> bytes:
    """A PDF of pages of lines, made by pdfium itself."""
    import pypdfium2
    import pypdfium2.raw as pdfium

    document = pypdfium2.PdfDocument.new()
    for lines in pages:
        page = document.new_page(595, 842)
        for text, left, bottom, size, font in lines:
            drawn = pdfium.FPDFPageObj_NewTextObj(document.raw, font.encode(), size)
            written = ctypes.create_string_buffer((text + "\0").encode("utf-16-le"))
            pdfium.FPDFText_SetText(drawn, ctypes.cast(written, ctypes.POINTER(ctypes.c_ushort)))
            pdfium.FPDFPageObj_Transform(drawn, 1, 0, 0, 1, left, bottom)
            pdfium.FPDFPage_InsertObject(page.raw, drawn)
        page.gen_content()
    result = io.BytesIO()
    document.save(result)
    return result.getvalue()


def paragraph(text: str, top: float, *, left: float = 72, size: float = 11, width: int = 80) -> list[PdfLine]:
    """`text` broken into lines of `width` characters, the first one at `top`."""
    import textwrap

    lines = textwrap.wrap(text, width)
    return [(line, left, top - 14 * number, size, "Helvetica") for number, line in enumerate(lines)]
