"""Blocks become chunks as a reader would cut them: tables and lists whole, headers repeated, headings on each chunk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from mesh_assets.chunks.documents import reading
from mesh_assets.chunks.documents.blocks import (
    Block,
    Break,
    Code,
    Heading,
    Item,
    Letterhead,
    Paragraph,
    Picture,
    Table,
)
from mesh_assets.chunks.documents.chunker import DocumentChunker
from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.chunks.tokens import estimate_tokens
from mesh_assets.errors import FormatError, SourceChangedError
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.documents.documents import covered, text_of
from mesh_assets_tests.chunks.sources import source

FILLER = "The quick brown fox jumps over the lazy dog near the river bank. " * 3
ROWS = [["City", "People", "Founded"], *([f"Town {number}", str(1000 * number), "1810"] for number in range(40))]


def cut(*blocks: Block | Reject, tokens: int = 128) -> list[Piece]:
    def reader(given: Source) -> Iterator[Block | Reject]:
        yield from blocks

    parts = list(DocumentChunker(reader).chunk(source(b"x"), chunk_tokens=tokens))
    pieces = [part for part in parts if isinstance(part, Piece)]
    covered(pieces)
    assert all(piece.tokens <= tokens for piece in pieces)
    assert all(
        piece.tokens >= estimate_tokens(piece.text, "text") + estimate_tokens(piece.context, "text") - 1
        for piece in pieces
    )
    return pieces


def test_every_chunk_knows_the_headings_that_it_is_under() -> None:
    pieces = cut(
        Heading("Guide", 1),
        Paragraph(FILLER),
        Heading("Install", 2),
        Paragraph(FILLER * 4),
        Heading("Use", 2),
        Paragraph(FILLER),
    )
    assert [piece.symbol for piece in pieces] == ["Guide", *["Guide > Install"] * (len(pieces) - 2), "Guide > Use"]
    assert all(piece.context == piece.symbol for piece in pieces)
    assert len(pieces) > 3
    assert pieces[1].text.startswith("## Install\n\nThe quick")


def test_small_neighbours_are_one_chunk_as_in_markdown() -> None:
    (piece,) = cut(*(block for n in range(3) for block in (Heading(f"Step {n}", 2), Paragraph("Turn it."))))
    assert piece.text == "## Step 0\n\nTurn it.\n\n## Step 1\n\nTurn it.\n\n## Step 2\n\nTurn it.\n\n"


def test_a_table_that_fits_is_never_split_though_its_section_is() -> None:
    pieces = cut(Heading("Towns", 1), Paragraph(FILLER), Table(ROWS[:6]), Paragraph(FILLER * 2), Table(ROWS[:5]))
    tables = ["\n".join(" | ".join(row) for row in ROWS[:count]) for count in (6, 5)]
    assert len(pieces) > 1
    assert all(any(table in piece.text for piece in pieces) for table in tables)


def test_a_table_that_does_not_fit_is_cut_between_rows_and_keeps_its_header() -> None:
    pieces = cut(Heading("Towns", 1), Paragraph("The towns of the north."), Table(ROWS), Paragraph("So far the towns."))
    rows = [piece for piece in pieces if "Town " in piece.text]
    assert len(rows) > 3
    assert "City | People | Founded\nTown 0 |" in rows[0].text and rows[0].text.startswith("# Towns")
    assert "The towns of the north." in rows[0].text  # the line that leads to it stays with it
    for piece in rows[1:]:
        assert piece.context == "Towns\nCity | People | Founded"
        assert "City" not in piece.text
        assert piece.text.startswith("Town ") and piece.text.endswith("| 1810\n" if piece is not rows[-1] else "\n\n")


def test_a_row_or_item_that_is_longer_than_a_chunk_is_cut_in_itself_only() -> None:
    pieces = cut(Table([["a", "b"], ["x", FILLER * 4], ["y", "z"]]), Item("short"), Item(FILLER * 4), Item("last"))
    assert "y | z" in text_of(pieces)
    assert sum("short" in piece.text for piece in pieces) == 1


def test_a_list_is_cut_between_items_and_not_at_their_sentences() -> None:
    items = [Item(f"Point {number}. It has two sentences.") for number in range(30)]
    pieces = cut(*items)
    assert len(pieces) > 2
    assert all(piece.text.startswith("- Point") for piece in pieces)


def test_code_that_fits_stays_whole_over_its_blank_lines() -> None:
    code = "def first():\n    return 1\n\n\ndef second():\n    return 2"
    pieces = cut(Paragraph(FILLER * 2), Code(code), Paragraph(FILLER * 2))
    assert sum(code in piece.text for piece in pieces) == 1


def test_a_chunk_says_on_which_pages_it_lies() -> None:
    pieces = cut(
        Break("page", 1),
        Heading("One", 1),
        Paragraph(FILLER),
        Break("page", 2),
        Heading("Two", 1),
        Paragraph(FILLER),
        Break("page", 3),
        Paragraph(FILLER[:130]),
        tokens=100,
    )
    assert [piece.place for piece in pieces] == ["page 1", "pages 2 to 3"]


def test_a_paragraph_goes_on_over_the_page() -> None:
    (piece,) = cut(Break("page", 1), Paragraph("It was a dark"), Break("page", 2), Paragraph("night.", goes_on=True))
    assert piece.text == "It was a dark night.\n\n"
    (item,) = cut(Item("one"), Item("two"), Break("page", 2), Paragraph("and more.", goes_on=True), Item("three"))
    assert item.text == "- one\n- two and more.\n- three\n\n"


def test_every_chunk_of_a_letter_knows_its_sender_and_day() -> None:
    day = datetime(2026, 11, 2, tzinfo=UTC)
    pieces = cut(Heading("Offer", 1), Paragraph("From: Ann"), Letterhead("From: Ann", day), Paragraph(FILLER * 4))
    assert pieces[0].context == "Offer"
    assert {piece.context for piece in pieces[1:]} == {"From: Ann\nOffer"}
    assert {piece.time_start for piece in pieces} == {day}


def test_windows_do_not_show_in_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[Block] = []
    for number in range(40):
        blocks += [Break("page", number + 1), Heading(f"Über {number}", 2), Paragraph(FILLER), Item("a"), Item("b")]
    whole = cut(*blocks)
    monkeypatch.setattr(reading, "WINDOW_CHARACTERS", 500)
    parts = cut(*blocks)
    assert text_of(parts) == text_of(whole)
    assert [piece.place for piece in parts] == [piece.place for piece in whole]


def test_what_is_no_text_is_not_in_the_reading() -> None:
    (piece,) = cut(Paragraph("a\0b\ud800c\ufffe\ufeffd\x1b"), Picture(" A  duck "), Picture(""), Table([["", ""]]))
    assert piece.text == "abcd\n\n[image: A duck]\n\n"


def test_a_document_without_text_is_refused_and_does_not_vanish() -> None:
    with pytest.raises(FormatError) as error:
        cut(Paragraph(" "), Break("page", 1))
    assert error.value.reason == "no text in it"


def test_what_a_reader_breaks_on_is_the_files_fault() -> None:
    def reader(given: Source) -> Iterator[Block | Reject]:
        yield Paragraph("x")
        raise ZeroDivisionError("odd")

    with pytest.raises(FormatError, match="ZeroDivisionError: odd"):
        list(DocumentChunker(reader).chunk(source(b"x", form="pdf"), chunk_tokens=10))


def test_a_file_that_changed_meanwhile_is_not_called_broken() -> None:
    def reader(given: Source) -> Iterator[Block | Reject]:
        yield Paragraph("x")
        raise SourceChangedError("changed since intake", "It changed.", remedy="Wait.")

    with pytest.raises(SourceChangedError):
        list(DocumentChunker(reader).chunk(source(b"x"), chunk_tokens=10))
