"""Code of a drop: what stands out is in the report of the slice, and each citation opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.schemas.citations import Citation
from mesh_assets.storage.opening import open_citation
from mesh_assets_tests.flow.location import Location

RUN = "import subprocess\n\n\ndef execute(command):\n    return subprocess.call(command, shell=True)\n"


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Location:
    found = Location(tmp_path_factory.mktemp("code"), {"encoder": FakeEncoder()})
    folder = found.settings.drops / "app"
    folder.mkdir(parents=True)
    (folder / "run.py").write_text(RUN)
    (folder / "notes.md").write_text("# Notes\n\nThe service starts by `execute`.\n")
    found.settle()
    return found


def test_a_risky_call_is_a_finding_of_the_slice_and_opens_at_its_line(location: Location) -> None:
    table = location.lake.read("code_findings", "app.000000")
    assert table.footer.rows_in == table.footer.done == location.lake.read("chunk_sets", "app.000000").footer.rows
    said = [row for row in location.lake.read("slice_insights", "app.000000").rows() if row["type"] == "code_risk"]
    assert len(said) == 1
    assert said[0]["statement"].startswith("run.py, line 5, in execute")
    opened = open_citation(
        Citation(**said[0]["evidence"][0]), location.lake, DropArea(location.settings.drops, 0)
    ).content
    assert opened.decode().strip() == "return subprocess.call(command, shell=True)"


def test_the_report_says_it(location: Location) -> None:
    pages = [path.read_text() for path in Path(location.settings.state).rglob("*.md") if "app" in str(path)]
    assert any("subprocess call with shell=True" in page for page in pages)
