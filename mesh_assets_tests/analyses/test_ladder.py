"""What becomes of a case: settled where sure, deeper where not, never past its money, never without evidence."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.ladder import counts, spent
from mesh_assets.budgets import Budgets
from mesh_assets.errors import LedgerError
from mesh_assets.mesh.nodes import NodeState
from mesh_assets.mesh.protocol import Receipt
from mesh_assets.mesh.shapes import DEPTHS
from mesh_assets.resources.ledger import postgres_ledger
from mesh_assets_tests.analyses.scripted import HELD, INVENTED, Ladder, always, answer, at, posed

ALL = tuple(at(depth) for depth in DEPTHS)


def depths(tables: list[dict[str, Analysis]], case_id: str) -> list[str]:
    return [rows[case_id].depth for rows in tables if case_id in rows]


def last(tables: list[dict[str, Analysis]], case_id: str) -> Analysis:
    return [rows[case_id] for rows in tables if case_id in rows][-1]


def test_a_case_that_is_sure_enough_is_settled_where_it_is(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, [(node, always(answer(HELD))) for node in ALL])
    case = posed()
    tables = ladder.run(case)
    assert depths(tables, case.case.id) == ["surface"]
    row = tables[0][case.case.id]
    assert (row.state, row.stands, row.node) == ("settled", "surface", "surface-node")
    assert row.text == "The nightly report locked the database."
    assert row.claims[0].citations[0].quote == "locked by the nightly report"
    assert not row.is_calibrated
    assert row.usage is not None
    assert (row.usage.input, row.usage.output) == (500, 100)
    assert spent([row]) == ladder.spent() > 0


def test_a_case_that_is_not_climbs_and_each_depth_is_told_what_was_said(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, [(node, always(answer(HELD, confidence=0.0))) for node in ALL])
    case = posed()
    tables = ladder.run(case)
    assert depths(tables, case.case.id) == list(DEPTHS)
    assert last(tables, case.case.id).state == "stopped"
    assert "nothing is deeper" in last(tables, case.case.id).why
    for number, node in enumerate(ALL):
        [request] = ladder.asked[node.name]
        assert request.asked.count("The nightly report locked the database. [E1]") == number


def test_an_answer_that_holds_less_does_not_take_the_place_of_one_that_holds(tmp_path: Path) -> None:
    worse = answer(HELD, INVENTED, {**INVENTED, "statement": "The network was down."}, confidence=1.0)
    ladder = Ladder(tmp_path, [(ALL[0], always(answer(HELD, confidence=0.0))), (ALL[1], always(worse))])
    case = posed()
    tables = ladder.run(case)
    deep = tables[1][case.case.id]
    assert (deep.stands, deep.is_kept) == ("surface", True)
    assert [each.statement for each in deep.dropped] == ["The disk was full.", "The network was down."]
    assert counts([deep])["earlier_answer_kept"] == 1


def test_a_deeper_answer_as_good_as_the_one_before_stands(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, [(ALL[0], always(answer(HELD, confidence=0.1))), (ALL[1], always(answer(HELD)))])
    case = posed()
    assert last(ladder.run(case), case.case.id).stands == "deep"


def test_quotes_give_way_to_an_answer_of_which_half_holds(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, [(ALL[1], always(answer(HELD, INVENTED)))])
    case = posed()
    tables = ladder.run(case)
    assert tables[0][case.case.id].node == "local"
    assert "Extracted, not composed" in tables[0][case.case.id].text
    assert last(tables, case.case.id).stands == "deep"


def test_without_a_node_the_quotes_stand_and_the_row_says_what_more_would_cost(tmp_path: Path) -> None:
    off = [NodeState(at("deep", name="far"), "FAR_KEY is not set"), NodeState(at("expert"), "OTHER_KEY is not set")]
    ladder = Ladder(tmp_path, [], off=off)
    case = posed()
    row = last(ladder.run(case), case.case.id)
    assert (row.node, row.state, row.stands, row.depth) == ("local", "stopped", "surface", "surface")
    assert (row.next_depth, row.next_node) == ("deep", "far")
    assert row.next_usd is not None
    assert row.next_usd > 0
    assert "FAR_KEY is not set" in row.why
    assert not row.waits
    assert ladder.spent() == 0


def test_a_depth_that_no_node_serves_is_passed_over(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, [(at("expert"), always(answer(HELD)))])
    case = posed()
    assert depths(ladder.run(case), case.case.id) == ["surface", "expert"]


def test_an_impossible_problem_goes_as_deep_as_there_are_nodes_however_sure(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, [(node, always(answer(HELD, confidence=1.0))) for node in ALL])
    case = posed(is_impossible=True)
    assert depths(ladder.run(case), case.case.id) == list(DEPTHS)


def test_a_second_run_costs_nothing_and_says_the_same(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, [(node, always(answer(HELD, confidence=0.0))) for node in ALL])
    cases = [posed(number) for number in range(5)]
    first = ladder.run(*cases)
    calls, paid = ladder.calls, ladder.spent()
    again = ladder.run(*cases, run="r2")
    assert (ladder.calls, ladder.spent()) == (calls, paid)
    assert spent([row for rows in again for row in rows.values()]) == paid
    for one, other in zip(first, again, strict=True):
        for key, row in one.items():
            assert other[key].is_cached
            assert (other[key].text, other[key].state, other[key].stands) == (row.text, row.state, row.stands)


def test_a_second_run_needs_no_money_for_what_was_answered(tmp_path: Path) -> None:
    scripts = [(node, always(answer(HELD, confidence=0.0))) for node in ALL]
    cases = [posed(number) for number in range(3)]
    Ladder(tmp_path, scripts).run(*cases)
    poor = Ladder(tmp_path, scripts, budgets="case 0; dataset 0")
    tables = poor.run(*cases, run="r2")
    assert poor.calls == 0
    assert all(len(rows) == 3 for rows in tables)


def test_a_node_that_talks_nonsense_leaves_no_claim_and_stays_within_the_money_of_its_case(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, [(node, always("blah {} blah")) for node in ALL], budgets="case 0.02", with_quotes=False)
    case = posed()
    tables = ladder.run(case)
    rows = [rows[case.case.id] for rows in tables if case.case.id in rows]
    assert not any(row.claims or row.text for row in rows)
    assert all(row.failure for row in rows)
    assert all(row.stands is None for row in rows)
    assert ladder.spent() <= Decimal("0.02")
    assert spent(rows) == ladder.spent()


def test_a_node_that_lies_with_full_confidence_gets_no_claim_into_the_tables(tmp_path: Path) -> None:
    lies = answer(INVENTED, {"statement": "Trust me.", "citations": []}, confidence=1.0, text="The disk was full.")
    ladder = Ladder(tmp_path, [(node, always(lies)) for node in ALL], with_quotes=False)
    case = posed()
    tables = ladder.run(case)
    rows = [rows[case.case.id] for rows in tables if case.case.id in rows]
    assert [row.depth for row in rows] == list(DEPTHS)
    for row in rows:
        assert (row.text, row.claims, row.confidence) == ("", (), 0.0)
        assert "disk was full" not in str({**row.row(), "dropped": []})
    assert not any("disk was full" in request.asked for requests in ladder.asked.values() for request in requests)
    assert ladder.spent() <= 5


def test_what_no_table_can_hold_does_not_break_the_table(tmp_path: Path) -> None:
    odd = {**HELD, "statement": "The nightly report \ud800 locked the database.", "citations": HELD["citations"]}
    ladder = Ladder(tmp_path, [(ALL[0], always(answer(odd, {**INVENTED, "statement": "\udce9"}, text="\udfff")))])
    row = last(ladder.run(posed()), posed().case.id)
    assert row.text == "The nightly report ? locked the database."
    assert [each.statement for each in row.dropped] == ["?"]


def test_a_node_that_always_asks_to_go_deeper_ends_with_the_money_of_its_case(tmp_path: Path) -> None:
    ladder = Ladder(
        tmp_path, [(node, always(answer(HELD, confidence=0.0))) for node in ALL], budgets="case 0.0175; month 20"
    )
    case = posed()
    row = last(ladder.run(case), case.case.id)
    assert row.state == "stopped"
    assert "budget" in row.why
    assert row.waits
    assert row.stands is not None
    assert 0 < ladder.spent() <= Decimal("0.0175")


def test_what_found_no_money_waits_and_is_asked_once_there_is_some(tmp_path: Path) -> None:
    script = [(at("surface"), always(answer(HELD)))]
    cases = [posed(number) for number in range(6)]
    poor = Ladder(tmp_path, script, budgets="dataset 0.02", with_quotes=False)
    first = poor.run(*cases)[0]
    answered = [row for row in first.values() if row.has_answer]
    assert 0 < len(answered) < 6
    assert all(row.waits and "budget" in (row.failure or "") for row in first.values() if not row.has_answer)
    assert poor.spent() <= Decimal("0.02")
    rich = Ladder(tmp_path, script, budgets="dataset 1", with_quotes=False)
    second = rich.run(*cases, run="r2")[0]
    assert all(row.has_answer for row in second.values())
    assert rich.calls == 6 - len(answered)


def test_while_the_ledger_cannot_be_used_cases_wait_and_nobody_is_asked(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, [(at("surface"), always(answer(HELD)))])
    secret = "hunter2"
    ledger = postgres_ledger(f"postgresql://mesh:{secret}@127.0.0.1:1/mesh", Budgets.parse("month 1"))
    ladder.bench.caller = replace(ladder.bench.caller, ledger=ledger)
    rows = ladder.run(posed(1), posed(2))[0]
    assert ladder.calls == 0
    for row in rows.values():
        assert (row.waits, row.has_answer, row.state) == (True, False, "stopped")
        assert "postgresql://127.0.0.1:1/mesh cannot be used" in row.why and "MESH_LEDGER_URL" in row.why
        assert secret not in repr(row)
    again = Ladder(tmp_path, [(at("surface"), always(answer(HELD)))]).run(posed(1), posed(2))[0]
    assert all(row.has_answer for row in again.values())


def test_what_was_answered_when_the_ledger_broke_is_not_paid_again(tmp_path: Path) -> None:
    """The first call finds its ledger gone when it would settle: its answer is kept, and its worst case counts."""
    script = [(at("surface"), always(answer(HELD)))]
    ladder = Ladder(tmp_path, script, with_quotes=False)
    settle = ladder.bench.ledger.settle

    def broken(*_: object) -> Receipt:
        raise LedgerError("The ledger is gone.", remedy="Bring it back.")

    ladder.bench.ledger.settle = broken  # type: ignore[method-assign]
    cases = [posed(number) for number in range(30)]
    rows = ladder.run(*cases)[0]
    assert all(row.waits and "The ledger is gone" in row.why for row in rows.values())
    assert 0 < ladder.calls <= 10, "no call begins once the ledger is gone"
    asked = ladder.calls
    ladder.bench.ledger.settle = settle  # type: ignore[method-assign]
    again = ladder.run(*cases, run="r2")[0]
    assert all(row.has_answer for row in again.values())
    assert ladder.calls == 30
    assert sum(row.is_cached for row in again.values()) == asked
    assert ladder.bench.unknown() > 0


def test_a_brief_gets_its_share_and_what_others_leave(tmp_path: Path) -> None:
    script = [(at("surface"), always(answer(HELD)))]
    many = [posed(number, brief="many", share=0.5) for number in range(20)]
    few = [posed(100 + number, brief="few", share=0.5) for number in range(2)]
    ladder = Ladder(tmp_path, script, budgets="dataset 0.08", with_quotes=False)
    rows = ladder.run(*many, *few)[0]
    assert all(rows[case.case.id].has_answer for case in few)
    assert sum(rows[case.case.id].has_answer for case in many) > 2


@pytest.mark.parametrize("policy", ["may-leave", "local"])
def test_a_private_case_is_answered_on_this_machine_or_not_at_all(tmp_path: Path, policy: str) -> None:
    ladder = Ladder(tmp_path, [(at("deep", policy=policy), always(answer(HELD)))])
    open_case = posed()
    case = replace(open_case, case=replace(open_case.case, private=True))
    tables = ladder.run(case)
    assert (ladder.calls == 1) == (policy == "local")
    if policy == "may-leave":
        assert "private" in last(tables, case.case.id).why


def test_another_node_is_asked_where_the_first_gives_nothing(tmp_path: Path) -> None:
    ladder = Ladder(
        tmp_path,
        [
            (at("surface", name="a", specialities=("general",)), always("no")),
            (at("surface", name="b", model="b", specialities=()), always(answer(HELD))),
        ],
    )
    case = posed()
    row = last(ladder.run(case), case.case.id)
    assert row.node == "b"
    assert [each.node for each in row.tried] == ["a"]
    assert spent([row]) == ladder.spent()


@settings(max_examples=12, deadline=None)
@given(
    reported=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    lies=st.lists(st.booleans(), min_size=4, max_size=4),
    budget=st.integers(0, 60),
)
def test_whatever_nodes_say_money_and_evidence_hold(
    tmp_path_factory: pytest.TempPathFactory, reported: list[float], lies: list[bool], budget: int
) -> None:
    scripts = [
        (node, always(answer(INVENTED if lie else HELD, confidence=sure)))
        for node, sure, lie in zip(ALL, reported, lies, strict=True)
    ]
    limit = Decimal(budget) / 1000
    ladder = Ladder(tmp_path_factory.mktemp("any"), scripts, budgets=f"case {limit}")
    case = posed()
    tables = ladder.run(case)
    rows = [rows[case.case.id] for rows in tables if case.case.id in rows]
    assert spent(rows) == ladder.spent() <= limit
    assert [row.depth for row in rows] == list(DEPTHS[: len(rows)])
    assert all(row.state == "escalated" for row in rows[:-1])
    assert rows[-1].state != "escalated"
    for row in rows:
        assert all(claim.citations for claim in row.claims)
        by_depth = {each.depth: each for each in rows}
        assert row.stands is None or by_depth[row.stands].has_answer
