"""Runs that a person or a backfill starts count like those of the sensors; the owner's pause holds both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from mesh_assets.defs import attempts
from mesh_assets.defs.pace import set_limits
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.indexes.fakes import InMemoryFulltextIndex
from mesh_assets.machine import concurrent_runs
from mesh_assets.storage import pace
from mesh_assets.storage.run_tags import DATASET_TAG, FORCE_TAG, VERSION_TAG
from mesh_assets.storage.staleness import stale_slices
from mesh_assets_tests.flow.location import Location

KEY = "notes.000000"


@pytest.fixture
def location(tmp_path: Path) -> Iterator[Location]:
    location = Location(tmp_path, {"encoder": FakeEncoder(), "words": InMemoryFulltextIndex()})
    path = location.settings.drops / "notes" / "a.md"
    path.parent.mkdir(parents=True)
    path.write_text("# Storm\n\nThe harbour was closed.\n")
    yield location
    location.instance.dispose()


def _by_hand(location: Location, asset: str, partition: str) -> dg.ExecuteInProcessResult:
    """A run as *Materialize* in the UI starts it: no job of ours, no tag of ours."""
    job = location.defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        partition_key=partition,
        asset_selection=[dg.AssetKey(asset)],
        instance=location.instance,
        raise_on_error=False,
    )


def test_a_run_by_hand_is_found_and_tagged(location: Location) -> None:
    (request,) = location.tick("drop_sensor")
    assert request.tags["dagster/priority"] == "10"
    result = _by_hand(location, "drop_manifests", "notes")
    assert result.success
    assert attempts.attempt(location.instance, "manifest_job", "drop_manifests", "notes") == result.run_id
    assert attempts.attempt(location.instance, "report_job", "dataset_reports", "notes") == ""
    result = _by_hand(location, "raw_partitions", KEY)
    run = location.instance.get_run_by_id(result.run_id)
    assert run is not None
    version = location.lake.read("drop_manifests", "notes").footer.extra["slices"][KEY]
    assert (run.tags[DATASET_TAG], run.tags[VERSION_TAG]) == ("notes", str(version))


def test_a_slice_that_failed_by_hand_has_failed(location: Location) -> None:
    location.run("manifest_job", location.tick("drop_sensor")[0])
    assert not _by_hand(location, "chunk_sets", KEY).success  # its upstream was never made
    version = location.lake.read("drop_manifests", "notes").footer.extra["slices"][KEY]
    assert attempts.all_given_up(location.instance, {KEY: version}, since=0)
    assert not attempts.all_given_up(location.instance, {KEY: version + 1}, since=0)
    assert not attempts.all_given_up(location.instance, {KEY: version}, since=60)
    assert not attempts.is_at_work(location.instance, "notes", [KEY])


def test_a_failure_is_told_in_words(location: Location) -> None:
    location.run("manifest_job", location.tick("drop_sensor")[0])
    result = _by_hand(location, "chunk_sets", KEY)
    (event,) = [e for e in result.all_events if e.event_type is dg.DagsterEventType.STEP_FAILURE]
    told = event.step_failure_data.user_failure_data
    assert told is not None
    assert told.description == (f"raw_partitions of {KEY} was never made. Materialize raw_partitions for {KEY} first.")
    assert not [e for e in result.all_events if e.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY]


def test_force_makes_again_what_is_up_to_date_and_nothing_else_does(location: Location) -> None:
    location.settle()
    versions = location.lake.read("drop_manifests", "notes").footer.extra["slices"]
    assert stale_slices(location.lake, versions, {"chunk_tokens": 256}) == {}
    assert list(stale_slices(location.lake, versions, {"chunk_tokens": 128})) == [KEY]
    before = location.files_of("chunk_insights")
    location.run("slice_job", dg.RunRequest(partition_key=KEY))
    assert location.files_of("chunk_insights") == before
    location.run("slice_job", dg.RunRequest(partition_key=KEY, tags={FORCE_TAG: "true"}))
    assert location.files_of("chunk_insights") != before


def test_a_damaged_table_is_made_again(location: Location) -> None:
    location.settle()
    location.lake.path("chunk_sets", KEY).write_bytes(b"junk")
    versions = location.lake.read("drop_manifests", "notes").footer.extra["slices"]
    assert stale_slices(location.lake, versions, {}) == {KEY: "chunk_sets is missing or damaged"}
    location.run("slice_job", dg.RunRequest(partition_key=KEY))
    assert stale_slices(location.lake, versions, {}) == {}


def test_a_pause_takes_all_places_and_its_end_gives_them_back(location: Location) -> None:
    def limits() -> dict[str, int]:
        return {pool.name: pool.limit for pool in location.instance.event_log_storage.get_pool_limits()}

    slices = concurrent_runs(location.settings)
    assert "may work" in set_limits(location.instance, location.settings)
    assert limits() == {"slices": slices, "datasets": 1}
    pace.pause(location.settings, None)
    assert "Paused" in set_limits(location.instance, location.settings)
    assert limits() == {"slices": 0, "datasets": 0}
    assert location.tick("drop_sensor") == []
    pace.resume(location.settings)
    set_limits(location.instance, location.settings)
    assert limits() == {"slices": slices, "datasets": 1}
    assert len(location.tick("drop_sensor")) == 1
