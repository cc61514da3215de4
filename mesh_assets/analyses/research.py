"""A research technique on one case: which, with whom, for how much at most, and what was kept of it from before.

What a technique does belongs to `techniques`, which nodes a case may be given to `offers`. Here a technique becomes one
way to answer a case, whose answer has the case's form and is checked as that of one call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from mesh_assets.analyses.analysis import ANSWER_TOKENS, Asked
from mesh_assets.analyses.techniques.asking import MAX_REPLY_CHARS, STOPPED, Ask, Bounds, Outcome, Technique
from mesh_assets.analyses.techniques.choice import CLAIMS_BREADTH, Task, Turn, Worst, likely_turns, turns
from mesh_assets.analyses.techniques.claims import Checking, ClaimsPuzzle, checked_by, is_short, parts_of, same_by
from mesh_assets.analyses.techniques.debate import debate
from mesh_assets.analyses.techniques.reflexion import reflexion
from mesh_assets.analyses.techniques.review import Principle, constitutional_review
from mesh_assets.analyses.techniques.sampling import self_consistency
from mesh_assets.analyses.techniques.through_caller import TALK_TOKENS, KeptAsk, NodeAsk, role_question
from mesh_assets.analyses.techniques.tree import tree_of_thought
from mesh_assets.mesh.calls import Called, Caller, Question
from mesh_assets.mesh.costs import cost_of, worst_case
from mesh_assets.mesh.execution import Tried, WayResult
from mesh_assets.mesh.protocol import Client, Node, Usage
from mesh_assets.mesh.shapes import Depth
from mesh_assets.mesh.validation import Checked

# What a technique adds to a prompt beside replies: its words, principles, notes of a verifier; in characters.
_AROUND_CHARS = 3_000
# About so many characters are a token of a reply.
_TOKEN_CHARS = 4


@dataclass(frozen=True, slots=True)
class Techniques:
    """At which depths cases are answered by techniques, none where they are off; and what a review goes by."""

    depths: frozenset[Depth] = frozenset()
    principles: tuple[Principle, ...] = ()


@dataclass(frozen=True, slots=True)
class Speaker:
    """A node with the question as it is put to it; the prompt is a technique's."""

    node: Node
    question: Question


@dataclass(frozen=True, slots=True)
class Before:
    """What the log has of a technique: how many of its calls, all that it takes or not, and the answer they give."""

    calls: int
    is_whole: bool
    has_answer: bool


@dataclass(slots=True)
class CaseTechnique:
    """One technique on one case: a `Way`. The first of its `speakers` answers; a debate has another, and a judge.

    `usd` is the most that it may take. What came of it is in `outcome` once it was gone.
    """

    technique: Technique
    task: Task
    asked: Asked
    speakers: tuple[Speaker, ...]
    principles: tuple[Principle, ...]
    checking: Checking
    usd: Decimal = Decimal(0)
    outcome: Outcome | None = None

    def before(self, caller: Caller) -> Before:
        """What was kept of it. Nobody is asked."""
        asks = [KeptAsk(caller, each.node, each.question) for each in self.speakers]
        outcome = _at_once(self._gone(asks, Bounds(len(self._turns), Decimal(0))))
        calls = sum(not step.failure for step in outcome.trace)
        return Before(calls, all(each.is_whole for each in asks), outcome.answer is not None)

    def price(self, calls: int) -> Worst:
        """The most that it costs where so many of its calls were kept."""
        prices: dict[Turn, Decimal] = {}
        for turn in self._turns[calls:]:
            if turn not in prices:
                speaker = self.speakers[turn.speaker % len(self.speakers)]
                more = "x" * (turn.replies * MAX_REPLY_CHARS + _AROUND_CHARS)
                asked = role_question(speaker.question, f"{speaker.question.request.asked}{more}", turn.role)
                prices[turn] = worst_case(speaker.node, asked.request)
        total = sum((prices[turn] for turn in self._turns[calls:]), Decimal(0))
        return Worst(total, max(prices.values(), default=Decimal(0)))

    async def answer(
        self, caller: Caller, client: Callable[[Node], Client], is_stopped: Callable[[], bool]
    ) -> WayResult | None:
        """Go through it; its calls are those of the caller, with their budgets. What was said until a stop is kept."""
        asks = [NodeAsk(caller, each.node, client(each.node), each.question) for each in self.speakers]
        outcome = await self._gone(asks, Bounds(len(self._turns), self.usd, is_stopped))
        if outcome.failure == STOPPED:
            return None
        self.outcome = outcome
        receipts = tuple(receipt for step in outcome.trace for receipt in step.receipts)
        if outcome.answer is None:
            lacked = Tried(
                self.speakers[0].node.name, outcome.failure or "rejected", f"{self.technique}: {outcome.why}"
            )
            return WayResult(None, lacked, receipts)
        node = next((s.node for s in reversed(outcome.trace) if s.answer == outcome.answer), asks[0].name)
        called = Called(
            node=node,
            value=json.loads(outcome.answer),
            rejected="",
            text=outcome.answer,
            receipts=receipts,
            is_cached=not receipts,
            is_repaired=False,
            attempts=len(outcome.trace),
        )
        return WayResult(called, None, receipts)

    @property
    def _turns(self) -> Sequence[Turn]:
        return turns(self.technique, self.task)

    async def _gone(self, asks: Sequence[Ask], bounds: Bounds) -> Outcome:
        case, node = self.asked.posed.case, asks[0]
        question = self.speakers[0].question.request.asked
        checking = _once(self.checking)
        verify, same = checked_by(checking), same_by(case.question, checking)
        match self.technique:
            case "self-consistency":
                counted = checked_by(checking, is_whole=False)
                return await self_consistency(question, node, bounds, verify=counted, same=same)
            case "reflexion":
                return await reflexion(question, node, bounds, verify)
            case "constitutional review":
                return await constitutional_review(question, self.principles, node, bounds, verify=verify)
            case "debate":
                return await debate(question, (node, asks[1]), asks[-1], bounds, verify=verify, same=same)
            case "tree of thought":
                puzzle = ClaimsPuzzle(case, question, checking)
                breadth = replace(CLAIMS_BREADTH, depth=self.task.parts)
                return await tree_of_thought(puzzle, node, bounds, breadth=breadth)


def task_of(asked: Asked, nodes: int) -> Task:
    """What is known of a case, where so many nodes may answer it."""
    case = asked.posed.case
    return Task(
        verified=any(each.query is not None for each in case.evidence),
        parts=len(parts_of(case)),
        short=is_short(case.question),
        impossible=asked.posed.is_impossible,
        nodes=nodes,
        wish=asked.posed.technique,
    )


def speakers_of(technique: Technique, first: Speaker, others: Sequence[Speaker]) -> tuple[Speaker, ...]:
    """Who takes part: one node, or in a debate two, judged by a third where there is one, else by the first."""
    if technique != "debate":
        return (first,)
    return (first, others[0], others[1] if len(others) > 1 else first)


def likely_usd(technique: Technique, task: Task, node: Node, *, depth: Depth, tokens: int, output: Decimal) -> Decimal:
    """What it likely costs by one node: a prompt has so many tokens, and a reply `output` of those it may have."""
    return _usd(likely_turns(technique, task), node, depth, tokens, output)


def most_usd(technique: Technique, task: Task, node: Node, *, depth: Depth, tokens: int) -> Decimal:
    """What it costs where every call is made, and each says as much as it may."""
    return _usd(turns(technique, task), node, depth, tokens, Decimal(1))


def _usd(made: Sequence[Turn], node: Node, depth: Depth, tokens: int, output: Decimal) -> Decimal:
    if node.price is None:
        return Decimal(0)
    answer = min(ANSWER_TOKENS[depth], node.output_tokens)
    costs: Mapping[bool, int] = {True: answer, False: min(answer, TALK_TOKENS)}
    total = Decimal(0)
    for turn in made:
        told = turn.replies * min(int(answer * output), MAX_REPLY_CHARS // _TOKEN_CHARS)
        said = int(costs[turn.is_answer] * output)
        total += cost_of(Usage(input=tokens + told, output=said), node.price)
    return total


def _once(checking: Checking) -> Checking:
    """The same, which puts an answer to the data once, however often it is looked at."""
    found: dict[str, Checked] = {}

    def checked(value: Mapping[str, object]) -> Checked:
        said = json.dumps(value, sort_keys=True)
        if said not in found:
            found[said] = checking(value)
        return found[said]

    return checked


def _at_once(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """What a coroutine that waits for nothing ends in."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("What was kept is read without waiting.")
