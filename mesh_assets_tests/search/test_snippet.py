"""A snippet shows the place that was looked for, on one line, safe to print."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.search.snippet import SNIPPET, snippet

FILLER = "nothing of interest here and there " * 20


def test_a_short_text_is_shown_whole_on_one_line() -> None:
    assert snippet("two\n\tlines\r\n here", "lines") == "two lines here"


def test_the_window_lies_where_most_words_of_the_query_are() -> None:
    text = f"{FILLER}a pump. {FILLER}the pump lost its gasket at night. {FILLER}"
    shown = snippet(text, "the pumps and gaskets")
    assert "pump lost its gasket" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")


def test_without_a_match_the_beginning_is_shown() -> None:
    shown = snippet("Start of it. " + FILLER, "zebra")
    assert shown.startswith("Start of it.")
    assert shown.endswith("…")


def test_the_end_of_a_text_is_shown_without_a_mark() -> None:
    assert snippet(FILLER + "last gasket", "gasket").endswith("last gasket")


def test_what_does_not_print_is_gone() -> None:
    assert snippet("\x1b[31mred\x1b[0m \u202eevil\u2066 \x00nul", "red") == "[31mred [0m evil nul"


@given(
    text=st.text(max_size=2000) | st.lists(st.sampled_from(["a", "pump", "gasket", "x" * 300, "\n"])).map(" ".join),
    query=st.text(max_size=40) | st.just("pump gasket"),
    width=st.integers(60, 400),
)
@settings(max_examples=100, deadline=None)
def test_any_text_gives_a_short_line_of_its_own_words(text: str, query: str, width: int) -> None:
    shown = snippet(text, query, width=width)
    assert len(shown) <= width + 2
    assert shown.isprintable()
    assert shown.strip("…") in " ".join("".join(c if c.isprintable() else " " for c in text).split())


def test_a_megabyte_takes_less_than_seconds() -> None:
    started = time.process_time()
    assert len(snippet("pump gasket " * 90_000, "pump gasket")) <= SNIPPET + 2
    assert time.process_time() - started < 5
