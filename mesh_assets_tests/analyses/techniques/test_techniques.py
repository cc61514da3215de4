"""Techniques end with the best answer that evidence carries, within their bounds, whatever a node says."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.analyses.techniques.asking import MAX_REPLY_CHARS, Bounds, Check, Outcome, Technique
from mesh_assets.analyses.techniques.choice import CLAIMS_BREADTH, Task, Worst, choose_technique, turns
from mesh_assets.analyses.techniques.debate import debate
from mesh_assets.analyses.techniques.reflexion import reflexion
from mesh_assets.analyses.techniques.review import Principle, constitutional_review, read_principles
from mesh_assets.analyses.techniques.sampling import self_consistency
from mesh_assets.analyses.techniques.tree import Breadth, tree_of_thought
from mesh_assets.errors import SettingsError
from mesh_assets.settings import SHIPPED_PRINCIPLES
from mesh_assets_tests.analyses.techniques.scripted import USD, Scripted, TwentyFour, in_turn, solver

WIDE = Bounds(2_000, Decimal(50))
EVERYTHING = Breadth(depth=3, beam=80, proposals=60)
RULES = (Principle("numbers", "Numbers have a source."), Principle("doubt", "Doubt is said."))


def near(answer: str) -> Check:
    """Verifies `42`; other numbers score by how near they are."""
    if not answer.isdigit():
        return Check(0.0, "It is no number.")
    return Check(max(0.0, 1 - abs(int(answer) - 42) / 100), "It is not 42.")


def every_technique(node: Scripted, bounds: Bounds) -> list[Outcome]:
    """Each technique once, on one node for all roles."""

    async def all_of_them() -> list[Outcome]:
        return [
            await self_consistency("q", node, bounds),
            await tree_of_thought(TwentyFour((4, 5, 6, 10)), node, bounds),
            await reflexion("q", node, bounds, near),
            await constitutional_review("q", RULES, node, bounds, verify=near),
            await debate("q", (node, node), node, bounds),
        ]

    return asyncio.run(all_of_them())


def test_most_chains_win_and_no_more_are_paid_for_than_can_change_that() -> None:
    node = in_turn("so\nAnswer: 7.", "Answer: 8", "Answer: 7", "answer: 7", "Answer: 9")
    found = asyncio.run(self_consistency("q", node, WIDE))
    assert (found.answer, found.evidence, len(found.trace)) == ("7", 0.75, 4)
    assert len(set(node.prompts)) == 4


def test_one_chain_that_verifies_is_taken_before_the_votes_of_others() -> None:
    node = in_turn("Answer: 7", "Answer: 7", "Answer: 42", "Answer: 7")
    found = asyncio.run(self_consistency("q", node, WIDE, verify=near))
    assert (found.answer, found.evidence) == ("42", 1.0)


@pytest.mark.parametrize("numbers", [(4, 5, 6, 10), (1, 1, 4, 6), (3, 3, 8, 8)])
def test_a_tree_solves_the_game_of_24_by_steps_that_were_checked(numbers: tuple[int, ...]) -> None:
    puzzle, node = TwentyFour(numbers), Scripted(solver)
    found = asyncio.run(tree_of_thought(puzzle, node, WIDE, breadth=EVERYTHING))
    assert found.answer is not None
    state = puzzle.start()
    for step in found.answer.split(";"):
        state = puzzle.after(state, step) or ""
    assert puzzle.answer(state) == found.answer
    assert found.usd == USD * len(node.prompts)


def test_a_tree_says_that_a_puzzle_without_a_solution_has_none() -> None:
    found = asyncio.run(tree_of_thought(TwentyFour((1, 1, 1, 1)), Scripted(solver), WIDE, breadth=EVERYTHING))
    assert found.answer is None
    assert found.evidence == 0.0


def test_a_tree_takes_no_step_that_is_not_allowed() -> None:
    """The node invents numbers, leaves some out and claims to have 24."""
    node = Scripted(lambda prompt: "12 * 2\n24\n4 + 20 = 24\nAnswer: 24" if "steps" in prompt else "sure")
    found = asyncio.run(tree_of_thought(TwentyFour((4, 5, 6, 10)), node, WIDE))
    assert found.answer is None
    assert len(node.prompts) == 1


@pytest.mark.parametrize("parts", [2, 3])
def test_a_tree_makes_no_more_calls_than_its_price_counts(parts: int) -> None:
    node = Scripted(lambda prompt: solver(prompt) if "steps" in prompt else "likely")
    breadth = Breadth(depth=parts, beam=CLAIMS_BREADTH.beam, proposals=CLAIMS_BREADTH.proposals)
    puzzle = TwentyFour((11, 11, 13, 17))
    found = asyncio.run(tree_of_thought(puzzle, node, Bounds(1_000, Decimal(100)), breadth=breadth))
    assert [step.role for step in found.trace] == [each.role for each in turns("tree of thought", Task(parts=parts))]


def test_reflexion_keeps_the_best_attempt_when_deeper_is_worse() -> None:
    node = in_turn("Answer: 40", "go lower", "Answer: 10", "go on", "Answer: 3")
    found = asyncio.run(reflexion("q", node, WIDE, near))
    assert (found.answer, found.evidence) == ("40", 0.98)
    assert [step.role for step in found.trace] == ["attempt", "reflect", "attempt", "reflect", "attempt"]


def test_reflexion_tells_the_next_attempt_what_failed_and_ends_when_it_holds() -> None:
    node = in_turn("Answer: 40", "Add the two that were left out.", "Answer: 42")
    found = asyncio.run(reflexion("q", node, WIDE, near))
    assert (found.answer, found.evidence, len(found.trace)) == ("42", 1.0, 3)
    assert "Add the two that were left out." in node.prompts[2]
    assert "It is not 42." in node.prompts[1]


def test_a_draft_that_breaks_a_principle_is_revised() -> None:
    node = in_turn("Answer: 41", "Broken: numbers\n41 has no source.", "Answer: 42")
    found = asyncio.run(constitutional_review("q", RULES, node, WIDE, verify=near))
    assert (found.answer, found.evidence, found.why) == ("42", 1.0, "revised for numbers")


@pytest.mark.parametrize("said", [("Broken: numbers", "Answer: 9"), ("Broken: numbers", "words"), ("Broken: beauty",)])
def test_a_draft_stands_where_its_revision_is_worse_or_the_critic_names_no_principle(said: tuple[str, ...]) -> None:
    found = asyncio.run(constitutional_review("q", RULES, in_turn("Answer: 41", *said), WIDE, verify=near))
    assert (found.answer, found.evidence) == ("41", 0.99)


def test_the_owners_principles_are_laid_over_the_shipped_ones_by_name(tmp_path: Path) -> None:
    own = tmp_path / "principles.yaml"
    shipped = read_principles(SHIPPED_PRINCIPLES, own)
    own.write_text(
        "principles: [{name: doubt, rule: null}, {name: Numbers, rule: In metres.}, {name: tone, rule: Dry.}]"
    )
    found = {each.name: each.rule for each in read_principles(SHIPPED_PRINCIPLES, own)}
    assert set(found) == {each.name for each in shipped} - {"doubt", "numbers"} | {"Numbers", "tone"}
    assert (found["Numbers"], found["tone"]) == ("In metres.", "Dry.")


@pytest.mark.parametrize(
    "text",
    [
        *("", "[", "a: b", "principles: 3", "principles: []", "principles: [{name: a}]"),
        *("principles: [{name: a, rule: 3}]", "principles: [{name: 3, rule: b}]", "principles: [{name: a b, rule: c}]"),
        "principles: [{name: a, rule: b}, {name: A, rule: c}]",
    ],
)
def test_a_broken_file_of_principles_is_refused_with_a_remedy(text: str, tmp_path: Path) -> None:
    own = tmp_path / "principles.yaml"
    own.write_text(text)
    with pytest.raises(SettingsError, match="principle"):
        read_principles(SHIPPED_PRINCIPLES, own)


def test_a_judge_that_prefers_what_stands_first_decides_nothing() -> None:
    nodes = in_turn("Answer: 1", "Answer: 1"), in_turn("Answer: 2", "Answer: 2")
    found = asyncio.run(debate("q", nodes, Scripted(lambda _: "Better: first"), WIDE))
    assert (found.answer, found.evidence) == ("1", 0.5)
    assert "undecided" in found.why


def test_a_judge_that_prefers_one_in_both_orders_decides() -> None:
    nodes = in_turn("Answer: 1", "Answer: 1"), in_turn("Answer: 2", "because\nAnswer: 2")
    judge = Scripted(
        lambda prompt: f"Better: {'first' if prompt.index('because') < prompt.index('Answer: 1') else 'second'}"
    )
    found = asyncio.run(debate("q", nodes, judge, WIDE))
    assert (found.answer, found.evidence) == ("2", 0.75)


def test_a_verifier_goes_before_the_judge() -> None:
    nodes = in_turn("Answer: 1", "Answer: 1"), in_turn("Answer: 42", "Answer: 42")
    found = asyncio.run(debate("q", nodes, Scripted(lambda _: "Better: first"), WIDE, verify=near))
    assert (found.answer, found.evidence) == ("42", 1.0)
    assert "judge" not in {step.role for step in found.trace}


@settings(max_examples=20, deadline=None)
@given(
    said=st.sampled_from(["", "hm", "x" * 50_000, "Answer:", "Answer: 42", "Broken: numbers", "Better: first", "sure"])
    | st.text(max_size=60),
    calls=st.integers(0, 12),
    usd=st.decimals(0, "0.2", places=2),
)
def test_whatever_a_node_says_each_technique_stays_within_its_bounds(said: str, calls: int, usd: Decimal) -> None:
    for found in every_technique(Scripted(lambda _: said), Bounds(calls, usd)):
        assert len(found.trace) <= calls
        assert found.usd <= usd
        assert all(len(step.text) <= MAX_REPLY_CHARS for step in found.trace)
        assert 0.0 <= found.evidence <= 1.0
        assert found.why


def test_a_node_that_is_down_ends_a_technique_with_what_there_is() -> None:
    found = asyncio.run(reflexion("q", in_turn("Answer: 40", "go on", None), WIDE, near))
    assert (found.answer, found.trace[-1].failure) == ("40", "It is down.")
    assert "It is down." in found.why
    for outcome in every_technique(Scripted(lambda _: None), WIDE):
        assert (outcome.answer, outcome.failure) == (None, "connection")
        assert len(outcome.trace) <= 1


PRICES: dict[Technique, Decimal] = {
    "tree of thought": Decimal("0.14"),
    "debate": Decimal("0.06"),
    "reflexion": Decimal("0.05"),
    "self-consistency": Decimal("0.05"),
    "constitutional review": Decimal("0.03"),
}


@pytest.mark.parametrize(
    ("task", "usd", "technique"),
    [
        (Task(verified=True, parts=3, wish="tree of thought"), "1", "tree of thought"),
        (Task(verified=True, parts=3, wish="tree of thought"), "0.13", "reflexion"),
        (Task(verified=True, parts=3), "1", "reflexion"),
        (Task(verified=True, parts=3, impossible=True), "1", "tree of thought"),
        (Task(parts=9, wish="tree of thought"), "1", "constitutional review"),
        (Task(short=True, nodes=2), "1", "self-consistency"),
        (Task(nodes=2), "1", "debate"),
        (Task(nodes=2), "0.05", "constitutional review"),
        (Task(), "1", "constitutional review"),
        (Task(wish="debate"), "1", "constitutional review"),
        (Task(verified=True, short=True, nodes=2), "0.04", None),
        (Task(verified=True, wish="plain"), "1", None),
    ],
)
def test_the_technique_is_chosen_by_what_can_be_checked_and_by_price(
    task: Task, usd: str, technique: Technique | None
) -> None:
    chosen = choose_technique(task, lambda technique: Worst(PRICES[technique]), Decimal(usd))
    assert chosen.technique == technique
    assert chosen.usd <= Decimal(usd)
    if usd != "1":
        assert (
            "may cost $0.05 of $0.04" in chosen.why or "may cost $0.14 of $0.13" in chosen.why or "$0.06" in chosen.why
        )


def test_a_technique_with_a_call_that_is_too_dear_is_not_begun() -> None:
    costs = {"debate": Worst(Decimal(2), Decimal("0.6")), "constitutional review": Worst(Decimal(1), Decimal("0.4"))}
    chosen = choose_technique(Task(nodes=2), lambda technique: costs[technique], None, Decimal("0.5"))
    assert chosen.technique == "constitutional review"
    assert "a call of debate may cost $0.60 of $0.50" in chosen.why
