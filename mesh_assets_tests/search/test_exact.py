"""Two efforts: static vectors choose, the full model decides, on fifty chunks a question and no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.embeddings.sentence_encoder import SentenceEncoder
from mesh_assets.embeddings.static_encoder import StaticEncoder
from mesh_assets.errors import ModelError
from mesh_assets.indexes.fakes import InMemoryFulltextIndex, InMemoryVectorIndex
from mesh_assets.indexes.protocol import Hit
from mesh_assets.search.exact import ExactVectors, then_static
from mesh_assets_tests.search.test_hybrid import Lake, Mesh

DIMENSION = 64


class FullModel(SentenceEncoder):
    """Knows that a puma is a cougar, which static vectors do not; counts what it embeds."""

    def __init__(self) -> None:
        super().__init__("", batch=1, threads=1)
        self.seen: list[str] = []
        self.broken = False
        self._fake = FakeEncoder(DIMENSION)

    @property
    def model(self) -> str:
        return "full"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.broken:
            raise ModelError("The model is gone.", remedy="Put it back.")
        self.seen += texts
        return self._fake.encode([text.replace("puma", "cougar") for text in texts])


class Static(StaticEncoder):
    """Static vectors of words as they are."""

    def __init__(self) -> None:
        self.full = FullModel()
        super().__init__(self.full, Path())

    @property
    def dimension(self) -> int:
        return DIMENSION

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return FakeEncoder(DIMENSION).encode(texts)


@pytest.fixture
def mesh() -> Mesh:
    mesh = Mesh(Static(), InMemoryVectorIndex(), InMemoryFulltextIndex())
    mesh.add("zoo.000001", {f"{n}.txt": f"cougar{n} walks near a river number {n}" for n in range(150)})
    mesh.add("zoo.000002", {"puma.txt": "puma walks near a lake"})
    return mesh


def full_model(mesh: Mesh) -> FullModel:
    assert isinstance(mesh.encoder, Static)
    return mesh.encoder.full


def test_indexing_asks_the_full_model_nothing_and_a_question_at_most_for_fifty_chunks(mesh: Mesh) -> None:
    assert full_model(mesh).seen == []
    hits = mesh.ask("cougar walks near a river", limit=100).hits
    assert len(hits) == 100
    question, *chunks = full_model(mesh).seen
    assert question == "cougar walks near a river"
    assert len(chunks) == len(set(chunks)) == 50


def test_the_full_model_decides_what_comes_first(mesh: Mesh) -> None:
    first = mesh.ask("cougar walks near a lake").hits[0]
    assert first.path == "puma.txt"
    assert first.meaning_rank == 1


def test_a_blank_heading_or_a_context_is_embedded_as_at_index_time(mesh: Mesh) -> None:
    row = next(row for row in mesh.lake.rows.values() if row.path == "puma.txt")
    from dataclasses import replace

    mesh.lake.rows[row.chunk_id] = replace(row, context="Big cats")
    mesh.ask("cougar walks near a lake")
    assert "Big cats\npuma walks near a lake" in full_model(mesh).seen


def test_without_the_full_model_static_vectors_answer_and_a_note_says_so(mesh: Mesh) -> None:
    full_model(mesh).broken = True
    result = mesh.ask("cougar3 walks near a river")
    assert result.hits[0].path == "3.txt"
    assert any("The model is gone" in note for note in result.notes)


def test_chunks_that_the_lake_lost_are_passed_over() -> None:
    exact = ExactVectors("question", FullModel(), Lake())
    exact.embed([("00" * 16, ["zoo.000001"])], upto=16)
    assert len(exact) == 0
    assert exact.hits(exact.question) == []


def test_what_was_not_embedded_comes_after_what_was_in_the_order_of_the_static_vectors() -> None:
    exact, static = (
        [Hit("a", "s", 0.5), Hit("b", "s", 0.3)],
        [Hit("c", "s", 0.9), Hit("a", "s", 0.8), Hit("d", "s", 0.7)],
    )
    found = then_static(exact, static)
    assert [hit.chunk_id for hit in found] == ["a", "b", "c", "d"]
    assert [hit.score for hit in found] == pytest.approx([0.5, 0.3, 0.3, 0.1])
    assert then_static([], static) == static
    assert then_static(exact, []) == exact
