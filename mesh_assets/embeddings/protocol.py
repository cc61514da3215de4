"""What an encoder is: the local model that turns texts into vectors, or anything that stands in for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# The model of an owner who wants words only (`MESH_EMBEDDING_MODEL=off`): nothing is embedded under this name.
OFF = "off"


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def model(self) -> str:
        """Identifies the model and its version; vectors of different models are never compared."""
        ...

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimension). ModelError where the model cannot run."""
        ...
