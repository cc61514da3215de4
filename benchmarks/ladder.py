"""What going deeper is worth: `python benchmarks/ladder.py --data FOLDER [--solutions FOLDER]`.

FOLDER holds `bbh/*.jsonl` (questions with a direct and a chain-of-thought answer of one node, and the right one) and
`game24`; --solutions has HumanEval solutions, plain and with reflexion. A set that is absent is left out of the table.

BBH: whether a question goes deep is decided before the deep call, from the question and the direct answer alone; the
task's name is no feature. Half of the questions of each task are learned from, the other half are reported on, for 20
seeds. Two fitted confidences say how likely the direct answer is right, and how likely the deep one would be; who gains
most goes deep. The operating point is a threshold of that gain, chosen on the training half by models that were learned
without the question: the fewest deep calls that keep `AIM` of the gain. Gain kept = (ours - direct) / (deep - direct).
`above_line` is the smallest over budgets of 10% to 90% of deep calls of the mean advantage over mixing always direct
and always deep by lot. `unseen` is the same with four whole tasks left out of learning and of choosing, its gain summed
over seeds before it is divided. Calibration errors are those of the direct answer on the half that was not learned
from, in 15 equal-mass bins, before by the looks of the question alone (what is known without verdicts), and after.
A deep answer without an end counts as wrong; `fallback` shows what keeping the direct answer in its place gives.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesh_assets.analyses.calibration import calibration_error, reliability, risk_coverage
from mesh_assets.analyses.confidence import FittedConfidence, Verdict, fit_confidence
from mesh_assets.analyses.form import form_signals
from mesh_assets.mesh.routing.arithmetic import evaluate, numbers
from mesh_assets.mesh.routing.complexity import complexity
from mesh_assets.reports.plots import reliability_chart, risk_coverage_chart

SEEDS = 20
LEARNED_SHARE = 0.5
FOLDS = 3
AIM = 0.98  # of the gain, in training: a little more than the .95 that is wanted of questions that were not seen
UNSEEN_TASKS = 4
BUDGETS = tuple(share / 100 for share in range(10, 91, 5))
_ENDING = re.compile(r"answer is")
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


def places(rows: Rows) -> list[int]:
    return [int(row) for row in rows]


@dataclass(frozen=True)
class Questions:
    """Recorded questions: `right` is whether the direct and the deep answer are, shape (questions, 2)."""

    tasks: tuple[str, ...]
    questions: tuple[str, ...]
    direct: tuple[str, ...]
    right: Floats
    is_ended: NDArray[np.bool_]

    @cached_property
    def signals(self) -> list[dict[str, float]]:
        return [form_signals(q, a) for q, a in zip(self.questions, self.direct, strict=True)]

    def verdicts(self, rows: Rows, column: int) -> list[Verdict]:
        """What is learned from: the answer shown is the direct one, also where the deep one is judged."""
        return [
            Verdict(self.questions[i], self.direct[i], self.signals[i], bool(self.right[i, column]))
            for i in places(rows)
        ]

    def predict(self, model: FittedConfidence, rows: Rows) -> Floats:
        chosen = places(rows)
        return model.probabilities(
            [self.questions[i] for i in chosen], [self.direct[i] for i in chosen], [self.signals[i] for i in chosen]
        )

    def of_tasks(self, chosen: Sequence[str]) -> Rows:
        return np.array([i for i, task in enumerate(self.tasks) if task in chosen], dtype=np.int64)


def read_bbh(folder: Path, wanted: Sequence[str]) -> Questions | None:
    """All recorded questions below `folder`, of the `wanted` tasks if any are named; None where there are none."""
    said = [json.loads(line) for path in sorted(folder.rglob("*.jsonl")) for line in path.open(encoding="utf-8")]
    rows = [row for row in said if "cot" in row and (not wanted or row["task"] in wanted)]
    if not rows:
        return None
    right = [[ended(row[way]) == ended(row["target"]) for way in ("direct", "cot")] for row in rows]
    return Questions(
        tuple(row["task"] for row in rows),
        tuple(row["question"] for row in rows),
        tuple(row["direct"] for row in rows),
        np.array(right, dtype=np.float64),
        np.array([bool(_ENDING.search(row["cot"])) for row in rows]),
    )


def ended(answer: str) -> str:
    """What an answer ends in, without the full stop; the whole of it where it names no end."""
    return _ENDING.split(answer)[-1].strip().rstrip(".").strip()


def gains(data: Questions, learned: Rows, held: Rows) -> tuple[Floats, Floats]:
    """How much each held question is expected to gain by a deep call, and how likely its direct answer is right."""
    sure: list[Floats] = []
    for column in (0, 1):
        model = fit_confidence(data.verdicts(learned, column))
        mean = float(data.right[learned, column].mean())
        sure.append(data.predict(model, held) if model else np.full(len(held), mean))
    return sure[1] - sure[0], sure[0]


def threshold(data: Questions, learned: Rows, group: Callable[[Rows], NDArray[np.int64]]) -> float:
    """The gain from which a question goes deep: fewest calls for `AIM` of the gain, by models that had not seen it."""
    folds = group(learned)
    expected = np.zeros(len(learned))
    for fold in np.unique(folds):
        expected[folds == fold], _ = gains(data, learned[folds != fold], learned[folds == fold])
    order = np.argsort(-expected, kind="stable")
    reached = np.cumsum((data.right[learned, 1] - data.right[learned, 0])[order])
    if reached[-1] <= 0:
        return float(np.inf)  # deeper is no better: nothing goes
    return float(expected[order][np.argmax(reached >= AIM * reached[-1])])


def halves(data: Questions, seed: int) -> tuple[Rows, Rows]:
    """Questions to learn from and to report on, cut inside each task."""
    random = np.random.default_rng(seed)
    learned: list[int] = []
    for task in sorted(set(data.tasks)):
        rows = random.permutation(data.of_tasks((task,)))
        learned += rows[: round(LEARNED_SHARE * len(rows))].tolist()
    return np.array(sorted(learned)), np.setdiff1d(np.arange(len(data.tasks)), learned)


@dataclass(frozen=True)
class Split:
    """What one seed gave. `curve` is accuracy by budget less that of the line."""

    direct: float
    deep: float
    ours: float
    calls: float
    fallback: float
    curve: Floats
    stated: Floats
    plain: Floats
    right: Floats

    @property
    def kept(self) -> float:
        return (self.ours - self.direct) / (self.deep - self.direct) if self.deep != self.direct else 1.0


def split(data: Questions, learned: Rows, held: Rows, group: Callable[[Rows], NDArray[np.int64]]) -> Split:
    """Learns and chooses on `learned`, and measures on `held`."""
    cut = threshold(data, learned, group)
    expected, stated = gains(data, learned, held)
    right, goes = data.right[held], expected >= cut
    order = np.argsort(-expected, kind="stable")
    gained = np.concatenate([[0.0], np.cumsum((right[:, 1] - right[:, 0])[order])]) / len(held)
    deep_or_direct = np.where(data.is_ended[held], right[:, 1], right[:, 0])
    return Split(
        direct=float(right[:, 0].mean()),
        deep=float(right[:, 1].mean()),
        ours=float(np.where(goes, right[:, 1], right[:, 0]).mean()),
        calls=float(goes.mean()),
        fallback=float(np.where(goes, deep_or_direct, right[:, 0]).mean()),
        curve=np.array([gained[round(share * len(held))] - share * gained[-1] for share in BUDGETS]),
        stated=stated,
        plain=np.array([1.0 - complexity(data.questions[i]) for i in places(held)]),
        right=right[:, 0],
    )


def seen_split(data: Questions, seed: int) -> Split:
    learned, held = halves(data, seed)
    return split(data, learned, held, lambda rows: np.random.default_rng(seed).permutation(len(rows)) % FOLDS)


def unseen_split(data: Questions, seed: int) -> Split:
    """Four whole tasks are held; the threshold too comes from tasks that its models had not seen."""
    names = np.random.default_rng(seed).permutation(sorted(set(data.tasks))).tolist()
    left = min(UNSEEN_TASKS, len(names) // 2)
    place = {name: i % FOLDS for i, name in enumerate(names[left:])}
    return split(
        data,
        data.of_tasks(names[left:]),
        data.of_tasks(names[:left]),
        lambda rows: np.array([place[data.tasks[i]] for i in places(rows)]),
    )


def bbh(data: Questions, seeds: int, plots: Path | None) -> str:
    """Prints the table of BBH; its figures for the last line."""
    found = [seen_split(data, seed) for seed in range(seeds)]
    print(f"BBH: {len(data.tasks)} questions of {len(set(data.tasks))} tasks, {seeds} seeds")
    curve = np.mean([each.curve for each in found], axis=0)
    direct, deep = (float(np.mean([getattr(each, name) for each in found])) for name in ("direct", "deep"))
    ours, calls = float(np.mean([each.ours for each in found])), float(np.mean([each.calls for each in found]))
    kept = float(np.mean([each.kept for each in found]))
    for share, above in zip(BUDGETS, curve, strict=True):
        line = direct + share * (deep - direct)
        print(f"  deep calls {share:.2f}  accuracy {line + above:.3f}  by lot {line:.3f}  above the line {above:+.3f}")
    print(f"  always direct {direct:.3f}, always deep {deep:.3f}")
    spread = np.std([each.kept for each in found]), np.std([each.calls for each in found])
    print(
        f"  operating point {ours:.3f}, deep calls {calls:.3f} ±{spread[1]:.3f}, gain kept {kept:.3f} ±{spread[0]:.3f}"
    )
    fallback = float(np.mean([each.fallback for each in found]))
    print(f"  the same, the direct answer kept where the deep one has no end: {fallback:.3f}")
    before = float(np.mean([calibration_error(each.plain, each.right) for each in found]))
    after = float(np.mean([calibration_error(each.stated, each.right) for each in found]))
    first = found[0]
    print("  reliability, first seed: stated and right share of each bin")
    print("   ", "  ".join(f"{each.stated:.2f}/{each.right:.2f}" for each in reliability(first.stated, first.right)))
    risks = risk_coverage(first.stated, first.right)
    if plots is not None:
        write_plots(plots, first)
    shown = [min(risks, key=lambda pair, at=at: abs(pair[0] - at)) for at in (0.1, 0.25, 0.5, 0.75, 1.0)]
    print("  risk at coverage:", "  ".join(f"{risk:.3f} at {coverage:.2f}" for coverage, risk in shown))
    new = [unseen_split(data, seed) for seed in range(seeds)]
    unseen = sum(each.ours - each.direct for each in new) / sum(each.deep - each.direct for each in new)
    new_error = np.mean([calibration_error(each.stated, each.right) for each in new])
    new_calls = np.mean([each.calls for each in new])
    print(f"  tasks not seen: deep calls {new_calls:.3f}, gain kept {unseen:.3f}, calibration error {new_error:.3f}")
    return (
        f"bbh_gain_kept={kept:.3f} bbh_deep_calls={calls:.3f} above_line={curve.min():.3f} "
        f"bbh_gain_kept_unseen={unseen:.3f} ece_before={before:.3f} ece_after={after:.3f}"
    )


def write_plots(folder: Path, first: Split) -> None:
    """`reliability_before.svg`, `reliability_after.svg` and `risk_coverage.svg` of the first seed, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, stated in (("before", first.plain), ("after", first.stated)):
        bins = [(each.stated, each.right, each.answers) for each in reliability(stated, first.right)]
        folder.joinpath(f"reliability_{name}.svg").write_text(reliability_chart(bins, f"Reliability {name}"), "utf-8")
    drawn = risk_coverage_chart(risk_coverage(first.stated, first.right), "Risk by coverage")
    folder.joinpath("risk_coverage.svg").write_text(drawn, "utf-8")


def solves(puzzle: Sequence[float], run: str) -> bool:
    """Whether what a run ends in is an expression of the puzzle's numbers, each once, that gives 24."""
    expression = (
        run.strip().splitlines()[-1].lower().removeprefix("answer:").split("=")[0].strip() if run.strip() else ""
    )
    value = evaluate(expression)
    return value is not None and abs(value - 24) < 1e-6 and sorted(numbers(expression)) == sorted(puzzle)


def game24(folder: Path) -> None:
    """Prints chain and tree of thought on puzzles, each answer checked anew, and the price of each."""
    chain, tree = folder / "game24" / "cot_sample_100.json", folder / "game24" / "tot_greedy5.json"
    if not (chain.exists() and tree.exists()):
        return
    trees = json.loads(tree.read_text(encoding="utf-8"))
    chains = json.loads(chain.read_text(encoding="utf-8"))
    puzzles = {row["idx"]: numbers(row["steps"][0]["x"]) for row in trees}
    chains = [row for row in chains if row["idx"] in puzzles]
    print(f"game of 24: {len(trees)} puzzles, an answer is right where its own expression gives 24")
    sampled = np.array([[solves(puzzles[row["idx"]], run) for run in row["ys"]] for row in chains])
    kept = np.array([[solves(puzzles[row["idx"]], run) for run in row["ys"]] for row in trees])
    usd = max(row["usage_so_far"]["cost"] for row in chains) / sampled.size
    tree_usd = max(row["usage_so_far"]["cost"] for row in trees) / len(trees)
    for size in (1, 5, 20, sampled.shape[1]):
        among = sampled[:, : sampled.shape[1] // size * size].reshape(len(chains), -1, size).any(axis=2).mean()
        print(f"  chain, {size:>3} samples, a verifier picks   solved {among:.3f}  USD a puzzle {usd * size:.4f}")
    print(f"  tree, its first answer                solved {kept[:, 0].mean():.3f}  USD a puzzle {tree_usd:.4f}")
    print(f"  tree, 5 answers, a verifier picks     solved {kept.any(axis=1).mean():.3f}  USD a puzzle {tree_usd:.4f}")


def human_eval(folder: Path) -> None:
    """Prints plain answers and reflexion on HumanEval, as their tests said, and what reflexion broke."""
    paths = [next(iter(sorted(folder.rglob(f"humaneval*{way}.jsonl"))), None) for way in ("simple", "reflexion")]
    if paths[0] is None or paths[1] is None:
        return
    plain, deep = (
        {row["task_id"]: row for row in map(json.loads, path.open(encoding="utf-8"))} for path in paths if path
    )
    both = sorted(plain.keys() & deep.keys())
    solved = np.array([[str(way[task]["is_solved"]) == "True" for way in (plain, deep)] for task in both])
    print(f"HumanEval: {len(both)} tasks")
    for column, way in enumerate(("plain", "reflexion")):
        print(f"  {way:<12}solved {solved[:, column].mean():.3f}")
    print(f"  reflexion mended {(~solved[:, 0] & solved[:, 1]).sum()} and broke {(solved[:, 0] & ~solved[:, 1]).sum()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of bbh and game24")
    parser.add_argument("--solutions", type=Path, help="folder of HumanEval solutions")
    parser.add_argument("--tasks", default="", help="tasks of BBH alone, with commas")
    parser.add_argument("--plots", type=Path, help="folder for plots of reliability and of risk by coverage")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    game24(options.data)
    if options.solutions:
        human_eval(options.solutions)
    data = read_bbh(options.data, [name for name in options.tasks.split(",") if name])
    print(bbh(data, options.seeds, options.plots) if data else f"There are no recorded questions below {options.data}.")


if __name__ == "__main__":
    main()
