"""What the answers to some cases would cost before anything is spent: cases, money and hours by depth.

Three figures each. Low: every case is settled by the first model that it meets, in few words. Likely: as many go deeper
as did here before, or as the nodes are expected to fail. High: every case goes to the last depth, in as many
words as it may.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mesh_assets.analyses.analysis import ANSWER_TOKENS, Analysis, Asked
from mesh_assets.analyses.offers import LIKELY_OUTPUT, likely_cost, prompt_size
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.research import Techniques, most_usd, task_of
from mesh_assets.analyses.techniques.choice import Task, Worst, choose_technique, likely_turns, turns
from mesh_assets.mesh.execution import PARALLEL
from mesh_assets.mesh.nodes import EXTRACTIVE
from mesh_assets.mesh.protocol import Node
from mesh_assets.mesh.routing.complexity import expected_quality
from mesh_assets.mesh.shapes import DEPTHS, Depth

# Parts of the tokens that an answer may have, and seconds of one call within what its node is given: assumptions, but
# for the high ones.
_OUTPUT = (Decimal("0.1"), LIKELY_OUTPUT, Decimal(1))
_SECONDS = (5.0, 20.0, float("inf"))
# What an answer adds to the prompt of the next depth, as a part of the tokens that it may have.
_TOLD = Decimal("0.3")
# Fewer answers than these at a depth say little of how many go deeper.
_LEAST_ANSWERS = 20


@dataclass(frozen=True, slots=True)
class Range:
    """A figure that is not known: at least, likely, at most."""

    low: float = 0.0
    likely: float = 0.0
    high: float = 0.0

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def times(self, factor: float) -> Range:
        """All three multiplied."""
        return Range(self.low * factor, self.likely * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Level:
    """What one depth would take: `node` is asked first by most cases. `usd` and `hours` are of all its calls."""

    depth: Depth
    node: str
    cases: Range = Range()
    usd: Range = Range()
    hours: Range = Range()


@dataclass(frozen=True, slots=True)
class Estimate:
    """All depths that a node serves. `settled` cases are answered already and cost nothing again."""

    levels: tuple[Level, ...]
    cases: int
    settled: int

    @property
    def usd(self) -> Range:
        """The money of all depths."""
        return sum((level.usd for level in self.levels), Range())

    @property
    def hours(self) -> Range:
        """The time of all calls, as many at once as the nodes take."""
        return sum((level.hours for level in self.levels), Range())


def estimate(
    cases: Sequence[Posed],
    nodes: Iterable[Node],
    answers: Sequence[Analysis],
    *,
    techniques: Techniques,
    case_usd: Decimal | None = None,
    scale: float = 1.0,
) -> Estimate:
    """What `cases` would cost with `nodes`; `answers` are the rows that there are of them. `scale` multiplies it all.

    `case_usd` is the budget of one case, by which `techniques` are chosen as the ladder does. Money is not capped by
    budgets: what they let through is less.
    """
    answered = {row.case_id for row in answers if row.state == "settled"}
    waiting = [posed for posed in cases if posed.case.id not in answered]
    observed = deeper_shares(answers)
    by_depth: dict[Depth, Level] = {}
    known = list(nodes)
    plan = _Plan(techniques, case_usd)
    for posed in waiting:
        for level in _levels(posed, known, observed, plan):
            before = by_depth.get(level.depth, Level(level.depth, level.node))
            by_depth[level.depth] = Level(
                level.depth, before.node, before.cases + level.cases, before.usd + level.usd, before.hours + level.hours
            )
    levels = [by_depth[depth] for depth in DEPTHS if depth in by_depth]
    scaled = [
        Level(each.depth, each.node, each.cases.times(scale), each.usd.times(scale), each.hours.times(scale))
        for each in levels
    ]
    return Estimate(tuple(scaled), len(cases), len(answered))


def deeper_shares(answers: Iterable[Analysis]) -> dict[Depth, float]:
    """By depth the share of answers of models that were not sure enough, where there are enough of them."""
    by_depth: dict[Depth, list[bool]] = {}
    for row in answers:
        if row.has_answer and not row.is_extracted:
            by_depth.setdefault(row.depth, []).append(row.state != "settled")
    return {depth: sum(went) / len(went) for depth, went in by_depth.items() if len(went) >= _LEAST_ANSWERS}


@dataclass(frozen=True, slots=True)
class _Plan:
    techniques: Techniques
    case_usd: Decimal | None


def _levels(posed: Posed, nodes: Sequence[Node], observed: Mapping[Depth, float], plan: _Plan) -> Iterable[Level]:
    reach = Range(1.0, 1.0, 1.0)  # how much of the case gets here
    told = Decimal(0)  # tokens of the answers before
    for depth in DEPTHS:
        serving = [
            n for n in nodes if depth in n.depths and n.price and (n.policy == "local" or not posed.case.private)
        ]
        if not serving:
            continue
        node = max(serving, key=lambda each: (_quality(posed, each), each.name))
        if node.model == EXTRACTIVE:
            yield Level(depth, node.name, reach)
            continue
        task = task_of(Asked(posed, depth), sum(each.model != EXTRACTIVE for each in serving))
        plan_here = plan if depth in plan.techniques.depths else None
        yield _level(posed, node, depth, reach, int(told), task, plan_here)
        told += _TOLD * min(ANSWER_TOKENS[depth], node.output_tokens)
        share = observed.get(depth, 1 - _quality(posed, node))
        reach = Range(1.0 if posed.is_impossible else 0.0, reach.likely * (1.0 if posed.is_impossible else share), 1.0)


def _quality(posed: Posed, node: Node) -> float:
    if node.model == EXTRACTIVE:
        return 0.0
    return expected_quality(posed.case.question, node, speciality=posed.case.speciality)


def _level(posed: Posed, node: Node, depth: Depth, reach: Range, told: int, task: Task, plan: _Plan | None) -> Level:
    asked = Asked(posed, depth)
    low, likely, high = (likely_cost(node, asked, output, more_tokens=told) or Decimal(0) for output in _OUTPUT)
    calls = [1, 1, 1]
    if plan is not None:
        tokens = prompt_size(asked) + told
        chosen = choose_technique(
            task, lambda each: Worst(most_usd(each, task, node, depth=depth, tokens=tokens)), plan.case_usd
        ).technique
        if chosen is not None:  # at least one call is made; at most all of it, and then one call
            likely = likely_cost(node, asked, more_tokens=told, by=(chosen, task)) or Decimal(0)
            high += most_usd(chosen, task, node, depth=depth, tokens=tokens)
            calls = [1, len(likely_turns(chosen, task)), 1 + len(turns(chosen, task))]
    seconds = [min(each, node.limits.seconds) * count for each, count in zip(_SECONDS, calls, strict=True)]
    hours = [each / min(node.limits.parallel, PARALLEL) / 3600 for each in seconds]
    return Level(
        depth,
        node.name,
        reach,
        Range(reach.low * float(low), reach.likely * float(likely), reach.high * float(high)),
        Range(reach.low * hours[0], reach.likely * hours[1], reach.high * hours[2]),
    )
