"""A fair sample of a stream of unknown length, in bounded memory."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Reservoir(Generic[T]):
    """Keeps each of the items seen with equal probability (Vitter 1985, algorithm R), the same ones on every run."""

    def __init__(self, size: int, *, seed: int = 0) -> None:
        self.items: list[T] = []
        self.seen = 0
        self._size = size
        self._random = np.random.default_rng(seed)

    def place(self) -> int | None:
        """Where the next item goes, None where it is not kept. Ask once for each item, then `put` it."""
        self.seen += 1
        if len(self.items) < self._size:
            return len(self.items)
        at = int(self._random.random() * self.seen)
        return at if at < self._size else None

    def put(self, at: int, item: T) -> None:
        """Keep `item` at the place that `place` gave."""
        if at == len(self.items):
            self.items.append(item)
        else:
            self.items[at] = item
