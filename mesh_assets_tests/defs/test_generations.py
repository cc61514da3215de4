"""A changed model makes a new generation of embeddings beside the old one: nothing is lost from search meanwhile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import dagster as dg
import pytest

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.errors import ModelError
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.fakes import InMemoryFulltextIndex
from mesh_assets.indexes.protocol import VectorIndex
from mesh_assets.resources.encoder import SearchEncoders
from mesh_assets.resources.qdrant_vectors import QdrantVectorIndex
from mesh_assets.search.hybrid import search
from mesh_assets.settings import Settings
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.generations import Generations, moving, slices_by_model
from mesh_assets_tests.flow.location import QUIET, Location
from mesh_assets_tests.indexes.test_vector_contract import qdrant_in_memory

OLD, NEW = "fake-64", "fake-32"
FIRST, SECOND = "one.000000", "two.000000"


def encoder_of(settings: Settings) -> Encoder:
    """The fake of a dimension stands for a model, and its setting for the model's name."""
    return FakeEncoder(int(settings.embedding_model.removeprefix("fake-")))


class Moving:
    """A location whose model changes."""

    def __init__(self, folder: Path, vectors: VectorIndex) -> None:
        self._folder, self.vectors = folder, vectors
        self.use(OLD)
        for name in ("one", "two"):
            (self.location.settings.drops / name).mkdir()
            (self.location.settings.drops / name / "a.md").write_text(
                f"# Storm\n\nThe harbour was closed on day {name}.\n"
            )

    def use(self, model: str) -> None:
        options, overrides = {"embedding_model": model}, {"encoder": encoder_of(Settings(embedding_model=model))}
        self.location = Location(self._folder, {**overrides, "vectors": self.vectors}, options)
        self.encoders = SearchEncoders(self.location.settings, encoder_of)

    def make(self, slice_key: str, *assets: str) -> None:
        """Materialise some of the assets of a slice."""
        self.location.defs.resolve_job_def("slice_job").execute_in_process(
            run_config=QUIET,
            partition_key=slice_key,
            asset_selection=[dg.AssetKey(name) for name in assets or ("chunk_embeddings", "vector_index")],
            instance=self.location.instance,
        )

    def found(self) -> tuple[set[str], list[str]]:
        result = search(
            "harbour closed",
            encoder=self.encoders.current,
            older=self.encoders.older(),
            vectors=self.vectors,
            words=InMemoryFulltextIndex(),
            chunks=LakeChunks(self.location.lake),
        )
        return {hit.slice for hit in result.hits}, result.notes


@pytest.fixture(params=["faiss", "qdrant"])
def moved(request: pytest.FixtureRequest, tmp_path: Path) -> Moving:
    is_faiss = request.param == "faiss"
    return Moving(tmp_path, FaissVectorIndex(tmp_path / "v") if is_faiss else QdrantVectorIndex(qdrant_in_memory))


def test_slices_move_one_by_one_and_are_all_found_at_every_moment(moved: Moving) -> None:
    for request in moved.location.tick("drop_sensor"):
        moved.location.run("manifest_job", request)
    for key in (FIRST, SECOND):
        moved.make(key, "raw_partitions", "chunk_sets", "chunk_embeddings", "vector_index")
    state, lake = moved.location.settings.state, moved.location.lake
    assert moved.found() == ({FIRST, SECOND}, [])
    assert [each.model for each in Generations(state).all()] == [OLD]

    moved.use(NEW)
    moved.make(FIRST, "vector_index")  # without new embeddings it stays what it is
    assert moved.vectors.models() == {OLD}
    assert moved.found()[0] == {FIRST, SECOND}

    moved.make(FIRST)
    assert moved.vectors.models("one") == {NEW}
    assert moved.vectors.models("two") == {OLD}
    slices, (note,) = moved.found()
    assert slices == {FIRST, SECOND}
    assert f"searched by {OLD}" in note
    assert moving(slices_by_model(lake)[0], NEW).startswith(f"Embeddings: 1 of 2 slices are of {NEW}.")
    moved.location.tick("index_catch_up")
    assert [each.model for each in Generations(state).all()] == [NEW, OLD]
    assert len(list((state / "embedded").iterdir())) == 2

    moved.make(SECOND)
    moved.location.tick("index_catch_up")
    assert moved.found() == ({FIRST, SECOND}, [])
    assert moved.vectors.models() == {NEW}
    assert [each.model for each in Generations(state).all()] == [NEW]
    assert len(list((state / "embedded").iterdir())) == 1
    assert moving(slices_by_model(lake)[0], NEW) == ""
    moved.location.instance.dispose()


def test_a_model_whose_files_changed_is_not_taken_for_the_one_that_was_there(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, embedding_model=NEW)
    generations = Generations(tmp_path)
    generations.note(OLD, Settings(embedding_model=OLD), "run")
    generations.note("fake-16", Settings(embedding_model="fake-17"), "run")
    generations.note(NEW, settings, "run")
    generations.note(NEW, settings, "again")
    assert [each.model for each in generations.all()] == [NEW, "fake-16", OLD]
    other, old = SearchEncoders(settings, encoder_of).older()
    assert (other.model, old.model) == ("fake-16", OLD)
    assert old.encode(["x"]).shape == (1, 64)
    with pytest.raises(ModelError, match="In the place of fake-16 lies fake-17 now"):
        other.encode(["x"])
    generations.note(OLD, Settings(embedding_model=OLD), "back")
    assert [each.model for each in generations.all()] == [OLD, NEW, "fake-16"]
    (tmp_path / "generations" / "fake-16.json").write_text(json.dumps({"model": "fake-16"}))  # damaged: is none
    assert [each.model for each in generations.all()] == [OLD, NEW]
    shutil.rmtree(tmp_path / "generations")
    assert SearchEncoders(settings, encoder_of).older() == []
