"""Which node each open case is given to: the best expected quality that the money left can buy, each choice explained.

What a node would make of a case comes from `quality` or `complexity`, the money from the ledger; nothing is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from mesh_assets.errors import RoutingError
from mesh_assets.mesh.protocol import DataPolicy


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to answer a case: how well, 0 to 1, at what cost, and in how many seconds.

    To keep an answer that is there is a candidate as well, of cost 0.
    """

    node: str
    expected_quality: float
    cost_usd: Decimal
    latency_s: float = 0.0
    policy: DataPolicy = "local"
    context_tokens: int = 0  # prompt and answer together; 0: no limit

    def __post_init__(self) -> None:
        if not (0 <= self.expected_quality <= 1 and self.cost_usd.is_finite() and self.cost_usd >= 0):
            raise RoutingError(
                f"{self.node} cannot have the quality {self.expected_quality} and cost {self.cost_usd} USD.",
                remedy="Quality is from 0 to 1, and cost 0 or more.",
            )


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A case that waits for a node, with its candidates. `tokens` are those of its prompt and longest answer."""

    case_id: str
    candidates: tuple[Candidate, ...]
    private: bool = False
    tokens: int = 0
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The node for a case, None where no node may or the budget has nothing left, and why, as a sentence for people."""

    case_id: str
    chosen: Candidate | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Step:
    """From one candidate of a case to the next dearer one that is worth it."""

    case: int
    rung: int
    worth: float
    cost: Decimal


def barred(case: OpenCase, candidate: Candidate) -> str | None:
    """Why a candidate may not have the case; None where it may."""
    if case.private and candidate.policy != "local":
        return "the data are private and would leave this machine"
    if candidate.context_tokens and case.tokens > candidate.context_tokens:
        return f"the case has {case.tokens:,} tokens and it holds {candidate.context_tokens:,}"
    if case.deadline_s is not None and candidate.latency_s > case.deadline_s:
        return f"it takes {candidate.latency_s:g} s and the case has {case.deadline_s:g}"
    return None


def choose(cases: Sequence[OpenCase], budget_usd: Decimal) -> list[Choice]:
    """A choice for each case, in their order, that together cost no more than `budget_usd`.

    The multiple-choice knapsack by its linear relaxation (Sinha and Zoltners, 1979): each case climbs the upper hull of
    its candidates, the step that buys most quality for a dollar first. The sum of quality is within the gain of one
    step of the best that there is, and where every step fits, it is the best. What is then left over goes to the
    largest gains that still fit.
    """
    if budget_usd < 0:
        raise RoutingError(f"A budget of {budget_usd} USD is none.", remedy="Give what is left, 0 or more.")
    allowed = [[each for each in case.candidates if barred(case, each) is None] for case in cases]
    hulls = [_hull(each) for each in allowed]
    chosen: list[Candidate | None] = [None] * len(cases)
    left = budget_usd
    for step in sorted(_steps(hulls), key=lambda step: (-step.worth, step.case, step.rung)):
        below = hulls[step.case][step.rung - 1] if step.rung else None
        if chosen[step.case] is below and step.cost <= left:
            chosen[step.case], left = hulls[step.case][step.rung], left - step.cost
    left = _spend_rest(allowed, chosen, left)
    return [
        Choice(case.case_id, candidate, _reason(case, candidate, left))
        for case, candidate in zip(cases, chosen, strict=True)
    ]


def _quality(candidate: Candidate | None) -> float:
    return candidate.expected_quality if candidate else 0.0


def _cost(candidate: Candidate | None) -> Decimal:
    return candidate.cost_usd if candidate else Decimal(0)


def _hull(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates worth climbing, cheapest first: each next one buys more quality, for more dollars a unit."""
    hull: list[Candidate] = []
    for each in sorted(candidates, key=lambda c: (c.cost_usd, -c.expected_quality, c.latency_s, c.node)):
        if each.expected_quality <= _quality(hull[-1] if hull else None):
            continue
        while hull and _worth(hull[-1], each) >= _worth(hull[-2] if len(hull) > 1 else None, hull[-1]):
            hull.pop()
        hull.append(each)
    return hull


def _worth(below: Candidate | None, above: Candidate) -> float:
    """Quality gained for a dollar."""
    dollars = float(_cost(above) - _cost(below))
    return (_quality(above) - _quality(below)) / dollars if dollars > 0 else float("inf")


def _steps(hulls: Sequence[Sequence[Candidate]]) -> Iterable[_Step]:
    for case, hull in enumerate(hulls):
        below = None
        for rung, candidate in enumerate(hull):
            yield _Step(case, rung, _worth(below, candidate), _cost(candidate) - _cost(below))
            below = candidate


def _spend_rest(allowed: Sequence[Sequence[Candidate]], chosen: list[Candidate | None], left: Decimal) -> Decimal:
    """Better candidates for single cases, as far as `left` reaches; what is left after that."""
    gains = [
        (each.expected_quality - _quality(chosen[case]), case, each)
        for case, candidates in enumerate(allowed)
        for each in candidates
    ]
    for _, case, better in sorted(gains, key=lambda gain: (-gain[0], gain[1], gain[2].cost_usd, gain[2].node)):
        more = _cost(better) - _cost(chosen[case])
        if _quality(better) > _quality(chosen[case]) and more <= left:
            chosen[case], left = better, left - more
    return left


def _reason(case: OpenCase, chosen: Candidate | None, left: Decimal) -> str:
    reasons = [f"{each.node} may not: {why}" for each in case.candidates if (why := barred(case, each))]
    open_to = [each for each in case.candidates if not barred(case, each)]
    if not case.candidates:
        return "There is no node for it."
    if not open_to:
        return f"No node may have it. {_sentences(reasons)}"
    if chosen is None:
        cheapest = min(open_to, key=lambda each: (each.cost_usd, each.node))
        said = (
            f"The budget has {_dollars(left)} left, and the cheapest node, {cheapest.node}, costs "
            f"{_dollars(cheapest.cost_usd)}"
            if any(_quality(each) > 0 for each in open_to)
            else "No node is expected to answer it"
        )
        return _sentences([said, *reasons])
    return _sentences([_comparison(chosen, open_to, left), *reasons])


def _comparison(chosen: Candidate, open_to: Sequence[Candidate], left: Decimal) -> str:
    said = (
        f"{chosen.node} is expected to answer well with {chosen.expected_quality:.0%}, for {_dollars(chosen.cost_usd)}"
    )
    better = max(open_to, key=lambda each: (each.expected_quality, -each.cost_usd, each.node))
    cheaper = [each for each in open_to if each.cost_usd < chosen.cost_usd]
    if _quality(better) > _quality(chosen):
        said += (
            f"; {better.node} would with {better.expected_quality:.0%}, but at {_dollars(better.cost_usd)} it does not "
            f"fit the budget, of which {_dollars(left)} is left beside all choices"
        )
    elif cheaper:
        next_best = max(cheaper, key=lambda each: (each.expected_quality, -each.cost_usd, each.node))
        said += f"; the best cheaper one, {next_best.node}, would with {next_best.expected_quality:.0%}"
    elif len(open_to) > 1:
        said += ", and no other is better or cheaper"
    return said


def _sentences(parts: Iterable[str]) -> str:
    return " ".join(
        f"{part[0].upper()}{part[1:]}." if part.startswith(("the ", "no ")) else f"{part}." for part in parts
    )


def _dollars(amount: Decimal) -> str:
    """Rounded up to a millionth, so that nothing that costs is shown as free."""
    shown = f"{amount.quantize(Decimal('0.000001'), rounding=ROUND_UP):f}"
    whole, _, part = shown.partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"
