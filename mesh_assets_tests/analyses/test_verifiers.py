"""What verifiers say of an answer, and from where on a gate settles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.gates.gate import Gate
from mesh_assets.analyses.signals import Confidence, Signals
from mesh_assets.analyses.verifiers import give_verdicts, word_of
from mesh_assets.mesh.shapes import DEPTHS, Claim, Depth, Proof
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts
from mesh_assets_tests.analyses.scripted import HELD, Ladder, always, answer, at, posed

ONE, OTHER = Claim("It has 30 errors.", ()), Claim("Then it is lost.", ())


def proof(claim: Claim, holds: bool | None, by: Any = "numbers") -> Proof:
    return Proof(claim.statement, by, "SELECT", holds, "")


def answered(*claims: Claim, tests: tuple[Proof, ...] = (), **signals: float) -> Analysis:
    made = Analysis.nothing(posed(), "surface", calibration="uncalibrated-1")
    return replace(
        made, node="n", text="So.", claims=claims, tests=tests, signals={"recomputed": 1.0} | signals,
        aspects=(None,) * len(claims), evidence=((),) * len(claims),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (answered(ONE, OTHER, tests=(proof(ONE, True), proof(OTHER, True, "past"))), True),
        (answered(ONE, OTHER, tests=(proof(ONE, True),)), None),
        (answered(ONE, tests=(proof(ONE, True, "word"),)), None),
        (answered(ONE, tests=(proof(ONE, None),)), None),
        (answered(ONE, tests=(proof(ONE, True), proof(OTHER, False))), False),
        (answered(ONE, tests=(proof(ONE, True),), recomputed=0.5), False),
        (answered(replace(ONE, queries=("SELECT 1",))), True),
        (answered(replace(OTHER, queries=("SELECT 1",))), None),
        (answered(replace(ONE, queries=("SELECT 1",)), is_extracted=1.0), None),
        (answered(), None),
        (Analysis.nothing(posed(), "surface", calibration="uncalibrated-1"), None),
    ],
)
def test_they_call_right_only_what_was_shown_as_a_whole(given: Analysis, word: bool | None) -> None:
    assert word_of(given) is word


def test_their_verdict_is_stored_once_and_anew_where_the_answer_is_another(tmp_path: Path) -> None:
    verdicts = SqliteVerdicts(tmp_path)
    first = answered(ONE, tests=(proof(ONE, True),))
    assert give_verdicts([first], verdicts) == 1
    assert [(each.judge, each.is_right) for each in verdicts.all()] == [("verifier", True)]
    assert give_verdicts([first], verdicts) == 0
    changed = answered(ONE, tests=(proof(ONE, False),))
    assert give_verdicts([changed, answered()], verdicts) == 1
    assert [each.is_right for each in verdicts.all()] == [False]


class Sure:
    """A calibrator with a gate at the surface, and one at deep that keeps nothing."""

    version = "verdicts-9"

    def __init__(self, confidence: float) -> None:
        self.value = confidence

    def confidence(self, signals: Signals, *, question: str, answer: str) -> Confidence:
        return Confidence(self.value, is_calibrated=True, version=self.version)

    def gate(self, depth: Depth) -> Gate | None:
        cells = {"surface": 1_000, "deep": None}
        return Gate("precision", 0.9, 0.05, 60, cells[depth], "exchange") if depth in cells else None


def test_a_gate_settles_where_it_holds_and_says_what_it_promises(tmp_path: Path) -> None:
    below = Sure(0.6)
    gate = below.gate("surface")
    assert gate is not None
    assert gate.threshold is not None
    assert gate.threshold < 0.6 < 0.7  # the settings' threshold would send it deeper
    ladder = Ladder(tmp_path, [(at(depth), always(answer(HELD))) for depth in DEPTHS], calibrator=below)
    row = ladder.run(posed())[0][posed().case.id]
    assert row.state == "settled"
    assert "needed by the gate: sure enough. With probability 0.95 at least 0.9 of what is kept is right" in row.why
    assert row.guarantee == gate.guarantee
    assert "by 60 verdicts" in row.why


def test_a_gate_that_keeps_nothing_or_is_not_there_leaves_it_to_the_settings(tmp_path: Path) -> None:
    case = posed()
    unsure = Ladder(tmp_path, [(at(depth), always(answer(HELD))) for depth in DEPTHS], calibrator=Sure(0.1))
    rows = unsure.run(case)
    assert rows[0][case.case.id].state == "escalated"
    assert "of 0.80 needed" in rows[1][case.case.id].why
    assert rows[1][case.case.id].guarantee is None
    assert "of 0.90 needed" in rows[2][case.case.id].why
