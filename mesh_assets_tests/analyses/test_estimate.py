"""What answers would cost: low, likely and high in that order, by depth, without what is settled."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mesh_assets.analyses import estimate as estimates
from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.estimate import Estimate
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.research import Techniques
from mesh_assets.mesh.prices import FREE
from mesh_assets.mesh.protocol import Node
from mesh_assets.mesh.shapes import DEPTHS
from mesh_assets_tests.analyses.scripted import HELD, Ladder, always, answer, at, posed
from mesh_assets_tests.mesh.parts import node

QUOTES = node("local", name="local", model="extractive", price=FREE)

PLAIN = Techniques()
RESEARCH = Techniques(frozenset({"research"}))


def estimate(
    cases: list[Posed], nodes: list[Node], answers: list[Analysis], techniques: Techniques = PLAIN
) -> Estimate:
    return estimates.estimate(cases, nodes, answers, techniques=techniques, case_usd=Decimal(1))


def test_a_depth_that_is_answered_by_techniques_costs_what_their_calls_do(tmp_path: Path) -> None:
    nodes = [at(depth) for depth in DEPTHS]
    plain, more = estimate([posed()], nodes, []), estimate([posed()], nodes, [], RESEARCH)
    assert more.levels[:3] == plain.levels[:3]
    one, several = plain.levels[3], more.levels[3]
    assert several.usd.low == one.usd.low
    assert 1.5 * one.usd.likely < several.usd.likely
    assert 3 * one.usd.high < several.usd.high
    assert several.hours.high > one.hours.high
    unsure = [(each, always(answer(HELD, confidence=0.0))) for each in nodes]
    ladder = Ladder(tmp_path, unsure, techniques=RESEARCH)
    ladder.run(posed())
    assert more.usd.low < float(ladder.spent()) < more.usd.high


def test_each_depth_that_a_node_serves_has_its_line() -> None:
    made = estimate([posed(1), posed(2)], [QUOTES, at("deep"), at("research")], [])
    assert [level.depth for level in made.levels] == ["surface", "deep", "research"]
    surface, deep, research = made.levels
    assert surface.usd.high == 0
    assert (deep.cases.low, deep.cases.likely, deep.cases.high) == (2, 2, 2)
    assert research.cases.low == 0
    assert 0 < research.cases.likely < research.cases.high == 2
    assert 0 < made.usd.low < made.usd.likely < made.usd.high
    assert 0 < made.hours.low < made.hours.likely < made.hours.high


@given(depths=st.sets(st.sampled_from(DEPTHS), min_size=1), count=st.integers(0, 5), hard=st.booleans())
def test_low_is_never_above_likely_nor_that_above_high(depths: set[str], count: int, hard: bool) -> None:
    nodes = [at(depth) for depth in DEPTHS if depth in depths]
    made = estimate([posed(number, is_impossible=hard) for number in range(count)], nodes, [])
    for each in (*(figure for level in made.levels for figure in (level.cases, level.usd, level.hours)), made.usd):
        assert each.low <= each.likely + 1e-12
        assert each.likely <= each.high + 1e-12


def test_what_is_settled_costs_nothing_again(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, [(at("surface"), always(answer(HELD)))])
    cases = [posed(1), posed(2)]
    rows = ladder.run(cases[0])
    made = estimate(cases, [at("surface")], list(rows[0].values()))
    assert (made.cases, made.settled) == (2, 1)
    assert made.levels[0].cases.high == 1


def test_the_estimate_holds_for_what_is_then_spent(tmp_path: Path) -> None:
    nodes = [at(depth) for depth in DEPTHS]
    cases = [posed(number) for number in range(3)]
    made = estimate(cases, nodes, [])
    ladder = Ladder(tmp_path, [(each, always(answer(HELD, confidence=0.0))) for each in nodes])
    ladder.run(*cases)
    assert made.usd.low < float(ladder.spent()) < made.usd.high


def test_a_private_case_is_counted_with_nodes_on_this_machine_only() -> None:
    case = posed()
    private = replace(case, case=replace(case.case, private=True))
    assert not estimate([private], [at("deep", policy="may-leave")], []).levels
    assert estimate([private], [at("deep")], []).levels
