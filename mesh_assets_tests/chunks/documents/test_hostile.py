"""Whatever bytes come as a document give pieces, rejects or a refusal: never another exception."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.confined import ConfinedChunker, close_reader
from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.chunks.registry import chunker_for
from mesh_assets.errors import SourceError
from mesh_assets_tests.chunks.documents.documents import covered, parts_of, pdf, zipped
from mesh_assets_tests.chunks.sources import source

_XML = st.text(alphabet="<>/&;=\"' wptxhsrabc:!DOCTYPE[]", max_size=60)
_MARKUP = st.text(alphabet="<>/&#;=\"' tablerdhiupnoc\x00\x01\n", max_size=120)
_STARTS = {
    "html": b"<html><body>",
    "pdf": b"%PDF-1.7\n1 0 obj<<",
    "rtf": b"{\\rtf1 ",
    "email": b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n",
    "ipynb": b'{"cells":[{"cell_type":"code","outputs":[{"data":{"image/png":"',
    "docx": b"PK\x03\x04",
    "pptx": b"PK\x03\x04",
    "epub": b"PK\x03\x04",
    "odt": b"PK\x03\x04",
    "doc": b"\xd0\xcf\x11\xe0",
}
_MAIN = {
    "docx": "word/document.xml",
    "pptx": "ppt/presentation.xml",
    "epub": "META-INF/container.xml",
    "odt": "content.xml",
}


def _survives(data: bytes, form: str) -> None:
    try:
        parts = parts_of(data, form, tokens=20)
    except SourceError as error:
        assert error.reason and error.remedy
        return
    own = [part for part in parts if isinstance(part, Piece)]
    if form != "email":  # whose attachments have readings of their own
        covered(own)


@pytest.mark.parametrize("form", _STARTS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=200))
def test_any_bytes(form: str, data: bytes) -> None:
    _survives(data, form)
    _survives(_STARTS[form] + data, form)


@settings(max_examples=60, deadline=None)
@given(markup=_MARKUP)
def test_any_markup(markup: str) -> None:
    _survives(markup.encode(), "html")


@pytest.mark.parametrize("form", _MAIN)
@settings(max_examples=20, deadline=None)
@given(content=_XML, wrapped=st.booleans())
def test_any_content_of_an_archive(form: str, content: str, wrapped: bool) -> None:
    relations = f'<R><r Id="a" Type="x/officeDocument" Target="{_MAIN[form]}"/></R>'
    text = f"<w:document xmlns:w='w'>{content}</w:document>" if wrapped else content
    _survives(zipped({"_rels/.rels": relations, _MAIN[form]: text}), form)


@cache
def _whole_pdf() -> bytes:
    return pdf([[("Some words on a page", 72.0, 700.0, 11.0, "Helvetica")]])


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 2000), length=st.integers(0, 40), cut=st.booleans())
def test_damaged_pdfs(at: int, length: int, cut: bool) -> None:
    whole = _whole_pdf()
    _survives(whole[:at] if cut else whole[:at] + b"\xff" * length + whole[at + length :], "pdf")


@settings(max_examples=30, deadline=None)
@given(at=st.integers(0, 1500), length=st.integers(1, 30), cut=st.booleans())
def test_damaged_archives(at: int, length: int, cut: bool) -> None:
    body = "<w:document xmlns:w='w'><w:body><w:p><w:r><w:t>words</w:t></w:r></w:p></w:body></w:document>"
    whole = zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": body})
    _survives(whole[:at] if cut else whole[:at] + b"\xff" * length + whole[at + length :], "docx")


@pytest.fixture
def child() -> Iterator[None]:
    yield
    close_reader()


@pytest.mark.usefixtures("child")
def test_what_the_child_reads_behind_its_walls_is_the_same() -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = "Tides", "ann@example.com"
    message.set_content("See the file.")
    message.add_attachment(_whole_pdf(), maintype="application", subtype="pdf", filename="tides.pdf")
    for data, form in (
        (_whole_pdf(), "pdf"),
        (b"<h1>Tides</h1><p>High at noon.", "html"),
        (message.as_bytes(), "email"),
    ):
        chunker = chunker_for("text", form)
        assert isinstance(chunker, ConfinedChunker)
        given = source(data, "text", form)
        parts = list(chunker.chunk(given, chunk_tokens=256))
        direct = parts_of(data, form)
        assert [part for part in parts if isinstance(part, Piece)] == [p for p in direct if isinstance(p, Piece)]
        assert [part.path for part in parts if isinstance(part, Source)] == [
            part.path for part in direct if isinstance(part, Source)
        ]
