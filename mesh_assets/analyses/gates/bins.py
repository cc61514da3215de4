"""Rows by their score: counts in fixed cells that slices add up, and bins of a few cells that a gate is planned in.

A cell is a range of the score's logit that is the same everywhere, so slices count their own rows, and the sum is what
counting all rows at once gives. No labels belong here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mesh_assets.errors import GateError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Logits beyond this (a probability of 1e-11) share a cell; a cell is 2.5% of odds wide.
_LOGIT_LIMIT = 25.0
_CELLS = 2_000
# A bin is what is planned in: enough that the best rows have their own, few enough to weigh at once.
_BINS = 64
# The share of the plan that does not trust the scores at all: the defensive part of SUPG's mixture.
_DEFENSIVE = 0.1


@dataclass(frozen=True)
class Bins:
    """Bins of falling score: `rows` how many in each, `logit` their mean."""

    rows: Ints
    logit: Floats
    cells: Ints
    """Which bin each cell is in."""

    def of(self, scores: Floats) -> Ints:
        """The bin of each score; 0 is that of the highest."""
        return self.cells[score_cells(scores)]

    def lowest_cell(self, bin_number: int) -> int:
        """The lowest cell of this bin: it and those before it hold the scores from that cell on."""
        return int(np.flatnonzero(self.cells == bin_number)[0])


def cell_score(cell: int) -> float:
    """The score at which a cell begins; 0 for the lowest."""
    return 0.0 if cell == 0 else float(1 / (1 + np.exp(_LOGIT_LIMIT - 2 * _LOGIT_LIMIT * cell / _CELLS)))


def score_cells(scores: Floats) -> Ints:
    """The cell of each score. GateError where one is no number from 0 to 1."""
    scores = np.asarray(scores, np.float64)
    if not bool(np.all((scores >= 0) & (scores <= 1))):
        raise GateError("A score is no number from 0 to 1.", remedy="Give a confidence, or another score scaled to it.")
    odds_tiny = 1e-15
    logits = np.log(np.maximum(scores, odds_tiny)) - np.log(np.maximum(1 - scores, odds_tiny))
    cells = np.floor((logits + _LOGIT_LIMIT) / (2 * _LOGIT_LIMIT) * _CELLS).astype(np.int64)
    return np.clip(cells, 0, _CELLS - 1)


def count_cells(scores: Floats) -> Ints:
    """How many scores lie in each cell: what a slice hands in. Counts of slices add up."""
    return np.bincount(score_cells(scores), minlength=_CELLS).astype(np.int64)


def bins_of(counts: Ints) -> Bins:
    """Bins that have about the same weight each, by the square root of the score (Kang et al., VLDB 2020).

    GateError without rows.
    """
    if not counts.sum():
        raise GateError("There are no scores to make a gate of.", remedy="Run the analyses first.")
    centres = -_LOGIT_LIMIT + 2 * _LOGIT_LIMIT * (np.arange(_CELLS) + 0.5) / _CELLS
    weights = counts * np.sqrt(1 / (1 + np.exp(-centres)))
    weights = (1 - _DEFENSIVE) * weights / weights.sum() + _DEFENSIVE * counts / counts.sum()
    falling = np.cumsum(weights[::-1])[::-1]  # of a cell and those above it
    groups = np.minimum(np.floor((falling - weights / 2) * _BINS), _BINS - 1).astype(np.int64)
    groups[counts == 0] = -1
    # A cell without rows goes with those above it, and one above all rows with the first.
    groups = np.maximum(np.maximum.accumulate(groups[::-1])[::-1], groups[np.flatnonzero(counts)[-1]])
    present, cells = np.unique(groups, return_inverse=True)
    rows = np.bincount(cells, counts, minlength=len(present))
    logit = np.bincount(cells, counts * centres, minlength=len(present)) / np.maximum(rows, 1)
    return Bins(rows.astype(np.int64), logit, cells.astype(np.int64))
