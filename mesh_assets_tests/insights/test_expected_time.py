"""How long a drop will take: learned from slices, with intervals that hold, and pauses that are no work."""

from __future__ import annotations

import numpy as np
import pytest

from mesh_assets.insights.expected_time import Pace, expected, learned, remaining

MB = 1_000_000.0


def test_a_machine_that_is_twice_as_slow_takes_twice_as_long() -> None:
    kinds = {"log": 10 * MB}
    usual = expected(kinds, 1, Pace(), 1)
    slow = learned([(kinds, 2 * usual.likely)] * 5)
    assert slow.factor == pytest.approx(2)
    assert expected(kinds, 1, slow, 1).likely == pytest.approx(2 * usual.likely)
    assert expected(kinds, 1, slow, 1).high / usual.likely < usual.high / usual.likely * 2, "it knows more than before"


def test_slices_side_by_side_take_less_but_never_less_than_one() -> None:
    kinds = {"code": 10 * MB}
    alone, four = expected(kinds, 4, Pace(), 1), expected(kinds, 4, Pace(), 4)
    assert four.likely == pytest.approx(alone.likely / 4)
    assert expected(kinds, 1, Pace(), 4).likely == expected(kinds, 1, Pace(), 1).likely


def test_the_rest_takes_as_long_as_slices_took_so_far() -> None:
    finished = [(1000.0 + 60 * number, MB) for number in range(11)]
    left = remaining(finished, 20 * MB, 20)
    assert left is not None
    assert left.likely == pytest.approx(20 * 60)
    assert left.low < left.likely < left.high < 1.3 * left.likely


def test_a_night_without_power_is_no_work() -> None:
    finished = [(1000.0 + 60 * number + (30_000 if number > 5 else 0), MB) for number in range(11)]
    left = remaining(finished, 20 * MB, 20)
    assert left is not None
    assert left.likely == pytest.approx(20 * 60)


def test_nothing_is_guessed_from_one_slice() -> None:
    assert remaining([], MB, 1) is None
    assert remaining([(1000.0, MB)], MB, 1) is None
    assert remaining([(1000.0, MB), (1000.0, MB)], MB, 1) is None


def test_nine_of_ten_outcomes_lie_in_the_interval() -> None:
    random = np.random.default_rng(7)
    held = 0
    for _ in range(300):
        gaps = random.lognormal(4, 0.5, 40)
        done = list(zip(np.cumsum(gaps[:12]).tolist(), [MB] * 12, strict=True))
        left = remaining(done, 28 * MB, 28)
        assert left is not None
        held += left.low <= gaps[12:].sum() <= left.high
    assert held >= 0.85 * 300
