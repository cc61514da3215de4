"""Logs of a drop are tables: each record with its time, level, source and template, and it opens."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mesh_assets.cli.samples import SAMPLES
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.schemas.citations import Citation
from mesh_assets.storage.opening import open_citation
from mesh_assets_tests.flow.location import Location


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Location:
    found = Location(tmp_path_factory.mktemp("logs"), {"encoder": FakeEncoder()})
    folder = found.settings.drops / "shop"
    shutil.copytree(SAMPLES / "shop-service", folder)
    lines = (folder / "shop.log").read_text().splitlines(keepends=True)
    (folder / "shop.log.1").write_text("".join(lines[: len(lines) // 2]))
    (folder / "shop.log").write_text("".join(lines[len(lines) // 2 :]))
    found.settle()
    return found


def test_each_record_of_a_drop_is_an_event_that_opens(location: Location) -> None:
    table = location.lake.read("log_events", "shop.000000")
    area = DropArea(location.settings.drops, 0)
    rows = table.rows()
    assert table.footer.rows_in == table.footer.done == location.lake.read("chunk_sets", "shop.000000").footer.rows
    for path in ("shop.log", "shop.log.1"):
        content = Path(area.folder_of("shop"), path).read_bytes()
        found = [row for row in rows if row["path"] == path]
        assert b"".join(content[row["byte_start"] : row["byte_stop"]] for row in found) == content
        assert [row["level"] for row in found] == [
            line.split()[2].replace("WARNING", "WARN") for line in content.decode().splitlines() if line[:4].isdigit()
        ]
    assert all(row["time"] for row in rows)


def test_rotated_files_are_one_log_and_its_templates_count_their_events(location: Location) -> None:
    templates = location.lake.read("log_templates", "shop.000000").rows()
    events = location.lake.read("log_events", "shop.000000").rows()
    assert {row["log"] for row in templates if row["log"].startswith("shop.log")} == {"shop.log"}
    for row in templates:
        said = [event for event in events if event["template_id"] == row["template_id"]]
        assert row["events"] == len(said) > 0
        assert (row["time_start"], row["time_stop"]) == (min(e["time"] for e in said), max(e["time"] for e in said))
        example = Citation(**row["example"])
        opened = open_citation(example, location.lake, DropArea(location.settings.drops, 0)).content
        first = opened.decode().splitlines()[0]
        assert example.quote.startswith(" ".join(first.split()))
        assert first.startswith("2026-11-22 1")
