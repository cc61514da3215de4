"""Which technique a case of a kind is worth, by what can verify it and what its calls cost: one stated rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from mesh_assets.analyses.techniques.asking import ANSWERING, Role, Technique
from mesh_assets.analyses.techniques.tree import Breadth
from mesh_assets.mesh.costs import usd as shown

# What a brief may say: the rule decides, one plain call always, or this technique before those of the rule.
Wish = Literal["auto", "plain", "self-consistency", "tree of thought", "reflexion", "constitutional review", "debate"]
# A tree over claims: as many levels as an answer has parts.
CLAIMS_BREADTH = Breadth(depth=4, beam=2, proposals=3)


@dataclass(frozen=True, slots=True)
class Turn:
    """A call that a technique makes at most: in which role, who (0 and 1 speak, 2 judges), with how many replies."""

    role: Role
    speaker: int = 0
    replies: int = 0

    @property
    def is_answer(self) -> bool:
        """Whether it is to give an answer."""
        return self.role in ANSWERING


def _tree(parts: int) -> tuple[Turn, ...]:
    """The most calls of a tree over an answer of so many parts: steps of each state, then the value of each reached."""
    states, turns = 1, list[Turn]()
    for level in range(1, parts + 1):
        turns += [Turn("propose", replies=1)] * states
        reached = states * CLAIMS_BREADTH.proposals
        if level < parts:
            turns += [Turn("value", replies=1)] * reached
        states = min(reached, CLAIMS_BREADTH.beam)
    return tuple(turns)


_ATTEMPT = Turn("attempt")
_TURNS: Mapping[Technique, tuple[Turn, ...]] = {
    "self-consistency": (_ATTEMPT,) * 5,
    "reflexion": (_ATTEMPT, *(Turn("reflect", replies=1), Turn("attempt", replies=1)) * 2),
    "constitutional review": (_ATTEMPT, Turn("critique", replies=1), Turn("revise", replies=2)),
    "debate": (
        _ATTEMPT,
        Turn("attempt", 1),
        Turn("argue", replies=2),
        Turn("argue", 1, 2),
        *(Turn("judge", 2, 2),) * 2,
    ),
}
# Calls that one use likely takes: assumptions, until there are enough traces to count.
_LIKELY: Mapping[Technique, int] = {
    "self-consistency": 3,
    "reflexion": 3,
    "constitutional review": 2,
    "debate": 4,
}


@dataclass(frozen=True, slots=True)
class Task:
    """What is known of a case: whether more than its citations can be `verified` here (facts that are computed again),
    of how many `parts` an answer is whose steps are checked one by one (0: of none), whether it is a `short` one that
    can be counted (a number, yes or no), whether its problem counts as `impossible`, how many nodes serve its depth,
    and what its brief wishes.
    """

    verified: bool = False
    parts: int = 0
    short: bool = False
    impossible: bool = False
    nodes: int = 1
    wish: Wish = "auto"


def turns(technique: Technique, task: Task) -> tuple[Turn, ...]:
    """The most calls that it makes."""
    return _tree(task.parts) if technique == "tree of thought" else _TURNS[technique]


def likely_turns(technique: Technique, task: Task) -> tuple[Turn, ...]:
    """The calls that it likely makes."""
    most = turns(technique, task)
    return most[: len(most) // 2 + 1] if technique == "tree of thought" else most[: _LIKELY[technique]]


def fitting(task: Task) -> tuple[Technique, ...]:
    """The techniques that fit a case, the first choice first; none where its brief wants one plain call.

    What the brief wishes, where it is possible. An impossible problem whose answer has parts: tree of thought. A
    verifier: reflexion, which has evidence to keep the best. A short answer: self-consistency, as votes can be counted.
    Two nodes: debate. A text: constitutional review.
    """
    if task.wish == "plain":
        return ()
    possible: dict[Technique, bool] = {
        "tree of thought": (task.impossible or task.wish == "tree of thought")
        and 2 <= task.parts <= CLAIMS_BREADTH.depth,
        "reflexion": task.verified or task.wish == "reflexion",
        "self-consistency": task.short or task.wish == "self-consistency",
        "debate": task.nodes > 1,
        "constitutional review": not task.short or task.wish == "constitutional review",
    }
    found: list[Technique] = [technique for technique, is_possible in possible.items() if is_possible]
    found.sort(key=lambda each: each != task.wish)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Worst:
    """The most that a technique costs in USD: all of its calls, and the dearest of them."""

    usd: Decimal
    call_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The technique for a case, None for one plain call; what it costs at most in USD; and why, as a sentence."""

    technique: Technique | None
    usd: Decimal
    why: str


def choose_technique(
    task: Task, price: Callable[[Technique], Worst], usd: Decimal | None, call_usd: Decimal | None = None
) -> Chosen:
    """The first fitting one whose most calls `usd` pays for, each no dearer than `call_usd`; None: no limit.

    One plain call where money lacks for each.
    """
    dear: list[str] = []
    for technique in fitting(task):
        cost = price(technique)
        if usd is not None and cost.usd > usd:
            dear.append(f"{technique} may cost ${shown(cost.usd)} of ${shown(usd)}")
        elif call_usd is not None and cost.call_usd > call_usd:
            dear.append(f"a call of {technique} may cost ${shown(cost.call_usd)} of ${shown(call_usd)}")
        else:
            why = f"By {technique}, up to ${shown(cost.usd)}"
            return Chosen(technique, cost.usd, f"{why}: {'; '.join(dear)}." if dear else f"{why}.")
    return Chosen(None, Decimal(0), f"By one plain call: {'; '.join(dear)}." if dear else "")
