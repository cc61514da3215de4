"""`mesh calibrate`: verdicts become a probability that the ladder decides by, and too few of them are said to be so."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.signals import Signals, Uncalibrated
from mesh_assets.errors import CalibrationError, GateError
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts, verdict
from mesh_assets.resources.calibrator import FOLDER, connect_calibrator
from mesh_assets.schemas import TABLES
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.schemas.verdicts import Judge
from mesh_assets.settings import Settings
from mesh_assets.storage.lake import Lake
from mesh_assets_tests.analyses.scripted import posed
from mesh_assets_tests.cli.command import mesh
from mesh_assets_tests.flow.location import Location

KEY = "shop.000000"


def signals(support: float) -> Signals:
    return Signals(
        reported=0.9, support=support, claims=2, dropped=0, quoted=0.5, recomputed=1.0, agreement=0.5, complexity=0.3,
        log_length=4.0,
    )  # fmt: skip


def judged(settings: Settings, count: int, judge: Judge = "person") -> None:
    """Answers of which those with support are right nearly always, with a verdict each."""
    draw = random.Random(1)
    lake, verdicts = Lake(settings.state / "lake"), SqliteVerdicts(settings.state)
    cases, rows = [], []
    for number in range(count):
        case, supported = posed(number), number % 2
        answer = Analysis.nothing(case, "surface", calibration="uncalibrated-1")
        told = signals(supported).values()
        if number % 3 == 0:  # one of before there were techniques
            del told["consistency"]
        rows.append(answer.row() | {"node": "n", "text": f"Answer {number}.", "signals": json.dumps(told)})
        cases.append(case.row())
        verdicts.add(
            verdict(rows[-1], is_right=bool(supported) == (draw.random() < 0.95), judge=judge, judge_name="ann")
        )
    for asset, table in (("cases", cases), ("surface_analyses", rows)):
        batch = TABLES[asset].batch(table)
        lake.publish(
            asset, KEY, Produced([batch], Outcome(total=count, done=count), "input"), version="1", run_id="run"
        )


def test_too_few_verdicts_change_nothing_and_are_said_to_be_too_few(tmp_path: Path) -> None:
    location = Location(tmp_path, {})
    judged(location.settings, 20)
    assert "20 verdicts" in mesh(location, "calibrate").stdout
    assert isinstance(connect_calibrator(location.settings), Uncalibrated)
    location.instance.dispose()


def test_enough_verdicts_make_confidence_a_probability(tmp_path: Path) -> None:
    location = Location(tmp_path, {})
    judged(location.settings, 240)
    said = json.loads(mesh(location, "calibrate", "--json").stdout)
    assert (said["verdicts"], said["is_calibrated"]) == (240, True)
    assert 100 <= said["fitted_to"] < 240
    assert (said["of_people"], said["of_verifiers"]) == (240, 0)
    assert "at least 0.9 of what is kept is right" in said["gates"]["surface"]["guarantee"]
    assert 0 < said["gates"]["surface"]["threshold"] < 1
    fitted = connect_calibrator(location.settings)
    assert fitted.version == said["version"]
    question = posed(3).case.question
    high = fitted.confidence(signals(1.0), question=question, answer="Answer 3.")
    low = fitted.confidence(signals(0.0), question=question, answer="Answer 3.")
    assert high.is_calibrated
    assert high.value > 0.85 > 0.15 > low.value
    again = mesh(location, "calibrate").stdout
    assert "240 of people, 0 of verifiers" in again
    assert f"surface is settled from confidence {said['gates']['surface']['threshold']:.2f} on" in again
    assert connect_calibrator(location.settings).version == said["version"]
    location.instance.dispose()


def test_verdicts_of_verifiers_are_learned_from_and_a_persons_counts_in_their_place(tmp_path: Path) -> None:
    location = Location(tmp_path, {})
    judged(location.settings, 240, "verifier")
    row = Lake(location.settings.state / "lake").read("surface_analyses", KEY).rows()[0]
    verdicts = SqliteVerdicts(location.settings.state)
    verdicts.add(verdict(row, is_right=True, judge="person", judge_name="bob"))
    other = {**row, "case_id": posed(1).case.id, "signals": json.dumps({**signals(0.0).values(), "claims": 9.0})}
    verdicts.add(verdict(other, is_right=False, judge="verifier", judge_name="ann"))  # on another answer of then
    said = json.loads(mesh(location, "calibrate", "--json").stdout)
    assert (said["of_people"], said["of_verifiers"]) == (1, 238)
    assert said["fitted_to"] >= 238
    assert set(said["gates"]) <= {"surface"}
    assert all(gate["threshold"] is None for gate in said["gates"].values())  # what verifiers judge is no fair sample
    folder = location.settings.state / FOLDER
    (folder / f"{said['version']}.surface.gate").write_text("{}")
    with pytest.raises(GateError, match="no gate"):
        connect_calibrator(location.settings)
    location.instance.dispose()


def test_a_damaged_fit_is_named(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "verdicts-9.json").write_text("{}")
    with pytest.raises(CalibrationError, match="no calibration"):
        connect_calibrator(Settings(state=tmp_path))
