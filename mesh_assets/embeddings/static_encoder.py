"""The cheap one of two efforts: a text's vector is the sum of its tokens' static vectors.

It costs a twenty-fifth of the model. The rule of what is worth the full model: a chunk that a question brings among its
candidates. Search embeds those exactly; nothing is at index time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mesh_assets.embeddings.openvino_engine import ConversionError, OpenVinoEngine
from mesh_assets.embeddings.sentence_encoder import SentenceEncoder, unit
from mesh_assets.embeddings.static_table import VERSION, static_table
from mesh_assets.errors import ModelError

# Texts whose token vectors are in memory at once: 25 MB at 256 tokens and 384 dimensions.
_AT_ONCE = 64


class StaticEncoder:
    """An Encoder of static vectors, distilled from the model of `exact` at the first text.

    `exact` embeds what is worth the full model; its vectors and these are never compared. `cache` holds the converted
    model and the table.
    """

    def __init__(self, exact: SentenceEncoder, cache: Path) -> None:
        self.exact = exact
        self._cache = cache

    @property
    def model(self) -> str:
        """The full model's name with `+static` and the version of the distillation: another generation in an index."""
        return f"{self.exact.model}+static{VERSION}"

    @property
    def dimension(self) -> int:
        """Length of each vector; distils the table."""
        return self._table.shape[1]

    @property
    def engine(self) -> str:
        """`static vectors`."""
        return "static vectors"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimension); zeros for a text without tokens."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), _AT_ONCE):
            tokens = self._engine.tokens(texts[start : start + _AT_ONCE])
            for row, ids in enumerate(tokens, start):
                vectors[row] = self._table[ids].sum(axis=0, dtype=np.float32)
        return unit(vectors)

    @cached_property
    def _engine(self) -> OpenVinoEngine:
        try:
            return OpenVinoEngine(self.exact.folder, cache=self._cache, threads=1)
        except (ConversionError, ImportError, OSError, RuntimeError) as error:
            raise ModelError(
                f"No static vectors can be made of {self.exact.model}: {error}.",
                remedy="Set MESH_EMBEDDING_EFFORT=full: that embeds everything by the model itself.",
            ) from error

    @cached_property
    def _table(self) -> NDArray[np.float16]:
        engine = self._engine
        try:
            return static_table(self.exact.folder, engine, self._cache)
        except (OSError, RuntimeError) as error:
            raise ModelError(
                f"The static vectors of {self.exact.model} could not be made: {error}.",
                remedy=f"Make {self._cache} writable, or set MESH_EMBEDDING_EFFORT=full.",
            ) from error
