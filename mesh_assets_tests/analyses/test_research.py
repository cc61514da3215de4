"""Hard cases by techniques: within their money, kept with each step and its price, and never without evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.ladder import Climb, climb, spent
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.research import Techniques
from mesh_assets.analyses.techniques.asking import Technique
from mesh_assets.analyses.techniques.choice import Wish
from mesh_assets.analyses.techniques.review import Principle
from mesh_assets.errors import NodeError
from mesh_assets.mesh.nodes import NodeState
from mesh_assets.mesh.protocol import Request, Scope
from mesh_assets.mesh.shapes import Evidence
from mesh_assets_tests.analyses.scripted import HELD, INVENTED, Ladder, Script, always, answer, at, posed

SURFACE = Techniques(frozenset({"surface"}), (Principle("doubt", "Doubt is said."),))
UNSURE = answer(HELD, confidence=0.2)
OTHER = {"statement": "A customer saw an error page.", "citations": [{"label": "E1", "quote": "sees an error page"}]}


def talking(answers: Script, talk: str = "Better: first\nBroken: doubt\nlikely") -> Script:
    """Answers where the case's form is asked for, else talks."""
    return lambda request: json.dumps({"text": talk}) if "text" in str(request.schema["required"]) else answers(request)


def wishing(wish: Wish, number: int = 0) -> Posed:
    return posed(number, technique=wish)


def in_parts() -> Posed:
    """A case whose answer has a cause and what came of it."""
    made = posed(technique="tree of thought")
    schema = json.loads(json.dumps(made.case.schema))
    schema["properties"]["claims"]["items"]["properties"]["aspect"] = {"type": "string", "enum": ["cause", "effect"]}
    return replace(made, case=replace(made.case, schema=schema))


def with_fact(made: Posed) -> Posed:
    fact = Evidence("F1", "There were 2 errors.", query="SELECT 2 AS errors")
    return replace(made, case=replace(made.case, evidence=(*made.case.evidence, fact)))


def researched(folder: Path, script: Script, case: Posed, **changes: object) -> tuple[Ladder, Analysis]:
    ladder = Ladder(folder, [(at("surface"), script)], with_quotes=False, techniques=SURFACE, **changes)  # type: ignore[arg-type]
    return ladder, ladder.run(case)[0][case.case.id]


@pytest.mark.parametrize(
    ("case", "technique", "roles"),
    [
        (wishing("auto"), "constitutional review", ["attempt", "critique", "revise"]),
        (wishing("self-consistency"), "self-consistency", ["attempt"] * 3),
        (with_fact(wishing("auto")), "reflexion", ["attempt"]),
        (in_parts(), "tree of thought", ["propose", "propose"]),
    ],
)
def test_a_case_is_answered_by_the_technique_of_its_kind_and_the_row_shows_each_step(
    tmp_path: Path, case: Posed, technique: Technique, roles: list[str]
) -> None:
    two_parts = talking(lambda request: answer(OTHER if "effect`" in request.asked else HELD, confidence=0.2))
    ladder, row = researched(tmp_path, two_parts, case)
    assert (row.technique, [step.role for step in row.trace]) == (technique, roles)
    assert technique in row.why_node
    assert "The nightly report locked the database." in row.text
    assert all(claim.citations for claim in row.claims)
    assert {step.node for step in row.trace} == {"surface-node"}
    assert sum((step.cost_usd for step in row.trace), Decimal(0)) == spent([row]) == ladder.spent() > 0
    assert [name for step in row.trace for name in step.receipts] == list(row.receipts)


def test_two_nodes_debate_and_each_is_in_the_trace(tmp_path: Path) -> None:
    other = talking(always(answer(OTHER, confidence=0.4)))
    ladder = Ladder(
        tmp_path,
        [(at("surface", name="a"), talking(always(UNSURE))), (at("surface", name="b", model="b"), other)],
        with_quotes=False,
        techniques=SURFACE,
    )
    row = ladder.run(posed())[0][posed().case.id]
    assert row.technique == "debate"
    assert [(step.role, step.node) for step in row.trace] == [
        *(("attempt", "a"), ("attempt", "b"), ("argue", "a"), ("argue", "b"), ("judge", "a"), ("judge", "a"))
    ]
    assert row.signals["consistency"] == 0.5
    assert spent([row]) == ladder.spent()


def test_samples_that_agree_make_an_answer_surer_than_samples_that_do_not(tmp_path: Path) -> None:
    _, alike = researched(
        tmp_path / "alike", talking(always(answer(HELD, confidence=0.6))), wishing("self-consistency")
    )
    case = wishing("auto")
    case = replace(case, case=replace(case.case, question="How often was the database locked?"))
    texts = iter(answer(HELD, confidence=0.6, text=f"{number} times.") for number in range(9))
    _, apart = researched(tmp_path / "apart", talking(lambda _: next(texts)), case)
    assert (alike.signals["consistency"], apart.signals["consistency"]) == (1.0, 0.2)
    assert alike.confidence > apart.confidence


def test_a_second_run_costs_nothing_and_shows_the_same_steps(tmp_path: Path) -> None:
    cases = [wishing("auto", 1), wishing("self-consistency", 2), with_fact(posed(3)), in_parts()]
    script = talking(lambda request: answer(OTHER if "effect`" in request.asked else HELD, confidence=0.2))
    ladder = Ladder(tmp_path, [(at("surface"), script)], techniques=SURFACE)
    first = ladder.run(*cases)[0]
    calls, paid = ladder.calls, ladder.spent()
    poor = Ladder(tmp_path, [(at("surface"), script)], techniques=SURFACE, budgets="case 0")
    again = poor.run(*cases, run="r2")[0]
    assert (poor.calls, poor.spent()) == (0, paid)
    assert calls == sum(len(row.trace) for row in first.values())
    for key, row in first.items():
        assert again[key].is_cached
        assert (again[key].technique, again[key].text, again[key].trace) == (row.technique, row.text, row.trace)


def test_a_private_case_is_debated_by_nobody_outside(tmp_path: Path) -> None:
    near, far = at("surface", name="near"), at("surface", name="far", model="far", policy="may-leave")
    ladder = Ladder(tmp_path, [(each, talking(always(UNSURE))) for each in (far, near)], techniques=SURFACE)
    case = wishing("debate")
    case = replace(case, case=replace(case.case, private=True))
    row = ladder.run(case)[0][case.case.id]
    assert (row.node, row.technique) == ("near", "constitutional review")
    assert set(ladder.asked) == {"near"}


class KilledError(Exception):
    """What ends a run at once."""


@pytest.mark.parametrize("after", range(1, 4))
def test_a_run_that_is_killed_within_a_technique_pays_nothing_twice(tmp_path: Path, after: int) -> None:
    said: list[Request] = []

    def dying(request: Request) -> str:
        said.append(request)
        if len(said) == after:
            raise KilledError
        return UNSURE

    case = wishing("self-consistency")
    texts = talking(dying)
    with pytest.raises(KilledError):
        researched(tmp_path, texts, case)
    ladder, row = researched(tmp_path, talking(always(UNSURE)), case)
    assert row.technique == "self-consistency"
    assert ladder.calls == 3 - (after - 1)
    assert spent([row]) == ladder.spent()


@pytest.mark.parametrize(
    ("budget", "technique"), [("5", "tree of thought"), ("0.2", "constitutional review"), ("0.05", None)]
)
def test_where_money_lacks_a_cheaper_way_is_gone_and_the_row_says_why(
    tmp_path: Path, budget: str, technique: Technique | None
) -> None:
    script = talking(lambda request: answer(OTHER if "effect`" in request.asked else HELD, confidence=0.2))
    ladder = Ladder(
        tmp_path, [(at("surface"), script)], budgets=f"case {budget}", with_quotes=False, techniques=SURFACE
    )
    row = ladder.run(in_parts())[0][in_parts().case.id]
    assert row.has_answer
    assert row.technique == technique
    assert ("tree of thought may cost" in row.why_node) == (budget != "5")
    assert ladder.spent() <= Decimal(budget)


def test_one_plain_call_answers_where_the_brief_wants_no_technique(tmp_path: Path) -> None:
    ladder, row = researched(tmp_path, always(UNSURE), wishing("plain"))
    assert (row.technique, row.trace, ladder.calls) == (None, (), 1)


def test_going_deeper_is_offered_at_the_price_of_the_technique(tmp_path: Path) -> None:
    deep = Techniques(frozenset({"deep"}), SURFACE.principles)
    prices: list[Decimal] = []
    for number, techniques in enumerate((Techniques(), deep)):
        for off in (True, False):
            scripts = [(at("surface"), always(UNSURE)), (at("deep"), talking(always(UNSURE)))][: 1 if off else 2]
            states = [NodeState(at("deep"), "DEEP_KEY is not set")] if off else []
            folder = tmp_path / f"{number}{off}"
            ladder = Ladder(folder, scripts, off=states, techniques=techniques, with_quotes=False)
            row = ladder.run(posed())[0][posed().case.id]
            assert row.next_usd is not None
            prices.append(row.next_usd)
    assert prices[0] == prices[1] < prices[2] == prices[3]


def test_what_is_asked_twice_within_a_technique_is_paid_and_shown_once(tmp_path: Path) -> None:
    ladder, row = researched(tmp_path, always("blah"), wishing("reflexion"))
    assert [step.role for step in row.trace] == ["attempt", "reflect", "attempt", "reflect", "attempt"]
    plain = 1
    assert ladder.calls == 4 + plain  # the second reflection is the first
    assert row.trace[3].cost_usd == 0 < row.trace[1].cost_usd
    assert sum((step.cost_usd for step in row.trace), Decimal(0)) == spent([row]) * 4 / (4 + plain)
    assert row.failure
    assert not row.claims


WISHES: tuple[Wish, ...] = (
    "auto",
    "self-consistency",
    "tree of thought",
    "reflexion",
    "constitutional review",
    "debate",
)


def lies(request: Request) -> str:
    return answer(INVENTED, confidence=1.0, text="The disk was full.")


def down(request: Request) -> str:
    raise NodeError("It is down.", remedy="Wait.", failure="connection", may_be_billed=True)


@settings(max_examples=25, deadline=None)
@given(
    wish=st.sampled_from(WISHES),
    scripts=st.lists(
        st.sampled_from(
            [
                always("blah {} blah"),
                talking(lies),
                talking(always(answer(HELD, confidence=0.0))),
                talking(lambda request: answer(OTHER if "effect`" in request.asked else HELD, confidence=0.0)),
                down,
                talking(always(UNSURE), "x" * 50_000),
            ]
        ),
        min_size=2,
        max_size=2,
    ),
    budget=st.integers(0, 500),
)
def test_whatever_nodes_say_within_techniques_money_and_evidence_hold(
    tmp_path_factory: pytest.TempPathFactory, wish: Wish, scripts: list[Script], budget: int
) -> None:
    limit = Decimal(budget) / 1000
    techniques = Techniques(frozenset({"surface", "deep"}), SURFACE.principles)
    pairs = [
        (at("surface"), scripts[0]),
        (at("surface", name="two", model="two"), scripts[1]),
        (at("deep"), scripts[1]),
    ]
    ladder = Ladder(
        tmp_path_factory.mktemp("any"), pairs, budgets=f"case {limit}", techniques=techniques, with_quotes=False
    )
    case = replace(in_parts(), technique=wish)
    tables = ladder.run(case)
    rows = [rows[case.case.id] for rows in tables if case.case.id in rows]
    assert spent(rows) == ladder.spent()
    assert ladder.spent() + ladder.bench.unknown() <= limit
    for row in rows:
        assert "disk was full" not in row.text
        assert all(claim.citations for claim in row.claims)
        assert (row.technique is None) or row.trace
        told = [step.cost_usd for step in row.trace]
        assert sum(told, Decimal(0)) <= spent([row])
    assert not any("disk was full" in row.told() for row in rows)


def test_a_pause_ends_a_technique_between_two_calls_and_it_goes_on_later_without_paying_again(tmp_path: Path) -> None:
    case, waited = wishing("self-consistency"), list[int]()
    ladder = Ladder(tmp_path, [(at("surface"), talking(always(UNSURE)))], with_quotes=False, techniques=SURFACE)
    run = Climb(
        ladder.means,
        (Scope("run", "r1"),),
        is_stopped=lambda: ladder.calls == 2 and not waited,
        wait=lambda: waited.append(ladder.calls),
    )
    [row] = climb([case], [], "surface", run)
    assert waited == [2]
    assert (row.technique, ladder.calls) == ("self-consistency", 3)
    assert spent([row]) == ladder.spent()


def test_where_nobody_waits_for_the_end_of_a_pause_another_run_does(tmp_path: Path) -> None:
    cases = [wishing("plain", number) for number in range(30)]
    ladder = Ladder(tmp_path, [(at("surface"), always(UNSURE))], with_quotes=False)
    rows = climb(cases, [], "surface", Climb(ladder.means, (), is_stopped=lambda: ladder.calls >= 3))
    assert 3 <= sum(row.has_answer for row in rows) == ladder.calls < 30
    assert all(row.waits and "paused" in (row.failure or "") for row in rows if not row.has_answer)
    again = climb(cases, [], "surface", Climb(ladder.means, ()))
    assert all(row.has_answer for row in again)
    assert ladder.calls == 30
