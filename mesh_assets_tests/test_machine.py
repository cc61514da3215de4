"""Working hours and the machine's limits: pure."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mesh_assets import machine
from mesh_assets.errors import SettingsError
from mesh_assets.hours import Hours
from mesh_assets.settings import Settings, load_settings

# 2026-11-23 is a Monday.
NIGHTS = "Mon-Fri 19:00-07:00; Sat-Sun 00:00-24:00"


@pytest.mark.parametrize(
    ("hours", "moment", "may", "next_start"),
    [
        ("always", "2026-11-23T12:00", True, None),
        ("19:00-07:00", "2026-11-23T18:59", False, "2026-11-23T19:00"),
        ("19:00-07:00", "2026-11-23T19:00", True, None),
        ("19:00-07:00", "2026-11-24T06:59", True, None),
        ("19:00-07:00", "2026-11-24T07:00", False, "2026-11-24T19:00"),
        ("09:00-17:00", "2026-11-23T17:30", False, "2026-11-24T09:00"),
        (NIGHTS, "2026-11-27T12:00", False, "2026-11-27T19:00"),
        (NIGHTS, "2026-11-28T06:00", True, None),
        (NIGHTS, "2026-11-29T23:59", True, None),
        (NIGHTS, "2026-11-30T00:00", False, "2026-11-30T19:00"),
        ("Fri 22:00-02:00", "2026-11-28T01:00", True, None),
        ("Fri 22:00-02:00", "2026-11-28T02:00", False, "2026-12-04T22:00"),
        ("Sat,Mon 08:00-09:00", "2026-11-23T09:00", False, "2026-11-28T08:00"),
    ],
)
def test_hours_hold_local_time_by_days(hours: str, moment: str, may: bool, next_start: str | None) -> None:
    parsed, at = Hours.parse(hours), datetime.fromisoformat(moment)
    assert parsed.hold(at) is may
    found = parsed.next_start(at)
    assert (found.isoformat(timespec="minutes") if found else None) == next_start


@pytest.mark.parametrize("text", ["nights", "19-7", "25:00-07:00", "19:00-19:00", "Someday 19:00-07:00", "19:00-07:60"])
def test_hours_that_cannot_be_read_are_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"no |begins"):
        Hours.parse(text)
    monkeypatch.setenv("MESH_HOURS", text)
    with pytest.raises(SettingsError, match="MESH_HOURS"):
        load_settings()


def _machine(monkeypatch: pytest.MonkeyPatch, *, cores: int, memory: float) -> None:
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(cores)))
    pages: dict[str, int] = {"SC_PHYS_PAGES": int(memory * 1e9) // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(machine.os, "sysconf", pages.__getitem__)
    monkeypatch.setattr(machine, "_CGROUP", Path("/nonexistent"))


@pytest.mark.parametrize(
    ("cores", "memory", "options", "runs", "threads"),
    [
        (2, 8, {}, 2, 1),
        (16, 64, {}, 4, 4),
        (16, 64, {"cores": 3}, 3, 1),
        (16, 64, {"memory_gib": 3.5}, 2, 8),
        (16, 64, {"memory_gib": 0.5}, 1, 16),
        (16, 2, {}, 1, 16),
        (8, 64, {"threads": 6}, 4, 6),
        (1, 1, {}, 1, 1),
    ],
)
def test_runs_and_threads_fit_cores_and_memory(
    monkeypatch: pytest.MonkeyPatch, cores: int, memory: float, options: dict[str, Any], runs: int, threads: int
) -> None:
    _machine(monkeypatch, cores=cores, memory=memory)
    settings = Settings(**options)
    assert (machine.concurrent_runs(settings), machine.run_threads(settings)) == (runs, threads)
    assert runs * machine.RUN_BYTES <= max(machine.memory_bytes(settings), machine.RUN_BYTES)


def test_the_limits_of_a_container_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _machine(monkeypatch, cores=16, memory=64)
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    (tmp_path / "memory.max").write_text("4000000000\n")
    assert (machine.cores(Settings()), machine.memory_bytes(Settings())) == (3, 4_000_000_000)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert (machine.cores(Settings()), machine.concurrent_runs(Settings())) == (16, 4)
