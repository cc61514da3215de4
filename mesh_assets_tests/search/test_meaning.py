"""While slices are of two models, each is asked by its own, and what fits best comes first, whichever model says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.errors import ModelError
from mesh_assets.indexes.fakes import InMemoryFulltextIndex
from mesh_assets.indexes.protocol import VectorIndex
from mesh_assets.search.hybrid import search
from mesh_assets.search.protocol import SearchResult
from mesh_assets_tests.indexes.test_vector_contract import ENGINES
from mesh_assets_tests.search.test_hybrid import Lake, Mesh

TEXTS = {
    "pump.md": "the coolant pump seized because its bearing ran dry",
    "bearing.md": "a dry bearing is heard before the pump stops",
    "lease.md": "tenants hand back the keys of their flat",
    "bread.md": "the dough rests while the oven becomes hot",
}


class Narrow(FakeEncoder):
    """A model whose texts all lie close together: cosines from .9 on. Some models are like that."""

    @property
    def model(self) -> str:
        return "narrow"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        wide = np.hstack([super().encode(texts), np.full((len(texts), 1), 3.0, np.float32)])
        return wide / np.linalg.norm(wide, axis=1, keepdims=True)


class Gone(FakeEncoder):
    """A model that is not on the machine any more."""

    @property
    def model(self) -> str:
        return "gone"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise ModelError(f"There is no model for {len(texts)} texts.", remedy="Put it back.")


def ask(mesh: Mesh, query: str, encoder: Encoder, older: Sequence[Encoder], modes: Sequence[str]) -> SearchResult:
    return search(
        query,
        encoder=encoder,
        older=older,
        vectors=mesh.vectors,
        words=mesh.words,
        chunks=mesh.lake,
        modes=modes,
    )


@pytest.fixture(params=[*ENGINES])
def vectors(request: pytest.FixtureRequest, tmp_path: Path) -> VectorIndex:
    engine: Callable[[Path], VectorIndex] = ENGINES[request.param]
    return engine(tmp_path)


@pytest.mark.parametrize("is_narrow_old", [True, False])
@pytest.mark.parametrize("first", ["pump.md", "bearing.md"])
def test_slices_of_two_models_come_in_one_order(vectors: VectorIndex, first: str, is_narrow_old: bool) -> None:
    old, new = (Narrow(256), FakeEncoder(256)) if is_narrow_old else (FakeEncoder(256), Narrow(256))
    words, lake = InMemoryFulltextIndex(), Lake()
    Mesh(old, vectors, words, lake).add("a.000001", {first: TEXTS[first], "lease.md": TEXTS["lease.md"]})
    mesh = Mesh(new, vectors, words, lake)
    mesh.add("a.000002", {path: TEXTS[path] for path in TEXTS if path not in (first, "lease.md")})
    for modes in (["meaning"], ["words", "meaning"]):
        result = ask(mesh, "dry bearing of the coolant pump", new, [old], modes)
        assert [hit.path for hit in result.hits[:2]] == ["pump.md", "bearing.md"]
        assert {hit.path for hit in result.hits} == set(TEXTS)
        (note,) = result.notes
        assert f"are not embedded with {new.model} yet were searched by {old.model}" in note


def test_a_slice_of_a_model_that_is_gone_is_said_and_the_others_are_found(vectors: VectorIndex) -> None:
    mesh = Mesh(FakeEncoder(256), vectors, InMemoryFulltextIndex())
    mesh.add("a.000001", TEXTS)
    result = ask(mesh, "dry bearing", mesh.encoder, [Gone(256)], ["meaning"])
    assert result.hits[0].path == "bearing.md"
    assert result.notes == ["Some slices are not searched by meaning: There is no model for 1 texts. Put it back."]
    result = ask(mesh, "dry bearing", Gone(256), [mesh.encoder], ["words", "meaning"])
    assert (result.hits[0].path, result.hits[0].meaning_rank) == ("bearing.md", 1)


def test_an_older_model_that_no_slice_is_of_changes_nothing(vectors: VectorIndex) -> None:
    mesh = Mesh(FakeEncoder(256), vectors, InMemoryFulltextIndex())
    mesh.add("a.000001", TEXTS)
    alone = ask(mesh, "dry bearing", mesh.encoder, [], ["words", "meaning"])
    assert ask(mesh, "dry bearing", mesh.encoder, [Narrow(256)], ["words", "meaning"]) == alone
