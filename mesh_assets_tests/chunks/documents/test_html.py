"""Pages as their readers see them: no scripts, no menus; headings, tables, lists and code kept."""

from __future__ import annotations

import pytest

from mesh_assets.errors import FormatError
from mesh_assets_tests.chunks.documents.documents import parts_of, read, text_of

PAGE = """<!DOCTYPE html><html><head><title>Harbours - Example</title><style>p { color: red }</style>
<script>var secret = "<p>no</p>";</script></head><body>
<nav><ul><li><a href="/">Home</a></li></ul></nav>
<main><h1>Harbours</h1><p>A <b>harbour</b> is a <a href="x">sheltered
place</a>.<br>Ships wait there.</p><div hidden>not shown</div><div style="display: none">nor this</div>
<h2>Kinds<a class="headerlink" href="#kinds">¶</a></h2><ol><li>Natural<ul><li>Fjord</li></ul></li><li>Made</li></ol>
<dl><dt>Quay</dt><dd>A wall.</dd></dl>
<pre>depth  =  3
  tide = 1</pre>
<table><caption>Sizes</caption><tr><th>Name<th>Area</tr><tr><td rowspan="2">Rotterdam<td>105</tr><tr><td>97</tr></table>
<p>See <img src="x.png" alt="a map of the quay"> and <button>Share</button></p></main>
<footer>Imprint</footer></body></html>"""

READING = """# Harbours

A harbour is a sheltered place.
Ships wait there.

## Kinds

1. Natural
  - Fjord
2. Made
- Quay
  - A wall.

depth  =  3
  tide = 1

Sizes

Name | Area
Rotterdam | 105
Rotterdam | 97

See [image: a map of the quay] and

"""


def test_a_page_reads_as_it_is_seen() -> None:
    pieces = read(PAGE, "html")
    assert text_of(pieces) == READING
    assert pieces[0].symbol == "Harbours"


def test_the_title_is_on_top_where_no_heading_says_it() -> None:
    (piece,) = read("<title>Tide tables</title><h1>July</h1><p>High at noon, and again at midnight.", "html")
    assert piece.text.startswith("# Tide tables\n\n## July\n")
    (piece,) = read("<title>July | Tide tables</title><h1>July</h1><p>High at noon.", "html")
    assert piece.text.startswith("# July\n")


def test_a_page_of_nothing_but_navigation_is_still_read() -> None:
    assert text_of(read("<body><nav><a>Harbours</a></nav></body>", "html")) == "Harbours\n\n"


def test_a_footer_of_an_article_is_text_that_of_the_page_is_not() -> None:
    text = text_of(read("<article><p>Text</p><footer>By Ann</footer></article><footer>Imprint</footer>", "html"))
    assert text == "Text\n\nBy Ann\n\n"


def test_a_table_that_only_arranges_things_is_no_table() -> None:
    layout = "<table><tr><td><h2>Left</h2><p>One</p></td><td><p>Two</p></td></tr></table>"
    assert text_of(read(layout, "html")) == "## Left\n\nOne\n\nTwo\n\n"
    assert text_of(read("<table><tr><td>Only one cell</td></tr></table>", "html")) == "Only one cell\n\n"


def test_a_small_table_in_a_cell_is_words_of_that_cell() -> None:
    text = text_of(read("<table><tr><td>a<td><table><tr><td>b<td>c</table><tr><td>d<td>e</table>", "html"))
    assert text == "a | b, c\nd | e\n\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ('<meta charset="iso-8859-2"><p>Łódź'.encode("iso-8859-2"), "cp1252"),
        ("<p>Łódź".encode(), "cp1252"),
        ("<p>Łódź".encode("utf-16"), "utf-16-le"),
        ("\ufeff<p>Łódź".encode(), "utf-8"),
    ],
)
def test_characters_are_right_whatever_encoding_a_page_is_in(data: bytes, encoding: str) -> None:
    assert text_of(read(data, "html", encoding=encoding)) == "Łódź\n\n"


def test_marks_in_a_page_are_no_marks_of_ours() -> None:
    text = text_of(read("<p>a\x01tb</p><p>c&#1;Td&#2;e&#1;&#1;n9,9&#1;zz</p>", "html"))
    assert text.startswith("atb\n\n")
    assert "\x01" not in text and "\x02" not in text


def test_a_page_that_is_nested_too_deeply_is_refused_at_once_and_a_deep_one_is_read() -> None:
    with pytest.raises(FormatError) as error:
        parts_of("<div>" * 30_000 + "x", "html")
    assert error.value.reason == "nested too deeply"
    assert text_of(read("<div>" * 3000 + "<p>x</p><script>no</script>", "html")) == "x\n\n"
    # What needs no closing is no depth.
    assert text_of(read("<p>x<br>" * 30_000, "html", tokens=256)).count("x") == 30_000
