"""Steps of `mesh forget` that touch files alone: what they take, and what they leave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh_assets.errors import SourceError
from mesh_assets.indexes.fakes import InMemoryFulltextIndex, InMemoryVectorIndex
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.settings import Settings
from mesh_assets.storage.asked_reports import AskedReports
from mesh_assets.storage.backfills import Backfill, record, recorded
from mesh_assets.storage.forgetting import Erasure, traces
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.retirement import SliceStores

RUN = "0a1b2c3d-0000-4000-8000-000000000001"


@pytest.fixture
def erasure(tmp_path: Path) -> Erasure:
    settings = Settings(state=tmp_path / "state", drops=tmp_path / "drops")
    for folder in (settings.drops / "web", settings.drops / "web-logs", settings.state):
        folder.mkdir(parents=True)
    lake = Lake(settings.state / "lake")
    stores = SliceStores(lake, InMemoryVectorIndex(), InMemoryFulltextIndex(), settings.state / "reports")
    return Erasure(settings, stores, "web")


def test_what_is_unpublished_is_asked_for_by_nobody(erasure: Erasure) -> None:
    lake, backfills = erasure.stores.lake, erasure.settings.state / "backfills"
    for dataset in ("web", "web-logs"):
        record(backfills, Backfill(dataset, (f"{dataset}.000000",)))
        path = lake.path("drop_manifests", dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    erasure.unpublish()
    assert lake.datasets("drop_manifests") == ["web-logs"]
    assert [backfill.dataset for _, backfill in recorded(backfills)] == ["web-logs"]
    assert list(DropArea.of(erasure.settings).folders()) == ["web-logs"]


def test_every_trace_makes_a_dataset_known(erasure: Erasure, tmp_path: Path) -> None:
    (erasure.stores.reports / "reported").mkdir(parents=True)
    rejects = erasure.stores.lake.rejects_path("chunk_sets", "rejected.000000")
    rejects.parent.mkdir(parents=True)
    rejects.touch()
    Erasure(erasure.settings, erasure.stores, "half").unpublish()
    found = traces(erasure.settings, DropArea.of(erasure.settings), erasure.stores)
    assert found == {"web", "web-logs", "reported", "rejected", "half"}


def test_answers_go_with_each_dataset_that_they_were_made_from(erasure: Erasure) -> None:
    asked = AskedReports(erasure.settings.state)
    with_others = asked.keep("ask-1", "The vault is behind the painting.", {"web", "web-logs"})
    kept = asked.keep("ask-2", "Of web, says web-logs.", {"web-logs", "we.b"})
    unfinished = kept.with_name(".ask-3.md.0.tmp")
    unfinished.write_text("<!-- made from: web -->\nThe vault")
    erasure.erase()
    assert sorted(kept.parent.iterdir()) == [kept]
    assert not with_others.exists()


def test_the_log_loses_the_lines_that_name_it_and_its_writer_goes_on(erasure: Erasure) -> None:
    log = erasure.settings.state / "dagster.log"
    erasure.clean_log(set())
    lines = ["start", "web.000000 failed", f"run {RUN} began", "web-logs.000000 is done", "the cobweb"]
    log.write_text("\n".join(lines) + "\n")
    with log.open("ab") as writer:  # as `mesh up` holds it
        erasure.clean_log({RUN})
        writer.write(b"more\n")
    assert log.read_text().splitlines() == ["start", "web-logs.000000 is done", "the cobweb", "more"]
    before = log.stat().st_mtime_ns
    erasure.clean_log({RUN})
    assert log.stat().st_mtime_ns == before


def test_files_are_deleted_in_the_drop_area_alone_and_never_through_a_link(erasure: Erasure, tmp_path: Path) -> None:
    drops, outside = erasure.settings.drops, tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    (drops / "web" / "link").symlink_to(outside)
    (drops / "linked").symlink_to(outside)
    os.mkfifo(drops / "web" / "pipe")
    for folder in (outside, drops, drops / "linked", drops / "web" / "link", drops / ".." / "outside"):
        with pytest.raises(SourceError, match="no folder of the drop area"):
            erasure.delete_source(folder)
    erasure.delete_source(drops / "web")
    erasure.delete_source(drops / "web")
    assert sorted(path.name for path in drops.iterdir()) == ["linked", "web-logs"]
    assert (outside / "precious.txt").read_text() == "precious"
