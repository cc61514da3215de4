"""On a CPU the model runs by OpenVINO: the vectors of the original, the same ones in any company, converted once; and
where OpenVINO cannot run it, torch does, and says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mesh_assets.embeddings import openvino_engine
from mesh_assets.embeddings.model_files import DEFAULT_MODEL, load_torch, model_folder
from mesh_assets.embeddings.openvino_engine import OpenVinoEngine
from mesh_assets.embeddings.sentence_encoder import SentenceEncoder
from mesh_assets.errors import ModelError

TEXTS = [f"The cat sat {'on a mat ' * n}and looked at {n} birds." for n in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144)]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def engine(cache: Path, *, threads: int = 1, precision: str = "auto") -> OpenVinoEngine:
    return OpenVinoEngine(model_folder(DEFAULT_MODEL), cache=cache, threads=threads, precision=precision)


def cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return (one * other).sum(axis=1)


@pytest.mark.parametrize(("precision", "least"), [("auto", 0.9999), ("fp32", 0.999999), ("int8", 0.998)])
def test_the_vectors_are_those_of_the_original(cache: Path, precision: str, least: float) -> None:
    original = load_torch(model_folder(DEFAULT_MODEL), "cpu").encode(TEXTS, show_progress_bar=False)
    assert cosines(engine(cache, precision=precision).encode(TEXTS), original).min() > least


def test_company_order_and_threads_change_no_bit(cache: Path) -> None:
    one_thread = engine(cache)
    found = one_thread.encode(TEXTS)
    np.testing.assert_array_equal(found, np.concatenate([one_thread.encode([text]) for text in TEXTS]))
    np.testing.assert_array_equal(found, engine(cache, threads=2).encode([*TEXTS[::-1], *TEXTS * 2])[10::-1])


def test_a_converted_model_needs_no_torch(cache: Path) -> None:
    engine(cache)
    code = (
        "import sys; from pathlib import Path;"
        "from mesh_assets.embeddings.sentence_encoder import SentenceEncoder as S;"
        f"S({DEFAULT_MODEL!r}, batch=1, threads=1, cache=Path({str(cache)!r})).encode(['x']);"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_conversion_reports_to_nobody_and_is_made_again_where_a_part_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = pytest.importorskip("openvino_telemetry")

    def report(*_: object, **__: object) -> None:
        raise AssertionError("OpenVINO wanted to report the use of its converter")

    monkeypatch.setattr(telemetry.Telemetry, "init", report)
    monkeypatch.setattr(telemetry.Telemetry, "send_event", report)
    found = engine(tmp_path).encode(TEXTS[:1])
    (kept,) = tmp_path.iterdir()
    (kept / "model.bin").write_bytes(b"")
    np.testing.assert_array_equal(engine(tmp_path).encode(TEXTS[:1]), found)
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize("how", ["it cannot be traced", "it gives other vectors"])
def test_what_openvino_cannot_run_torch_does_and_says_so(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(how)

    if how == "it cannot be traced":
        monkeypatch.setattr(openvino_engine, "_traced", fail)
    else:
        monkeypatch.setattr(openvino_engine, "_LEAST_COSINE", 1.1)
        how = "other vectors"
    encoder = SentenceEncoder(DEFAULT_MODEL, batch=1, threads=1, cache=tmp_path)
    vectors = encoder.encode(TEXTS[:2])
    assert encoder.engine.startswith("torch fp32")
    assert how in encoder.engine
    assert how in caplog.text
    assert cosines(vectors, vectors).min() == pytest.approx(1.0)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


def test_memory_that_ran_out_is_an_error_with_a_remedy(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("bad allocation")

    monkeypatch.setattr(OpenVinoEngine, "_inputs", fail)
    with pytest.raises(ModelError, match="MESH_EMBEDDING_BATCH"):
        SentenceEncoder(DEFAULT_MODEL, batch=1, threads=1, cache=cache).encode(["x"])
