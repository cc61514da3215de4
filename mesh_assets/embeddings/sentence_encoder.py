"""The encoder that the mesh uses: a sentence-transformers model of this machine, by the engine that is fastest here.

Which texts are embedded, and in which order, belongs to `stage`; how a model is run to `openvino_engine` and
`torch_engine`.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mesh_assets.embeddings.model_files import DEFAULT_MODEL, fingerprint, model_folder
from mesh_assets.embeddings.openvino_engine import ConversionError, OpenVinoEngine
from mesh_assets.embeddings.torch_engine import TorchEngine, gpu_is_there
from mesh_assets.errors import ModelError

__all__ = ["DEFAULT_MODEL", "SentenceEncoder"]

_LOG = logging.getLogger(__name__)


class _Engine(Protocol):
    """Runs one loaded model. `encode` gives vectors of any length, RuntimeError where it gives up."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class SentenceEncoder:
    """An Encoder over the model called `model`, which is loaded at the first text and once for each encoder.

    `model` is `all-MiniLM-L6-v2`, a folder, or a name in the local cache. Where there is none, whatever needs its files
    raises ModelError, not the constructor: a wrong name must not take down more than the work that needs the model.
    On a GPU, where torch sees one, `batch` texts are embedded at a time; on a CPU OpenVINO does it with at most
    `threads` threads, and torch where OpenVINO cannot, which `engine` and the log say. `cache` is the folder of models
    converted for OpenVINO; None converts for this process alone. `precision` is of OpenVinoEngine.

    On a CPU a text's vector is the same to the bit whatever is embedded with it and by however many threads, so that a
    slice that was changed piece by piece holds the same bits as one that is made anew.
    """

    def __init__(
        self, model: str, *, batch: int, threads: int, cache: Path | None = None, precision: str = "auto"
    ) -> None:
        self._setting = model
        self._batch = batch
        self._threads = threads
        self._cache = cache
        self._precision = precision

    @property
    def model(self) -> str:
        """`<name>@<fingerprint>`, a hash of the model's files: other weights are another model.

        Engines and precisions are not told apart: their vectors have a cosine of .9999 (bf16) and .999 (int8).
        """
        name = self._setting.rstrip("/").rsplit("/", 1)[-1]
        return f"{name}@{fingerprint(self.folder)}"

    @property
    def dimension(self) -> int:
        """Length of each vector; loads the model."""
        return self._engine.dimension

    @property
    def engine(self) -> str:
        """What runs the model, with its precision; loads the model."""
        return self._engine.name

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimension). A text beyond the model's window is cut by the model.

        A text for which the model gives no finite vector gets zeros: it is similar to nothing.
        """
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        engine = self._engine
        try:
            return unit(engine.encode(texts))
        except RuntimeError as error:  # also for memory
            raise ModelError(
                f"The model in {self.folder} could not embed {len(texts)} texts: {error}.",
                remedy="Lower MESH_EMBEDDING_BATCH if memory ran out; else try another MESH_EMBEDDING_MODEL.",
            ) from error

    @cached_property
    def folder(self) -> Path:
        """Where the model's files lie; ModelError where there are none."""
        return model_folder(self._setting)

    @cached_property
    def _engine(self) -> _Engine:
        if gpu_is_there():
            return TorchEngine(self.folder, device="cuda", batch=self._batch, threads=self._threads)
        try:
            return OpenVinoEngine(
                self.folder, cache=self._cache or _cache_of_process(), threads=self._threads, precision=self._precision
            )
        except (ConversionError, ImportError, OSError, RuntimeError) as error:
            engine = TorchEngine(self.folder, device="cpu", batch=self._batch, threads=self._threads)
            engine.name += f", because OpenVINO does not run it: {error}"
            _LOG.warning("%s is embedded by %s. That takes about three times as long.", self._setting, engine.name)
            return engine


@cache
def _cache_of_process() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mesh-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows with length 1; zeros where one is no number, or zero."""
    vectors = vectors.astype(np.float32)
    vectors[~np.isfinite(vectors).all(axis=1)] = 0.0
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
