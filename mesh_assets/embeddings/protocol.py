"""What an encoder is (the local model that turns texts into vectors, or anything that stands in for it), and what
remembers its vectors from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Length of a text's hash (BLAKE3), by which its vector is found again.
HASH_BYTES = 16

# A vector as it is stored, shape (dimension,), or several, shape (rows, dimension).
Vector = NDArray[np.float16]

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

    @property
    def engine(self) -> str:
        """What computes the vectors, for the UI, and why nothing faster does."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimension). ModelError where the model cannot run."""
        ...


class KnownVectors(Protocol):
    """Vectors of texts that one model embedded before, by the hash of the text. It never fails: what it cannot read it
    does not know, and what it cannot keep is embedded again another time."""

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, Vector]:
        """The vectors of those of the `hashes` (16 bytes each) that are known, exactly as they were stored."""
        ...

    def keep(self, vectors: Mapping[bytes, Vector]) -> None:
        """Take vectors that were just made; they may wait in memory until enough of them are there."""
        ...

    def flush(self) -> None:
        """Store now what waits in memory."""
        ...


class NothingKnown:
    """KnownVectors that has none and keeps none."""

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, Vector]:
        """Empty."""
        del hashes
        return {}

    def keep(self, vectors: Mapping[bytes, Vector]) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""


NOTHING_KNOWN = NothingKnown()
