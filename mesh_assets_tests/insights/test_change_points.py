"""Levels of a series: a step is found where it is, noise, drifts, walks and bursts have none."""

from __future__ import annotations

import numpy as np
import pytest

from mesh_assets.insights.change_points import FAR, Change, changes


def found(values: np.ndarray) -> list[Change]:
    return changes(values, np.zeros(len(values)))


def noises(seed: int, count: int = 2000) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    normal = random.normal(size=count)
    return {
        "normal": normal,
        "heavy": random.standard_t(3, count),
        "skewed": np.exp(normal),
        "counts": random.poisson(2, count).astype(float),
    }


@pytest.mark.parametrize("name", noises(0))
@pytest.mark.parametrize("seed", range(3))
def test_a_step_is_found_where_it_is_and_noise_has_none(name: str, seed: int) -> None:
    values = noises(seed)[name]
    assert found(values) == []
    values[1300:] -= 6
    (change,) = found(values)
    assert abs(change.at - 1300) <= 3
    assert (change.first, change.stop) == (0, 2000)
    assert change.after - change.before == pytest.approx(-6, abs=0.3)


@pytest.mark.parametrize("seed", range(5))
def test_neither_a_walk_nor_a_drift_nor_a_burst_is_a_step(seed: int) -> None:
    normal = np.random.default_rng(seed).normal(size=2000)
    assert found(np.cumsum(normal)) == []
    assert found(normal + np.linspace(0, 40, 2000)) == []
    normal[900:930] += 50
    assert found(normal) == []


def test_steps_after_each_other_each_say_the_level_before_them() -> None:
    values = np.random.default_rng(1).normal(size=1500)
    values[500:] += 20
    values[1000:] -= 40
    first, second = found(values)
    assert (first.at, first.stop, second.first, second.at) == (500, 1000, 500, 1000)
    assert first.after == pytest.approx(second.before)


def test_a_season_hides_no_step() -> None:
    at = np.arange(2880)
    course = 50 * np.sin(2 * np.pi * at / 288)
    values = course + np.random.default_rng(2).normal(size=len(at)) + np.where(at < 2000, 0, 15)
    (change,) = changes(values, course)
    assert abs(change.at - 2000) <= 1


@pytest.mark.parametrize("count", [0, 1, 95])
def test_too_few_values_have_no_level(count: int) -> None:
    assert found(np.arange(count, dtype=float) > count / 2) == []


def test_from_one_constant_to_another_is_as_far_as_it_gets() -> None:
    (change,) = found(np.repeat([1.0, 2.0], 200))
    assert (change.at, change.z) == (200, FAR)
    assert found(np.ones(400)) == []
