"""Records teach which node answers what; it stays off until it proves itself, and complexity stands in for it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from mesh_assets.errors import RoutingError
from mesh_assets.mesh.protocol import Node
from mesh_assets.mesh.routing.complexity import complexity, expected_quality
from mesh_assets.mesh.routing.quality import QualityModel, Records
from mesh_assets.mesh.routing.trial import Trial, held_out_predictions, try_out

NODES = ("sums", "poems")
COSTS = (Decimal("0.001"), Decimal("0.001"))


def _records(count: int, *, told_by_text: bool, seed: int = 0) -> Records:
    """Questions of two tasks; each node is good at one of them, or both are equally good by lot."""
    random = np.random.default_rng(seed)
    questions, scores, tasks = [], [], []
    for _ in range(count):
        is_sum = bool(random.random() < 0.5)
        number = int(random.integers(10, 99))
        questions.append(
            f"How much is {number} apples plus {number + 3} apples?" if is_sum else f"Rhyme {number} roses"
        )
        right = (0.9, 0.3) if is_sum else (0.3, 0.9)
        scores.append(random.random(2) < (right if told_by_text else 0.6))
        tasks.append("sum" if is_sum else "poem")
    return Records(NODES, tuple(questions), np.array(scores, dtype=float), None, tuple(tasks))


@pytest.mark.parametrize("with_tasks", [True, False])
def test_new_questions_go_to_the_node_that_was_good_at_such(with_tasks: bool) -> None:
    records = _records(200, told_by_text=True)
    model = QualityModel(records if with_tasks else replace(records, tasks=None))
    predicted = model.predict(["How much is 5 apples plus 8 apples?", "Rhyme 7 roses"])
    assert predicted.shape == (2, 2)
    assert predicted.argmax(axis=1).tolist() == [0, 1]
    assert ((predicted >= 0) & (predicted <= 1)).all()
    assert model.predict([]).shape == (0, 2)


def test_a_question_like_no_other_gets_about_the_mean_of_each_node() -> None:
    records = _records(200, told_by_text=True)
    (predicted,) = QualityModel(replace(records, tasks=None)).predict(["Ξένος \ud800 ζυγός"])
    assert predicted == pytest.approx(records.scores.mean(axis=0), abs=0.12)


def test_an_answer_with_wrong_sums_is_expected_to_be_wrong() -> None:
    numbers = [(n, n % 2 == 0) for n in range(10, 90)]
    records = Records(
        NODES,
        tuple(f"How much is {n} + 4?" for n, _ in numbers),
        np.array([[float(right), 1.0] for _, right in numbers]),
        tuple(f"{n} + 4 = {n + 4 if right else n + 5}\n#### {n + 4 if right else n + 5}" for n, right in numbers),
    )
    model = QualityModel(records)
    question = ["How much is 200 + 4?"] * 2
    right, wrong = model.predict(question, ["200 + 4 = 204\n#### 204", "200 + 4 = 214\n#### 214"])[:, 0]
    assert right > wrong + 0.2
    with pytest.raises(RoutingError, match="asked without"):
        model.predict(question)


def test_the_trial_passes_what_tells_nodes_apart() -> None:
    trial = try_out(_records(240, told_by_text=True), COSTS)
    assert trial.passed
    assert trial.best_node_gain > 0.1
    assert trial.sentence.startswith("The learned router is on: on 240 records that it had not seen")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_trial_keeps_off_what_learned_noise(seed: int) -> None:
    trial = try_out(_records(240, told_by_text=False, seed=seed), COSTS)
    assert not trial.passed
    assert "is off" in trial.sentence


@pytest.mark.parametrize(
    ("gain_low", "best_node_gain_high", "passed"), [(0.01, 0.0, True), (0.0, 0.02, False), (0.01, -0.001, False)]
)
def test_to_pass_is_to_gain_for_the_money_and_to_lose_nothing_with_all_of_it(
    gain_low: float, best_node_gain_high: float, passed: bool
) -> None:
    assert Trial(99, 0.02, gain_low, "x", best_node_gain_high - 0.01, best_node_gain_high).passed is passed


def test_the_trial_takes_nodes_that_cost_nothing() -> None:
    assert try_out(_records(120, told_by_text=True), (Decimal(0), Decimal(0))).passed


def test_no_record_is_predicted_by_a_model_that_saw_it() -> None:
    # Scores by lot: only a model that had seen a record could know its score.
    records = _records(150, told_by_text=False)
    predicted = held_out_predictions(records)
    assert abs(np.corrcoef(predicted[:, 0], records.scores[:, 0])[0, 1]) < 0.3


def test_records_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RoutingError, match="shape"):
        Records(NODES, ("a",), np.zeros((2, 2)))
    with pytest.raises(RoutingError, match="2 answers do not fit 1"):
        Records(NODES, ("a",), np.zeros((1, 2)), ("x", "y"))
    with pytest.raises(RoutingError, match="within 0 and 1"):
        Records(NODES, ("a",), np.array([[0.5, np.nan]]))
    with pytest.raises(RoutingError, match="too few"):
        QualityModel(_records(10, told_by_text=True))


def test_more_to_reckon_with_is_harder_and_a_deeper_or_special_node_better() -> None:
    plain = "What is the capital of France?"
    hard = "If x^2 + 3x = 10 and y = 2x - 7, with 3 < z < 12 and z = xy, what is 5x + 4y - z?"
    assert 0 < complexity(plain) < complexity(hard) < 1
    weak = Node("weak", "local", "m", "bulk", ("general",), ("surface",), "local", 4096, 512)
    strong = replace(weak, name="strong", depths=("deep", "expert"))
    special = replace(strong, name="special", specialities=("math",))
    qualities = [expected_quality(hard, node, speciality="math") for node in (weak, strong, special)]
    assert qualities == sorted(qualities)
    assert len(set(qualities)) == 3
