"""Static vectors distilled from the full model: one a token of its vocabulary, made once a model and kept.

Each token goes through the model alone, as in model2vec (Tulkens and van Dongen 2024); their common mean and main
directions are taken off (Mu and Viswanath 2018), and each is weighted by the rarity of its token (smooth inverse
frequency, Arora et al. 2017). Vocabularies lie in the order of frequency, so that Zipf's law gives the frequency. No
text is read for it.

    <cache>/<fingerprint>-static-<version>.npy    float16, shape (vocabulary, dimension)
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mesh_assets.atomic import replacing
from mesh_assets.embeddings.model_files import fingerprint
from mesh_assets.embeddings.openvino_engine import OpenVinoEngine

VERSION = 1
# Arora's weight a / (a + p). Published are 1e-3 to 1e-4; the second finds more on Chroma's chunking evaluation.
_SMOOTHING = 1e-4
# Main directions for each dimension of a vector, as published: they hold what all tokens share.
_COMMON_SHARE = 0.01
# The first places of a vocabulary are for special and unused tokens and for single characters.
_BEFORE_WORDS = 1000
_AT_ONCE = 512


def static_table(folder: Path, engine: OpenVinoEngine, cache: Path) -> NDArray[np.float16]:
    """The weighted vector of each token of the model in `folder`, which `engine` runs; distilled unless `cache` has it.

    OSError where it cannot be kept, RuntimeError where the engine gives up.
    """
    path = cache / f"{fingerprint(folder)}-static-{VERSION}.npy"
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError):  # not there, or cut off by a lost disk
        with replacing(path, f"{os.getpid()}-{secrets.token_hex(4)}") as temporary, temporary.open("wb") as file:
            np.save(file, distilled(engine).astype(np.float16))
        return np.load(path, mmap_mode="r")


def distilled(engine: OpenVinoEngine) -> NDArray[np.float32]:
    """The weighted vector of each token of the vocabulary, shape (vocabulary, dimension)."""
    size = engine.vocabulary
    vectors = np.empty((size, engine.dimension), np.float32)
    for start in range(0, size, _AT_ONCE):
        tokens = range(start, min(start + _AT_ONCE, size))
        vectors[start : tokens.stop] = engine.encode_tokens(tokens)
    vectors[~np.isfinite(vectors).all(axis=1)] = 0.0
    vectors -= vectors.mean(axis=0)
    _, directions = np.linalg.eigh(vectors.T @ vectors)  # least first
    common = directions[:, -max(1, int(_COMMON_SHARE * engine.dimension)) :]
    vectors -= (vectors @ common) @ common.T
    return vectors * _rarity(size)[:, None]


def _rarity(size: int) -> NDArray[np.float32]:
    """A weight of 0 to 1 for each token by its place in the vocabulary."""
    places = np.maximum(np.arange(size) - _BEFORE_WORDS, 1).astype(np.float32)
    frequency = 1.0 / (places * (np.log(size) + np.euler_gamma))
    return _SMOOTHING / (_SMOOTHING + frequency)
