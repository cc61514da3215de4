"""Which rows are labelled: a plan says how many of each bin, a draw says how many of those were right.

Within a bin rows are drawn uniformly, without putting back. `trials` run side by side, so that a guarantee can be tried
a thousand times; a gate that is used has one. How many are taken, and why, belongs to `precision` and `recall`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from mesh_assets.analyses.gates.bins import Bools, Floats, Ints


class Draw(Protocol):
    """Labels rows: of the rows that have no label yet, `take` in each bin, (trials, bins)."""

    @property
    def trials(self) -> int:
        """How many samples are drawn side by side."""
        ...

    def label(self, take: Ints) -> Ints:
        """How many of them are right."""
        ...


class RowDraw:
    """One trial on real rows: `judge` gets the numbers of rows and says of each whether it is right."""

    trials = 1

    def __init__(self, bin_of_row: Ints, judge: Callable[[Ints], Bools], rng: np.random.Generator) -> None:
        shuffled = rng.permutation(len(bin_of_row))
        ordered = shuffled[np.argsort(bin_of_row[shuffled], kind="stable")]
        ends = np.cumsum(np.bincount(bin_of_row))
        self._waiting = np.split(ordered, ends[:-1])
        self._judge = judge
        self.right_rows: list[int] = []
        self.wrong_rows: list[int] = []

    def label(self, take: Ints) -> Ints:
        """Judge the next rows of each bin, all in one call."""
        rows = [waiting[:count] for waiting, count in zip(self._waiting, take[0], strict=True)]
        self._waiting = [waiting[count:] for waiting, count in zip(self._waiting, take[0], strict=True)]
        asked = np.concatenate(rows)
        verdicts = np.asarray(self._judge(asked), bool) if len(asked) else np.zeros(0, bool)
        self.right_rows += asked[verdicts].tolist()
        self.wrong_rows += asked[~verdicts].tolist()
        return np.array([[part.sum() for part in np.split(verdicts, np.cumsum(take[0])[:-1])]], np.int64)


class CountDraw:
    """Many trials on counted rows: the right ones among those drawn from a bin are hypergeometric, as of real rows."""

    def __init__(self, rows: Ints, right: Ints, trials: int, rng: np.random.Generator) -> None:
        self._right = np.repeat(right[None, :], trials, axis=0)
        self._wrong = np.repeat((rows - right)[None, :], trials, axis=0)
        self._rng = rng

    @property
    def trials(self) -> int:
        """How many samples are drawn side by side."""
        return len(self._right)

    def label(self, take: Ints) -> Ints:
        """How many of the rows that each trial draws are right."""
        right = self._rng.hypergeometric(self._right, self._wrong, take)
        self._right -= right
        self._wrong -= take - right
        return right


class Labels:
    """What was labelled so far, (trials, bins): `room` are rows without a label, `right` some of those `labelled`."""

    def __init__(self, rows: Ints, draw: Draw) -> None:
        self._draw = draw
        self.room = np.repeat(rows[None, :], draw.trials, axis=0)
        self.right = np.zeros_like(self.room)
        self.labelled = np.zeros_like(self.room)

    def add(self, take: Ints) -> Ints:
        """Label that many more rows in each bin; how many of them are right."""
        right = self._draw.label(take)
        self.right += right
        self.labelled += take
        self.room -= take
        return right

    def left(self, budget: int) -> Ints:
        """How many more may be labelled, (trials)."""
        return budget - self.labelled.sum(axis=1)


def columns(bins: int) -> Ints:
    """The numbers of bins, as a row that trials are compared with."""
    return np.arange(bins, dtype=np.int64).reshape(1, bins)


def apportion(weights: Floats, total: Ints, room: Ints) -> Ints:
    """Whole numbers by `weights` (trials, bins) that add up to `total` (trials), within `room`; or all of it."""
    wanted = np.minimum(total, room.sum(axis=1))
    shares = np.zeros(room.shape)
    for _ in range(room.shape[1]):
        left = wanted - shares.sum(axis=1)
        if not bool((left > 1e-6).any()):
            break
        open_weights = np.where(shares < room, np.maximum(weights, 1e-12), 0)
        growth = open_weights / np.maximum(open_weights.sum(axis=1, keepdims=True), 1e-300)
        shares = np.minimum(room, shares + left[:, None] * growth)
    upto = np.floor(np.cumsum(shares, axis=1) + 0.5).astype(np.int64)
    take = np.minimum(np.diff(upto, axis=1, prepend=0), room)
    take = np.minimum(np.cumsum(take, axis=1), wanted[:, None])
    take = np.diff(take, axis=1, prepend=0)
    return take + fill(room - take, wanted - take.sum(axis=1))


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
