"""Sensors ask for what is due, once, and for nothing that is not; a part that is down stops nothing else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from numpy.typing import NDArray

from mesh_assets.chunks import sources
from mesh_assets.defs import attempts
from mesh_assets.defs.intake import sensors
from mesh_assets.defs.reports import sensors as report_sensors
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.errors import IndexDownError, ModelError, SourceError
from mesh_assets.indexes.fakes import InMemoryFulltextIndex
from mesh_assets.indexes.protocol import Document, Stored
from mesh_assets.intake import walk
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.intake.sources import open_folder
from mesh_assets.slices import LOOSE_FILES, dataset_key
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.status import statuses
from mesh_assets_tests.flow.location import Location


class SwitchedIndex(InMemoryFulltextIndex):
    """A full-text index that can be switched off."""

    is_down = False

    def replace_slice(self, slice_key: str, documents: Iterable[Document]) -> Stored:
        if self.is_down:
            raise IndexDownError("The index does not answer.", remedy="Start it.")
        return super().replace_slice(slice_key, documents)


class PickyEncoder(FakeEncoder):
    """A model that breaks over one word."""

    broken = True

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.broken and any("kaput" in text for text in texts):
            raise ModelError("The model broke.", remedy="Mend it.")
        return super().encode(texts)


@pytest.fixture
def locations(tmp_path: Path) -> Iterator[Location]:
    location = Location(tmp_path, {"encoder": PickyEncoder(), "words": SwitchedIndex()}, {"slice_mib": 1})
    yield location
    location.instance.dispose()


def _drop(location: Location, name: str, text: str) -> Path:
    path = location.settings.drops / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_an_index_that_is_down_never_fails_a_slice_and_is_brought_in_later(locations: Location) -> None:
    index = locations.overrides["words"]
    assert isinstance(index, SwitchedIndex)
    index.is_down = True
    _drop(locations, "notes/a.md", "# Storm\n\nThe harbour was closed.\n")
    for name in ("drop_sensor", "slice_sensor"):
        job = locations.defs.resolve_sensor_def(name).job_name
        results = [locations.run(job, request) for request in locations.tick(name)]
    assert results[0].success
    ready = [e for e in results[0].get_asset_check_evaluations() if e.check_name == "ready"]
    assert {e.asset_key.to_user_string(): e.passed for e in ready} == {
        "fulltext_index": False,
        "graph_index": True,
        "vector_index": True,
    }
    state = locations.lake.read("fulltext_index", "notes.000000")
    assert (state.rows()[0]["state"], state.footer.skipped) == ("pending", 1)
    assert state.footer.conserved
    index.is_down = False
    (request,) = locations.tick("index_catch_up")
    locations.run("index_job", request)
    assert locations.lake.read("fulltext_index", "notes.000000").rows()[0]["state"] == "ready"
    assert locations.tick("index_catch_up") == []
    assert [hit.slice for hit in index.search("harbour", limit=5)] == ["notes.000000"]


def test_a_slice_that_failed_for_good_does_not_keep_the_others_from_their_report(
    locations: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_sensors, "RETRY_SECONDS", 0)
    _drop(locations, "notes/a.md", "# Fine\n\nAll is well here.\n" + "x" * 900_000)
    _drop(locations, "notes/b.md", "# Bad\n\nThis one is kaput.\n" + "x" * 900_000)
    runs = locations.settle(raise_on_error=False)
    assert sum(key.startswith("notes.00000") for key in runs) == 2
    report = locations.lake.read("dataset_reports", "notes").rows()[0]["markdown"]
    assert "notes.000001" in report
    encoder = locations.overrides["encoder"]
    assert isinstance(encoder, PickyEncoder)
    encoder.broken = False
    locations.run("slice_job", dg.RunRequest(partition_key="notes.000001"))
    assert any(key.startswith("notes@") for key in locations.settle())
    assert "not yet" not in locations.lake.read("dataset_reports", "notes").rows()[0]["markdown"]


def test_many_slices_are_asked_for_in_several_ticks_and_each_once(
    locations: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "REQUESTS_PER_TICK", 2)
    for number in range(5):
        _drop(locations, f"big/{number}.txt", f"{number}\n" + "x" * 900_000)
    locations.run("manifest_job", locations.tick("drop_sensor")[0])
    asked = [[r.partition_key for r in locations.tick("slice_sensor")] for _ in range(4)]
    assert [len(keys) for keys in asked] == [2, 2, 1, 0]
    assert len({key for keys in asked for key in keys}) == 5


def test_a_dataset_folder_that_vanished_deletes_nothing(locations: Location) -> None:
    path = _drop(locations, "notes/a.md", "# A\n\nStill known.\n")
    locations.settle()
    path.parent.rename(locations.folder / "elsewhere")
    assert locations.settle() == []
    result = locations.run("manifest_job", dg.RunRequest(partition_key="notes"), raise_on_error=False)
    assert not result.success
    assert locations.lake.read("chunk_sets", "notes.000000").footer.rows == 1


def test_the_nightly_schedule_asks_for_every_dataset(locations: Location) -> None:
    _drop(locations, "notes/a.md", "# A\n\nOne.\n")
    _drop(locations, "loose.txt", "outside\n")
    locations.settle()
    schedule = locations.defs.resolve_schedule_def("nightly_reports")
    context = dg.build_schedule_context(
        instance=locations.instance,
        instance_ref=locations.instance.get_ref(),
        repository_def=locations.defs.get_repository_def(),
        resources={"lake": locations.lake},
        scheduled_execution_time=datetime(2026, 1, 2, 3, tzinfo=UTC),
    )
    requests = schedule.evaluate_tick(context).run_requests
    assert [request.partition_key for request in requests or []] == ["notes"]


def test_a_state_that_was_deleted_is_made_again(locations: Location) -> None:
    _drop(locations, "notes/a.md", "# A\n\nOne.\n")
    first = locations.settle()
    shutil.rmtree(locations.settings.state)
    again = locations.settle()
    assert [key.split("@")[0] for key in again] == [key.split("@")[0] for key in first]
    assert locations.lake.read("dataset_reports", "notes").footer.rows == 1


def test_a_manifest_that_failed_is_asked_for_again_after_a_while(
    locations: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    _drop(locations, "notes/a.md", "# A\n\nOne.\n")
    with monkeypatch.context() as broken:
        broken.setattr(Lake, "publish", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert not locations.run("manifest_job", locations.tick("drop_sensor")[0], raise_on_error=False).success
    assert locations.tick("drop_sensor") == []
    monkeypatch.setattr(attempts, "AGAIN_AFTER_SECONDS", 0)
    assert locations.run("manifest_job", locations.tick("drop_sensor")[0]).success


def test_a_damaged_table_of_one_dataset_does_not_stop_the_others(locations: Location) -> None:
    _drop(locations, "good/a.md", "# A\n\nOne.\n")
    _drop(locations, "bad/b.md", "# B\n\nTwo.\n")
    locations.settle()
    locations.lake.path("drop_manifests", "bad").write_bytes(b"nonsense")
    _drop(locations, "good/c.md", "# C\n\nThree.\n")
    locations.settle(raise_on_error=False)
    assert locations.lake.read("chunk_sets", "good.000000").footer.rows == 2
    problems = {
        status.dataset: status.problem for status in statuses(locations.lake, DropArea(locations.settings.drops, 0))
    }
    assert "cannot be read" in problems["bad"]
    assert not problems["good"]


def test_a_folder_that_cannot_be_read_once_loses_nothing(locations: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    _drop(locations, "notes/deep/a.md", "# A\n\nOne.\n")
    _drop(locations, "notes/b.md", "# B\n\nTwo.\n")
    locations.settle()

    def failing(root: Path, folder: str) -> int:
        if folder == "deep":
            raise OSError(5, "Input/output error")
        return open_folder(root, folder)

    with monkeypatch.context() as broken:
        broken.setattr(walk, "open_folder", failing)
        locations.settle()
        rejects = [row for batch in locations.lake.rejects("drop_manifests", "notes") for row in batch.to_pylist()]
        assert [(row["path"], row["reason"]) for row in rejects] == [("deep", "unreadable folder")]
        assert locations.lake.read("chunk_sets", "notes.000000").footer.rows == 2
    locations.settle()
    assert not list(locations.lake.read("drop_manifests", "notes").rows(where=("change", "deleted")))


def test_an_edit_that_sets_the_modification_time_back_is_noticed(locations: Location) -> None:
    path = _drop(locations, "notes/a.md", "# A\n\nOne.\n")
    locations.settle()
    before = path.stat()
    path.write_text("# A\n\nTwo.\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert locations.settle()
    assert "Two." in locations.lake.read("chunk_sets", "notes.000000").rows()[0]["text"]


def test_two_folders_with_one_key_are_not_mixed_up_and_neither_is_ignored(locations: Location) -> None:
    _drop(locations, "my notes/a.md", "# A\n\nOne.\n")
    key = dataset_key("my notes")
    _drop(locations, f"{key}/b.md", "# B\n\nTwo.\n")
    locations.settle()
    rejects = [row for batch in locations.lake.rejects("drop_manifests", LOOSE_FILES) for row in batch.to_pylist()]
    assert [(row["path"], row["reason"]) for row in rejects] == [(key, "another folder has its key")]
    assert locations.lake.read("drop_manifests", key).rows()[0]["path"] == "a.md"


def test_a_reject_that_may_pass_is_tried_again_though_nothing_changed(
    locations: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise SourceError("unreadable", "The disk did not answer.", remedy="Materialize the slice again.")

    _drop(locations, "notes/a.md", "# A\n\nOne.\n")
    with monkeypatch.context() as broken:
        broken.setattr(sources, "open_verified", failing)
        locations.settle()
    assert locations.lake.read("chunk_sets", "notes.000000").footer.rejects == 1
    assert locations.settle() == []
    locations.run("slice_job", dg.RunRequest(partition_key="notes.000000"))
    assert locations.lake.read("chunk_sets", "notes.000000").footer.rows == 1
    assert any(key.startswith("notes@") for key in locations.settle()), "the report has changed"


def test_how_far_a_dataset_is_is_noted_while_it_is_worked_on(locations: Location) -> None:
    for number in range(2):
        _drop(locations, f"notes/{number}.md", f"# Note {number}\n\nAll is well here.\n" + "x" * 900_000)
    locations.run("manifest_job", locations.tick("drop_sensor")[0])
    first, second = locations.tick("slice_sensor")
    locations.run("slice_job", first)
    locations.tick("dataset_report_sensor")
    locations.tick("dataset_report_sensor")
    locations.run("slice_job", second)
    said = json.loads(str(locations.cursors["dataset_report_sensor"]))
    locations.cursors["dataset_report_sensor"] = json.dumps(said | {"@": 0})  # as if a minute had gone
    locations.tick("dataset_report_sensor")
    events = locations.instance.fetch_observations(dg.AssetKey("dataset_reports"), limit=9).records
    seen = [event.asset_observation.metadata for event in events if event.asset_observation]
    assert [numbers["slices_done"].value for numbers in seen] == [2, 1]
    assert seen[0]["bytes_left"].value == 0
    low, likely, high = (float(str(seen[1][f"seconds_left{end}"].value)) for end in ("_low", "", "_high"))
    assert 0 < low < likely < high
