"""A disk that is full in the middle of a write: the old or the new, never a part; in words; and it heals by itself."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mesh_assets.defs import attempts
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.errors import IndexDownError, LakeError, MeshError
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.protocol import Document
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.intake.drop_area import DropArea, DropWatch
from mesh_assets.intake.planner import Extent
from mesh_assets.intake.sources import Identity
from mesh_assets.schemas.extents import EXTENTS
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.schemas.rejects import Reject
from mesh_assets.storage.files import publish_text
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.progress import dataset_progress
from mesh_assets.storage.run_locks import is_alive, run_lock
from mesh_assets.storage.shared_vectors import SharedVectors
from mesh_assets_tests.crash.small_disk import full, small_disk
from mesh_assets_tests.flow.location import Location
from mesh_assets_tests.storage.test_shared_vectors import numbered, shared

KEY, MODEL = "d.000000", "tiny@0"
# Room that a write begins with but does not end in, each met at another point of it.
LEFT = (0, 1 << 14, 1 << 17, 1 << 19)


@dataclass(frozen=True)
class Store:
    """Something that is written: `write` puts version 1 or 2 there, `read` tells what is there."""

    write: Callable[[int], object]
    read: Callable[[], object]
    error: type[MeshError]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", mib=40) as point:
        yield point


def _noise(version: int, length: int) -> str:
    return np.random.default_rng(version).bytes(length // 2).hex()


def _table(disk: Path, rows: int, rejects: int) -> Store:
    lake = Lake(disk / "lake")

    def write(version: int) -> None:
        outcome = Outcome(total=rows + rejects)
        identity = Identity(size=1, mtime_ns=1, inode=1, ctime_ns=1)
        made = [Extent(_noise(version * 10**6 + n, 2000), 0, 1, identity, KEY, 1, "added").row() for n in range(rows)]
        for number in range(rejects):
            outcome.reject(Reject(f"{number}", _noise(version * 10**6 + number, 2000), "remedy"))
        outcome.advance(rows)
        produced = Produced([EXTENTS.batch(made)], outcome, str(version))
        lake.publish("drop_manifests", "d", produced, version="1", run_id="run")

    def read() -> object:
        table = lake.read("drop_manifests", "d")
        return table.footer.input_hash, table.rows()

    return Store(write, read, LakeError)


def _vectors(disk: Path) -> Store:
    index = FaissVectorIndex(disk / "vectors", run_id="run")

    def write(version: int) -> None:
        vectors = np.random.default_rng(version).normal(size=(2000, 256)).astype(np.float16)
        ids = [f"{version:016x}{n:016x}" for n in range(len(vectors))]
        index.replace_slice(KEY, MODEL, [(ids, ["text"] * len(ids), vectors)])

    def read() -> object:
        hits = index.search(MODEL, np.ones(256, np.float32), limit=5)
        return index.held(KEY, MODEL), [hit.chunk_id for hit in hits]

    return Store(write, read, IndexDownError)


def _words(disk: Path) -> Store:
    index = TantivyFulltextIndex(disk / "words")

    def write(version: int) -> None:
        documents = (
            Document(f"{n:032x}", "text", "a.txt", "", f"version{version} {_noise(n, 1000)}") for n in range(2000)
        )
        index.replace_slice(KEY, documents)

    def read() -> object:
        return index.held(KEY), len(index.search("version1", limit=9)), len(index.search("version2", limit=9))

    return Store(write, read, IndexDownError)


def _report(disk: Path) -> Store:
    path = disk / "reports" / "index.md"
    return Store(lambda version: publish_text(path, _noise(version, 1_000_000), "run"), path.read_text, LakeError)


def _walk(disk: Path) -> Store:
    drops = disk.parent / "drops"
    for number in range(3000):
        (drops / "d" / f"{number} {'x' * 200}").mkdir(parents=True, exist_ok=True)
    watch = DropWatch(DropArea(drops, 0), disk / "walks")
    state = disk / "walks" / "d.json"

    def write(version: int) -> None:
        del version
        list(watch.changed(lambda _: None, after="", until=time.monotonic()))

    return Store(write, lambda: state.read_text() if state.exists() else "", LakeError)


STORES: dict[str, Callable[[Path], Store]] = {
    "table": lambda disk: _table(disk, 1500, 0),
    "rejects": lambda disk: _table(disk, 1, 1500),
    "vectors": _vectors,
    "words": _words,
    "report": _report,
    "walk": _walk,
}


@pytest.mark.parametrize("name", STORES)
def test_a_write_that_meets_a_full_disk_changes_nothing_and_says_so(disk: Path, name: str) -> None:
    store = STORES[name](disk)
    store.write(1)
    before = store.read()
    refused = 0
    for left in LEFT:
        with full(disk, left=left):
            try:
                store.write(2)
            except store.error as error:
                refused += 1
                assert str(disk) in error.message
                assert "space" in error.message.lower()
                assert "oom" in error.remedy or "space" in error.remedy
                assert store.read() == before
                assert not [path for path in disk.rglob(".*.tmp") if path.is_file()]
            else:
                break
    assert refused
    store.write(2)
    assert store.read() != before


def test_a_run_has_its_lock_on_a_full_disk_too(disk: Path) -> None:
    with full(disk), run_lock(disk, "run"):
        assert is_alive(disk, "run")


def test_vectors_that_slices_share_are_found_on_a_full_disk_and_no_more_are_kept(disk: Path) -> None:
    known, said = numbered(0, 200), list[str]()
    shared(disk, model=MODEL).keep(known)
    with full(disk):
        run = SharedVectors(disk, MODEL, dataset="a", log=said.append)
        assert set(run.find([*known, *numbered(200, 3000)])) == set(known)
        run.keep(numbered(200, 3000))
        assert set(shared(disk, model=MODEL).find(list(known))) == set(known)
    assert len(said) == 1


def test_a_slice_that_met_a_full_disk_comes_back_by_itself(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = Location(tmp_path / "mesh", {"encoder": FakeEncoder()}, {"keep_free_mib": 1})
    shutil.rmtree(location.settings.state)  # it has the shared models only, which a fake needs none of
    location.settings.state.symlink_to(disk)
    notes = location.settings.drops / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("# Storm\n\n" + "\n\n".join(_noise(n, 400) for n in range(3000)))
    location.run("manifest_job", location.tick("drop_sensor")[0])
    (request,) = location.tick("slice_sensor")
    with full(disk, left=1 << 16):
        result = location.run("slice_job", request, raise_on_error=False)
        assert not result.success
        said = [event.step_failure_data.error_display_string for event in result.get_step_failure_events()]
        assert any("the disk is full" in text and "Make room" in text for text in said)
        assert location.tick("unfinished_slices") == []
        monkeypatch.setattr(attempts, "AGAIN_AFTER_SECONDS", 0)
        assert location.tick("unfinished_slices") == [], "not while there is no room"
        (notes / "b.md").write_text("# Calm\n\nNothing happened.\n")
        location.run("manifest_job", location.tick("drop_sensor")[0], raise_on_error=False)
        assert location.tick("slice_sensor") == []
    assert location.settle()
    for again in location.tick("unfinished_slices"):
        location.run("slice_job", again)
    assert not dataset_progress(location.lake, "notes").unfinished
    assert location.lake.read("chunk_sets", "notes.000000").footer.rows > 100
    location.instance.dispose()
