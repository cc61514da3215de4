"""The ladder: what is asked at one depth, which answer stands after it, and whether the case goes deeper.

Who is asked first is chosen by `routing`, calls are made and paid by `mesh`, answers are checked by `validation`. Every
decision here is of what a case's rows say, so that a run that is repeated decides the same and pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, cast

from mesh_assets.analyses.analysis import SAID_CHARS, Analysis, Asked, Next, TraceStep
from mesh_assets.analyses.offers import Offers, Thresholds
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.research import CaseTechnique, Techniques
from mesh_assets.analyses.settling import bar
from mesh_assets.analyses.signals import Calibrator, aspects_of, labels_of, signals_of
from mesh_assets.analyses.simulation import Simulator, trials_of
from mesh_assets.analyses.techniques.asking import Outcome
from mesh_assets.errors import LedgerError
from mesh_assets.mesh.batch_desk import BatchDesk
from mesh_assets.mesh.calls import Called, Caller, Question
from mesh_assets.mesh.execution import Result, Tried, Work, run_cases
from mesh_assets.mesh.nodes import EXTRACTIVE, NodeState
from mesh_assets.mesh.prompts import encodable
from mesh_assets.mesh.protocol import Client, Node, Receipt, Scope
from mesh_assets.mesh.redaction.hidden import Secrets
from mesh_assets.mesh.shapes import DEPTHS, Case, Depth
from mesh_assets.mesh.validation import Checked, Query, validated

# Failures after which another run may get an answer.
PASSING = frozenset({"limit", "overloaded", "timeout", "connection", "server", "resting", "budget"})
# Cases that found no money are tried again while others cost less than was set aside for them.
_ROUNDS = 8
_IN_BATCH = "It waits in a batch of"


@dataclass(frozen=True, slots=True)
class Means:
    """What answers are had by: who may be asked, the one caller of all, the record of money, who says how sure one is.

    `receipts` gives what was billed for a case, at all depths.
    """

    nodes: Mapping[str, Node]
    off: Sequence[NodeState]
    caller: Caller
    connect: Callable[[Node], Client]
    receipts: Callable[[str], Sequence[Receipt]]
    calibrator: Calibrator
    thresholds: Thresholds = field(default_factory=Thresholds)
    techniques: Techniques = field(default_factory=Techniques)


@dataclass(frozen=True, slots=True)
class Climb:
    """One run over some cases: the budgets that it counts against beside those of its cases, SQL for facts, and the
    data to which claims are put.

    While `is_stopped` says so no new call begins; `wait` returns once it says so no more, or at once where nobody is to
    wait: then what was not asked waits for another run. What waits in a batch of the `desk` is asked by nobody else;
    where the run `can_wait`, questions to nodes that take batches are handed in there.
    """

    means: Means
    scopes: tuple[Scope, ...]
    query: Query | None = None
    simulator: Simulator | None = None
    is_stopped: Callable[[], bool] = lambda: False
    wait: Callable[[], object] = lambda: None
    desk: BatchDesk | None = None
    can_wait: bool = False

    def offers(self, depth: Depth) -> Offers:
        """The offers of one depth. A question of a batch is answered by one call: hours lie between two."""
        means = self.means
        techniques = means.techniques if not self.can_wait else Techniques()
        return Offers(means.nodes, means.off, means.caller, depth, self.scopes, techniques, self.checked)

    def checked(self, posed: Posed, value: Mapping[str, object]) -> Checked:
        """What holds of an answer that somebody composed, by its evidence and by what the data say."""
        trials = trials_of(posed, value, self.simulator) if self.simulator is not None else {}
        return validated(posed.case, value, self.query, trials)


def going(cases: Iterable[Posed], before: Sequence[Mapping[str, Analysis]], depth: Depth) -> list[Posed]:
    """The cases that come to `depth`: all at the surface, else those whose last row sends them here.

    `before` has the rows of each depth before, by case id.
    """
    if depth == DEPTHS[0]:
        return list(cases)
    return [case for case in cases if (last := _last(case, before)) is not None and last.goes_to == depth]


def climb(cases: Iterable[Posed], before: Sequence[Mapping[str, Analysis]], depth: Depth, run: Climb) -> list[Analysis]:
    """What comes of the cases that reach `depth`, in their order, one `Analysis` each.

    What lacks (a node, money, a form) is in the row, and in `waits` where another run may have it. Where the ledger
    cannot be used every case waits; what was answered until then, or before a defect, costs nothing again.
    """
    come = going(cases, before, depth)
    asked = {posed.case.id: _asked(posed, before, depth) for posed in come}
    try:
        return _climbed(come, asked, depth, run)
    except LedgerError as error:
        return [_waiting(each, str(error), run) for each in asked.values()]


def _climbed(come: Sequence[Posed], asked: Mapping[str, Asked], depth: Depth, run: Climb) -> list[Analysis]:
    offers = run.offers(depth)
    results: dict[str, Result] = {}
    held: dict[str, str] = {}
    waiting = dict(asked)
    rounds = _ROUNDS
    _collect(run)
    while rounds and (work := offers.work(list(waiting.values()))):
        if run.is_stopped():
            run.wait()
        if run.is_stopped():
            held |= dict.fromkeys(waiting, "The mesh was paused before it was asked.")
            break
        held |= _handed_in(work, run)
        ready = [each for each in work if each.question.case_id not in held]
        run_cases(ready, run.means.caller, run.means.connect, _Sink(results), is_stopped=run.is_stopped)
        waiting = {key: each for key, each in waiting.items() if key not in results and key not in held}
        rounds -= not run.is_stopped()  # one that was cut off counts as none
    return [
        _held(asked[key], held[key], run) if key in held else _concluded(asked[key], results.get(key), offers, run)
        for key in (posed.case.id for posed in come)
    ]


def _collect(run: Climb) -> None:
    if run.desk is not None:
        run.desk.collect(node for node in run.means.nodes.values() if node.has_batch)


def _handed_in(work: Sequence[Work], run: Climb) -> dict[str, str]:
    """By case, why it waits: it is in a batch, from now on or from before, or could not be handed in."""
    if run.desk is None:
        return {}
    asked = {each.question.case_id: (each.question, each.nodes) for each in work}
    before = run.desk.under_way(asked)
    fresh: dict[Node, list[Question]] = {}
    for case, (question, (node, *_)) in asked.items() if run.can_wait else ():
        if node.has_batch and case not in before and run.means.caller.known(node, question) is None:
            fresh.setdefault(node, []).append(question)
    held: dict[str, str] = {}
    for node, questions in fresh.items():
        why = run.desk.hand_in(node, questions)
        held |= dict.fromkeys((each.case_id for each in questions), why or "No money is left to hand it in with.")
    inside = run.desk.under_way(asked) if fresh else before
    return held | {case: f"{_IN_BATCH} {node.name}." for case, node in inside.items()}


def _held(asked: Asked, why: str, run: Climb) -> Analysis:
    """The row of a case that was not asked and waits for another run; it goes nowhere until then."""
    receipts = [each for each in run.means.receipts(asked.posed.case.id) if each.billed.depth == asked.depth]
    return replace(_waiting(asked, why, run).paid(receipts), in_batch=why.startswith(_IN_BATCH))


@dataclass(frozen=True, slots=True)
class _Sink:
    """Results by case. They are durable already: the caller keeps each completion before it is looked at."""

    results: dict[str, Result]

    def keep(self, result: Result) -> None:
        self.results[result.work.question.case_id] = result


def _last(posed: Posed, before: Sequence[Mapping[str, Analysis]]) -> Analysis | None:
    rows = [rows[posed.case.id] for rows in before if posed.case.id in rows]
    return rows[-1] if rows else None


def _asked(posed: Posed, before: Sequence[Mapping[str, Analysis]], depth: Depth) -> Asked:
    return Asked(posed, depth, tuple(rows[posed.case.id] for rows in before if posed.case.id in rows))


def _waiting(asked: Asked, why: str, run: Climb) -> Analysis:
    """The row of a case that nothing could be done about: the answer that it has stands."""
    empty = Analysis.nothing(asked.posed, asked.depth, calibration=run.means.calibrator.version)
    stands = asked.standing.depth if asked.standing is not None and asked.standing.has_answer else None
    return replace(empty, failure=why, why=why, stands=stands, waits=True)


def _concluded(asked: Asked, result: Result | None, offers: Offers, run: Climb) -> Analysis:
    own = _own(asked, result, offers, run)
    stands = own if asked.standing is None else better(asked.standing, own)
    sure = stands.confidence if stands.has_answer else 0.0
    own = replace(
        own,
        stands=stands.depth if stands.has_answer else None,
        is_kept=own.has_answer and stands is not own,
    )
    return _decided(own, sure, asked, offers, run)


def _own(asked: Asked, result: Result | None, offers: Offers, run: Climb) -> Analysis:
    """The row of this depth, before anything is decided about the case."""
    posed, case = asked.posed, asked.posed.case
    receipts = [each for each in run.means.receipts(case.id) if each.billed.depth == asked.depth]
    empty = Analysis.nothing(posed, asked.depth, calibration=run.means.calibrator.version).paid(receipts)
    way = result.work.way if result is not None else None
    outcome = way.outcome if isinstance(way, CaseTechnique) else None
    if outcome is not None:
        empty = replace(empty, trace=tuple(_traced(outcome, case, receipts)))
    if result is None or result.answer is None:
        why = offers.lack(case.id) if result is None else " ".join(each.reason for each in _tried(result))
        waits = offers.lacks_money(case.id) if result is None else any(e.failure in PASSING for e in result.tried)
        return replace(empty, failure=why or "No node answered.", waits=waits, tried=_tried(result))
    by = outcome if not result.tried else None  # else one call answered where it did not
    return replace(
        _answered(empty, case, result.answer, asked, run, by),
        tried=_tried(result),
        why_node=offers.why(case.id),
        is_cached=result.answer.is_cached and not result.receipts,
    )


def _traced(outcome: Outcome, case: Case, receipts: Iterable[Receipt]) -> Iterable[TraceStep]:
    """The calls of a technique, with what each cost, whenever that was; one that was asked before it, nothing."""
    costs = {each.id: each.cost for each in receipts}
    secrets = Secrets.of([each.text for each in case.evidence])
    for step in outcome.trace:
        names = tuple(name for name in dict.fromkeys((*step.receipts, step.completion)) if name in costs)
        said = secrets.hide(encodable(step.text))[:SAID_CHARS]
        cost = sum((costs.pop(name) for name in names), Decimal(0))
        yield TraceStep(step.role, step.node, said, cost, names, encodable(step.failure) or None)


def _answered(empty: Analysis, case: Case, called: Called, asked: Asked, run: Climb, by: Outcome | None) -> Analysis:
    node = run.means.nodes[called.node]
    value = cast("Mapping[str, object]", _writable(called.value))
    is_extracted = node.model == EXTRACTIVE
    checked = validated(case, value, run.query) if is_extracted else run.checked(asked.posed, value)
    signals = signals_of(
        case,
        value,
        checked,
        complexity=asked.posed.complexity,
        earlier=[each.labels for each in asked.earlier if each.has_answer and not each.is_extracted],
        consistency=by.agreement if by is not None else None,
        is_extracted=is_extracted,
    )
    said = str(value.get("answer", ""))
    # Only what leads to evidence goes on: the prose around it is nobody's claim. Quotes are evidence themselves.
    text = said if is_extracted else " ".join(c.statement for c in checked.claims)
    sure = run.means.calibrator.confidence(signals, question=case.question, answer=text)
    reported = value.get("confidence")
    return replace(
        empty,
        node=node.name,
        technique=by.technique if by is not None else None,
        text=text,
        claims=checked.claims,
        aspects=tuple(aspects_of(value, checked)),
        evidence=tuple(labels_of(value, checked)),
        dropped=checked.dropped,
        tests=checked.tested,
        reported=float(reported) if isinstance(reported, int | float) else None,
        confidence=sure.value,
        is_calibrated=sure.is_calibrated,
        calibration=sure.version,
        signals=signals.values(),
    )


def _writable(value: object) -> object:
    """A JSON value without halves of surrogate pairs, which JSON can say and no table can hold."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable(name): _writable(inner) for name, inner in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_writable(inner) for inner in cast("list[object]", value)]
    return value


def _tried(result: Result | None) -> tuple[Tried, ...]:
    return tuple(replace(each, reason=encodable(each.reason)) for each in result.tried) if result is not None else ()


def better(earlier: Analysis, later: Analysis) -> Analysis:
    """Which of two answers stands: the one with more behind it, and the later one where they are alike.

    Decision 14, in this order: no claim that the data refute, claims that hold, claims that the data confirm, sums and
    facts that come out again, agreement with the others, the node's own word. Quotes that nobody composed give way to
    any answer of which at least half holds.
    """
    if not later.has_answer or not earlier.has_answer:
        return later if later.has_answer else earlier
    if earlier.is_extracted and not later.is_extracted and later.signals["support"] >= 0.5:
        return later
    return later if _weight(later) >= _weight(earlier) else earlier


def _weight(answer: Analysis) -> tuple[float, ...]:
    signals = answer.signals
    order = (min(signals["verifier"], 0.5), signals["support"], signals["verifier"])
    rest = (signals[name] for name in ("recomputed", "agreement", "consistency", "reported"))
    return tuple(round(each, 1) for each in (*order, *rest))


def _decided(own: Analysis, sure: float, asked: Asked, offers: Offers, run: Climb) -> Analysis:
    """Whether the case is settled, goes deeper, or would if it could."""
    needed = bar(own, sure, run.means.thresholds, run.means.calibrator)
    is_enough = needed.is_passed and own.stands is not None
    said = f"Confidence {sure:.2f} of {needed.threshold:.2f} needed{' by the gate' if needed.guarantee else ''}"
    if is_enough and not asked.posed.is_impossible:
        why = f"{said}: sure enough. {needed.guarantee}".rstrip()
        return replace(own, state="settled", why=why, guarantee=needed.guarantee or None)
    if is_enough:
        said = "Its problem counts as impossible"
    following: Next = offers.following(asked, own)
    own = replace(own, next_depth=following.depth, next_node=following.node, next_usd=following.usd)
    if following.lack:
        return replace(
            own, state="stopped", why=f"{said}, but {following.lack}", waits=own.waits or following.lacks_money
        )
    return replace(own, state="escalated", why=f"{said}: {following.depth} takes it.")


def spent(analyses: Iterable[Analysis]) -> Decimal:
    """What the rows cost, each receipt once."""
    costs: dict[str, Decimal] = {}
    for each in analyses:
        costs |= each.receipts
    return sum(costs.values(), Decimal(0))


def counts(analyses: Sequence[Analysis]) -> dict[str, Any]:
    """The funnel of one depth: cases in, answered, settled, escalated, kept; and what they cost."""
    own = {
        "cases_in": len(analyses),
        "answered": sum(each.has_answer for each in analyses),
        **{state: sum(each.state == state for each in analyses) for state in ("settled", "escalated", "stopped")},
        "earlier_answer_kept": sum(each.is_kept for each in analyses),
        "in_batches": sum(each.in_batch for each in analyses),
        "from_cache": sum(each.is_cached for each in analyses),
        "by_technique": sum(each.technique is not None for each in analyses),
        "claims": sum(len(each.claims) for each in analyses),
        "claims_dropped": sum(len(each.dropped) for each in analyses),
    }
    return own | {"spend_usd": float(spent(analyses))}
