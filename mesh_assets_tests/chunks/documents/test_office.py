"""Files of Word, PowerPoint, LibreOffice and e-books, made by the libraries that write them where there are any."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest

from mesh_assets.errors import FormatError
from mesh_assets_tests.chunks.documents.documents import parts_of, read, text_of, zipped

FILLER = "The quick brown fox jumps over the lazy dog near the river bank. " * 3


def test_a_word_document_reads_in_order_under_its_headings() -> None:
    import docx

    document = docx.Document()
    document.add_heading("Harbours", 0)
    document.add_paragraph("A harbour is a sheltered place.")
    document.add_heading("Kinds", 1)
    document.add_paragraph("Natural", style="List Bullet")
    document.add_paragraph("Made", style="List Bullet")
    document.add_paragraph("First", style="List Number")
    document.add_paragraph("Second", style="List Number")
    table = document.add_table(rows=3, cols=2)
    for row, texts in zip(table.rows, [("Name", "Area"), ("Rotterdam", "105"), ("Antwerp", "129")], strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document.add_heading("Ropes", 2)
    document.add_paragraph(FILLER * 5)
    written = io.BytesIO()
    document.save(written)
    pieces = read(written.getvalue(), "docx", tokens=128)
    assert text_of(pieces[:1]) == (
        "# Harbours\n\nA harbour is a sheltered place.\n\n## Kinds\n\n- Natural\n- Made\n1. First\n2. Second\n\n"
        "Name | Area\nRotterdam | 105\nAntwerp | 129\n\n"
    )
    assert pieces[-1].symbol == "Harbours > Kinds > Ropes"


_WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_TYPES = "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"


def _word(body: str, *, before: str = "", **parts: str) -> bytes:
    relations = "".join(f'<Relationship Id="r{name}" Type="http://x/{name}" Target="{name}.xml"/>' for name in parts)
    return zipped(
        {
            "[Content_Types].xml": _TYPES,
            "word/document.xml": f"{before}<w:document {_WORD}><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": f"<Relationships>{relations}</Relationships>",
            **{f"word/{name}.xml": content for name, content in parts.items()},
        }
    )


def _p(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_notes_stand_behind_what_calls_them_and_deleted_text_is_gone() -> None:
    body = (
        '<w:p><w:r><w:t>Tides rise</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:t> twice.</w:t></w:r>'
        "<w:del><w:r><w:delText>never</w:delText></w:r></w:del></w:p>" + _p("Next.")
    )
    notes = f'<w:footnotes {_WORD}><w:footnote w:id="2">{_p("Nearly everywhere.")}</w:footnote></w:footnotes>'
    text = text_of(read(_word(body, footnotes=notes), "docx"))
    assert text == "Tides rise[2] twice.\n\n[2] Nearly everywhere.\n\nNext.\n\n"


def test_cells_that_go_on_from_above_say_the_same_and_a_frame_is_no_table() -> None:
    def cell(text: str, properties: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{_p(text)}</w:tc>"

    merged = '<w:vMerge w:val="restart"/>'
    table = (
        f"<w:tbl><w:tr>{cell('Port')}{cell('Dock')}</w:tr><w:tr>{cell('Ghent', merged)}{cell('1')}</w:tr>"
        f"<w:tr>{cell('', '<w:vMerge/>')}{cell('2')}</w:tr></w:tbl><w:tbl><w:tr>{cell('Framed')}</w:tr></w:tbl>"
    )
    assert text_of(read(_word(table), "docx")) == "Port | Dock\nGhent | 1\nGhent | 2\n\nFramed\n\n"


def test_a_presentation_reads_slide_by_slide() -> None:
    import pptx
    from pptx.util import Inches

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Harbours"
    body = slide.placeholders[1].text_frame
    body.text = "Natural"
    deeper = body.add_paragraph()
    deeper.text, deeper.level = "Fjord", 1
    slide.notes_slide.notes_text_frame.text = "Speak slowly."
    second = deck.slides.add_slide(deck.slide_layouts[6])
    box = second.shapes.add_textbox(0, 0, Inches(2), Inches(1))
    box.text_frame.text = "Sizes"
    grid = second.shapes.add_table(2, 2, 0, 0, Inches(4), Inches(1)).table
    for at, text in enumerate(["Name", "Area", "Ghent", "7"]):
        grid.cell(at // 2, at % 2).text = text
    written = io.BytesIO()
    deck.save(written)
    pieces = read(written.getvalue(), "pptx", tokens=40)
    assert text_of(pieces) == (
        "# Harbours\n\n- Natural\n  - Fjord\n\nNotes: Speak slowly.\n\n# Sizes\n\nName | Area\nGhent | 7\n\n"
    )
    pieces = read(written.getvalue(), "pptx", tokens=24)
    assert {(piece.symbol, piece.place) for piece in pieces} == {("Harbours", "slide 1"), ("Sizes", "slide 2")}


def test_a_book_reads_along_its_spine_below_its_title() -> None:
    page = "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>x</title></head><body>{}</body></html>"
    chapter = page.format("<h2>The {0}</h2><p>" + FILLER + "</p>")
    items = "".join(
        f'<item id="{name}" href="text/{name}.xhtml" media-type="application/xhtml+xml" properties="{properties}"/>'
        for name, properties in (("start", ""), ("end", ""), ("nav", "nav"))
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in ("nav", "start", "end", "lost"))
    book = zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": "<container><rootfiles><rootfile full-path='o/b.opf'/></rootfiles></container>",
            "o/b.opf": "<package xmlns:dc='d'><metadata><dc:title>Harbours</dc:title></metadata>"
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
            "o/text/end.xhtml": chapter.replace("{0}", "end"),
            "o/text/start.xhtml": chapter.replace("{0}", "start"),
            "o/text/nav.xhtml": page.format("<p>Contents</p>"),
        }
    )
    pieces = read(book, "epub", tokens=64)
    assert "Contents" not in text_of(pieces)
    found = list(dict.fromkeys((piece.symbol, piece.place) for piece in pieces))
    assert found == [("Harbours", "part 1"), ("Harbours > The end", "part 2")]


_ODF = 'xmlns:office="o" xmlns:text="t" xmlns:table="b" xmlns:draw="d"'


def _odf(content: str, **parts: str) -> bytes:
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<office:document-content {_ODF}><office:body>{content}</office:body>"
            "</office:document-content>",
            **{f"META-INF/{name}.xml": part for name, part in parts.items()},
        }
    )


def test_an_open_document_text_reads_in_order() -> None:
    text = text_of(
        read(
            _odf(
                "<office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
                '<text:h text:outline-level="1">Harbours</text:h><text:p>A <text:span>har</text:span>bour'
                '<text:s text:c="2"/>'
                "is<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>Mostly.</text:p>"
                "</text:note-body></text:note> safe.</text:p>"
                "<text:list><text:list-item><text:p>Natural</text:p><text:list>"
                "<text:list-item><text:p>Fjord</text:p></text:list-item></text:list></text:list-item></text:list>"
                "<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
                '<table:table-cell table:number-columns-repeated="2"><text:p>b</text:p></table:table-cell>'
                "</table:table-row></table:table></office:text>"
            ),
            "odt",
        )
    )
    assert text == "# Harbours\n\nA harbour  is[1] safe.\n\n[1] Mostly.\n\n- Natural\n  - Fjord\n\na | b | b\n\n"


def test_an_open_document_presentation_names_its_slides() -> None:
    slides = "".join(
        f"<draw:page><draw:frame><draw:text-box><text:p>Slide of {name}. {FILLER}</text:p></draw:text-box></draw:frame>"
        "</draw:page>"
        for name in ("Ann", "Ben")
    )
    pieces = read(_odf(f"<office:presentation>{slides}</office:presentation>"), "odp", tokens=64)
    assert [piece.place for piece in pieces] == ["slide 1", "slide 2"]


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (_odf("", manifest="<m><encryption-data/></m>"), "odt"),
        (zipped({"mimetype": "application/epub+zip", "META-INF/rights.xml": "<r/>"}), "epub"),
    ],
)
def test_what_is_encrypted_says_so(data: bytes, form: str) -> None:
    with pytest.raises(FormatError) as error:
        parts_of(data, form)
    assert error.value.reason == "encrypted"


def test_entities_are_not_expanded_and_no_file_is_read() -> None:
    external = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    assert text_of(read(_word(_p("safe&x;"), before=external), "docx")) == "safe\n\n"
    names = "abcdefghij"
    bomb = "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in pairwise(names))
    with pytest.raises(FormatError) as error:
        parts_of(_word(_p("&j;"), before=f'<!DOCTYPE d [<!ENTITY a "lol">{bomb}]>'), "docx")
    assert error.value.reason == "broken docx"


def test_what_unpacks_to_too_much_is_refused_while_it_is_unpacked() -> None:
    with pytest.raises(FormatError) as error:
        parts_of(_word(_p("A" * (80 << 20))), "docx")
    assert error.value.reason == "unpacks to too much"
    with pytest.raises(FormatError):
        parts_of(_word("<w:sdt>" * 5000 + "</w:sdt>" * 5000), "docx")
