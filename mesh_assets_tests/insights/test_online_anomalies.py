"""Scores of values as they come: what is new is found at once, what was there before is not, nothing looks ahead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.insights.online_anomalies import ALARM, OnlineAnomalies

DAY = 288


def scores(values: np.ndarray) -> np.ndarray:
    return OnlineAnomalies().scores(values)


def course(days: float, seed: int = 1) -> np.ndarray:
    """A metric every five minutes: a daily swing with noise."""
    moment = np.arange(int(days * DAY))
    return 50 + 20 * np.sin(2 * np.pi * moment / DAY) + np.random.default_rng(seed).normal(size=len(moment))


@given(st.integers(0, 1200), st.lists(st.integers(0, 1200), max_size=4))
@settings(max_examples=15, deadline=None)
def test_scores_depend_neither_on_what_comes_after_nor_on_the_cut_into_calls(length: int, cuts: list[int]) -> None:
    values = course(1200 / DAY)
    values[700:720] += 40
    values[500] = np.nan
    whole = scores(values)
    assert np.array_equal(scores(values[:length]), whole[:length])
    online = OnlineAnomalies()
    parts = [online.scores(part) for part in np.split(values, sorted(cuts))]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("height", [30.0, -60.0])
def test_a_spike_is_an_alarm_at_its_first_point(height: float) -> None:
    values = course(8)
    values[1800] += height
    found = scores(values)
    assert found.argmax() == 1800
    assert found[1800] >= ALARM


def test_a_value_that_is_usual_but_not_at_that_moment_is_an_alarm() -> None:
    values = course(8)
    trough = 6 * DAY + 3 * DAY // 4
    values[trough : trough + 8] = 70 + np.random.default_rng(5).normal(size=8)
    found = np.flatnonzero(scores(values) >= ALARM)
    assert any(trough <= at < trough + 8 for at in found)


def test_a_new_level_is_one_alarm_and_then_the_usual() -> None:
    values = course(8)
    values[1500:] += 80
    found = np.flatnonzero(scores(values)[1500:] >= ALARM)
    assert found[0] == 0
    assert len(found) <= 3


def test_a_day_like_the_days_before_is_none() -> None:
    assert (scores(course(20)) >= ALARM).mean() < 0.002


@pytest.mark.parametrize("constant", [7.0, 0.0, -1e-300])
def test_a_constant_says_nothing_until_it_is_left(constant: float) -> None:
    values = np.full(600, constant)
    assert not scores(values).any()
    values[400] += 0.1
    found = scores(values)
    assert np.flatnonzero(found).tolist() == [400]
    assert found[400] >= ALARM


@pytest.mark.parametrize("factor", [1e-200, 1e-6, 1e9, 1e300])
def test_the_unit_of_the_values_does_not_matter(factor: float) -> None:
    values = course(4)
    values[900] += 40
    assert np.allclose(scores(values * factor), scores(values), atol=1e-3)


@pytest.mark.parametrize("values", [[], [1.0], [np.nan] * 5, [np.inf, -np.inf], list(range(49))])
def test_too_few_values_say_nothing(values: list[float]) -> None:
    assert scores(np.array(values, float)).tolist() == [0.0] * len(values)


def test_missing_values_are_passed_over() -> None:
    values = course(8)
    values[1800] += 30
    holed = np.insert(values, [100, 1000, 1799], np.nan)
    found = scores(holed)
    assert np.array_equal(found[np.isfinite(holed)], scores(values))
    assert not found[np.isnan(holed)].any()


def test_the_largest_numbers_there_are_do_no_harm() -> None:
    values = course(4)
    values[900:902] = 1.7e308, -1.7e308
    found = scores(values)
    assert found[900] >= ALARM
    assert np.isfinite(found).all()
