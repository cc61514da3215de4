"""When a pause ends, as people write it."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from mesh_assets.cli.pause import end_of_pause
from mesh_assets.errors import SettingsError

NOON = datetime(2026, 11, 23, 12)


@pytest.mark.parametrize(
    ("until", "expected"),
    [("18:00", "2026-11-23T18:00"), ("07:30", "2026-11-24T07:30"), ("2026-12-01 08:00", "2026-12-01T08:00")],
)
def test_a_time_of_day_is_the_next_one(until: str, expected: str) -> None:
    assert end_of_pause(until, "", NOON) == datetime.fromisoformat(expected).timestamp()


@pytest.mark.parametrize(("length", "seconds"), [("2h", 7200), ("90min", 5400), ("1d 12h", 129600), ("30m", 1800)])
def test_a_length_counts_from_now(length: str, seconds: int) -> None:
    assert end_of_pause("", length, NOON) == pytest.approx(time.time() + seconds, abs=60)


def test_without_a_time_it_lasts() -> None:
    assert end_of_pause("", "", NOON) is None


@pytest.mark.parametrize(
    ("until", "length"), [("later", ""), ("2026-11-23 11:00", ""), ("", "two hours"), ("18:00", "2h"), ("", "5")]
)
def test_what_is_no_time_to_come_is_refused_in_words(until: str, length: str) -> None:
    with pytest.raises(SettingsError):
        end_of_pause(until, length, NOON)
