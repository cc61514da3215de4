"""A gate: from which score on answers are kept, what that promises, and the file that says so.

How the threshold is found belongs to `precision` and `recall` (of these very rows) and `new_cases` (of cases to come).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mesh_assets.analyses.gates.bins import Bins, Bools, Floats, Ints, bins_of, cell_score, count_cells, score_cells
from mesh_assets.analyses.gates.draws import Draw, Labels, RowDraw
from mesh_assets.analyses.gates.precision import most_kept
from mesh_assets.analyses.gates.recall import fewest_kept
from mesh_assets.atomic import replacing
from mesh_assets.errors import GateError

# `precision`: of what is kept, the target share is right. `recall`: of what is right, the target share is kept.
Promise = Literal["precision", "recall"]
FILE_VERSION = 1
_RESTS_ON = {
    "draw": "It rests on the draw of the verdicts alone.",
    "curve": "It rests on the draw of the verdicts, and on scores below the threshold being about as right as the "
    "verdicts say of those above and a few of theirs.",
    "exchange": "It rests on the judged cases being drawn like those to come.",
}


@dataclass(frozen=True)
class Gate:
    """Keeps answers whose score lies in `cell` or above; None keeps no answer for its score.

    `verdicts` were used. `rests_on` names what the promise supposes. `judged_right` and `judged_wrong` are the numbers
    of judged rows: known, so the right ones are kept and the wrong ones are not, whatever their score.
    """

    promise: Promise
    target: float
    delta: float
    verdicts: int
    cell: int | None
    rests_on: Literal["draw", "curve", "exchange"]
    judged_right: tuple[int, ...] = ()
    judged_wrong: tuple[int, ...] = ()

    @property
    def threshold(self) -> float | None:
        """The lowest score that is kept; None where none is."""
        return None if self.cell is None else cell_score(self.cell)

    @property
    def guarantee(self) -> str:
        """What it promises, as sentences for people."""
        what = "of what is kept is right" if self.promise == "precision" else "of what is right is kept"
        sure = (
            f"With probability {1 - self.delta:.4g} at least {self.target:.4g} {what}, by {self.verdicts:,} verdicts."
        )
        if self.cell is None:
            return f"The verdicts are too few, or the scores too poor, to keep an answer for its score. {sure}"
        if self.cell == 0 and self.promise == "recall":
            return f"The verdicts are too few, or the scores too poor, to leave anything out: all is kept. {sure}"
        return f"{sure} {_RESTS_ON[self.rests_on]}"

    def keeps(self, scores: Floats) -> Bools:
        """Whether each score is kept. GateError where one is no number from 0 to 1."""
        cells = score_cells(scores)
        return np.zeros(len(cells), bool) if self.cell is None else cells >= self.cell

    def keeps_one(self, score: float) -> bool:
        """Whether a score is kept. GateError where it is no number from 0 to 1."""
        return bool(self.keeps(np.array([score]))[0])

    def kept_rows(self, scores: Floats) -> Bools:
        """Whether each row is kept, of the rows that the gate was made of, in their order: the judged as they were."""
        kept = self.keeps(scores)
        kept[list(self.judged_right)] = True
        kept[list(self.judged_wrong)] = False
        return kept

    def save(self, path: Path) -> None:
        """Write it beside and rename. OSError where the disk refuses."""
        with replacing(path, "gate") as temporary:
            temporary.write_text(json.dumps({"version": FILE_VERSION, **asdict(self)}), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Gate:
        """The gate in a file. GateError where it is none, or of another version."""
        try:
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            _check_version(fields.pop("version"))
            gate = cls(**fields)
            gate = replace(gate, judged_right=tuple(gate.judged_right), judged_wrong=tuple(gate.judged_wrong))
            _check(gate)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise GateError(f"{path} is no gate: {error}.", remedy="Make it anew from the verdicts.") from error
        return gate


def _check_version(version: object) -> None:
    if version != FILE_VERSION:
        raise ValueError(f"it is of version {version}, not {FILE_VERSION}")


def _check(gate: Gate) -> None:
    """ValueError where a field has a value that no gate has."""
    is_cell = gate.cell is None or int(gate.cell) >= 0
    if gate.promise not in get_args(Promise) or gate.rests_on not in _RESTS_ON or not is_cell:
        raise ValueError("a field has no possible value")
    check_promise(gate.target, gate.delta)


def check_promise(target: float, delta: float) -> None:
    """GateError, which names it, where one of them is no share between 0 and 1."""
    for name, value in (("target", target), ("delta", delta)):
        if not 0 < value < 1:
            raise GateError(f"The {name} of a gate is {value}.", remedy="Give a number between 0 and 1.")


def place(
    bins: Bins, draw: Draw, promise: Promise, *, budget: int, target: float, delta: float, rng: np.random.Generator
) -> tuple[Ints, Labels]:
    """How many bins from above are kept in each trial, (trials), and what was labelled, at most `budget` rows each."""
    if promise == "precision":
        return most_kept(bins, draw, budget, target, delta, rng)
    return fewest_kept(bins, draw, budget, target, delta)


def gate_over(
    slices: Sequence[Floats],
    judge: Callable[[Ints], Bools],
    promise: Promise,
    *,
    budget: int,
    target: float = 0.9,
    delta: float = 0.05,
    seed: int = 0,
) -> Gate:
    """The gate of all rows of slices with these scores: one budget of verdicts and one promise for their union.

    Rows are numbered through the slices in their order; `judge` says of row numbers, a few calls in all, which are
    right. GateError where there are no rows, a score is none, or a promise is none.
    """
    check_promise(target, delta)
    bins = bins_of(np.sum([count_cells(np.zeros(0)), *map(count_cells, slices)], axis=0))
    rng = np.random.default_rng(seed)
    draw = RowDraw(np.concatenate([bins.of(scores) for scores in slices]), judge, rng)
    kept, labels = place(bins, draw, promise, budget=budget, target=target, delta=delta, rng=rng)
    return Gate(
        promise,
        target,
        delta,
        int(labels.labelled.sum()),
        _cell(bins, int(kept[0])),
        "draw" if promise == "precision" else "curve",
        tuple(sorted(draw.right_rows)),
        tuple(sorted(draw.wrong_rows)),
    )


def _cell(bins: Bins, kept: int) -> int | None:
    if kept == 0:
        return None
    return 0 if kept == len(bins.rows) else bins.lowest_cell(kept - 1)
