"""Files that grow, move, or are larger than a slice, from the drop to the citation, by the real sensors and jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.indexes.fakes import InMemoryFulltextIndex
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.schemas.citations import Citation
from mesh_assets.storage.opening import open_citation
from mesh_assets_tests.flow.location import Location


@pytest.fixture
def location(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Location]:
    options = {"slice_mib": 1, **request.param}
    made = Location(tmp_path, {"encoder": FakeEncoder(), "words": InMemoryFulltextIndex()}, options)
    yield made
    made.instance.dispose()


def _lines(first: int, size: int) -> str:
    lines: list[str] = []
    written = 0
    while written < size:
        number = first + len(lines)
        lines.append(
            f"2026-03-01 {number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d} INFO job {number} "
        )
        lines[-1] += "waits for the disk and the network to answer its questions " * 8 + "\n"
        written += len(lines[-1])
    return "".join(lines)


def _chunks(location: Location, dataset: str) -> list[dict[str, Any]]:
    slices = location.lake.read("drop_manifests", dataset).footer.extra["slices"]
    rows = [row for key in slices for row in location.lake.read("chunk_sets", key).rows()]
    return sorted(rows, key=lambda row: (row["path"], row["byte_start"]))


def _covered(location: Location, dataset: str, path: Path) -> int:
    """Up to where the chunks cover a file, without gap, each with exactly its bytes."""
    content, at = path.read_bytes(), 0
    for row in _chunks(location, dataset):
        if row["path"] == path.name:
            assert row["byte_start"] == at
            at = row["byte_stop"]
            assert content[row["byte_start"] : at].decode() == row["text"]
    return at


@pytest.mark.parametrize("location", [{"quiet_seconds": 3600}], indirect=True)
def test_a_log_that_never_becomes_quiet_is_read_while_it_grows(location: Location) -> None:
    path = location.settings.drops / "logs" / "app.log"
    path.parent.mkdir()
    first = _lines(0, 300_000)
    path.write_text(first + "2026-03-02 00:00:00 INFO not yet compl")
    assert location.settle() == [], "it has only just been written"
    notes = location.settings.state / "walks" / "logs+growing.json"
    assert list(json.loads(notes.read_text())) == ["app.log"]
    notes.write_text(json.dumps({"app.log": 0}))  # it has been growing for years
    assert len(location.settle()) >= 2
    assert _covered(location, "logs", path) == len(first)
    assert location.settle() == [], "it is taken every ten minutes only, or when it has grown by a MiB"
    before = location.files_of("chunk_sets")
    with path.open("a") as log:
        log.write("ete\n" + _lines(9000, 1_250_000))
    location.settle()
    assert _covered(location, "logs", path) > len(first) + 1_200_000
    after = location.files_of("chunk_sets")
    assert {name: after[name] for name in before} == before, "what was read stays as it is"
    assert len(after) >= 2
    row = _chunks(location, "logs")[-1]
    cited = Citation("logs", "app.log", row["byte_start"], row["byte_stop"], row["source_hash"])
    opened = open_citation(Citation.parse(str(cited)), location.lake, DropArea(location.settings.drops, 0))
    assert (opened.content.decode(), opened.changed) == (row["text"], False)


@pytest.mark.parametrize("location", [{}], indirect=True)
def test_a_large_table_is_cut_at_rows_and_moving_or_appending_touches_its_slices_only(location: Location) -> None:
    folder = location.settings.drops / "shop"
    folder.mkdir()
    (folder / "a.md").write_text("# Notes\n\nNothing about tables.\n")
    rows = [f'{n},"said ""yes"",\nthen left {n}",{n % 97}\n' for n in range(31_000)]
    table = folder / "big.csv"
    table.write_text("id,comment,amount\n" + "".join(rows))
    location.settle()
    extents = {row["slice"] for row in location.lake.read("drop_manifests", "shop").rows(where=("path", "big.csv"))}
    assert len(extents) == 2
    assert _covered(location, "shop", table) == table.stat().st_size
    chunks = [row for row in _chunks(location, "shop") if row["path"] == "big.csv"]
    assert all(row["context"] == "id,comment,amount" for row in chunks[1:])
    files = location.files_of("chunk_sets")

    table.rename(folder / "moved.csv")
    asked = {key.split("@")[0] for key in location.settle()}
    assert asked == {"shop", *extents}
    assert _covered(location, "shop", folder / "moved.csv") == (folder / "moved.csv").stat().st_size
    unmoved = [name for name in files if not any(key in name for key in extents)]
    assert {name: location.files_of("chunk_sets")[name] for name in unmoved} == {name: files[name] for name in unmoved}

    files = location.files_of("chunk_sets")
    with (folder / "moved.csv").open("a") as more:
        more.write("".join(rows[:100]))
    location.settle()
    changed = {name for name, seen in location.files_of("chunk_sets").items() if files.get(name) != seen}
    assert len(changed) == 1
    assert _covered(location, "shop", folder / "moved.csv") == (folder / "moved.csv").stat().st_size
