"""Cases of a slice: each brief with what local means found for it, and evidence that fits a node. No node is asked.

A case stays as it is while all of its evidence stands: other evidence might be picked today, but the answer that was
paid for is still about the same texts. So a line at the top of a file re-opens no case, and a changed text those that
cite it. Where its texts lie is told anew each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from mesh_assets.analyses.briefs import Brief
from mesh_assets.analyses.evidence import SliceTexts, labelled, picked, pools, prompt_tokens, refreshed
from mesh_assets.analyses.facts import Computed, computed, holds, statement_of
from mesh_assets.analyses.posed import Posed
from mesh_assets.errors import QueryError
from mesh_assets.insights.protocol import Insight
from mesh_assets.mesh.prompts import PROMPT_VERSION
from mesh_assets.mesh.routing.complexity import complexity
from mesh_assets.mesh.shapes import Case, Evidence
from mesh_assets.mesh.validation import Query
from mesh_assets.schemas.citations import Citation

# Of the insights that all belong to one case, so many are looked at, and so many of their citations.
_INSIGHTS, _CITATIONS = 12, 24
# Part of the tokens of a case that computed facts may take.
_FACTS_SHARE = 0.4
# Characters of a quote that are enough to find it again in evidence.
_KNOWN_BY = 60


@dataclass(frozen=True, slots=True)
class Found:
    """An insight as `slice_insights` has it: what a case may go after."""

    insight_id: str
    insight: Insight

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Found:
        """The insight of a row of `INSIGHTS`."""
        return cls(row["insight_id"], Insight.of(row))


@dataclass(frozen=True, slots=True)
class Slice:
    """What cases are made from: a slice, its insights by score, its texts, and SQL over its tables.

    The evidence of a case has at most `tokens`; a `private` one is for nodes on this machine only. `lacking` is filled
    with why facts could not be computed: their cases are posed without them.
    """

    dataset: str
    key: str
    found: tuple[Found, ...]
    texts: SliceTexts
    query: Query
    tokens: int
    private: bool = False
    lacking: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class _Subject:
    """What one case is about: the insights behind it, the best first. `is_spare`: posed only where it was before."""

    brief: Brief
    found: tuple[Found, ...]
    is_spare: bool = False

    @property
    def first(self) -> Insight:
        return self.found[0].insight

    @property
    def title(self) -> str:
        return self.first.title if self.brief.is_per_insight else self.brief.name.replace("_", " ").capitalize()

    @property
    def citations(self) -> list[Citation]:
        cited = [citation for each in self.found for citation in each.insight.evidence]
        return list(dict.fromkeys(cited))[:_CITATIONS]


def posed_cases(of: Slice, briefs: Iterable[Brief], before: Sequence[Posed] = ()) -> list[Posed]:
    """The cases of a slice, those worth most first; `before` are those that it had, which stay while they stand.

    At most twice as many as the briefs allow: one that was there goes when what it is about is gone, or is not among
    twice the best.
    """
    subjects = [subject for brief in briefs for subject in _subjects(brief, of)]
    kept = _kept(subjects, before, of)
    fresh = [number for number, each in enumerate(subjects) if number not in kept and not each.is_spare]
    found = pools(of.texts, {number: subjects[number].citations for number in fresh})
    posed = list(kept.values())
    for number in fresh:
        subject = subjects[number]
        facts = list(_facts(subject, of))
        asked = prompt_tokens(subject.brief.asked(subject.title))
        room = of.tokens - asked - sum(prompt_tokens(text) for text, _ in facts)
        # What stands beside a finding may tell of it whatever it is; an overview is of its own kinds alone.
        pool = found[number] if subject.brief.is_per_insight else found[number].of_kinds(subject.brief.kinds)
        pieces = picked(pool, pieces=subject.brief.pieces, tokens=room, relevance=subject.brief.relevance)
        if pieces:  # what cites nothing that can be read again is no question of evidence
            posed.append(_posed(subject, labelled(pieces, facts), of))
    distinct = {each.case.id: each for each in reversed(posed)}
    return sorted(distinct.values(), key=lambda each: (-each.score, each.brief, each.title, each.case.id))


def _subjects(brief: Brief, of: Slice) -> Iterator[_Subject]:
    kinds = _kinds(of.found)
    fitting = [each for each in of.found if _is_about(each.insight, brief, kinds) and each.insight.evidence]
    if not brief.is_per_insight:
        if fitting:
            yield _Subject(brief, tuple(fitting[:_INSIGHTS]))
        return
    told: list[Insight] = []
    number = 0
    for each in fitting:
        # An event tells of the findings in it: they need no case of their own.
        if any(_tells_of(other, each.insight) for other in told):
            continue
        told.append(each.insight)
        yield _Subject(brief, (each,), is_spare=number >= brief.cases)
        number += 1
        if number >= 2 * brief.cases:
            return


def _kinds(found: Iterable[Found]) -> set[str]:
    """The kinds of data that a slice has, by its overview."""
    for each in found:
        by_kind = each.insight.value.get("bytes_by_kind")
        if each.insight.type == "overview" and isinstance(by_kind, dict):
            return set(cast("dict[str, object]", by_kind))
    return {each.insight.kind for each in found}


def _is_about(insight: Insight, brief: Brief, kinds: set[str]) -> bool:
    if insight.type not in brief.about or insight.score < brief.least_score:
        return False
    return insight.kind in brief.kinds or (insight.kind == "mixed" and bool(kinds.intersection(brief.kinds)))


def _tells_of(other: Insight, insight: Insight) -> bool:
    return other.type == "event" and insight.type != "event" and insight.statement.rstrip(".") in other.statement


def _facts(subject: _Subject, of: Slice) -> Iterator[tuple[str, str]]:
    """What is computed for a case, as far as it fits beside its texts."""
    room = int(of.tokens * _FACTS_SHARE)
    first = subject.first
    askers = [partial(statement_of, each.insight_id) for each in subject.found[: int(subject.brief.is_per_insight)]]
    when = {"start": first.time_start, "stop": first.time_stop}
    for ask in (*askers, *(partial(computed, name, of.key, **when) for name in subject.brief.facts)):
        try:
            fact = ask(query=of.query)
        except QueryError as error:
            of.lacking.append(error.message)
            continue
        if fact is not None:
            room -= prompt_tokens(fact.text)
            if room >= 0:
                yield fact.text, fact.query


def _posed(subject: _Subject, evidence: tuple[Evidence, ...], of: Slice) -> Posed:
    brief, first = subject.brief, subject.first
    case = Case(
        dataset=of.dataset,
        question=brief.asked(subject.title),
        evidence=evidence,
        schema=brief.schema,
        speciality=brief.speciality,
        private=of.private,
        prompt_version=_prompt_version(brief),
        slice=of.key,
    )
    dated = subject.brief.is_per_insight
    return Posed(
        case=case,
        brief=brief.name,
        brief_version=brief.version,
        audience=brief.audience,
        kind=first.kind if dated or first.kind in brief.kinds else "mixed",
        title=subject.title,
        complexity=complexity(case.question),
        score=first.score,
        share=brief.share,
        tokens=sum(map(prompt_tokens, (case.question, *(each.text for each in evidence)))),
        insight_id=subject.found[0].insight_id if dated else None,
        time_start=first.time_start if dated else None,
        time_stop=first.time_stop if dated else None,
        is_impossible=brief.is_impossible,
        technique=brief.technique,
    )


def _prompt_version(brief: Brief) -> str:
    return f"{brief.name}@{brief.version}+{PROMPT_VERSION}"


def _kept(subjects: Sequence[_Subject], before: Sequence[Posed], of: Slice) -> dict[int, Posed]:
    """By number of its subject, the case before that is about it and all of whose evidence stands, refreshed."""
    matched: dict[int, Posed] = {}
    for each in before:
        same = (n for n, one in enumerate(subjects) if n not in matched and _is_same(one, each, of.tokens))
        matched |= dict.fromkeys(list(same)[:1], each)
    wanted = {e.citation.path for each in matched.values() for e in each.case.evidence if e.citation is not None}
    files = of.texts.files(sorted(wanted))
    kept: dict[int, Posed] = {}
    for number, each in matched.items():
        evidence = refreshed(each.case.evidence, files)
        if evidence is not None and all(holds(fact, of.query) for fact in _facts_of(each)):
            subject = subjects[number]
            case = replace(each.case, evidence=evidence, private=of.private)
            first = subject.found[0] if subject.brief.is_per_insight else None
            kept[number] = replace(
                each,
                case=case,
                audience=subject.brief.audience,
                score=subject.first.score,
                share=subject.brief.share,
                insight_id=first.insight_id if first else None,
                is_impossible=subject.brief.is_impossible,
                technique=subject.brief.technique,
            )
    return kept


def _facts_of(posed: Posed) -> Iterator[Computed]:
    return (Computed(each.text, each.query or "") for each in posed.case.evidence if each.citation is None)


def _is_same(subject: _Subject, posed: Posed, tokens: int) -> bool:
    """Whether a case before asks what this subject asks, and fits."""
    brief = subject.brief
    if (posed.brief, posed.case.prompt_version) != (brief.name, _prompt_version(brief)) or posed.tokens > tokens:
        return False
    if not brief.is_per_insight or posed.title == subject.title:
        return True
    said = [" ".join(each.text.split()) for each in posed.case.evidence]
    quotes = [citation.quote.rstrip("…")[:_KNOWN_BY] for citation in subject.citations if citation.quote]
    return any(quote in text for quote in quotes for text in said)
