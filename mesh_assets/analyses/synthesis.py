"""Many answers as one: each thing said once with all that carries it, what contradicts each other side by side.

Answers are those that stand after the ladder. Statements are compared as those of several nodes are (`mesh.agreement`);
how it looks belongs to the reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.posed import Posed
from mesh_assets.mesh.agreement import compared
from mesh_assets.mesh.shapes import DEPTHS, Claim, Depth


@dataclass(frozen=True, slots=True)
class Topic:
    """What a case is about, without its evidence: see `CASES`."""

    case_id: str
    title: str
    question: str
    kind: str
    score: float

    @classmethod
    def of(cls, posed: Posed) -> Topic:
        """That of a case."""
        return cls(posed.case.id, posed.title, posed.case.question, posed.kind, posed.score)


@dataclass(frozen=True, slots=True)
class Standing:
    """A case with the answer that counts, None where nobody answered, and its last row, which says why it ended there.

    `usd` is what all depths cost.
    """

    topic: Topic
    answer: Analysis | None
    last: Analysis
    usd: Decimal

    @property
    def weight(self) -> float:
        """What orders answers and what they say: what the case is worth, times how sure its answer is."""
        return self.topic.score * (self.answer.confidence if self.answer is not None else 0.0)

    @property
    def would_go_deeper(self) -> bool:
        """Whether it is not sure enough, and would be asked again deeper if a node or the money for it were there."""
        return self.last.state == "stopped" and self.last.next_depth is not None

    @property
    def waits(self) -> bool:
        """Whether nothing was decided about it yet: it waits in a batch, or for money or a ledger that is down."""
        return self.last.state == "stopped" and self.last.failure is not None and self.last.why == self.last.failure

    @property
    def stays_unsure(self) -> bool:
        """Whether it was asked at the deepest that there is, and is not sure enough."""
        return self.last.state == "stopped" and self.last.next_depth is None and not self.waits


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim of one or several cases (their titles), with the grounds of all; `weight` is that of the strongest."""

    claim: Claim
    said_by: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Synthesis:
    """What the answers say together: statements, heaviest first, and groups of statements that cannot all be true."""

    statements: tuple[Statement, ...]
    contradictions: tuple[tuple[Statement, ...], ...]


def standing(topics: Iterable[Topic], rows: Iterable[Analysis], usd: Mapping[str, Decimal]) -> list[Standing]:
    """The answers that stand, heaviest first; a case that no depth has a row of is left out.

    `rows` in any order; `usd` is what each case cost at all depths, by its id.
    """
    by_case: dict[str, dict[Depth, Analysis]] = {}
    for row in rows:
        by_case.setdefault(row.case_id, {})[row.depth] = row
    found: list[Standing] = []
    for topic in topics:
        depths = by_case.get(topic.case_id, {})
        reached = [depths[depth] for depth in DEPTHS if depth in depths]
        if reached:
            last = reached[-1]
            answer = depths.get(last.stands) if last.stands is not None else None
            found.append(Standing(topic, answer, last, usd.get(topic.case_id, Decimal(0))))
    return sorted(found, key=lambda each: (-each.weight, -each.topic.score, each.topic.title, each.topic.case_id))


def synthesized(answers: Sequence[Standing]) -> Synthesis:
    """The claims of composed answers together; sentences that were only quoted claim nothing."""
    composed = [each for each in answers if each.answer is not None and not each.answer.is_extracted]
    weights: dict[str, float] = {}
    said: dict[str, list[Claim]] = {}
    for each in composed:
        assert each.answer is not None
        weights[each.topic.title] = max(weights.get(each.topic.title, 0.0), each.weight)
        said.setdefault(each.topic.title, []).extend(each.answer.claims)
    return _together(said, weights)


def _together(said: Mapping[str, Sequence[Claim]], weights: Mapping[str, float]) -> Synthesis:
    found = compared(said)

    def statement(claim: Claim, by: tuple[str, ...]) -> Statement:
        return Statement(claim, by, max(weights[title] for title in by))

    statements = [statement(each.claim, each.nodes) for each in (*found.agreed, *found.alone)]
    contradictions = [
        tuple(statement(side.claim, side.nodes) for side in disagreement.sides) for disagreement in found.disagreements
    ]
    # What more cases say, and what more evidence carries, comes first among equals.
    statements.sort(key=lambda each: (-each.weight, -len(each.said_by), -len(each.claim.citations)))
    contradictions.sort(key=lambda sides: -max(side.weight for side in sides))
    return Synthesis(tuple(statements), tuple(contradictions))
