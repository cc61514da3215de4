"""Tree of thought (Yao et al. 2023): steps are proposed, valued, and only the most promising are followed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from mesh_assets.analyses.techniques.asking import Ask, Bounds, Outcome, Reply, Session, Technique

NAME: Technique = "tree of thought"
# What a state is worth by the node's word, as the authors weigh them.
_WORTH = {"sure": 20.0, "likely": 1.0, "impossible": 0.001}
_WORD = re.compile(r"\b(sure|likely|impossible)\b", re.IGNORECASE)


class Puzzle(Protocol):
    """A problem that is solved in steps; a state is text that a node can read."""

    def start(self) -> str:
        """The state before any step."""
        ...

    def ask_steps(self, state: str) -> str:
        """The prompt for next steps."""
        ...

    def steps(self, reply: Reply) -> list[str]:
        """The steps that a reply to that proposes, in its order."""
        ...

    def ask_value(self, state: str) -> str:
        """The prompt for how promising a state is: sure, likely or impossible."""
        ...

    def after(self, state: str, step: str) -> str | None:
        """The state after a step, worked out here; None where the step is not allowed."""
        ...

    def answer(self, state: str) -> str | None:
        """The answer where a state solves the problem, checked here; None where it does not."""
        ...


@dataclass(frozen=True, slots=True)
class Breadth:
    """Steps in a row, states followed after each, and proposals taken of one reply."""

    depth: int = 3
    beam: int = 5
    proposals: int = 12


async def tree_of_thought(puzzle: Puzzle, node: Ask, bounds: Bounds, *, breadth: Breadth = Breadth()) -> Outcome:
    """Searches breadth first; a state is reached once, and only by steps that the puzzle allows.

    The answer is one that the puzzle itself holds for solved, or None: what a node says about it does not count.
    """
    session = Session(bounds)
    states, seen = [puzzle.start()], {puzzle.start()}
    for level in range(1, breadth.depth + 1):
        reached: list[str] = []
        for state in states:
            for after in await _next(session, puzzle, node, state, breadth.proposals):
                if (solved := puzzle.answer(after)) is not None:
                    return session.outcome(NAME, solved, 1.0, "its steps and its result were checked")
                if after not in seen:
                    seen.add(after)
                    reached.append(after)
        if level == breadth.depth or session.ended:
            break  # states that are not followed are not paid for
        states = await _most_promising(session, puzzle, node, reached, breadth.beam)
        if not states:
            break
    return session.outcome(NAME, None, 0.0, f"none of {len(seen)} states solves it")


async def _next(session: Session, puzzle: Puzzle, node: Ask, state: str, most: int) -> list[str]:
    """The states after the allowed ones of the steps that are proposed; none twice."""
    reply = await session.ask(node, "propose", puzzle.ask_steps(state))
    steps = puzzle.steps(reply)[:most] if reply is not None else []
    return list(dict.fromkeys(after for step in steps if (after := puzzle.after(state, step)) is not None))


async def _most_promising(session: Session, puzzle: Puzzle, node: Ask, states: list[str], beam: int) -> list[str]:
    """The `beam` states of the highest value; equal ones in their order, those that nobody valued last."""
    if len(states) <= beam:
        return states  # nothing to choose, so nothing to pay for
    valued: list[tuple[float, str]] = []
    for state in states:
        reply = await session.ask(node, "value", puzzle.ask_value(state))
        words = _WORD.findall(reply.text) if reply is not None else []
        valued.append((_WORTH[words[-1].lower()] if words else 0.0, state))
    return [state for _, state in sorted(valued, key=lambda pair: -pair[0])[:beam]]
