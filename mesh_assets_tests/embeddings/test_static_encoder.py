"""Static vectors: a cheap generation of their own, made once from the model, with the model at hand for what counts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mesh_assets.embeddings import openvino_engine
from mesh_assets.embeddings.model_files import DEFAULT_MODEL
from mesh_assets.embeddings.sentence_encoder import SentenceEncoder
from mesh_assets.embeddings.static_encoder import StaticEncoder
from mesh_assets.errors import ModelError
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.settings import Settings


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def static(cache: Path) -> StaticEncoder:
    return StaticEncoder(SentenceEncoder(DEFAULT_MODEL, batch=1, threads=1, cache=cache), cache)


def test_static_vectors_know_what_words_mean_and_keep_their_bits(cache: Path) -> None:
    encoder = static(cache)
    texts = ["A cat sleeps.", "The kitten is dozing.", "Quarterly revenue rose by 4%.", "", "x " * 2000]
    vectors = encoder.encode(texts)
    assert vectors.shape == (5, encoder.dimension)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 0, 1], atol=1e-5)
    (table,) = cache.glob("*.npy")
    made = table.stat().st_mtime_ns
    np.testing.assert_array_equal(static(cache).encode(texts[1:2]), vectors[1:2])
    assert table.stat().st_mtime_ns == made


def test_a_table_that_was_cut_off_is_made_again(cache: Path, tmp_path: Path) -> None:
    vectors = static(cache).encode(["A cat sleeps."])
    copy = tmp_path / "models"
    shutil.copytree(cache, copy)
    (table,) = copy.glob("*.npy")
    table.write_bytes(table.read_bytes()[:1000])
    np.testing.assert_array_equal(static(copy).encode(["A cat sleeps."]), vectors)


def test_each_effort_is_a_generation_of_its_own(tmp_path: Path) -> None:
    full, two = (connect_encoder(Settings(state=tmp_path, embedding_effort=effort)) for effort in ("full", "two"))
    assert two.model.startswith(f"{full.model}+static")
    assert isinstance(two, StaticEncoder)
    assert two.exact.model == full.model


def test_a_model_that_cannot_be_distilled_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("unknown operation")

    monkeypatch.setattr(openvino_engine, "_traced", fail)
    with pytest.raises(ModelError, match="MESH_EMBEDDING_EFFORT=full"):
        static(tmp_path).encode(["x"])
