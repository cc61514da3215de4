"""PDF as people read it: paragraphs and headings told from where lines lie, pages named, scans not lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_assets.chunks.documents import pdf as pdf_module
from mesh_assets.chunks.protocol import Piece
from mesh_assets.errors import FormatError
from mesh_assets_tests.chunks.documents.documents import (
    PdfLine,
    covered,
    paragraph,
    parts_of,
    pdf,
    read,
    rejects_of,
    text_of,
)

TIDES = (
    "The tide rises twice a day along this coast, and the harbour master writes down its height at noon in a book that "
    "nobody has opened for years, although every skipper asks for it."
)
WALLS = "The walls of the old harbour were built of stone that came from the north by ship in the summer of 1810."


def _page(number: int) -> list[PdfLine]:
    return [
        ("Handbook of harbours", 72, 810, 9, "Helvetica"),
        (f"Chapter {number}", 72, 740, 18, "Helvetica-Bold"),
        *paragraph(TIDES, 700),
        *paragraph(WALLS, 620),
        (f"{number}", 290, 30, 9, "Helvetica"),
    ]


def test_a_page_becomes_headings_and_paragraphs_without_its_furniture() -> None:
    pieces = read(pdf([_page(number) for number in range(1, 5)]), "pdf")
    assert text_of(pieces) == "".join(f"# Chapter {n}\n\n{TIDES}\n\n{WALLS}\n\n" for n in range(1, 5))
    assert [(piece.symbol, piece.place) for piece in pieces] == [(f"Chapter {n}", f"page {n}") for n in range(1, 5)]


def test_a_large_file_is_read_from_the_disk_and_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pdf([_page(number) for number in range(1, 5)])
    whole = read(data, "pdf")
    monkeypatch.setattr(pdf_module, "_IN_MEMORY", 100)
    assert read(data, "pdf") == whole


def test_a_word_that_is_broken_at_the_end_of_a_line_is_one_word() -> None:
    lines = [
        ("A line that is long enough to be one of the har-", 72, 700),
        ("bours of the coast, and then more.", 72, 686),
    ]
    text = text_of(read(pdf([[(*line, 11.0, "Helvetica") for line in lines]]), "pdf"))
    assert text == "A line that is long enough to be one of the harbours of the coast, and then more.\n\n"


def test_bullets_are_items_and_bold_lines_and_numbered_lines_are_headings() -> None:
    lines: list[PdfLine] = [
        ("Mooring", 72, 740, 11, "Helvetica-Bold"),
        *paragraph(TIDES, 715),
        ("• the first rope", 80, 650, 11, "Helvetica"),
        ("• the second rope", 80, 636, 11, "Helvetica"),
        ("2.1 Ropes of hemp", 72, 600, 11, "Helvetica"),
        *paragraph(WALLS, 575),
    ]
    text = text_of(read(pdf([lines]), "pdf"))
    assert text.startswith("# Mooring\n\nThe tide")
    assert "\n\n- the first rope\n- the second rope\n\n" in text
    assert "# 2.1 Ropes of hemp\n\nThe walls" in text


def test_two_columns_are_read_one_after_the_other() -> None:
    left = paragraph(TIDES, 700, width=40)
    right = paragraph(WALLS, 700, left=320, width=40)
    assert text_of(read(pdf([[*left, *right]]), "pdf")) == f"{TIDES}\n\n{WALLS}\n\n"


def test_a_sentence_goes_on_over_the_page() -> None:
    first = paragraph(TIDES + " On the next morning the boats lay dry and", 200)
    second = paragraph("nobody could leave before the evening. " + WALLS, 740)
    pieces = read(pdf([first, second]), "pdf", tokens=40)
    assert "lay dry and nobody could" in " ".join(text_of(pieces).split())
    assert [piece.place for piece in pieces] == ["page 1", "pages 1 to 2"]


def test_rows_of_numbers_stay_lines() -> None:
    rows = ["Port 10.1 20.2 30.3", "Quay 11.1 21.2 31.3", "Dock 12.1 22.2 32.3"]
    lines: list[PdfLine] = [(row, 72, 700 - 14 * number, 11, "Courier") for number, row in enumerate(rows)]
    assert "\n".join(rows) in text_of(read(pdf([lines]), "pdf"))


def test_a_page_without_text_is_named_and_the_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    parts = parts_of(pdf([[], _page(2), [], []]), "pdf")
    (reject,) = rejects_of(parts)
    assert (reject.reason, reject.detail) == ("page without text", "pages 1, 3 to 4")
    assert reject.is_part and "OCR" in reject.remedy
    assert {part.place for part in parts if isinstance(part, Piece)} == {"page 2"}


def test_a_document_of_pictures_is_refused_where_nothing_can_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FormatError) as error:
        parts_of(pdf([[], []]), "pdf")
    assert error.value.reason == "page without text" and "tesseract" in error.value.remedy


def test_tesseract_reads_pages_without_text_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tesseract"
    # It must be given a picture: then it "sees" this text.
    program.write_text(
        '#!/bin/sh\n/usr/bin/head -c 4 | /bin/grep -q PNG && printf "Seen in\\nthe picture.\\n\\nTwice."\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    pieces = [part for part in parts_of(pdf([[], _page(2)]), "pdf") if isinstance(part, Piece)]
    assert covered(pieces).startswith("Seen in\nthe picture.\n\nTwice.\n\n")
    assert pieces[0].place == "pages 1 to 2"


def test_a_pdf_with_a_password_says_so() -> None:
    # The smallest file with an encryption that no password given here opens.
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[]/Count 0>>",
        b"<</Filter/Standard/V 1/R 2/Length 40/P -4/O<" + b"41" * 32 + b">/U<" + b"42" * 32 + b">>>",
    ]
    data = b"%PDF-1.4\n"
    places: list[int] = []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj" % number + content + b"endobj\n"
    table = b"xref\n0 4\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer<</Size 4/Root 1 0 R/Encrypt 3 0 R/ID[<41><41>]>>startxref\n%d\n%%%%EOF" % len(data)
    with pytest.raises(FormatError) as error:
        parts_of(data + table + trailer, "pdf")
    assert error.value.reason == "encrypted"
