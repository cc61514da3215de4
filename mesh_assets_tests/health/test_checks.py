"""What `mesh doctor` makes of what it meets: each fault is named with its remedy, and what is in order is not."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_assets.health import machine, probe, running, software
from mesh_assets.health.findings import Finding, is_healthy
from mesh_assets.settings import PROJECT_ROOT, Settings
from mesh_assets.storage.run_locks import run_lock

FOLDER = machine.Folder("MESH_STATE", "/state", exists=True, writable=True, free=50_000_000_000, locks=True)
CONFIG = {
    "telemetry": {"enabled": False},
    "concurrency": {"runs": {"tag_concurrency_limits": [{"key": "dagster/partition", "limit": 1}]}},
    "run_retries": {"enabled": True},
}
HOUR = 3600.0


def _levels(findings: list[Finding]) -> list[str]:
    for finding in findings:
        assert finding.what
        assert finding.level == "ok" or finding.remedy, "what is not in order has a remedy"
    return [finding.level for finding in findings]


def test_only_what_is_wrong_makes_the_status() -> None:
    assert is_healthy([Finding("a", "ok", "x"), Finding("b", "warn", "x", "y")])
    assert not is_healthy([Finding("a", "ok", "x"), Finding("b", "wrong", "x", "y")])


class TestSoftware:
    """Versions against what pyproject.toml asks for."""

    def test_this_installation_is_in_order(self) -> None:
        wanted, ranges = probe.requirements()
        assert len(ranges) > 10
        assert _levels(software.packages(ranges, probe.installed)) == ["ok"]
        family = probe.dagster_packages()
        assert {"dagster", "dagster-webserver", "dagster-duckdb"} <= set(family)
        assert _levels([software.dagster_family(family), software.python("3.11.9", wanted)]) == ["ok", "ok"]

    def test_a_package_that_is_missing_or_out_of_range_is_named(self) -> None:
        there = {"duckdb": "1.4.0", "torch": "2.13.0+cpu"}
        found = software.packages(["duckdb>=2.0,<3", "faiss-cpu>=1", "torch==2.13.0"], there.get)
        assert _levels(found) == ["wrong", "wrong"]
        assert "duckdb 1.4.0" in found[0].what
        assert "faiss-cpu is not installed" in found[1].what

    def test_packages_of_two_releases_of_dagster_are_named(self) -> None:
        mixed = {"dagster": "1.13.27", "dagster-webserver": "1.13.26", "dagster-duckdb": "0.29.27"}
        found = software.dagster_family(mixed)
        assert _levels([found]) == ["wrong"]
        assert "dagster-webserver 1.13.26" in found.what
        assert "duckdb" not in found.what

    def test_an_old_python_and_an_optional_package(self) -> None:
        assert _levels([software.python("3.10.2", ">=3.11")]) == ["wrong"]
        absent = software.debian(lambda _: False)[0]
        assert absent.level == "ok"
        assert "optional" in absent.what
        assert "apt-get" in absent.remedy


class TestMachine:
    """Disks, clock, memory and names."""

    def test_disks(self) -> None:
        assert machine.disk(FOLDER, 1_000_000_000).level == "ok"
        assert _levels([machine.disk(FOLDER, 60_000_000_000)]) == ["wrong"]
        assert _levels([machine.disk(FOLDER, 49_500_000_000)]) == ["warn"]
        assert _levels([machine.disk(replace(FOLDER, free=10_000_000), 0)]) == ["wrong"]
        assert "cannot be written" in machine.disk(replace(FOLDER, writable=False), 0).what

    def test_file_systems(self) -> None:
        assert _levels(machine.file_system(FOLDER)) == ["ok"]
        assert _levels(machine.file_system(replace(FOLDER, network="nfs4", locks=False))) == ["warn", "wrong"]
        assert machine.file_system(replace(FOLDER, locks=None)) == []

    def test_a_clock_that_was_set_back(self) -> None:
        now = time.time()
        assert _levels(machine.clock(now, [("a", now - HOUR), ("b", now + 1)])) == ["ok"]
        found = machine.clock(now, [("the manifest of d", now + HOUR), ("b", now - 1)])
        assert _levels(found) == ["warn"]
        assert found[0].what == "the manifest of d is 1 h in the future"

    def test_memory_cores_and_files(self) -> None:
        assert _levels([machine.memory(2_000_000_000, 2), machine.memory(16_000_000_000, 2)]) == ["warn", "ok"]
        assert _levels([machine.cores(2, 2, 1), machine.cores(2, 2, 4), machine.cores(1, 2, 1)]) == ["ok", "warn", "ok"]
        assert _levels([machine.open_files(256), machine.open_files(1024)]) == ["warn", "ok"]

    def test_names_of_hosts(self) -> None:
        assert machine.host_names("box", localhost=True, own=True).level == "ok"
        assert _levels([machine.host_names("box", localhost=True, own=False)]) == ["warn"]
        assert _levels([machine.host_names("box", localhost=False, own=True)]) == ["wrong"]
        assert probe.is_loopback("localhost")

    def test_what_a_folder_is_like_is_told_from_the_nearest_there(self, tmp_path: Path) -> None:
        there = probe.folder("MESH_STATE", tmp_path)
        assert (there.exists, there.writable, there.locks, there.network) == (True, True, True, None)
        later = probe.folder("MESH_STATE", tmp_path / "a" / "b")
        assert (later.exists, later.writable, later.locks) == (False, True, None)
        assert later.free > 0
        assert list(tmp_path.iterdir()) == []

    def test_room_is_expected_for_what_is_not_read_yet(self) -> None:
        small = probe.LakeFacts(read=1_000, left=1_000_000, state=50_000, moments=())
        assert small.expected == 1_000_000 * machine.STATE_PER_BYTE
        measured = probe.LakeFacts(read=10**9, left=10**9, state=2 * 10**9, moments=())
        assert measured.expected == 2 * 10**9


class TestRunning:
    """Home, daemon, locks and runs."""

    def test_home(self, tmp_path: Path) -> None:
        assert _levels(running.home(str(tmp_path), named_by_env=str(tmp_path), clone=tmp_path)) == ["ok"]
        moved = running.home(str(tmp_path), named_by_env="/gone/clone", clone=tmp_path)
        assert _levels(moved) == ["warn", "ok"]
        assert "/gone/clone" in moved[0].what
        assert _levels(running.home("relative", named_by_env=None, clone=tmp_path)) == ["wrong"]

    def test_settings_of_the_instance(self) -> None:
        shipped = probe.yaml_of(PROJECT_ROOT / "dagster.yaml")
        assert _levels(running.instance_settings("/home", shipped)) == ["ok"]
        assert _levels(running.instance_settings("/home", CONFIG)) == ["ok"]
        assert _levels(running.instance_settings("/home", None)) == ["wrong"]
        assert _levels(running.instance_settings("/home", {"telemetry": None})) == ["warn", "wrong", "warn"]

    @pytest.mark.parametrize(
        ("up", "beat", "processes", "level"),
        [
            (None, None, [], "ok"),
            (None, 5 * HOUR, [], "ok"),
            (None, 10.0, [], "ok"),
            (None, 5 * HOUR, [7], "warn"),
            (HOUR, 20.0, [7], "ok"),
            (HOUR, HOUR, [7], "wrong"),
            (HOUR, None, [], "wrong"),
            (20.0, None, [], "ok"),
            (HOUR, 20.0, [7, 8], "wrong"),
        ],
    )
    def test_daemon(self, up: float | None, beat: float | None, processes: list[int], level: str) -> None:
        assert _levels([running.daemon(running.Daemon(up, beat, processes))]) == [level]

    def test_runs_without_a_process(self) -> None:
        assert running.runs(["a"], ["a"], up=True).level == "ok"
        assert _levels([running.runs(["a", "b"], ["a"], up=True)]) == ["wrong"]
        assert _levels([running.runs(["a", "b"], ["a"], up=False)]) == ["warn"]

    def test_locks_and_port(self, tmp_path: Path) -> None:
        assert probe.run_locks(tmp_path) == ([], [])
        with run_lock(tmp_path / "locks", "alive"):
            (tmp_path / "locks" / "dead.lock").touch()
            assert probe.run_locks(tmp_path) == (["dead"], ["alive"])
        assert "1 were left" in running.run_locks(["dead"], ["alive"]).what
        assert _levels([running.port(1, taken=True, up=False), running.port(1, taken=True, up=True)]) == ["warn", "ok"]

    def test_whether_the_mesh_is_up(self, tmp_path: Path) -> None:
        assert probe.up_since(tmp_path) is None
        lock = tmp_path / "up.lock"
        lock.touch()
        assert probe.up_since(tmp_path) is None
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.utime(lock, (time.time() - HOUR, time.time() - HOUR))
            assert probe.up_since(tmp_path) == pytest.approx(HOUR, abs=60)


def test_a_lake_that_is_not_there_yet_has_no_moments(tmp_path: Path) -> None:
    facts = probe.lake_facts(Settings(state=tmp_path / "state", drops=tmp_path / "drops"))
    assert (facts.read, facts.left, facts.expected) == (0, 0, 0)
