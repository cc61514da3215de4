"""What the ladder answered, as entries of a report: statements with their evidence, contradictions, what stays open.

What the answers say together is told by `analyses.synthesis`; what looks how belongs to the renderers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from mesh_assets.analyses.synthesis import Standing, Statement, synthesized
from mesh_assets.mesh.costs import usd
from mesh_assets.reports.merging import EVIDENCE_LIMIT, Entry
from mesh_assets.reports.prose import amount, shorten, tested
from mesh_assets.reports.rows import QUOTE_LIMIT, STATEMENT_LIMIT, TITLE_LIMIT
from mesh_assets.schemas.citations import Citation

# Answers that are compared with each other: comparing takes time with their square.
COMPARED = 200
_CONTRADICTION = "contradiction"
# Tests that stand beside a claim, and characters of what was tried.
_TESTS, _TEST_LIMIT = 2, 160


@dataclass(frozen=True, slots=True)
class Answers:
    """Entries for a report, strongest first, and a sentence on how the answers came about; both empty without cases.

    `models` are the nodes that composed some of them.
    """

    entries: tuple[Entry, ...] = ()
    lead: str = ""
    models: tuple[str, ...] = ()


def answers_of(found: Sequence[Standing]) -> Answers:
    """The entries of answers that stand, heaviest first as `standing` gives them."""
    if not found:
        return Answers()
    said = synthesized(found[:COMPARED])
    entries = [_contradiction(sides) for sides in said.contradictions]
    entries += [_statement(each) for each in said.statements]
    entries += [_quoted(each) for each in found[:COMPARED] if each.answer is not None and each.answer.is_extracted]
    models = {each.answer.node for each in found if each.answer is not None and not each.answer.is_extracted}
    return Answers(tuple(entries), _lead(found), tuple(sorted(node for node in models if node)))


def _statement(each: Statement) -> Entry:
    entry = _entry("; ".join(each.said_by), each.claim.statement, each.weight, each.claim.citations)
    tests = (f"{tested(test)} ({shorten(test.what, _TEST_LIMIT)})" for test in each.claim.tests[:_TESTS])
    return replace(entry, statement=" ".join((entry.statement, *tests)))


def _contradiction(sides: Sequence[Statement]) -> Entry:
    statement = " But: ".join(side.claim.statement for side in sides)
    citations = [citation for side in sides for citation in side.claim.citations[:2]]
    title = f"These cannot all be true ({'; '.join(dict.fromkeys(name for side in sides for name in side.said_by))})"
    entry = _entry(title, statement, max(side.weight for side in sides), citations)
    return replace(entry, type=f"answer_{_CONTRADICTION}")


def _quoted(each: Standing) -> Entry:
    assert each.answer is not None
    quotes = " … ".join(claim.statement for claim in each.answer.claims)
    citations = [citation for claim in each.answer.claims for citation in claim.citations[:1]]
    statement = f"Quoted from the evidence, composed by nobody: {quotes}" if quotes else "Nothing in it answers that."
    entry = _entry(each.topic.title, statement, each.weight, citations)
    return replace(entry, kind=each.topic.kind)


def _entry(title: str, statement: str, score: float, citations: Sequence[Citation]) -> Entry:
    return Entry(
        type="answer",
        kind="mixed",
        title=shorten(title, TITLE_LIMIT),
        statement=shorten(statement, STATEMENT_LIMIT),
        score=score,
        evidence=tuple(replace(c, quote=shorten(c.quote, QUOTE_LIMIT)) for c in citations[:EVIDENCE_LIMIT]),
        citations=len(citations),
    )


def _lead(found: Sequence[Standing]) -> str:
    composed = [each for each in found if each.answer is not None and not each.answer.is_extracted]
    spent = sum((each.usd for each in found), Decimal(0))
    sentences = [f"{amount(len(found), 'question')} were put to the evidence, {len(composed):,} answered by models."]
    empty = sum(not each.answer.claims for each in composed if each.answer)
    if empty:
        sentences.append(f"Of {amount(empty, 'answer')} nothing could be traced to the evidence: not shown.")
    techniques = Counter(each.answer.technique for each in composed if each.answer and each.answer.technique)
    if techniques:
        named = ", ".join(f"{count:,} by {name}" for name, count in techniques.most_common())
        sentences.append(f"Of these, research techniques answered {named}.")
    if composed:
        calibrated = all(each.answer is not None and each.answer.is_calibrated for each in composed)
        what = "a probability, fitted on verdicts" if calibrated else "uncalibrated: it ranks, and is no probability"
        sentences.append(f"That cost ${usd(spent)}. Confidence is {what}.")
    promises = Counter(each.last.guarantee for each in found if each.last.guarantee)
    sentences += [f"A gate settled {amount(n, 'question')}. {promise}" for promise, n in sorted(promises.items())]
    waiting = [each for each in found if each.would_go_deeper]
    prices = [each.last.next_usd for each in waiting if each.last.next_usd is not None]
    if waiting:
        price = f" for about ${sum(prices, Decimal(0)):.4f}" if prices else ""
        sentences.append(f"{amount(len(waiting), 'question')} would go deeper{price}: “mesh estimate” tells more.")
    return " ".join((*sentences, *_open(found)))


def _open(found: Sequence[Standing]) -> Iterator[str]:
    """What nobody decided yet, and what nobody could."""
    if held := sum(each.waits for each in found):
        yield f"{amount(held, 'question')} {'waits' if held == 1 else 'wait'} for a later run, in a batch or for money."
    if unsure := sum(each.stays_unsure for each in found):
        yield f"{amount(unsure, 'question')} stayed unsure at the deepest that there is."
