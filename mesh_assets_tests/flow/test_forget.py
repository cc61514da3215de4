"""What is gone is gone everywhere: a dataset that is forgotten, a slice that was emptied; not a disk that is away."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from mesh_assets.cli.main import verbs
from mesh_assets.defs import attempts
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.errors import LakeError, MeshError
from mesh_assets.indexes.protocol import Filter
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets.resources.vector_index import connect_vector_index
from mesh_assets.search.hybrid import search
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.dagster_history import DagsterHistory
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.status import DatasetStatus, statuses
from mesh_assets_tests.flow.location import Location
from mesh_assets_tests.mesh.money import billed, scopes

# The forgotten dataset, and one whose name begins with its name: their words are found in no other file. DuckDB's
# statistics hold the first eight bytes of a text, so these must tell the two apart.
GONE, STAYS = "okapi", "okapi-logs"
NAMED = rb"okapi(?!-lo)"
CANARY, KEPT = "quetzalcoatlus", "ichthyosaurus"


@dataclass
class Mesh:
    """A location, and the command as people type it, on the same state and the same Dagster instance."""

    location: Location

    @property
    def state(self) -> Path:
        return self.location.settings.state

    @property
    def area(self) -> DropArea:
        return DropArea.of(self.location.settings)

    def __call__(self, *arguments: str) -> str:
        variables = {
            "MESH_STATE": str(self.state),
            "MESH_DROPS": str(self.location.settings.drops),
            "DAGSTER_HOME": str(self.location.folder / "dagster"),
            "MESH_QUIET_SECONDS": "0",
        }
        done = CliRunner().invoke(verbs, arguments, env=variables)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    def drop(self, name: str, text: str) -> Path:
        return _write(self.location.settings.drops / name, text)

    def status(self, dataset: str) -> DatasetStatus:
        return next(s for s in statuses(self.location.lake, self.area) if s.dataset == dataset)

    def found(self, query: str, dataset: str | None = None) -> set[str]:
        settings = self.location.settings
        hits = search(
            query,
            encoder=FakeEncoder(),
            vectors=connect_vector_index(settings),
            words=connect_fulltext_index(settings),
            chunks=LakeChunks(self.location.lake),
            where=Filter(dataset),
        ).hits
        return {f"{hit.dataset}/{hit.path}" for hit in hits if query in hit.snippet}

    def files_with(self, *patterns: bytes) -> set[str]:
        """Every file of the state and of Dagster whose bytes, or whose path, match one of the patterns."""
        folder, looked_for = self.location.folder, re.compile(b"|".join(patterns))
        return {
            str(path.relative_to(folder))
            for root in (self.state, folder / "dagster")
            for path in root.rglob("*")
            if looked_for.search(os.fsencode(path.relative_to(folder)))
            or (path.is_file() and looked_for.search(path.read_bytes()))
        }


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    location = Location(tmp_path_factory.mktemp("forget"), {"encoder": FakeEncoder()}, {"slice_mib": 1})
    yield Mesh(location)
    location.instance.dispose()


def _untouched(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()
    }


def test_a_dataset_that_is_forgotten_leaves_no_trace_and_the_others_as_they_were(mesh: Mesh) -> None:
    location = mesh.location
    disk = location.folder / "disk" / "archive"
    _write(disk / "flight.md", f"# Flight\n\nThe {CANARY} crossed the bay at noon.\n")
    mesh.drop(f"{STAYS}/tide.md", f"# Tide\n\nAn {KEPT} was seen from the pier.\n")
    answer = json.loads(mesh("ingest", str(disk), "--dataset", GONE, "--reference", "--json"))
    assert (answer["dataset"], answer["reference"]) == (GONE, str(disk))
    assert not list(location.settings.drops.glob(f"{GONE}/*")), "nothing is copied"
    location.settle()
    _write(disk / "flight.md", f"# Flight\n\nThe {CANARY} crossed the bay at midnight.\n")  # the first text was indexed
    location.settle()
    ledger = connect_ledger(location.settings)
    ledger.settle(ledger.reserve(Decimal("0.1"), scopes(f"dataset:{GONE}", f"run:{GONE}-1"), seconds=9), billed(70_000))
    location.run("report_job", dg.RunRequest(partition_key=GONE))
    location.instance.report_runless_asset_event(dg.AssetObservation("dataset_reports", partition=GONE))
    assert location.lake.read("receipts", GONE).footer.rows == 1
    assert mesh.status(GONE).reference == str(disk)
    assert mesh.found(CANARY) == {f"{GONE}/flight.md"}
    assert "midnight" in mesh("show", str(_citation(mesh, CANARY)))
    assert mesh.files_with(NAMED, CANARY.encode()) >= {
        f"state/references/{GONE}.json",
        f"state/lake/drop_manifests/{GONE}.parquet",
        "state/ledger.sqlite",
        f"state/reports/{GONE}/index.html",
        "dagster/history/runs.db",
        "dagster/history/runs/index.db",
        "dagster/history/runs/.db",
    }
    others = {path: path.read_bytes() for path in mesh.state.rglob("*") if STAYS in str(path) and path.is_file()}
    runs = set(DagsterHistory(location.instance, STAYS).runs())
    before = _untouched(disk)
    told = json.loads(mesh("forget", GONE, "--yes", "--json"))
    assert told["untouched_folder"] == str(disk)
    assert told["runs"] >= 4
    assert mesh.files_with(NAMED, CANARY.encode()) == set()
    assert ledger.month().spent == Decimal("0.07"), "what was paid stays on the record"
    assert _untouched(disk) == before
    assert {
        path: path.read_bytes() for path in mesh.state.rglob("*") if STAYS in str(path) and path.is_file()
    } == others
    assert set(DagsterHistory(location.instance, STAYS).runs()) == runs
    assert mesh.found(CANARY) == set()
    assert mesh.found(KEPT) == {f"{STAYS}/tide.md"}
    assert not location.settle()
    assert list(location.instance.get_dynamic_partitions("slices")) == [f"{STAYS}.000000"]
    with pytest.raises(MeshError, match=STAYS):
        mesh("forget", GONE, "--yes")


def test_a_dropped_dataset_is_forgotten_with_its_files_and_a_second_call_finishes_the_first(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    location, outside = mesh.location, _write(mesh.location.folder / "outside.txt", "precious")
    note = mesh.drop(f"{GONE}/note.md", f"# Note\n\nOne {CANARY}.\n")
    (note.parent / "link").symlink_to(outside.parent)
    location.settle()
    for arguments, remedy in (
        (("forget", GONE, "--yes"), "--delete-files"),
        (("forget", GONE, "--delete-files"), "--yes"),  # nobody sits at a terminal
        (("ingest", str(location.folder / "disk"), "--dataset", GONE, "--reference"), "another name"),
    ):
        with pytest.raises(MeshError) as caught:
            mesh(*arguments)
        assert remedy in caught.value.remedy
    assert mesh.found(CANARY) == {f"{GONE}/note.md"}
    with monkeypatch.context() as broken:
        broken.setattr(Lake, "delete_dataset", _refuse)
        with pytest.raises(LakeError):
            mesh("forget", GONE, "--yes", "--delete-files")
    assert "half forgotten" in mesh.status(GONE).problem
    assert mesh.found(CANARY) == set()
    assert location.settle() == [], "nobody asks for what is being forgotten"
    with pytest.raises(MeshError, match="half forgotten"):
        mesh("ingest", str(location.folder / "disk"), "--dataset", GONE)
    mesh("forget", GONE, "--yes")
    assert mesh.files_with(NAMED, CANARY.encode()) == set()
    assert not note.parent.exists()
    assert outside.read_text() == "precious"
    mesh.drop(f"{GONE}/new.md", f"# New\n\nAnother {CANARY}.\n")  # the name is free
    location.settle()
    assert mesh.found(CANARY) == {f"{GONE}/new.md"}
    shutil.rmtree(note.parent)
    assert location.settle() == []
    assert "`mesh forget`" in mesh.status(GONE).problem
    assert mesh.found(CANARY) == {f"{GONE}/new.md"}, "a folder that is gone deletes nothing"
    assert "forgotten" in mesh("forget", GONE, "--yes")


def _refuse(*_: object) -> int:
    raise LakeError("The disk refuses.", remedy="Allow it.")


def test_a_disk_that_is_not_mounted_deletes_nothing_and_holds_nobody_up(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "AGAIN_AFTER_SECONDS", 0)
    location, disk = mesh.location, mesh.location.folder / "stick"
    _write(disk / "a.md", "# A\n\nA basilisk in the attic.\n")
    mesh("ingest", str(disk), "--dataset", "stick", "--reference")
    location.settle()
    disk.rename(location.folder / "away")
    disk.mkdir()  # the mount point: an empty folder
    mesh.drop(f"{STAYS}/ebb.md", f"# Ebb\n\nAnother {KEPT} on the beach.\n")
    assert {key.split("@")[0].partition(".")[0] for key in location.settle()} == {STAYS}
    assert mesh.found(KEPT) == {f"{STAYS}/tide.md", f"{STAYS}/ebb.md"}
    assert mesh.found("basilisk") == {"stick/a.md"}
    assert "in the place of" in mesh.status("stick").problem
    assert "stick is by reference" in mesh("status").replace("\n", "")
    run = location.run("manifest_job", dg.RunRequest(partition_key="stick"), raise_on_error=False)
    assert not run.success, "made by hand, it says so and deletes nothing"
    disk.rmdir()
    (location.folder / "away").rename(disk)
    assert mesh.status("stick").problem == ""
    assert location.settle() == []
    (disk / "a.md").unlink()  # mounted and emptied: that is what its owner did
    location.settle()
    assert mesh.found("basilisk") == set()
    mesh("forget", "stick", "--yes")
    assert disk.is_dir()


def test_an_emptied_slice_goes_and_its_number_is_not_used_again(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    location = mesh.location
    first, second, third = (_fill_slice(location.settings.drops / "moths" / name) for name in ("a", "b", "c"))
    third.rename(location.folder / "c")
    location.settle()
    assert _slices(mesh, "moths") == {"moths.000000", "moths.000001"}
    second.unlink()
    with monkeypatch.context() as crash:
        crash.setattr(Lake, "delete_slices", _refuse)  # after the manifest was published without the slice
        runs = location.settle(raise_on_error=False)
    assert any("-retire" in key for key in runs)
    monkeypatch.setattr(attempts, "AGAIN_AFTER_SECONDS", 0)
    assert location.lake.read("drop_manifests", "moths").footer.extra["slices"].keys() == {"moths.000000"}
    assert "moths.000001" in _slices(mesh, "moths")
    (location.folder / "c").rename(third)
    location.settle()
    assert _slices(mesh, "moths") == {"moths.000000", "moths.000002"}
    assert location.lake.slices("moths") == {"moths.000000", "moths.000002"}
    reports = {path.name for path in (mesh.state / "reports" / "moths").iterdir()}
    assert {name.removesuffix(".html") for name in reports if name.endswith(".html")} == {
        "index",
        "moths.000000",
        "moths.000002",
    }
    status = mesh.status("moths")
    assert (status.done, status.slices) == (True, 2)
    location.instance.add_dynamic_partitions("slices", ["moths.000001"])  # as anyone can in the UI
    result = location.run("slice_job", dg.RunRequest(partition_key="moths.000001"), raise_on_error=False)
    assert not result.success, "a slice that is no more is not made again"
    first.unlink()
    third.unlink()
    location.settle()
    assert _slices(mesh, "moths") == set()
    assert mesh.status("moths").done
    assert location.settle() == []


def _fill_slice(path: Path) -> Path:
    """A file that fills most of a slice of a MiB, and that no chunker reads: a reject is as good as a chunk here."""
    _write(path, "")
    os.truncate(path, 900_000)
    return path


def _slices(mesh: Mesh, dataset: str) -> set[str]:
    keys = mesh.location.instance.get_dynamic_partitions("slices")
    return {key for key in keys if key.startswith(f"{dataset}.")}


def _citation(mesh: Mesh, query: str) -> object:
    settings = mesh.location.settings
    return (
        search(
            query,
            encoder=FakeEncoder(),
            vectors=connect_vector_index(settings),
            words=connect_fulltext_index(settings),
            chunks=LakeChunks(mesh.location.lake),
        )
        .hits[0]
        .citation
    )
