"""Sums in an answer are worked out again, and only what is one is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.mesh.routing.arithmetic import equations, evaluate, numbers


@pytest.mark.parametrize(
    "text",
    [
        "He has 16 - 3 = <<16-3=13>>13 eggs.",
        "That is 2 + 1/2 = 5/2 = 2.5 bolts.",
        "3 x $4.50 = $13.50.",
        "A discount of 10% * $50 = $5",
        "1,200 / 7 = 171.43 for each",
        "50/200 = 25%",
        "20 × (1 − 10%) = 18",
        "20 / 3 = 7 boxes",
    ],
)
def test_right_sums_hold(text: str) -> None:
    assert equations(text)
    assert all(each.holds for each in equations(text)), text


@pytest.mark.parametrize(
    ("text", "computed"),
    [("13 - 1 = 11", 12), ("4 + 4/4 x 10 = 11", 14), ("<<20*13=261>>", 260), ("1,000 + 1 = 1,002", 1001)],
)
def test_wrong_sums_are_found_with_what_they_are(text: str, computed: float) -> None:
    (wrong,) = [each for each in equations(text) if not each.holds]
    assert wrong.computed == computed


@pytest.mark.parametrize("text", ["a = 3", "call 555-1234", "x = y + 1", "=" * 50, "= = 1", "2 + = 3", "1/0 = 0", ""])
def test_what_is_no_sum_is_left_out(text: str) -> None:
    assert equations(text) == []


@pytest.mark.parametrize("text", ["__import__('os')", "9**9**9", "1 if 1 else 2", "(" * 5_000, "1e999", "7//0"])
def test_nothing_that_a_text_says_runs(text: str) -> None:
    assert evaluate(text) is None


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="0123456789+-*/()=.,%$<> x\n\u0660é", max_size=300))
def test_no_text_is_too_odd(text: str) -> None:
    for each in equations(text):
        assert evaluate(each.expression) == each.computed
    numbers(text)


@settings(max_examples=40, deadline=None)
@given(st.integers(-999, 999), st.integers(1, 999), st.sampled_from("+-*"))
def test_sums_of_whole_numbers_hold_just_where_they_are_right(left: int, right: int, sign: str) -> None:
    value = {"+": left + right, "-": left - right, "*": left * right}[sign]
    assert [each.holds for each in equations(f"{left} {sign} {right} = {value}")] == [True]
    assert [each.holds for each in equations(f"{left} {sign} {right} = {value + 1}")] == [False]


def test_a_text_of_digits_alone_is_read_in_moments() -> None:
    assert isinstance(equations("1+" * 200_000 + "=" + "1 " * 200_000), list)
