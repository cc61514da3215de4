"""What announces failures is found where it does, and nowhere else."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.insights.log_precursors import Points, Rule, mine, tally
from mesh_assets_tests.insights.chunk_rows import batches, logs_of, rows
from mesh_assets_tests.insights.log_scenarios import Line, background, render

DAY = 86_400.0
SIGN, FAILURE = 0, 1


def points_of(rng: np.random.Generator, times: dict[int, np.ndarray], *, others: int = 12) -> Points:
    """Points of the sign, the failure and some messages that have nothing to do with them."""
    every = dict(times)
    for other in range(2, 2 + others):
        every[other] = rng.uniform(0, DAY, int(rng.integers(10, 300)))
    of = np.repeat(list(every), [len(each) for each in every.values()])
    joined = np.concatenate(list(every.values()))
    order = np.argsort(joined)
    return Points(joined[order], of[order], np.arange(2 + others) == FAILURE)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cases=st.integers(12, 60), missed=st.floats(0, 0.3), alone=st.integers(0, 8))
def test_a_message_that_comes_before_a_failure_is_found_with_its_numbers(
    seed: int, cases: int, missed: float, alone: int
) -> None:
    rng = np.random.default_rng(seed)
    failures = np.arange(cases) * (DAY / cases) + rng.uniform(0, 200, cases) + 500
    told = failures[int(missed * cases) :] - rng.uniform(20, 50, cases - int(missed * cases))
    # Without a failure near them: between two.
    single = failures[: min(alone, cases - 1)] + 0.4 * DAY / cases
    points = points_of(rng, {FAILURE: failures, SIGN: np.concatenate((told, single))})
    best = mine(points)[0]
    assert (best.sign, best.failure) == (SIGN, FAILURE)
    assert (best.tally.failures, best.tally.cases, best.tally.alone) == (cases, len(told), len(single))
    assert 20 <= best.tally.lead <= 50
    assert best.by_chance < best.tally.cases / 2


def test_messages_that_come_when_they_like_announce_nothing() -> None:
    """Also where all of them come in the same busy hours; chance may make a rule of one log in forty."""
    found = [seed for seed in range(40) if _by_chance(seed, bursts=seed % 7)]
    assert len(found) <= 1


def _by_chance(seed: int, *, bursts: int) -> list[Rule]:
    rng = np.random.default_rng(seed)
    failures, signs = rng.uniform(0, DAY, 40), rng.uniform(0, DAY, 60)
    points = points_of(rng, {FAILURE: failures, SIGN: signs})
    if bursts:
        busy = rng.uniform(0, DAY, bursts)
        squeezed = np.sort(busy[rng.integers(0, bursts, len(points.times))] + rng.uniform(0, 600, len(points.times)))
        points = Points(squeezed, rng.permutation(points.of), points.fails)
    return mine(points)


def test_what_comes_after_a_failure_does_not_announce_it() -> None:
    rng = np.random.default_rng(4)
    failures = np.arange(30) * 2880.0 + 900
    points = points_of(rng, {FAILURE: failures, SIGN: failures + 15})
    assert not [rule for rule in mine(points) if rule.sign == SIGN]


def test_a_rule_of_the_first_half_is_judged_on_the_second_alone() -> None:
    rng = np.random.default_rng(5)
    failures = np.arange(40) * 2160.0 + 900
    points = points_of(rng, {FAILURE: failures, SIGN: failures[:20] - 30})
    rule = mine(points.between(0, DAY / 2))[0]
    assert rule.tally.precision == 1.0 and rule.tally.lead == 30
    later = tally(points.between(DAY / 2, DAY), rule.sign, rule.failure, rule.window)
    assert later.failures == 20 and later.cases == 0


def findings(lines: list[Line]) -> list[dict]:
    made = rows("app.log", render(lines), kind="log", format="log", size=4000)
    found = [row for batch in logs_of(batches(made)).take("log_insights") for row in batch.to_pylist()]
    return [row for row in found if row["type"] == "log_precursor"]


def lines_with(lead: float) -> list[Line]:
    rng = np.random.default_rng(8)
    lines = background(rng, hours=24, a_minute=5)
    for case in range(20):
        at = 4000.0 * case + float(rng.uniform(500, 1500))
        lines.append((at, f"ERROR replica {case} lost its leader"))
        if case % 5:
            lines.append((at - lead, f"INFO replica {case} lags by {rng.integers(900)} entries"))
    lines += [(at, "INFO replica 7 lags by 12 entries") for at in (30_000.0 + 1900, 50_000.0 + 1950)]
    return lines


def test_a_finding_says_in_how_many_cases_how_long_before_and_cites_both() -> None:
    found = findings(lines_with(40))
    assert len(found) == 1
    said, value = found[0]["statement"], json.loads(found[0]["value"])
    assert "lags by" in said and "lost its leader" in said
    assert "in 16 of 20 cases, 40 seconds before" in said
    assert (value["cases"], value["failures"], value["lead_seconds"]) == (16, 20, 40)
    assert value["without_failure"] == 2 and "2 times it came without the failure" in said
    quotes = [citation["quote"] for citation in found[0]["evidence"]]
    assert any("lags by" in quote for quote in quotes) and any("lost its leader" in quote for quote in quotes)


def test_the_same_messages_at_other_times_are_no_finding() -> None:
    rng = np.random.default_rng(9)
    lines = [(float(rng.uniform(0, DAY)) if "replica" in text else at, text) for at, text in lines_with(40)]
    assert findings(lines) == []
