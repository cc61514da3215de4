"""The money left buys the best expected quality, never more than there is, and people are told why."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.errors import RoutingError
from mesh_assets.mesh.routing.choice import Candidate, Choice, OpenCase, choose

CHEAP = Candidate("llama-70b", 0.64, Decimal("0.0004"), latency_s=2, policy="local", context_tokens=8_000)
DEAR = Candidate("claude-opus", 0.91, Decimal("0.08"), latency_s=30, policy="may-leave", context_tokens=200_000)

candidates = st.builds(
    Candidate,
    st.sampled_from(["a", "b", "c", "d"]),
    st.integers(0, 20).map(lambda twentieths: twentieths / 20),
    st.integers(0, 12).map(lambda cents: Decimal(cents) / 100),
)
cases = st.lists(st.lists(candidates, max_size=3), min_size=1, max_size=5).map(
    lambda lists: [OpenCase(str(number), tuple(each)) for number, each in enumerate(lists)]
)


def _quality(choices: list[Choice]) -> float:
    return sum(choice.chosen.expected_quality for choice in choices if choice.chosen)


def _best(open_cases: list[OpenCase], budget: Decimal) -> float:
    """By trying everything."""
    every = product(*[(None, *case.candidates) for case in open_cases])
    paid = [picked for picked in every if sum(each.cost_usd for each in picked if each) <= budget]
    return max(sum(each.expected_quality for each in picked if each) for picked in paid)


@settings(max_examples=80, deadline=None)
@given(cases, st.integers(0, 40).map(lambda cents: Decimal(cents) / 100))
def test_the_choices_cost_no_more_than_there_is_and_are_within_one_step_of_the_best(
    open_cases: list[OpenCase], budget: Decimal
) -> None:
    choices = choose(open_cases, budget)
    assert [choice.case_id for choice in choices] == [case.case_id for case in open_cases]
    assert sum(choice.chosen.cost_usd for choice in choices if choice.chosen) <= budget
    largest = max((each.expected_quality for case in open_cases for each in case.candidates), default=0.0)
    assert _quality(choices) >= _best(open_cases, budget) - largest - 1e-9
    assert all(choice.reason.endswith(".") for choice in choices)


@settings(max_examples=30, deadline=None)
@given(cases)
def test_with_enough_money_each_case_has_its_best_node(open_cases: list[OpenCase]) -> None:
    choices = choose(open_cases, Decimal(100))
    assert _quality(choices) == pytest.approx(_best(open_cases, Decimal(100)))


def test_money_goes_where_it_gains_most() -> None:
    easy = OpenCase("easy", (Candidate("weak", 0.9, Decimal("0.01")), Candidate("strong", 0.95, Decimal("1.00"))))
    hard = OpenCase("hard", (Candidate("weak", 0.2, Decimal("0.01")), Candidate("strong", 0.9, Decimal("1.00"))))
    first, second = choose([easy, hard], Decimal("1.01"))
    assert first.chosen and first.chosen.node == "weak"
    assert second.chosen and second.chosen.node == "strong"
    assert "strong would with 95%, but at $1.00 it does not fit the budget, of which $0.00 is left" in first.reason
    assert "the best cheaper one, weak, would with 20%" in second.reason


def test_private_data_go_to_no_node_outside() -> None:
    (choice,) = choose([OpenCase("x", (CHEAP, DEAR), private=True)], Decimal(1))
    assert choice.chosen == CHEAP
    assert "claude-opus may not: the data are private and would leave this machine." in choice.reason


def test_a_case_that_is_too_long_or_in_a_hurry_passes_over_nodes_and_says_so() -> None:
    long, hurried = choose(
        [OpenCase("long", (CHEAP, DEAR), tokens=9_000), OpenCase("hurried", (CHEAP, DEAR), deadline_s=5)], Decimal(1)
    )
    assert long.chosen == DEAR
    assert "llama-70b may not: the case has 9,000 tokens and it holds 8,000." in long.reason
    assert hurried.chosen == CHEAP
    assert "claude-opus may not: it takes 30 s and the case has 5." in hurried.reason


def test_an_answer_that_is_there_is_kept_for_nothing() -> None:
    kept = Candidate("keep the answer", 0.7, Decimal(0))
    (choice,) = choose([OpenCase("x", (kept, DEAR))], Decimal("0.05"))
    assert choice.chosen == kept


def test_what_cannot_be_answered_says_why() -> None:
    none, broke, barred = choose(
        [OpenCase("none", ()), OpenCase("broke", (DEAR,)), OpenCase("barred", (DEAR,), private=True)], Decimal("0.01")
    )
    assert none.reason == "There is no node for it."
    assert broke.reason == "The budget has $0.01 left, and the cheapest node, claude-opus, costs $0.08."
    assert barred.reason.startswith("No node may have it. claude-opus may not")
    assert not any(choice.chosen for choice in (none, broke, barred))


@pytest.mark.parametrize(("quality", "cost"), [(1.1, "0"), (float("nan"), "0"), (0.5, "-1"), (0.5, "NaN")])
def test_what_is_no_candidate_is_refused(quality: float, cost: str) -> None:
    with pytest.raises(RoutingError):
        Candidate("x", quality, Decimal(cost))
    with pytest.raises(RoutingError):
        choose([], Decimal(-1))
