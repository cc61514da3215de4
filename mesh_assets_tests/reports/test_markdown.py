"""Markdown of a report: text of drops stays text in any viewer, and the Dagster UI can show the summary inline."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mesh_assets.insights.protocol import Insight
from mesh_assets.reports.markdown import code_span, escape_markdown, fenced, markdown_report, ui_summary
from mesh_assets.reports.prose import one_line, visible
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.reports.samples import incident, of_dataset, of_slice, plain

HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
# Texts made of what Markdown reacts to find far more than arbitrary ones.
MARKUP = st.lists(
    st.sampled_from(
        ["![", "](", ")", "[", "]", "`", "```", "~~~", "*", "_", "#", "-", "+", "1.", "=", "|", "\\", "&lt;"]
    )
    | st.sampled_from(
        ["<b>", "<http://a.b>", "http://a.b", "www.a.b", "a@b.c", "\n", "\n\n", "    ", "\t", "a", ">", ": "]
    ),
    max_size=12,
).map("".join)
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def inline(text: str) -> Iterator[Token]:
    for token in PARSER.parse(text):
        yield token
        yield from token.children or []


def kinds(text: str) -> list[str]:
    return [token.type for token in inline(text) if token.type not in ("text", "text_special")]


@settings(max_examples=200, deadline=None)
@given(HOSTILE | MARKUP)
@example("![x](http://evil/x.png)")
@example("# heading\n| a | b |\n<img src=x>")
@example("1. one")
@example("---")
def test_escaped_text_is_one_paragraph_of_just_that_text(text: str) -> None:
    escaped = escape_markdown(text)
    if not escaped:
        assert not one_line(text)
        return
    assert kinds(escaped) == ["paragraph_open", "inline", "paragraph_close"]
    (paragraph,) = [token for token in PARSER.parse(escaped) if token.type == "inline"]
    read = "".join(child.content for child in paragraph.children or [])
    assert read.replace("\u200b", "") == one_line(text)


@settings(max_examples=100, deadline=None)
@given(HOSTILE | MARKUP)
@example("a``` ` b")
def test_code_keeps_its_text_and_cannot_be_left(text: str) -> None:
    assert kinds(fenced(text)) == ["fence"]
    assert PARSER.parse(fenced(text))[0].content == visible(text) + "\n"
    (span,) = [token for token in inline(code_span(text)) if token.type == "code_inline"]
    assert span.content.strip() == one_line(text)


@settings(max_examples=60, deadline=None)
@given(HOSTILE | MARKUP)
@example("| x |\n![](http://evil)<script>alert(1)</script>")
def test_no_text_of_a_drop_becomes_markup(text: str) -> None:
    def shape(filling: str) -> list[str]:
        cited = Citation("shop", f"a{filling}", 0, 9, "ab12cd34ef5600ff", 1, f"a{filling}")
        value: dict[str, object] = {f"k{filling}": {f"a{filling}": 3}, "figure": f"a{filling}"}
        insight = Insight("log", "odd", f"a{filling}", f"a{filling}", 0.9, value, (cited,))
        reject = Reject(f"a{filling}", f"a{filling}", f"a{filling}", f"a{filling}")
        return kinds(markdown_report(of_slice(insight, unread=(reject,))))

    assert shape(text) == shape("harmless")


def test_addresses_in_texts_become_no_links_in_viewers_that_make_their_own() -> None:
    escaped = escape_markdown("see https://evil.example, WWW.evil.example or a@evil.example")
    # The patterns by which GitHub's and the Dagster UI's Markdown find addresses in plain text.
    assert not re.search(r"(?i)https?://|www\.|[-.\w+]+@[-\w]+\.", escaped)


def test_the_document_says_what_was_found_when_and_how_to_open_it() -> None:
    text = markdown_report(of_slice(incident(), plain("topic", "Payments")))
    assert "### Burst of errors in app.log" in text
    assert "2024-03-14 10:00:00 to 10:20:00 UTC (20 min)" in text
    assert "`mesh show shop/app.log:700-714@ab12cd34ef56`" in text
    assert "pool exhausted" in text
    assert "█" in text
    assert text.index("Burst of errors") < text.index("Payments")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(HOSTILE | MARKUP, HOSTILE | MARKUP), max_size=5), st.integers(0, 1500))
@example([("😀" * 150, "|" * 600)] * 5, 1000)
def test_the_summary_is_always_below_its_limit_and_inert(texts: list[tuple[str, str]], limit: int) -> None:
    insights = [incident(title=f"{i}{title}", statement=said) for i, (title, said) in enumerate(texts)]
    summary = ui_summary(of_slice(*insights), limit)
    assert len(summary.encode("utf-16-le")) // 2 < max(limit, 1)
    allowed = {"paragraph_open", "inline", "paragraph_close", "strong_open", "strong_close"}
    assert set(kinds(re.sub(r"!\[\]\(data:image/svg\+xml;base64,[A-Za-z0-9+/=]+\)$", "", summary))) <= allowed


def test_the_summary_names_the_findings_and_draws_the_first() -> None:
    report = of_dataset([incident(), plain("secret", "Key in deploy.sh", score=0.7), plain("topic", "Payments")])
    summary = ui_summary(report)
    assert "2 findings in 12 files (12.3 MB)" in summary
    assert "**Burst of errors in app.log**" in summary
    assert "**Key in deploy.sh**" in summary
    assert "Payments" not in summary
    picture = re.search(r"base64,([A-Za-z0-9+/=]+)\)", summary)
    assert picture is not None
    assert base64.b64decode(picture[1]).startswith(b"<svg ")
