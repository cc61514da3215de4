"""A prediction is worth what it would have been worth in the past, against chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.analyses.back_tests import Fared, Floats, Times, fared, holds, in_words, wilson
from mesh_assets.analyses.checkable import Prediction, Sign, prediction_of

A, B = Sign(message="a"), Sign(message="b")


def times(*seen: float, start: float = 0.0, stop: float = 100_000.0) -> Times:
    return Times(np.array(seen, np.float64), start, stop, "one log")


def after(within: float = 60.0, share: float = 0.5) -> Prediction:
    return Prediction(B, within, A, share)


EVERY_HOUR = [3600.0 * n for n in range(1, 21)]


def test_what_follows_nearly_always_holds_and_what_does_not_is_refuted() -> None:
    when = times(*EVERY_HOUR)
    found = fared(after(), when, times(*(t + 30 for t in EVERY_HOUR[:18])), others=())
    assert (found.cases, found.true, found.lead) == (20, 18, 30.0)
    assert found.base < 0.02
    assert holds(after(), found) is True
    rarely = fared(after(), when, times(*(t + 30 for t in EVERY_HOUR[:2])), others=())
    assert holds(after(), rarely) is False
    assert "2 of 20 cases (10%; 95% interval 3% to 30%), 30 seconds later" in in_words(after(), rarely, ["one log"])


def test_what_comes_all_the_time_was_not_foreseen() -> None:
    always = times(*np.arange(0, 100_000, 20.0).tolist())
    found = fared(after(), times(*EVERY_HOUR), always, others=())
    assert found.share == 1.0
    assert found.base > 0.99
    assert holds(after(), found) is False


def test_what_follows_on_anything_in_the_log_was_not_foreseen() -> None:
    when, then = times(*EVERY_HOUR), times(*(t + 30 for t in EVERY_HOUR))
    busy = [np.array(EVERY_HOUR) + more for more in (5, 10, 15)]
    found = fared(after(), when, then, others=busy)
    assert found.base == 1.0
    assert holds(after(), found) is False
    one_of_the_story = fared(after(), when, then, others=busy[:1])
    assert holds(after(), one_of_the_story) is True


def test_few_cases_bursts_and_the_newest_ones_tell_nothing() -> None:
    burst = times(*(1000.0 + n for n in range(50)), 5000.0, 99_990.0)
    found = fared(after(), burst, times(1060.0, 5010.0), others=())
    assert (found.cases, found.true) == (2, 2)
    assert holds(after(), found) is None
    assert "Fewer than 5 cases tell nothing" in in_words(after(), found, ["one log"])


def test_the_time_that_the_prediction_was_made_of_is_no_test_of_it() -> None:
    when, then = times(*EVERY_HOUR), times(*(t + 30 for t in EVERY_HOUR))
    found = fared(after(), when, then, others=(), left_out=(3500.0, 7300.0))
    assert found.cases == 18


def test_something_follows_on_itself_only_by_another_one() -> None:
    same = times(*EVERY_HOUR)
    found = fared(Prediction(A, 60.0, A), same, same, others=())
    assert found.true == 0


def test_without_a_condition_each_stretch_of_the_past_is_a_case() -> None:
    prediction = Prediction(B, 3600.0, share=0.9)
    found = fared(prediction, None, times(*(t + 30 for t in EVERY_HOUR), stop=3600.0 * 21), others=())
    assert found.cases == 21
    assert found.true == 20
    assert holds(prediction, found) is True


def test_where_the_interval_leaves_it_open_it_cannot_be_told() -> None:
    assert holds(after(share=0.5), Fared(6, 3, 0.0, 1.0, *wilson(3, 6))) is True
    assert holds(after(share=0.6), Fared(6, 3, 0.0, 1.0, *wilson(3, 6))) is None
    assert holds(after(share=0.1), Fared(6, 2, 0.2, 1.0, *wilson(2, 6))) is None


def test_the_interval_of_wilson_is_that_of_the_books() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(
    when=st.lists(st.integers(0, 5000), max_size=40),
    then=st.lists(st.integers(0, 5000), max_size=40),
    within=st.integers(1, 600),
)
def test_counts_are_those_of_counting_by_hand(when: list[int], then: list[int], within: int) -> None:
    first, second = sorted(set(when)), sorted(set(then))
    found = fared(
        after(float(within)), times(*first, stop=5000), times(*second, stop=5000), others=[_floats(first)] * 3
    )
    starts = [t for n, t in enumerate(first) if n == 0 or t - first[n - 1] > within]
    cases = [t for t in starts if t <= 5000 - within]
    least = 1 if first == second else 0
    true = [t for t in cases if any(least <= other - t <= within for other in second)]
    assert (found.cases, found.true) == (len(cases), len(true))
    assert 0 <= found.low <= found.share <= found.high <= 1 or not cases
    assert 0 <= found.base <= 1


def _floats(values: list[int]) -> Floats:
    return np.array(values, np.float64)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"then": {"message": "b"}},
        {"then": {"message": "b", "series": "cpu"}, "within_seconds": 5},
        {"then": {"series": "cpu", "is": "explodes", "value": 1}, "within_seconds": 5},
        {"then": {"series": "cpu", "is": "above"}, "within_seconds": 5},
        {"then": {"message": "b"}, "within_seconds": float("nan")},
        {"then": {"message": "b"}, "within_seconds": 5, "share": 2},
        {"then": {"message": "b"}, "within_seconds": True},
        {"when": "import os", "then": {"message": "b"}, "within_seconds": 5},
    ],
)
def test_what_is_no_prediction_is_said_to_be_none(form: dict[str, object]) -> None:
    assert isinstance(prediction_of({"prediction": form}), str)


def test_a_prediction_reads_as_a_sentence() -> None:
    form = {"when": {"message": "replica lag"}, "then": {"series": "cpu", "is": "above", "value": 90}}
    found = prediction_of({"prediction": {**form, "within_seconds": 60, "share": 0.8}})
    assert str(found) == "after `replica lag`, `cpu` above 90 within 1 minute, in 80% of cases or more"
    assert prediction_of({"statement": "x"}) is None
