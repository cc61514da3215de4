"""What a report holds, and how it is laid out from rows of insights and rejects. How it looks belongs to the renderers.

A report is bounded whatever it is made of: each section shows its strongest entries and says how many more there are.
Text of drops stays as it is here; `html` and `markdown` make it inert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from mesh_assets.reports.answers import Answers
from mesh_assets.reports.changes import changed, remembered
from mesh_assets.reports.merging import EVIDENCE_LIMIT, SUMMED, Entry
from mesh_assets.reports.previews import Strip, gather_strips
from mesh_assets.reports.prose import amount, moment, shorten, size, span
from mesh_assets.reports.rows import STATEMENT_LIMIT, TITLE_LIMIT, Gathered, Unread, gather, read_rejects
from mesh_assets.reports.values import shown
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.insights import FINDING_SCORE

# A person reads about a dozen findings; one sort of finding must not crowd out the others.
TOP_FINDINGS = 12
TOP_FINDINGS_OF_A_TYPE = 4
SECTION_ENTRIES = 10
ANSWERS = 20
UNREAD_REASONS = 15
# Keys of slices that a list names before it says how many more there are.
NAMED_SLICES = 5

NO_ANSWERS = Answers()

# Sections between "What stands out" and "What could not be read": key, title, how the types of their insights start.
_SECTIONS = (
    ("contents", "What is in here", "overview"),
    ("summary", "In short", "summary"),
    ("events", "What happened together", "event"),
    ("labels", "What it is about", "labels"),
    ("topics", "Topics", "topic"),
    ("logs", "Logs", "log"),
    ("series", "Time series", "series"),
    ("tables", "Tables", "table"),
    ("code", "Code", "code"),
    ("media", "Pictures, sound and video", "media"),
    ("entities", "Names and identifiers", "entit"),
    ("others", "Also noticed", ""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the caller knows of the subject. `slices` are its keys; `size` counts bytes read.

    `made` is when its insights were made, so that the same insights give the same report. `engines` are pairs of a
    role and what ran in it, version included: (`Embedding model`, `all-MiniLM-L6-v2`). `not_done` are keys of slices
    that have no insights yet.
    """

    dataset: str
    slices: tuple[str, ...]
    files: int
    size: int
    chunks: int
    made: datetime
    engines: tuple[tuple[str, str], ...] = ()
    not_done: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One section: a sentence, then pictures, entries, what could not be read, and facts.

    `more` entries are not shown.
    """

    key: str
    title: str
    lead: str = ""
    entries: tuple[Entry, ...] = ()
    more: int = 0
    unread: tuple[Unread, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    strips: tuple[Strip, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A report about `subject`, the key of a slice or dataset. `findings` counts all, also those not shown.

    `remembered` is what the next report is compared with.
    """

    title: str
    subject: str
    lead: str
    findings: int
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    remembered: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class OnSummary:
    """What a reader must know of who wrote a summary, and the language models that did."""

    note: str = ""
    models: tuple[str, ...] = ()


NO_NOTE = OnSummary()


def slice_report(
    facts: Facts,
    insights: Iterable[pa.RecordBatch],
    rejects: Mapping[str, Iterable[pa.RecordBatch]],
    previews: Iterable[pa.RecordBatch] = (),
    answers: Answers = NO_ANSWERS,
) -> Report:
    """The report of one slice: rows of `INSIGHTS`, by the asset that made them rows of `REJECTS`, and of `PREVIEWS`."""
    (key,) = facts.slices
    gathered = gather(insights, merging=False)
    return _report(f"Slice {key}", key, facts, gathered, read_rejects(rejects), gather_strips(previews), answers)


def dataset_report(
    facts: Facts,
    insights: Iterable[pa.RecordBatch],
    rejects: Mapping[str, Iterable[pa.RecordBatch]],
    previews: Iterable[pa.RecordBatch] = (),
    answers: Answers = NO_ANSWERS,
    before: Mapping[str, str] | None = None,
    on_summary: OnSummary = NO_NOTE,
    communities: Sequence[Mapping[str, Any]] = (),
) -> Report:
    """The report of a dataset: rows of `INSIGHTS` of all its slices, by asset rows of `REJECTS`, and of `PREVIEWS`.

    `before` is what the report before it is remembered by; None where there was none. `on_summary` tells
    who wrote the summary. `communities` are rows of `COMMUNITIES`, the largest first.
    Batches are read once, in order, and not kept: of each slice no more than its key stays in memory.
    """
    gathered = gather(insights, merging=True)
    unread = read_rejects(rejects)
    strips = gather_strips(previews)
    report = _report(
        f"Dataset {facts.dataset}", facts.dataset, facts, gathered, unread, strips, answers, before, on_summary
    )
    closely = _communities_section(communities)
    last = next(at for at, section in enumerate(report.sections) if section.key in ("unread", "made"))
    return replace(report, sections=(*report.sections[:last], *closely, *report.sections[last:]))


def _communities_section(rows: Sequence[Mapping[str, Any]]) -> tuple[Section, ...]:
    """The largest communities, each with members and places that open; nothing where there is none."""
    if not rows:
        return ()
    entries: list[Entry] = []
    for row in rows[:SECTION_ENTRIES]:
        citations = [Citation(**citation) for citation in row["citations"]]
        left = row["size"] - len(row["members"])
        more = f" and {left:,} more" if left else ""
        size_ = f"{amount(row['size'], 'member')}, {amount(row['files'], 'file')} among them"
        entries.append(
            Entry(
                type="community",
                kind="mixed",
                title=shorten(row["name"], TITLE_LIMIT),
                statement=shorten(f"{size_}: {', '.join(row['members'])}{more}.", STATEMENT_LIMIT),
                score=0.0,
                evidence=tuple(citations[:EVIDENCE_LIMIT]),
                citations=len(citations),
            )
        )
    lead = "Files, symbols and names that call, import, contain and mention each other more than the others do."
    return (Section("communities", "What hangs together", lead, tuple(entries), more=len(rows) - len(entries)),)


def _report(
    title: str,
    subject: str,
    facts: Facts,
    gathered: Gathered,
    unread: list[Unread],
    pictures: tuple[tuple[Strip, ...], int],
    answers: Answers,
    before: Mapping[str, str] | None = None,
    on_summary: OnSummary = NO_NOTE,
) -> Report:
    findings, others = gathered.findings.entries(), gathered.others.entries()
    total = sum(gathered.findings.counts().values())
    top = _top(findings)
    known = remembered(findings)
    sections = [_standing_out(top, total, facts), *_changes(known, before), *_answered(answers)]
    listed = [entry for entry in findings if entry not in top] + others
    counts = gathered.findings.counts() + gathered.others.counts() - Counter(entry.type for entry in top)
    described = _with_pictures(_insight_sections(listed, counts), *pictures)
    sections += [replace(each, lead=on_summary.note) if each.key == "summary" else each for each in described]
    if unread:
        sections.append(_unread_section(unread))
    sections.append(_how_made(facts, (*answers.models, *on_summary.models)))
    return Report(
        title=title,
        subject=subject,
        lead=_lead(facts, total, sum(group.count for group in unread)),
        findings=total,
        facts=_key_figures(facts, gathered, total),
        sections=tuple(sections),
        remembered=known,
    )


def _changes(now: Mapping[str, str], before: Mapping[str, str] | None) -> list[Section]:
    lead, rows = changed(now, before) if before is not None else ("", ())
    return [Section("changes", "What is new and what is gone", lead, facts=rows)] if lead else []


def _top(findings: list[Entry]) -> list[Entry]:
    """The strongest findings, at most a few of a type."""
    of_type: Counter[str] = Counter()
    top: list[Entry] = []
    for entry in sorted(findings, key=lambda entry: entry.rank):
        of_type[entry.type] += 1
        if of_type[entry.type] <= TOP_FINDINGS_OF_A_TYPE and len(top) < TOP_FINDINGS:
            top.append(entry)
    return top


def _standing_out(top: list[Entry], total: int, facts: Facts) -> Section:
    if top:
        lead = "Most deserving of attention first. Open the evidence of a finding to see the bytes that it rests on."
        if rest := total - len(top):
            lead += f" Of {amount(rest, 'further finding')} the strongest are listed by sort below."
    elif facts.chunks:
        lead = f"Nothing to report: no insight reached the score of a finding, {FINDING_SCORE:g}."
    else:
        lead = "Nothing to report: nothing in here could be read as content."
    return Section("findings", "What stands out", lead, _for_people(top))


def _answered(answers: Answers) -> list[Section]:
    if not answers.entries:
        return []
    shown = _for_people(list(answers.entries[:ANSWERS]))
    return [Section("answers", "Questions and answers", answers.lead, shown, more=len(answers.entries) - len(shown))]


def _insight_sections(listed: list[Entry], counts: Counter[str]) -> list[Section]:
    """Everything that is not ranked on top, by the section that its type belongs to; sums before single things."""
    by_section: dict[str, list[Entry]] = {}
    total: Counter[str] = Counter()
    for entry in sorted(listed, key=lambda entry: (entry.type not in SUMMED, entry.rank)):
        by_section.setdefault(_section_of(entry.type), []).append(entry)
    for type_, n in counts.items():
        total[_section_of(type_)] += n
    return [
        Section(
            key,
            title,
            entries=_for_people(by_section[key][:SECTION_ENTRIES]),
            more=total[key] - min(len(by_section[key]), SECTION_ENTRIES),
        )
        for key, title, _ in _SECTIONS
        if key in by_section
    ]


def _with_pictures(sections: list[Section], strips: tuple[Strip, ...], hidden: int) -> list[Section]:
    """`sections` with the pictures in theirs, or in one of their own where nothing else is said of media."""
    if not strips:
        return sections
    lead = f"Keyframes of {amount(hidden, 'further video')} are not shown here." if hidden else ""
    keys = [key for key, _, _ in _SECTIONS]
    if all(section.key != "media" for section in sections):
        title = next(title for key, title, _ in _SECTIONS if key == "media")
        sections = sorted([*sections, Section("media", title)], key=lambda section: keys.index(section.key))
    return [replace(s, lead=lead, strips=strips) if s.key == "media" else s for s in sections]


def _section_of(type_: str) -> str:
    return next(key for key, _, start in _SECTIONS if type_.startswith(start))


def _for_people(entries: list[Entry]) -> tuple[Entry, ...]:
    """`entries` with breakdowns as long as a person reads."""
    return tuple(
        replace(entry, values=replace(entry.values, breakdowns=tuple(map(shown, entry.values.breakdowns))))
        for entry in entries
    )


def _unread_section(unread: list[Unread]) -> Section:
    total = sum(group.count for group in unread)
    lead = f"{amount(total, 'part')} of the drop could not be processed: the reasons are below, with examples."
    return Section(
        "unread",
        "What could not be read",
        lead,
        more=sum(group.count for group in unread[UNREAD_REASONS:]),
        unread=tuple(unread[:UNREAD_REASONS]),
    )


def _how_made(facts: Facts, models: tuple[str, ...]) -> Section:
    if models:
        where = (
            f"Local models and algorithms made this report, and {', '.join(models)} answered questions about it. "
            "`mesh audit` shows each byte that left the machine for that, if any did."
        )
    else:
        where = (
            "Local models and algorithms on this machine made this report. "
            "No language model was asked, and nothing left the machine."
        )
    rows = [("Insights made", moment(facts.made)), ("Dataset", facts.dataset), ("Slices", _named(facts.slices))]
    if facts.not_done:
        rows.append(("Slices not done", _named(facts.not_done)))
    rows += facts.engines
    rows.append(
        (
            "Scores",
            f"From 0 to 1: how much something deserves a person's time, not how probable it is. "
            f"Findings have {FINDING_SCORE:g} or more.",
        )
    )
    return Section("made", "How this was made", where, facts=tuple(rows))


def _named(slices: tuple[str, ...]) -> str:
    names = ", ".join(slices[:NAMED_SLICES])
    left = len(slices) - NAMED_SLICES
    return f"{names} and {left:,} more" if left > 0 else names or "none"


def _lead(facts: Facts, findings: int, unread: int) -> str:
    sentences = [f"{amount(findings, 'finding')} in {amount(facts.files, 'file')} ({size(facts.size)})."]
    if facts.not_done:
        verb = "is" if len(facts.not_done) == 1 else "are"
        sentences.append(f"{amount(len(facts.not_done), 'slice')} {verb} not done yet and not part of this report.")
    if unread:
        sentences.append(f"{amount(unread, 'part')} could not be read; why and what to do is below.")
    return " ".join(sentences)


def _key_figures(facts: Facts, gathered: Gathered, findings: int) -> tuple[tuple[str, str], ...]:
    figures = [
        ("Findings", f"{findings:,}"),
        ("Files", f"{facts.files:,}"),
        ("Size", size(facts.size)),
        ("Chunks", f"{facts.chunks:,}"),
    ]
    if len(facts.slices) > 1 or facts.not_done:
        figures.append(("Slices", f"{len(facts.slices):,}"))
    if gathered.time_start or gathered.time_stop:
        figures.append(("Time covered", span(gathered.time_start, gathered.time_stop)))
    return tuple((name, shorten(value, 200)) for name, value in figures)
