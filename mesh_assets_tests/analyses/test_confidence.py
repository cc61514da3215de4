"""A probability that an answer is right holds on answers that were not learned from, or is called uncalibrated."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.analyses.calibration import BINS, calibration_error, reliability, risk_coverage
from mesh_assets.analyses.confidence import MIN_VERDICTS, FittedConfidence, Verdict, fit_confidence, standing
from mesh_assets.analyses.form import form_signals
from mesh_assets.errors import CalibrationError


def judged(count: int, seed: int) -> list[Verdict]:
    """Answers whose node says .9 throughout, and is right the more often the more of its citations hold."""
    random = np.random.default_rng(seed)
    made: list[Verdict] = []
    for place in range(count):
        support = float(random.random())
        is_right = bool(random.random() < 0.1 + 0.8 * support)
        kind = "count the lines" if place % 2 else "name the owner"
        made.append(
            Verdict(f"{kind} of file {random.integers(10**6)}", "a", {"support": support, "reported": 0.9}, is_right)
        )
    return made


def stated(model: FittedConfidence, verdicts: list[Verdict]) -> list[float]:
    return model.probabilities(
        [each.question for each in verdicts], [each.answer for each in verdicts], [each.signals for each in verdicts]
    ).tolist()


@pytest.fixture(scope="module")
def model() -> FittedConfidence:
    found = fit_confidence(judged(600, 1))
    assert found is not None
    return found


def test_a_node_that_is_always_sure_gets_the_probability_that_verdicts_give_it(model: FittedConfidence) -> None:
    new = judged(2_000, 2)
    right = [each.is_right for each in new]
    assert calibration_error([0.9] * len(new), right) > 0.2
    assert calibration_error(stated(model, new), right) < 0.06


def test_answers_whose_citations_hold_are_surer(model: FittedConfidence) -> None:
    low, high = stated(
        model,
        [Verdict("count the lines", "7", {"support": support, "reported": 0.9}, True) for support in (0.05, 0.95)],
    )
    assert low < 0.35 < 0.65 < high


@pytest.mark.parametrize("count", [0, MIN_VERDICTS - 1])
def test_too_few_verdicts_are_called_uncalibrated(count: int) -> None:
    verdicts = judged(count, 1)
    assert fit_confidence(verdicts) is None
    assert standing(verdicts).startswith(f"Uncalibrated: {count} verdicts")


def test_verdicts_that_all_say_the_same_calibrate_nothing() -> None:
    verdicts = [Verdict(f"q{place}", "a", {"support": 1.0}, True) for place in range(300)]
    assert fit_confidence(verdicts) is None
    assert "0 wrong" in standing(verdicts)


def test_signals_without_meaning_give_everyone_nearly_the_mean() -> None:
    random = np.random.default_rng(3)
    verdicts = [
        Verdict(f"{place}", "a", {"noise": float(random.random())}, bool(random.random() < 0.7)) for place in range(400)
    ]
    found = fit_confidence(verdicts)
    assert found is not None
    assert np.ptp(stated(found, verdicts)) < 0.25
    assert abs(np.mean(stated(found, verdicts)) - np.mean([each.is_right for each in verdicts])) < 0.05


def test_a_calibration_is_kept_as_json_and_says_the_same(model: FittedConfidence) -> None:
    again = FittedConfidence.from_json(model.to_json())
    assert again == model
    assert again.version == model.version
    new = judged(20, 4)
    assert stated(again, new) == stated(model, new)


def test_the_order_of_verdicts_changes_nothing_and_one_verdict_changes_the_version(model: FittedConfidence) -> None:
    verdicts = judged(600, 1)
    assert fit_confidence(verdicts[::-1]) == model
    changed = [*verdicts[:-1], Verdict("else", "0", {"support": 0.5, "reported": 0.9}, False)]
    other = fit_confidence(changed)
    assert other is not None
    assert other.version != model.version


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null", "3", '{"form": 1}', "\x00"])
def test_what_is_no_calibration_is_refused(text: str) -> None:
    with pytest.raises(CalibrationError, match="Fit it again"):
        FittedConfidence.from_json(text)


@pytest.mark.parametrize("change", [{"form": 9}, {"weights": [1.0]}, {"names": ["a"]}, {"base": float("nan")}])
def test_a_calibration_that_was_changed_is_refused(model: FittedConfidence, change: dict[str, object]) -> None:
    with pytest.raises(CalibrationError):
        FittedConfidence.from_json(json.dumps(json.loads(model.to_json()) | change))


@pytest.mark.parametrize("signals", [{"support": 1.0}, {"support": 1.0, "reported": float("nan")}])
def test_a_signal_that_is_missing_or_no_number_is_said(model: FittedConfidence, signals: dict[str, float]) -> None:
    with pytest.raises(CalibrationError, match="signal"):
        model.probabilities(["q"], ["a"], [signals])


def test_nothing_asked_gives_nothing(model: FittedConfidence) -> None:
    assert model.probabilities([], [], []).shape == (0,)


def test_a_perfect_probability_has_no_error_and_a_wrong_one_its_distance() -> None:
    assert calibration_error([0.0] * 50 + [1.0] * 50, [False] * 50 + [True] * 50, bins=2) == 0.0
    assert calibration_error([0.9] * 100, [True] * 60 + [False] * 40, bins=1) == pytest.approx(0.3)


def test_bins_have_equal_mass() -> None:
    bins = reliability([place / 1000 for place in range(1000)], [True] * 1000)
    assert len(bins) == BINS
    assert {each.answers for each in bins} <= {66, 67}


def test_the_surest_answers_are_kept_first_and_equals_together() -> None:
    assert risk_coverage([0.9, 0.5, 0.5, 0.1], [True, True, False, False]) == [
        (0.25, 0.0),
        (0.75, pytest.approx(1 / 3)),
        (1.0, 0.5),
    ]


@pytest.mark.parametrize(("p", "right"), [([], []), ([0.5], [True, False]), ([1.5], [True]), ([float("nan")], [True])])
def test_measures_refuse_what_is_no_probability(p: list[float], right: list[bool]) -> None:
    with pytest.raises(CalibrationError):
        calibration_error(p, right)


def test_the_form_of_an_answer_says_what_can_be_checked_here() -> None:
    assert form_signals("3 * (4 + 1) =", "15")["recomputed"] == 1.0
    assert form_signals("3 * (4 + 1) =", "16")["recomputed"] == 0.0
    assert form_signals("who was it?", "16")["recomputed"] == 0.5
    assert form_signals("sort: b a", "a b")["out of order"] == 0.0
    assert form_signals("sort: b a", "b a")["out of order"] == 1.0
    assert form_signals("close: [ (", ") ]")["nesting"] == 0.0
    assert form_signals("close: [ (", "] )")["nesting"] > 0.0
    assert form_signals("which?\n(A) x\n(B) y", "(B)")["option place"] == 1.0
    assert form_signals("which?\n(A) x\n(B) y", "(C)")["no option"] == 1.0


@settings(max_examples=40, deadline=None)
@given(question=st.text(max_size=80), answer=st.text(max_size=80))
def test_any_texts_have_finite_signals_of_the_same_names(question: str, answer: str) -> None:
    found = form_signals(question, answer)
    assert found.keys() == form_signals("", "").keys()
    assert bool(np.isfinite(list(found.values())).all())
