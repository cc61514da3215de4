"""When slices are asked for: new ones at once, one that keeps changing now and then, and each in the end."""

from __future__ import annotations

import json
import random

from mesh_assets.intake.due import LONGEST_WAIT_SECONDS, MAX_REMEMBERED, Asked, Slice, due_slices

SETTLE = 60.0
KIB = 1 << 10


class Sensor:
    """Ticks by a clock of its own; its cursor goes through JSON each time."""

    def __init__(self, stored: object = None) -> None:
        self.cursor = json.dumps(stored)
        self.asked: list[tuple[float, str, int]] = []

    def tick(self, now: float, slices: list[Slice], *, settle: float = SETTLE, limit: int = 500) -> list[str]:
        asked = Asked.of(json.loads(self.cursor), {found.key: found.version for found in slices})
        due, asked = due_slices(asked, slices, now=now, settle=settle, limit=limit)
        self.cursor = json.dumps(asked.stored())
        self.asked += [(now, found.slice.key, found.slice.version) for found in due]
        return [found.slice.key for found in due]


def _open(version: int, size: int, number: int = 0) -> Slice:
    return Slice(f"d.{number:06d}", version, size, is_open=True)


def _full(version: int, number: int, size: int = 64 << 20) -> Slice:
    return Slice(f"d.{number:06d}", version, size, is_open=False)


def test_a_thousand_tiny_drops_in_three_hours_rework_the_open_slice_thirty_times_at_most() -> None:
    random.seed(7)
    drops = sorted(random.uniform(0, 3 * 3600) for _ in range(1000))
    sensor, now, version = Sensor(), 0.0, 0
    while now < 3 * 3600 + 120:
        version = sum(at <= now for at in drops)
        if version:
            sensor.tick(now, [_open(version, version * 20 * KIB)])
        now += 10
    assert len(sensor.asked) <= 30, len(sensor.asked)
    assert sensor.asked[0][0] <= drops[0] + 10, "the first drop is taken at once"
    assert sensor.asked[-1][2] == 1000, "the last drop was asked for"
    for number, at in enumerate(drops, 1):
        taken = next(when for when, _, version in sensor.asked if version >= number)
        assert taken - at <= LONGEST_WAIT_SECONDS + 20, "each drop waits ten minutes and a tick or two at most"


def test_new_slices_are_asked_for_at_once_and_once() -> None:
    sensor = Sensor()
    slices = [*(_full(1, number) for number in range(5)), _open(1, KIB, 5)]
    assert len(sensor.tick(0, slices, limit=4)) == 4
    assert sensor.tick(1, slices, limit=4) == ["d.000004", "d.000005"]
    assert sensor.tick(2, slices) == []


def test_an_edit_after_a_calm_time_is_taken_at_once_and_one_that_goes_on_waits_until_it_settles() -> None:
    sensor = Sensor()
    sensor.tick(0, [_open(1, KIB)])
    assert sensor.tick(3600, [_open(2, KIB)]) == ["d.000000"]
    assert sensor.tick(3610, [_open(3, KIB)]) == []
    assert sensor.tick(3640, [_open(4, KIB)]) == []
    assert sensor.tick(3690, [_open(4, KIB)]) == []
    assert sensor.tick(3700, [_open(4, KIB)]) == ["d.000000"]
    assert sensor.tick(3710, [_open(4, KIB)]) == []


def test_a_full_slice_that_is_edited_again_and_again_waits_too() -> None:
    sensor = Sensor()
    slices = [_full(1, 0), _open(1, KIB, 1)]
    sensor.tick(0, slices)
    asked = [sensor.tick(1000 + 10 * n, [_full(2 + n, 0), _open(1, KIB, 1)]) for n in range(180)]
    assert asked[0] == ["d.000000"]
    assert sum(map(len, asked)) <= 4


def test_a_slice_that_has_become_full_does_not_wait() -> None:
    sensor = Sensor()
    sensor.tick(0, [_open(1, KIB)])
    assert sensor.tick(10, [_open(2, KIB + 1)]) == []
    assert set(sensor.tick(20, [_full(3, 0), _open(3, KIB, 1)])) == {"d.000000", "d.000001"}


def test_without_a_settle_time_every_version_is_asked_for_at_once() -> None:
    sensor = Sensor()
    assert all(sensor.tick(version, [_open(version, KIB)], settle=0) for version in range(1, 20))


def test_ten_thousand_slices_that_change_at_once_are_asked_for_and_leave_a_small_cursor() -> None:
    sensor = Sensor()
    last = _open(1, KIB, 9_999)
    sensor.tick(0, [*(_full(1, number) for number in range(9_999)), last], limit=20_000)
    assert len(sensor.cursor) < 200
    due = sensor.tick(5000, [*(_full(2, number) for number in range(9_999)), last], limit=20_000)
    assert len(due) == 9_999
    assert len(sensor.cursor) < 100 * MAX_REMEMBERED


def test_a_cursor_of_the_version_before_is_understood() -> None:
    sensor = Sensor([7, "d.000001"])
    slices = [_full(7, 0), _full(7, 1), _full(7, 2), _open(8, KIB, 3)]
    assert sensor.tick(0, slices) == ["d.000002", "d.000003"]
    assert Sensor("nonsense").tick(0, slices[:1]) == ["d.000000"]


def test_a_clock_that_jumps_back_holds_up_nothing() -> None:
    sensor = Sensor()
    sensor.tick(10_000, [_open(1, KIB)])
    assert sensor.tick(10_010, [_open(2, KIB)]) == []
    assert sensor.tick(500, [_open(2, KIB)]) == ["d.000000"]
    # A manifest that was made anew by such a clock has lower versions: all of it is asked for.
    assert sensor.tick(510, [_full(1, 0), _open(1, KIB, 1)]) == ["d.000000", "d.000001"]
