"""The owner's pause and hours: told in words, and runs at work give way to them without counting the time."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

from mesh_assets.schemas.outcome import Outcome
from mesh_assets.settings import Settings
from mesh_assets.storage import pace
from mesh_assets.storage.pace import GiveWay, held

MONDAY_NOON = datetime(2026, 11, 23, 12).timestamp()


def test_a_pause_holds_until_its_end_or_until_it_is_resumed(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    assert held(settings, MONDAY_NOON) is None
    pace.pause(settings, MONDAY_NOON + 3600)
    assert held(settings, MONDAY_NOON) == "Paused by `mesh pause` until 13:00."
    assert held(settings, MONDAY_NOON + 3600) is None
    pace.pause(settings, None)
    assert held(settings, MONDAY_NOON + 1e6) == "Paused by `mesh pause` until `mesh resume`."
    assert pace.resume(settings)
    assert not pace.resume(settings)
    assert held(settings) is None


def test_a_pause_that_cannot_be_read_is_one(tmp_path: Path) -> None:
    (tmp_path / "pause.json").write_text("{")
    assert held(Settings(state=tmp_path)) == "Paused by `mesh pause` until `mesh resume`."


def test_out_of_the_hours_says_when_it_goes_on(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, hours="Mon-Fri 19:00-07:00")
    assert held(settings, MONDAY_NOON) == "Out of the working hours (Mon-Fri 19:00-07:00): it goes on at 19:00."
    saturday = datetime(2026, 11, 28, 12).timestamp()
    assert "Mon 2026-11-30 19:00" in (held(settings, saturday) or "")
    assert held(settings, datetime(2026, 11, 23, 20).timestamp()) is None


def test_a_run_waits_between_batches_and_its_rate_does_not_count_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, said = Settings(state=tmp_path), list[str]()
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        if clock[0] >= 1101.0:
            pace.resume(settings)

    monkeypatch.setattr(time, "sleep", sleep)
    outcome = Outcome("rows", total=2, give_way=GiveWay(settings, said.append), _started=clock[0], _logged=clock[0])
    outcome.advance()
    pace.pause(settings, None)
    clock[0] += 0.5
    outcome.advance()  # it looked less than a second ago
    assert said == []
    clock[0] += 1.0
    outcome.advance()
    assert [line.split(".")[0] for line in said] == [
        "Paused by `mesh pause` until `mesh resume`",
        "The mesh may work again: this run goes on",
    ]
    assert outcome.seconds == pytest.approx(1.5)
