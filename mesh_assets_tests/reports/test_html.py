"""The page is inert and self-contained whatever the drop says, and what is hidden in a text is made visible."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh_assets.insights.protocol import Insight
from mesh_assets.reports.html import html_report
from mesh_assets.reports.markdown import markdown_report
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.reports.samples import START, incident, of_dataset, of_slice, plain

# Arrow holds no surrogates; everything else may come from a drop.
HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(text: str) -> Page:
    """A page with `text` in every place that a drop or a model fills."""
    cited = Citation("shop", text, 0, 9, "ab12cd34ef5600ff", 1, f"a{text}")
    insight = Insight(
        "log",
        "log_incident",
        f"a{text}",
        f"a{text}",
        0.9,
        {
            "series": {"x": [f"a{text}", "b"], "y": [1, 2], "unit": f"a{text}", "marked": [0, 1]},
            f"a{text}": {f"a{text}": 3},
            "figure": f"a{text}",
        },
        (cited,),
        START,
        START,
    )
    return Page(html_report(of_slice(insight, unread=(Reject(text, f"a{text}", f"a{text}", text),))))


@settings(max_examples=60, deadline=None)
@given(HOSTILE)
@example("<script>alert(1)</script>")
@example("</pre></style></svg><img src=x onerror=alert(1)>")
@example('" onmouseover="alert(1)" x=\'')
@example("javascript:alert(1)")
@example("\u202egnp.exe\x1b[31m\x00\x9b{{ 7*7 }}{% raw %}")
def test_no_text_of_a_drop_becomes_markup(text: str) -> None:
    page, harmless = page_of(text), page_of("harmless")
    assert page.elements == harmless.elements
    assert "script" not in page.elements
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "src", "action", "formaction", "srcset", "xlink:href"):
            assert value.startswith("#")
    names = Counter(name for name, _ in page.attributes)
    assert names == Counter(name for name, _ in harmless.attributes)


def test_what_acts_instead_of_showing_is_written_out() -> None:
    page = html_report(of_slice(plain("secret", "a\u202eb\x1b[31m\x00", "c\u2066d\x9b", score=0.9)))
    for acting in "\u202e\x1b\x00\u2066\x9b":
        assert acting not in page
    assert r"a\u202eb\x1b[31m\x00" in page


def test_nothing_is_loaded_and_no_script_may_run() -> None:
    page = html_report(of_slice(incident()))
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    for loads in ("<script", "<link", "<iframe", "<img", "@import", "url("):
        assert loads not in page


def test_a_statement_opens_to_its_file_line_quote_and_command() -> None:
    cited = Citation("shop", "my logs/app.log", 120, 340, "0a1b2c3d4e5f6789", 12, "ERROR pool exhausted")
    page = Page(html_report(of_slice(incident(evidence=(cited,)))))
    assert page.elements["details"] == 1
    assert "my logs/app.log, line 12" in page.text
    assert "ERROR pool exhausted" in page.text
    assert "mesh show 'shop/my logs/app.log:120-340@0a1b2c3d4e5f'" in page.text


def test_a_finding_shows_when_it_was_and_its_chart() -> None:
    page = Page(html_report(of_slice(incident())))
    assert "2024-03-14 10:00:00 to 10:20:00 UTC (20 min)" in page.text
    assert page.elements["svg"] == 1
    assert "errors in 1 minute" in page.text


def test_a_huge_quote_is_cut_and_every_section_can_be_reached() -> None:
    report = of_dataset([incident(evidence=(Citation("shop", "a.log", 0, 10**6, "ab" * 8, 1, "x" * 10**6),))])
    page = Page(html_report(report))
    assert len(page.text) < 20_000
    ids = {value for name, value in page.attributes if name == "id"}
    assert {value[1:] for name, value in page.attributes if name == "href"} <= ids


def test_a_profile_is_a_table_with_a_line_for_each_column() -> None:
    columns = [
        {"name": "price<b>", "type": "number", "filled": 0.5, "distinct": 1200, "exact": False, "min": 1, "max": 9,
         "quartiles": [2, 3, 4], "bars": [5, 1, 0, 2]},
        {"name": "colour", "type": "text", "filled": 1, "distinct": 2, "exact": True, "top": {"red": 3, "blue": 9}},
    ]  # fmt: skip
    report = of_slice(plain("table_profile", "Columns of t.csv", columns=columns, rows=12))
    page = html_report(report)
    assert '<th scope="row">price&lt;b&gt;</th><td>number</td><td class="number">50%</td>' in page
    assert "≈ 1,200" in page and "1 to 9; half of them 2 to 4" in page and 'class="bars"' in page
    assert "blue (9), red (3)" in page
    markdown = markdown_report(report)
    assert "| Column | Type | Filled | Distinct | Values | Distribution |" in markdown
    assert "█▂▁▄" in markdown
