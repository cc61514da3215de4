"""A gate for cases to come, from verdicts on cases like them: no case is judged for it, and no case is known.

The verdicts must be on cases that were drawn like those to come, not chosen for their answers. Thresholds of a fixed
list are tested in turn, each at the full `delta`, until one fails (fixed sequence), with the binomial law.
"""

from __future__ import annotations

import numpy as np

from mesh_assets.analyses.gates.bins import Floats, Ints, score_cells
from mesh_assets.analyses.gates.gate import Gate, Promise, check_promise
from mesh_assets.analyses.gates.laws import binomial
from mesh_assets.errors import GateError

# From one threshold of the list to the next: half a unit of the logit.
_STEP = 20
_TOP = 2_000


def gate_for_new(scores: Floats, right: Ints, promise: Promise, *, target: float = 0.9, delta: float = 0.05) -> Gate:
    """The gate by judged cases with these scores, of which `right` (0 or 1) says whether they are.

    Under a promise of precision it keeps as much, under one of recall as little as it may. GateError for other lengths,
    scores that are none or promises that are none.
    """
    check_promise(target, delta)
    cells, right = score_cells(scores), np.asarray(right, bool)
    if len(cells) != len(right):
        raise GateError("There are more scores than verdicts, or fewer.", remedy="Give one verdict for each score.")
    found = _most(cells, right, target, delta) if promise == "precision" else _fewest(cells, right, target, delta)
    return Gate(promise, target, delta, len(cells), found, "exchange")


def _most(cells: Ints, right: Ints, target: float, delta: float) -> int | None:
    kept = None
    for cell in range(_TOP - _STEP, -1, -_STEP):
        above = cells >= cell
        number, wrong = int(above.sum()), int((above & ~right).sum())
        if target**number > delta:
            continue  # so few could not be enough if all of them were right: not tested yet
        if _chance(wrong, number, 1 - target) > delta:
            break
        kept = cell
    return kept


def _fewest(cells: Ints, right: Ints, target: float, delta: float) -> int:
    kept, number = 0, int(right.sum())
    for cell in range(_STEP, _TOP, _STEP):
        missed = int((right & (cells < cell)).sum())
        if _chance(missed, number, 1 - target) > delta:
            break
        kept = cell
    return kept


def _chance(met: int, drawn: int, rate: float) -> float:
    return float(binomial(np.array(met), np.array(drawn), np.array(rate)))
