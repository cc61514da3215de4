"""Nearly equal texts are found among all before, and only these."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.search.alike import Alike, _runs  # pyright: ignore[reportPrivateUsage]

PASSAGE = " ".join(f"word{n}" for n in range(80))


def places(*texts: str) -> list[int]:
    alike = Alike()
    return [alike.place(text) for text in texts]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (PASSAGE, PASSAGE.upper().replace(" ", "\n  ")),
        (PASSAGE, PASSAGE.replace("word40", "edited")),
        ("pump", "(Pump)"),
        ("--- ---", "--- ---"),
        ("", " "),
    ],
)
def test_a_text_again_is_the_first_one(first: str, second: str) -> None:
    assert places(first, "something else in between", second) == [0, 1, 0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (PASSAGE, PASSAGE.replace("word10 ", "a ").replace("word40", "b").replace("word70", "c")),
        ("10:01 job 1 done\n10:02 job 2 done", "10:01 job 2 done\n10:02 job 1 done"),
        ("fish " * 9, "fish " * 7),
        ("pump", "pumps"),
        ("---", "==="),
    ],
)
def test_what_says_something_else_stays(first: str, second: str) -> None:
    assert places(first, second) == [0, 1]


words = st.lists(st.sampled_from("abcd"), max_size=40).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, max_size=12))
def test_it_finds_what_a_comparison_with_each_finds(texts: list[str]) -> None:
    firsts: list[str] = []
    expected: list[int] = []
    for text in texts:
        runs = _runs(text)
        like = [n for n, first in enumerate(firsts) if len(runs & _runs(first)) >= 0.9 * len(runs | _runs(first))]
        expected.append(like[0] if like else len(firsts))
        if not like:
            firsts.append(text)
    assert places(*texts) == expected
