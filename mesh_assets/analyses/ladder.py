"""The ladder: what is asked at one depth, which answer stands after it, and whether the case goes deeper.

Who is asked first is chosen by `routing`, calls are made and paid by `mesh`, answers are checked by `validation`. Every
decision here is of what a case's rows say, so that a run that is repeated decides the same and pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, cast

from mesh_assets.analyses.analysis import Analysis, Asked, Next
from mesh_assets.analyses.offers import Offers, Thresholds
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.settling import bar
from mesh_assets.analyses.signals import Calibrator, aspects_of, labels_of, signals_of
from mesh_assets.analyses.simulation import Simulator, trials_of
from mesh_assets.errors import LedgerError
from mesh_assets.mesh.calls import Called, Caller
from mesh_assets.mesh.execution import Result, Tried, run_cases
from mesh_assets.mesh.nodes import EXTRACTIVE, NodeState
from mesh_assets.mesh.prompts import encodable
from mesh_assets.mesh.protocol import Client, Node, Receipt, Scope
from mesh_assets.mesh.shapes import DEPTHS, Case, Depth
from mesh_assets.mesh.validation import Query, validated

# Failures after which another run may get an answer.
PASSING = frozenset({"limit", "overloaded", "timeout", "connection", "server", "resting", "budget"})
# Cases that found no money are tried again while others cost less than was set aside for them.
_ROUNDS = 8


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


@dataclass(frozen=True, slots=True)
class Climb:
    """One run over some cases: the budgets that it counts against beside those of its cases, SQL for facts, and the
    data to which claims are put.
    """

    means: Means
    scopes: tuple[Scope, ...]
    query: Query | None = None
    simulator: Simulator | None = None
    is_stopped: Callable[[], bool] = lambda: False


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
    offers = Offers(run.means.nodes, run.means.off, run.means.caller, depth, run.scopes)
    results: dict[str, Result] = {}
    waiting = dict(asked)
    for _ in range(_ROUNDS):
        work = offers.work(list(waiting.values()))
        if not work or run.is_stopped():
            break
        run_cases(work, run.means.caller, run.means.connect, _Sink(results), is_stopped=run.is_stopped)
        waiting = {key: each for key, each in waiting.items() if key not in results}
    return [_concluded(asked[posed.case.id], results.get(posed.case.id), offers, run) for posed in come]


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
    if result is None or result.answer is None:
        why = offers.lack(case.id) if result is None else " ".join(each.reason for each in _tried(result))
        waits = offers.lacks_money(case.id) if result is None else any(e.failure in PASSING for e in result.tried)
        return replace(empty, failure=why or "No node answered.", waits=waits, tried=_tried(result))
    called = result.answer
    return replace(
        _answered(empty, case, called, asked, run),
        tried=_tried(result),
        why_node=offers.why(case.id),
        is_cached=called.is_cached and not result.receipts,
    )


def _answered(empty: Analysis, case: Case, called: Called, asked: Asked, run: Climb) -> Analysis:
    node = run.means.nodes[called.node]
    value = cast("Mapping[str, object]", _writable(called.value))
    is_extracted = node.model == EXTRACTIVE
    trials = {} if run.simulator is None or is_extracted else trials_of(asked.posed, value, run.simulator)
    checked = validated(case, value, run.query, trials)
    signals = signals_of(
        case,
        value,
        checked,
        complexity=asked.posed.complexity,
        earlier=[each.labels for each in asked.earlier if each.has_answer and not each.is_extracted],
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
    verifier = signals.get("verifier", 0.5)
    order = (min(verifier, 0.5), signals["support"], verifier)
    return tuple(round(each, 1) for each in (*order, *(signals[n] for n in ("recomputed", "agreement", "reported"))))


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
        "from_cache": sum(each.is_cached for each in analyses),
        "claims": sum(len(each.claims) for each in analyses),
        "claims_dropped": sum(len(each.dropped) for each in analyses),
    }
    return own | {"spend_usd": float(spent(analyses))}
