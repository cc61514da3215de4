"""Which technique a case of a kind is worth, by what can verify it and what a call costs: one stated rule."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Technique = Literal["single", "self-consistency", "tree of thought", "reflexion", "constitutional review", "debate"]
# Calls that one use takes, at most, with the defaults of each technique (a tree of depth 3, beam 5, 12 proposals).
CALLS: dict[Technique, int] = {
    "single": 1,
    "constitutional review": 2,
    "self-consistency": 5,
    "reflexion": 5,
    "debate": 6,
    "tree of thought": 83,
}


@dataclass(frozen=True, slots=True)
class Task:
    """What is known of a case: whether its answer can be `verified` here (tests, a query, arithmetic), is made in
    checked `steps`, is a `short` one that can be counted (a number, an option), and how many nodes serve its depth.
    """

    verified: bool
    steps: bool
    short: bool
    nodes: int


def choose_technique(task: Task, usd_a_call: Decimal, usd: Decimal) -> Technique:
    """The first of these that fits the case and whose most calls `usd` pays for; `single` where none does.

    Steps that are checked: tree of thought. A verifier: reflexion, which has evidence to keep the best. A short answer:
    self-consistency, as votes can be counted. Two nodes: debate. Else, a text: constitutional review.
    """
    fitting: list[Technique] = []
    if task.steps and task.verified:
        fitting.append("tree of thought")
    if task.verified:
        fitting.append("reflexion")
    if task.short:
        fitting.append("self-consistency")
    if task.nodes > 1:
        fitting.append("debate")
    if not task.short:
        fitting.append("constitutional review")
    for technique in fitting:
        if CALLS[technique] * usd_a_call <= usd:
            return technique
    return "single"
