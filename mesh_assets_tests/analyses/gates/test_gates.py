"""Gates keep what they promise, say so, and never crash on scores or verdicts that are odd."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.analyses.gates.bins import Floats, Ints, bins_of, count_cells
from mesh_assets.analyses.gates.draws import CountDraw, Labels, RowDraw, apportion, fill, scatter
from mesh_assets.analyses.gates.gate import Gate, Promise, gate_over, place
from mesh_assets.analyses.gates.new_cases import gate_for_new
from mesh_assets.errors import GateError

TARGET, DELTA = 0.9, 0.05
# How scores lie, by name: chance of a right row from uniform numbers, and the score that is told.
SCORES = {
    "good": lambda u: (1 - u**3, 1 - u**3),
    "honest": lambda u: (u**6, u**6),
    "too sure": lambda u: (u**4, u**8 / (u**8 + (1 - u**4) ** 2 + 1e-12)),
    "rare": lambda u: (u**200, u**200),
    "no help": lambda u: (np.full_like(u, 0.3), u),
    "upside down": lambda u: (u**6, 1 - u**6),
    "all equal": lambda u: (np.full_like(u, 0.4), np.full_like(u, 0.5)),
}


def _rows(name: str, number: int, seed: int) -> tuple[Floats, Ints]:
    rng = np.random.default_rng(seed)
    chance, scores = SCORES[name](rng.random(number))
    return np.clip(scores, 0, 1), (rng.random(number) < chance).astype(np.int64)


def _shares(labels: Labels, right: Ints, kept: Ints) -> tuple[Floats, Floats]:
    inside = np.arange(len(right))[None, :] < kept[:, None]
    kept_right = labels.right.sum(axis=1) + np.where(inside, right - labels.right, 0).sum(axis=1)
    number = labels.right.sum(axis=1) + np.where(inside, labels.room, 0).sum(axis=1)
    return np.where(number, kept_right / np.maximum(number, 1), 1.0), kept_right / right.sum()


@pytest.mark.parametrize("budget", [60, 400])
@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("promise", ["precision", "recall"])
def test_a_promise_is_missed_no_more_often_than_it_says(name: str, promise: Promise, budget: int) -> None:
    trials = 60
    scores, right = _rows(name, 20_000, seed=7)
    bins = bins_of(count_cells(scores))
    in_bins = np.bincount(bins.of(scores), right, minlength=len(bins.rows)).astype(np.int64)
    rng = np.random.default_rng(budget)
    draw = CountDraw(bins.rows, in_bins, trials, rng)
    kept, labels = place(bins, draw, promise, budget=budget, target=TARGET, delta=DELTA, rng=rng)
    assert labels.labelled.sum(axis=1).max() <= budget
    missed = float((_shares(labels, in_bins, kept)[promise == "recall"] < TARGET - 1e-9).mean())
    assert missed <= DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / trials)


def test_honest_scores_let_most_be_kept_and_most_wrong_ones_be_left_out() -> None:
    scores, right = _rows("honest", 20_000, seed=1)
    judge = lambda rows: right[rows] == 1  # noqa: E731
    sure = gate_over([scores], judge, "precision", budget=400, target=TARGET, delta=DELTA).kept_rows(scores)
    assert right[sure].mean() >= TARGET
    assert right[sure].sum() > 0.15 * right.sum()  # the judged alone would be a tenth
    wide = gate_over([scores], judge, "recall", budget=400, target=TARGET, delta=DELTA).kept_rows(scores)
    assert right[wide].sum() >= TARGET * right.sum()
    assert wide.mean() < 0.6


def test_few_right_rows_are_all_judged_and_little_else_is_kept() -> None:
    rng = np.random.default_rng(2)
    scores = rng.random(20_000) ** 1_000
    right = (rng.random(len(scores)) < scores).astype(np.int64)
    gate = gate_over([scores], lambda rows: right[rows] == 1, "recall", budget=400, target=TARGET, delta=DELTA)
    kept = gate.kept_rows(scores)
    assert right[kept].sum() >= TARGET * right.sum()
    assert right[kept].mean() > 0.9


@pytest.mark.parametrize("promise", ["precision", "recall"])
def test_slices_give_the_gate_that_all_rows_give(promise: Promise) -> None:
    scores, right = _rows("too sure", 3_000, seed=3)
    judge = lambda rows: right[rows] == 1  # noqa: E731
    whole = gate_over([scores], judge, promise, budget=120)
    assert whole.verdicts <= 120
    assert gate_over(np.array_split(scores, 32), judge, promise, budget=120) == whole


@pytest.mark.parametrize("promise", ["precision", "recall"])
def test_where_no_score_tells_anything_a_gate_says_that_it_cannot_hold(promise: Promise) -> None:
    scores, right = _rows("all equal", 5_000, seed=5)
    gate = gate_over([scores], lambda rows: right[rows] == 1, promise, budget=100)
    assert gate.threshold == (None if promise == "precision" else 0.0)
    assert "too few" in gate.guarantee
    kept = gate.kept_rows(scores)
    assert right[kept].all() if promise == "precision" else right[kept].sum() == right.sum()


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=60),
    labels=st.randoms(use_true_random=False),
    budget=st.integers(0, 80),
    promise=st.sampled_from(["precision", "recall"]),
)
@settings(max_examples=25, deadline=None)
def test_any_scores_any_verdicts_any_budget(scores: list[float], labels: object, budget: int, promise: Promise) -> None:
    told = np.array(scores)
    right = np.array([labels.random() < 0.5 for _ in scores])  # type: ignore[attr-defined]
    asked: list[int] = []

    def judge(rows: Ints) -> Ints:
        asked.extend(rows.tolist())
        return right[rows]

    gate = gate_over([told], judge, promise, budget=budget)
    assert len(asked) == len(set(asked)) == gate.verdicts <= budget
    kept = gate.kept_rows(told)
    assert not kept[[row for row in asked if not right[row]]].any()
    assert kept[[row for row in asked if right[row]]].all()
    if gate.verdicts == len(scores):  # all are known
        assert (kept == right).all()


@given(
    room=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    total=st.integers(0, 400),
    seed=st.integers(0, 99),
)
@settings(max_examples=50, deadline=None)
def test_what_is_shared_out_adds_up_within_the_room(room: list[int], total: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rooms, totals = np.array([room]), np.array([total])
    for take in (
        apportion(rng.random(rooms.shape), totals, rooms),
        fill(rooms, totals),
        scatter(rooms, totals, rng),
    ):
        assert take.sum() == min(total, sum(room))
        assert ((take >= 0) & (take <= rooms)).all()


def test_rows_are_drawn_as_the_counts_of_the_trials_say() -> None:
    bin_of_row, right = np.repeat([0, 1], [30, 50]), np.arange(80) % 5 == 0
    take = np.array([[10, 20]])
    means = np.mean(
        [RowDraw(bin_of_row, lambda rows: right[rows], np.random.default_rng(s)).label(take) for s in range(300)],
        axis=0,
    )
    counted = CountDraw(np.array([30, 50]), np.array([6, 10]), 300, np.random.default_rng(0))
    assert means == pytest.approx(counted.label(np.repeat(take, 300, axis=0)).mean(axis=0, keepdims=True), abs=0.35)


def test_a_gate_prints_its_guarantee_and_survives_its_file(tmp_path: Path) -> None:
    scores, right = _rows("honest", 5_000, seed=1)
    gate = gate_over([scores], lambda rows: right[rows] == 1, "precision", budget=300, target=0.8, delta=0.1)
    assert "probability 0.9 at least 0.8 of what is kept is right, by 300 verdicts" in gate.guarantee
    path = tmp_path / "gate.json"
    gate.save(path)
    assert Gate.load(path) == gate
    for broken in (
        "",
        "[]",
        json.dumps({"version": 9}),
        path.read_text().replace('"precision"', '"hope"'),
        path.read_text().replace('"target": 0.8', '"target": 8'),
    ):
        path.write_text(broken)
        with pytest.raises(GateError):
            Gate.load(path)


@pytest.mark.parametrize("promise", ["precision", "recall"])
def test_a_gate_for_cases_to_come_keeps_its_promise_there(promise: Promise) -> None:
    scores, right = _rows("good", 50_000, seed=11)
    rng, missed, share = np.random.default_rng(1), [], []
    for _ in range(100):
        judged = rng.choice(len(scores), 500, replace=False)
        kept = gate_for_new(scores[judged], right[judged], promise).keeps(scores)
        hits = right[kept].sum()
        reached = hits / right.sum() if promise == "recall" else hits / kept.sum() if kept.any() else 1.0
        missed.append(reached < TARGET)
        share.append(kept.mean())
    assert np.mean(missed) <= DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / 100)
    assert 0.3 < np.mean(share) < 0.95


def test_what_is_no_score_and_no_promise_is_refused() -> None:
    judge = lambda rows: rows > 0  # noqa: E731
    for scores in ([0.5, np.nan], [-0.1], [1.5], []):
        with pytest.raises(GateError):
            gate_over([np.array(scores)], judge, "precision", budget=10)
    with pytest.raises(GateError, match="target"):
        gate_over([np.array([0.5])], judge, "precision", budget=10, target=1.0)
    with pytest.raises(GateError, match="verdict"):
        gate_for_new(np.array([0.5]), np.array([1, 0]), "precision")
