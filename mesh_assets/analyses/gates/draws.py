"""Which rows are labelled: a plan says how many of each bin, a draw says how many of those were right.

Within a bin rows are drawn uniformly, without putting back. `trials` run side by side, so that a guarantee can be
tried a thousand times; a gate that is used has one.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mesh_assets.analyses.gates.bins import Floats, Ints


class Draw(Protocol):
    """Labels rows: of the rows that have no label yet, `take` in each bin, (trials, bins)."""

    trials: int

    def label(self, take: Ints) -> Ints:
        """How many of them are right."""
        ...


class Labels:
    """What was labelled so far, (trials, bins), over a draw."""

    def __init__(self, rows: Ints, draw: Draw) -> None:
        self._draw = draw
        self.room = np.repeat(rows[None, :], draw.trials, axis=0)
        """Rows without a label."""
        self.right = np.zeros_like(self.room)
        self.labelled = np.zeros_like(self.room)

    def add(self, take: Ints) -> Ints:
        """Label that many more rows in each bin; how many of them are right."""
        right = self._draw.label(take)
        self.right += right
        self.labelled += take
        self.room -= take
        return right


def apportion(weights: Floats, total: Ints, room: Ints) -> Ints:
    """Whole numbers by `weights` (trials, bins) that add up to `total` (trials), within `room`; all of it where it is less."""
    wanted = np.minimum(total, room.sum(axis=1)).astype(np.float64)
    shares = np.zeros(room.shape)
    for _ in range(room.shape[1]):
        left = wanted - shares.sum(axis=1)
        open_weights = np.where(shares < room, np.maximum(weights, 1e-12), 0)
        if not bool((left > 1e-6).any()):
            break
        shares = np.minimum(
            room, shares + left[:, None] * open_weights / np.maximum(open_weights.sum(axis=1, keepdims=True), 1e-300)
        )
    upto = np.floor(np.cumsum(shares, axis=1) + 0.5).astype(np.int64)
    take = np.minimum(np.diff(upto, axis=1, prepend=0), room)
    return take + fill(room - take, wanted.astype(np.int64) - take.sum(axis=1))


def fill(room: Ints, total: Ints) -> Ints:
    """Whole numbers that add up to `total` (trials), taken from the first of `room` (trials, bins) that have any."""
    return np.clip(total[:, None] - (np.cumsum(room, axis=1) - room), 0, room)


def scatter(room: Ints, total: Ints, rng: np.random.Generator) -> Ints:
    """How many of `total` (trials) rows drawn uniformly from all of `room` lie in each bin, without putting back."""
    take = np.zeros_like(room)
    left, rest = room.sum(axis=1), np.minimum(total, room.sum(axis=1))
    for column in range(room.shape[1]):
        left = left - room[:, column]
        take[:, column] = rng.hypergeometric(room[:, column], left, rest)
        rest = rest - take[:, column]
    return take
