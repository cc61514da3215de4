"""Runs whose process is gone, and slices that nobody works on any more, come back by themselves, and within bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from mesh_assets.defs import attempts
from mesh_assets.defs.intake import assets as intake_assets
from mesh_assets.defs.recovery import AGAIN_TAG, LONGEST_WAIT_SECONDS
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.indexes.fakes import InMemoryFulltextIndex
from mesh_assets.storage.run_locks import LOCKS, UP_LOCK, run_lock
from mesh_assets.storage.run_tags import VERSION_TAG
from mesh_assets_tests.flow.location import Location

KEY = "notes.000000"
HOUR, YEAR = 3600, 365 * 86_400
GONE = dg.DagsterRunStatus


class Clock:
    """The wall clock as sensors read it; set as one likes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        monkeypatch.setattr(attempts, "time", SimpleNamespace(time=lambda: time.time() + self.ahead))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def location(tmp_path: Path) -> Iterator[Location]:
    """A mesh with one slice that is due and was asked for, and on which no run works."""
    location = Location(tmp_path, {"encoder": FakeEncoder(), "words": InMemoryFulltextIndex()})
    notes = location.settings.drops / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("# Storm\n\nThe harbour was closed.\n")
    location.run("manifest_job", location.tick("drop_sensor")[0])
    yield location
    location.instance.dispose()


def _run(location: Location, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """A run as the daemon makes it of a request, in this state, without its work."""
    run = location.instance.create_run_for_job(
        location.defs.resolve_job_def("slice_job"),
        tags={**request.tags, "dagster/partition": str(request.partition_key)},
        status=GONE.STARTED,
    )
    if status == GONE.FAILURE:
        location.instance.report_run_failed(run)
    elif status == GONE.CANCELED:
        location.instance.report_run_canceled(run)
    return run


def test_a_slice_whose_run_died_for_good_is_asked_for_again_at_ever_longer_waits(
    location: Location, clock: Clock
) -> None:
    (request,) = location.tick("slice_sensor")
    waits = [600, 1200, 2400]
    for times, wait in enumerate(waits):
        run = _run(location, request, GONE.FAILURE)
        assert location.tick("unfinished_slices") == []
        clock.ahead += wait - 5
        assert location.tick("unfinished_slices") == [], wait
        clock.ahead += 10
        (request,) = location.tick("unfinished_slices")
        assert request.run_key == f"{KEY}@{request.tags[VERSION_TAG]}:{run.run_id}"
        assert request.tags[AGAIN_TAG] == str(times + 1)
        clock.ahead = 0.0
    _run(location, dg.RunRequest(partition_key=KEY, tags={**request.tags, AGAIN_TAG: "40"}), GONE.FAILURE)
    clock.ahead = LONGEST_WAIT_SECONDS + 5
    (request,) = location.tick("unfinished_slices")
    location.run("slice_job", request)
    assert location.tick("unfinished_slices") == [], "finished"


def test_a_slice_that_is_at_work_or_was_canceled_is_left_alone(location: Location, clock: Clock) -> None:
    (request,) = location.tick("slice_sensor")
    clock.ahead = YEAR
    run = _run(location, request, GONE.STARTED)
    assert location.tick("unfinished_slices") == []
    location.instance.report_run_canceled(run)
    assert location.tick("unfinished_slices") == []


def test_what_failed_before_this_start_of_the_mesh_is_asked_for_at_once(location: Location) -> None:
    (request,) = location.tick("slice_sensor")
    _run(location, request, GONE.FAILURE)
    assert location.tick("unfinished_slices") == []
    (location.settings.state / UP_LOCK).touch()
    assert [r.partition_key for r in location.tick("unfinished_slices")] == [KEY]


def test_a_retry_that_dagster_announced_and_lost_is_made_up_for(location: Location, clock: Clock) -> None:
    (request,) = location.tick("slice_sensor")
    run = _run(location, request, GONE.FAILURE)
    location.instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    (location.settings.state / UP_LOCK).touch()
    assert location.tick("unfinished_slices") == [], "Dagster has its time to do it"
    clock.ahead = attempts.RETRY_LOST_SECONDS + 5
    assert [r.partition_key for r in location.tick("unfinished_slices")] == [KEY]


def test_a_slice_whose_request_never_became_a_run_is_found(location: Location, clock: Clock) -> None:
    assert location.tick("slice_sensor"), "it is asked for, and the daemon is killed before it makes the run"
    assert location.tick("slice_sensor") == []
    assert location.tick("unfinished_slices") == []
    clock.ahead = HOUR
    assert [r.partition_key for r in location.tick("unfinished_slices")] == [KEY]


def test_nothing_is_started_while_the_disk_is_nearly_full(location: Location, clock: Clock) -> None:
    location.defs.resources["settings"] = location.settings.model_copy(update={"keep_free_mib": 1 << 40})  # type: ignore[index]
    clock.ahead = HOUR
    for name in ("slice_sensor", "unfinished_slices", "index_catch_up", "batch_catch_up"):
        assert location.tick(name) == []
    location.defs.resources["settings"] = location.settings  # type: ignore[index]
    assert [r.partition_key for r in location.tick("slice_sensor")] == [KEY]


def test_a_run_without_its_process_is_reported_as_failed_the_second_time_it_is_seen(location: Location) -> None:
    (request,) = location.tick("slice_sensor")
    dead, alive = (_run(location, request, GONE.STARTED) for _ in range(2))
    with run_lock(location.settings.state / LOCKS, alive.run_id):
        location.tick("orphaned_runs")
        assert {run.status for run in location.instance.get_runs() if run.run_id == dead.run_id} == {GONE.STARTED}
        location.tick("orphaned_runs")
    statuses = {run.run_id: run.status for run in location.instance.get_runs()}
    assert (statuses[dead.run_id], statuses[alive.run_id]) == (GONE.FAILURE, GONE.STARTED)


@pytest.mark.parametrize("back", [HOUR, YEAR])
def test_a_clock_that_was_set_back_blocks_no_second_try(location: Location, clock: Clock, back: int) -> None:
    (request,) = location.tick("slice_sensor")
    _run(location, request, GONE.FAILURE)
    clock.ahead = -back  # so that the run ended in the future
    assert [r.partition_key for r in location.tick("unfinished_slices")] == [KEY]
    (location.settings.drops / "notes" / "b.md").write_text("# Calm\n\nNothing.\n")
    (request,) = location.tick("drop_sensor")
    run = location.instance.create_run_for_job(
        location.defs.resolve_job_def("manifest_job"), tags=dict(request.tags), status=GONE.STARTED
    )
    location.instance.report_run_failed(run)
    assert [r.partition_key for r in location.tick("drop_sensor")] == ["notes"]


def test_versions_go_on_though_the_state_was_deleted_and_the_clock_set_back(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    (asked,) = location.tick("slice_sensor")
    (location.lake.path("drop_manifests", "notes")).unlink()
    past = SimpleNamespace(time_ns=lambda: time.time_ns() - YEAR * 10**9)
    monkeypatch.setattr(intake_assets, "time", past)
    location.run("manifest_job", location.tick("drop_sensor")[0])
    (again,) = location.tick("slice_sensor")
    assert int(again.tags[VERSION_TAG]) > int(asked.tags[VERSION_TAG])
