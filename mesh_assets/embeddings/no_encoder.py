"""The encoder of an owner who wants words only: no model is loaded, and every vector has length 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_assets.embeddings.protocol import OFF


class NoEncoder:
    """An Encoder that embeds nothing: the setting `MESH_EMBEDDING_MODEL=off`."""

    @property
    def model(self) -> str:
        """`off`, which stages and search know."""
        return OFF

    @property
    def dimension(self) -> int:
        """0."""
        return 0

    @property
    def engine(self) -> str:
        """`off`."""
        return OFF

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (len(texts), 0)."""
        return np.empty((len(texts), 0), np.float32)
