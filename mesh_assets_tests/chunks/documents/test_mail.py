"""Mail with what is attached, rich text, and old formats that are refused with a remedy."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.errors import FormatError
from mesh_assets_tests.chunks.documents.documents import parts_of, read, text_of

FILLER = "The quick brown fox jumps over the lazy dog near the river bank. " * 3


def _mail(subject: str = "Tides of Łódź") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Ann <ann@example.com>", "Ben <ben@example.com>"
    message["Subject"], message["Date"] = subject, "Mon, 02 Nov 2026 10:00:00 +0100"
    message.set_content(f"Dear Ben,\n\n{FILLER}\n\n{FILLER}\n")
    return message


def test_a_mail_says_who_wrote_to_whom_and_every_chunk_knows_it() -> None:
    pieces = read(_mail().as_bytes(), "email", tokens=100)
    assert text_of(pieces).startswith(
        "# Tides of Łódź\n\nFrom: Ann <ann@example.com>\nTo: Ben <ben@example.com>\n"
        "Date: Mon, 02 Nov 2026 10:00:00 +0100\n\nDear Ben,\n\nThe quick"
    )
    assert len(pieces) > 1
    assert {piece.symbol for piece in pieces} == {"Tides of Łódź"}
    assert pieces[0].context == "Tides of Łódź"
    assert all(piece.context.startswith("From: Ann <ann@") for piece in pieces[1:])
    assert {piece.time_start for piece in pieces} == {datetime(2026, 11, 2, 9, tzinfo=UTC)}


def test_the_plain_text_is_read_once_and_html_where_there_is_no_other() -> None:
    message = _mail()
    message.add_alternative("<h1>Dear Ben</h1><p>in colour</p>", subtype="html")
    assert "in colour" not in text_of(read(message.as_bytes(), "email"))
    message = _mail()
    message.set_content("<h1>Dear Ben</h1><p>in colour</p><script>no</script>", subtype="html")
    assert text_of(read(message.as_bytes(), "email")).endswith("## Dear Ben\n\nin colour\n\n")


def test_attached_files_are_files_of_their_own() -> None:
    inner = _mail("Inner")
    message = _mail()
    message.add_attachment("a,b\n1,2\n3,4\n5,6\n", subtype="csv", filename="../sizes.csv")
    message.add_attachment(b"# Notes\n\nThe quay is wet.\n", maintype="text", subtype="markdown", filename="notes.md")
    message.add_attachment(inner)
    parts = parts_of(message.as_bytes(), "email")
    files = {part.path: part.format for part in parts if isinstance(part, Source)}
    assert files == {
        "a/file!/sizes.csv": "csv",
        "a/file!/notes.md": "markdown",
        "a/file!/mail 3.eml": "email",
    }
    at = next(number for number, part in enumerate(parts) if isinstance(part, Source) and part.format == "markdown")
    following = parts[at + 1]
    assert isinstance(following, Piece) and following.text == "# Notes\n\nThe quay is wet.\n"


def test_a_mail_with_broken_headers_is_read() -> None:
    data = b"From: =?utf-9?q?a?= <a@b>\r\nSubject: =?utf-8?b?!!?=\r\nDate: Mon, 99 Foo\r\n\r\nIt\x92s here\r\n"
    pieces = read(data, "email")
    assert "It’s here" in text_of(pieces)
    assert pieces[0].time_start is None


def test_a_mail_in_a_rare_encoding_is_read_in_that() -> None:
    message = EmailMessage()
    message["Subject"] = "x"
    message.set_content("港の潮", charset="iso-2022-jp")
    assert "港の潮" in text_of(read(message.as_bytes(), "email"))


def test_rich_text_reads_as_paragraphs_and_tables() -> None:
    text = (
        r"{\rtf1\ansi{\fonttbl\f0 Arial;}\f0 A \b harbour\b0  is safe.\par "
        r"\trowd\cellx100\cellx200 Name\cell Area\cell\row"
        r"\trowd\cellx100\cellx200 Ghent\cell 7\cell\row\pard Caf\'e9.\par"
        r"{\pict " + "0123456789abcdef" * 100 + "}}"
    )
    assert text_of(read(text, "rtf")) == "A harbour is safe.\n\nName | Area\nGhent | 7\n\nCafé.\n\n"


@pytest.mark.parametrize(("form", "word"), [("doc", ".docx"), ("ppt", ".pptx"), ("msg", ".eml")])
def test_old_formats_are_refused_with_what_to_do(form: str, word: str) -> None:
    with pytest.raises(FormatError) as error:
        parts_of(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", form)
    assert word in error.value.remedy
