"""What an answer says of the data is asked of the data: it shows, it counts, and what its own query refutes is gone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.back_tests import Floats, Times
from mesh_assets.analyses.checkable import CHECKS, Sign, with_checks
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.simulation import MAX_TESTS, trials_of, visible
from mesh_assets.analyses.synthesis import Topic, standing, synthesized
from mesh_assets.mesh.json_schema import check_schema
from mesh_assets.mesh.prompts import ANSWER_SCHEMA
from mesh_assets.mesh.shapes import Proof
from mesh_assets.mesh.trials import Ran
from mesh_assets.reports.asked import asked_markdown
from mesh_assets.storage.past import LakeSimulator
from mesh_assets_tests.analyses.scripted import HELD, Ladder, always, answer, at, posed
from mesh_assets_tests.storage.past_lake import START, past_lake

QUOTE = [{"label": "E1", "quote": "locked by the nightly report"}]
ERRORS = "SELECT count(*) FROM log_events WHERE level = 'ERROR'"
FOLLOWS = {
    "when": {"message": "WARN replica lag 17 s"},
    "then": {"message": "pool: no connection left (max 20)"},
    "within_seconds": 60,
    "share": 0.6,
}


def claim(statement: str, **checks: object) -> dict[str, object]:
    return {"statement": statement, "citations": QUOTE, **checks}


def checked_case() -> Posed:
    case = posed()
    return replace(case, case=replace(case.case, schema=with_checks(ANSWER_SCHEMA, CHECKS)))


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeSimulator]:
    made = LakeSimulator(past_lake(tmp_path_factory.mktemp("lake")))
    yield made
    made.close()


def told(simulator: LakeSimulator, *claims: dict[str, object], case: Posed | None = None) -> list[Proof]:
    trials = trials_of(case or checked_case(), {"claims": list(claims)}, simulator)
    return [test for trial in trials.values() for test in trial.tests]


def surface(folder: Path, simulator: LakeSimulator, *claims: Mapping[str, object]) -> Analysis:
    ladder = Ladder(folder, [(at("surface"), always(answer(*claims, confidence=1.0)))], simulator=simulator)
    case = checked_case()
    return ladder.run(case)[0][case.case.id]


def test_the_form_of_an_answer_with_checks_is_one_that_is_held() -> None:
    check_schema(with_checks(ANSWER_SCHEMA, CHECKS))
    assert with_checks(ANSWER_SCHEMA, ()) is ANSWER_SCHEMA


def test_a_number_that_its_own_query_gives_holds_and_another_one_is_dropped_with_the_reason(
    tmp_path: Path, simulator: LakeSimulator
) -> None:
    row = surface(
        tmp_path,
        simulator,
        claim("The log has 30 errors.", query=ERRORS),
        claim("The log has 31 errors.", query=ERRORS),
        HELD,
    )
    assert [each.statement for each in row.claims] == ["The log has 30 errors.", HELD["statement"]]
    [test] = row.claims[0].tests
    assert (test.by, test.holds, test.what, test.result) == ("numbers", True, ERRORS, "It gives 30.")
    [dropped] = row.dropped
    assert dropped.reason == "Its own query says otherwise. It gives 30, not 31."
    assert row.signals["verifier"] == 0.5
    assert [each.holds for each in row.tests] == [True, False]


def test_the_figures_stand_beside_the_claim_in_the_report(tmp_path: Path, simulator: LakeSimulator) -> None:
    case = checked_case()
    row = surface(tmp_path, simulator, claim("After a lag the pool is lost.", prediction=FOLLOWS))
    answers = standing([Topic.of(case)], [row], {})
    report = asked_markdown("What next?", "ask-1", answers, synthesized(answers))
    assert "24 of 30 cases" in report.replace("\\", "")
    assert "by the past of what it foretells it holds" in report.replace("\\", "").lower()


def test_a_prediction_is_tested_on_the_past_against_chance(simulator: LakeSimulator) -> None:
    [test] = told(simulator, claim("After a lag the pool is lost.", prediction=FOLLOWS))
    assert test.holds is True
    assert "24 of 30 cases (80%; 95% interval 63% to 90%), 40 seconds later in the median; by chance 2%" in test.result
    assert "1 message in shop.log, 2026-11-01 00:00 to 2026-11-02 05:59 UTC" in test.result
    often = {**FOLLOWS, "when": {"message": "heartbeat <*>"}, "within_seconds": 50}
    assert [each.holds for each in told(simulator, claim("So it is.", prediction=often))] == [False]
    always_so = {**FOLLOWS, "share": 0.95}
    assert [each.holds for each in told(simulator, claim("So it is.", prediction=always_so))] == [False]


def test_series_are_signs_too_and_are_tested_beside_logs(simulator: LakeSimulator) -> None:
    hot = {"series": "CPU", "is": "above", "value": 90}
    jump = {"series": "cpu", "is": "rises", "value": 50}
    for then in (hot, jump):
        [test] = told(simulator, claim("The CPU is hot then.", prediction={**FOLLOWS, "then": then}))
        assert test.holds is True, test.result
    cold = {"then": {"series": "cpu", "is": "below", "value": 0}, "within_seconds": 3600}
    assert [each.holds for each in told(simulator, claim("So it is.", prediction=cold))] == [False]
    fed = {"when": hot, "then": FOLLOWS["then"], "within_seconds": 60, "share": 0.1}
    assert told(simulator, claim("So it is.", prediction=fed))[0].result.startswith("It came true in")


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ({"query": "SELECT 30"}, "shows nothing"),
        ({"query": "SELECT 30 FROM log_events LIMIT 1"}, "shows nothing"),
        ({"query": "SELECT count(*) = 0 FROM log_events WHERE level = 'FATAL'"}, "shows nothing"),
        ({"query": "SELECT * FROM read_text('/etc/passwd')"}, "cannot be run"),
        ({"query": "DROP TABLE log_events"}, "cannot be run"),
        ({"prediction": {**FOLLOWS, "when": {"message": "the disk is full"}}}, "no log has a message"),
        ({"prediction": {**FOLLOWS, "then": {"series": "ram", "is": "above", "value": 1}}}, "no series"),
        ({"prediction": {"then": {}, "within_seconds": 5}}, "neither a message nor a series"),
    ],
)
def test_what_cannot_be_told_is_said_and_drops_nothing(
    tmp_path: Path, simulator: LakeSimulator, checks: dict[str, Any], said: str
) -> None:
    row = surface(tmp_path, simulator, claim("It had errors.", **checks), claim("30 errors.", query=ERRORS))
    assert [test.holds for test in row.claims[0].tests] == [None]
    assert said in row.claims[0].tests[0].result
    assert row.signals["verifier"] == 1.0


def test_a_number_that_stands_in_the_query_itself_shows_nothing(simulator: LakeSimulator) -> None:
    query = "SELECT CASE WHEN count(*) > 100 THEN 31 END FROM log_events"
    [test] = told(simulator, claim("The log has 31 errors.", query=query))
    assert test.holds is False


def test_a_query_that_says_just_true_is_its_word_and_false_drops_the_claim(simulator: LakeSimulator) -> None:
    for than, holds in ((100, True), (100_000, False)):
        [test] = told(simulator, claim("It is long.", query=f"SELECT count(*) > {than} FROM log_events"))
        assert (test.by, test.holds) == ("word", holds)


def test_the_incident_that_a_case_is_about_is_no_test_of_what_it_foretells(simulator: LakeSimulator) -> None:
    case = replace(checked_case(), time_start=START, time_stop=START + timedelta(hours=9.5))
    [test] = told(simulator, claim("After a lag the pool is lost.", prediction=FOLLOWS), case=case)
    assert "14 of 20 cases" in test.result


def test_a_case_over_several_datasets_sees_those_of_its_evidence_and_no_other(simulator: LakeSimulator) -> None:
    case = checked_case()
    anywhere = replace(case.case, dataset="")
    assert visible(anywhere) == {"shop"}
    other = replace(case, case=replace(case.case, dataset="another"))
    [test] = told(simulator, claim("30 errors.", query=ERRORS), case=other)
    assert "no tables" in test.result


def test_an_answer_with_a_thousand_tests_has_some_of_them_run(simulator: LakeSimulator) -> None:
    many = [claim(f"Errors, {n}.", query="no query") for n in range(1000)]
    assert len(told(simulator, *many)) == MAX_TESTS


class Nothing:
    """A simulator over no data, which is asked whatever an answer says."""

    def run(self, sql: str, datasets: Collection[str]) -> Ran:
        return Ran(sql, ((1, None, "x", True),), of_nothing=())

    def times(self, sign: Sign, datasets: Collection[str]) -> Times | str:
        return Times(np.arange(10.0), 0.0, 10.0, str(sign)) if sign.message else "nothing is there."

    def others(self, signs: Sequence[Sign], datasets: Collection[str], within: float) -> Sequence[Floats]:
        return []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.dictionaries(
        st.sampled_from(["when", "then", "message", "series", "is", "value", "within_seconds", "share"]), inner
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(query=JSON, prediction=JSON, statement=st.text(max_size=30))
def test_whatever_an_answer_brings_nothing_breaks(query: object, prediction: object, statement: str) -> None:
    claims = [claim(statement, query=query, prediction=prediction)]
    for trial in trials_of(checked_case(), {"claims": claims}, Nothing()).values():
        assert all(test.result and test.holds in (True, False, None) for test in trial.tests)


def test_secrets_that_a_query_finds_are_hidden(simulator: LakeSimulator) -> None:
    query = "SELECT 'password=' || 'hunter2secret9', count(*) FROM log_events GROUP BY 1"
    [test] = told(simulator, claim("It is so.", query=query))
    assert "hunter2secret9" not in test.result
