"""Signals: numbers of what was checked; until verdicts are there they rank answers and are called no probability."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from mesh_assets.analyses.signals import Signals, Uncalibrated, aspects_of, labels_of, signals_of, with_neutral
from mesh_assets.mesh.validation import validated
from mesh_assets_tests.analyses.scripted import HELD, INVENTED, answer, posed


def read(*claims: dict[str, Any], confidence: float = 0.9, text: str = "So.", **more: Any) -> Signals:
    value = cast("dict[str, object]", json.loads(answer(*claims, confidence=confidence, text=text)))
    case = posed().case
    return signals_of(case, value, validated(case, value), complexity=0.3, **more)


def sure(signals: Signals) -> float:
    found = Uncalibrated().confidence(signals, question="q", answer="a")
    assert not found.is_calibrated
    return found.value


def test_a_lie_without_evidence_is_worth_nothing_however_sure_it_calls_itself() -> None:
    assert sure(read(INVENTED, confidence=1.0)) == 0.0
    assert sure(read(confidence=1.0)) == 0.0


def test_more_that_holds_is_surer_and_so_is_a_surer_word() -> None:
    assert sure(read(HELD)) > sure(read(HELD, INVENTED)) > 0
    assert sure(read(HELD, confidence=0.9)) > sure(read(HELD, confidence=0.2))


def test_wrong_sums_count_against_an_answer() -> None:
    assert sure(read(HELD, text="That is 3 + 4 = 7.")) > sure(read(HELD, text="That is 3 + 4 = 8."))


def test_agreement_is_of_the_evidence_that_answers_stand_on() -> None:
    assert read(HELD, earlier=[frozenset({"E1"})]).agreement == 1.0
    assert read(HELD, earlier=[frozenset({"E2"})]).agreement == 0.0
    assert read(HELD).agreement == 0.5


def test_samples_that_agree_make_a_nodes_word_count_more_and_one_call_leaves_it_as_it_is() -> None:
    said = [sure(read(HELD, confidence=0.6, consistency=share)) for share in (0.2, None, 1.0)]
    assert said == sorted(set(said))
    assert said[1] == sure(read(HELD, confidence=0.6))
    assert sure(read(HELD, confidence=1.0, consistency=1.0)) <= 1.0


def test_answers_of_before_have_the_signals_of_now() -> None:
    before = {name: value for name, value in read(HELD).values().items() if name != "consistency"}
    assert set(with_neutral(before)) == set(read(HELD).values())
    assert with_neutral({}) == {}


def test_quotes_that_nobody_composed_never_settle_a_case() -> None:
    assert sure(read(HELD, confidence=1.0, is_extracted=True)) < 0.7


@pytest.mark.parametrize("aspect", ["cause", None])
def test_claims_that_hold_keep_their_aspect_and_labels(aspect: str | None) -> None:
    claim = HELD | ({"aspect": aspect} if aspect else {})
    value = {"answer": "", "claims": [INVENTED, claim], "confidence": 1.0}
    checked = validated(posed().case, value)
    assert aspects_of(value, checked) == [aspect]
    assert labels_of(value, checked) == [("E1",)]


def test_signals_are_numbers_by_name() -> None:
    values = read(HELD).values()
    assert set(values) == set(Signals.__dataclass_fields__)
    assert all(isinstance(value, float) for value in values.values())
