"""Which insights of several slices say the same, and what they amount to together.

An incident that crosses a slice border is one incident, topics of alike names are one topic, overviews and counts add
up. Bounded: insights stream in, and of each type only the strongest are held. No section is laid out here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import zip_longest

from mesh_assets.reports.values import Values, add_breakdowns, add_figures, add_series
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.insights import FINDING_SCORE

# Citations that a person opens for one statement; the statement says how many more there are.
EVIDENCE_LIMIT = 3
# Entries of one type that are held while slices stream in: far more than any section shows.
HELD = 100
# Two incidents of the same kind this close are one that a slice border cut in two.
NEIGHBOURING = timedelta(minutes=10)
# Share of common words at which two titles name the same thing (Jaccard): two of three words, or three of five.
ALIKE = 0.6
_MEDIA = ("media_pictures", "media_sound", "media_video")
# Types whose insights are counts of a whole slice: those of several slices add up.
SUMMED = frozenset({"overview", "labels", "entities", "log_levels", "code_overview", *_MEDIA})

# Types that say what is there: they are listed in their section, never ranked as findings.
DESCRIPTIONS = frozenset({"overview", "summary", "entities"})

_NUMBER = re.compile(r"\b\d[\d.,]*")
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One statement of a report with everything that carries it.

    `slices` are the keys of all slices where it was seen; `citations` counts the evidence, of which `evidence` holds
    the first few. `score` is 0..1. A `merged` one was said differently by several slices.
    """

    type: str
    kind: str
    title: str
    statement: str
    score: float
    slices: tuple[str, ...] = ()
    time_start: datetime | None = None
    time_stop: datetime | None = None
    values: Values = field(default_factory=Values)
    evidence: tuple[Citation, ...] = ()
    citations: int = 0
    merged: bool = False

    @property
    def is_finding(self) -> bool:
        """Whether it is ranked for a person's attention rather than listed."""
        return self.score >= FINDING_SCORE and self.type not in DESCRIPTIONS

    @property
    def note(self) -> str:
        """What a reader of a merged entry must know."""
        return (
            "The sentence is about the slice where it is strongest; chart and counts are of all." if self.merged else ""
        )

    @property
    def rank(self) -> tuple[float, str, str, str, tuple[str, ...]]:
        """Sorts the strongest first; ties by time, then text, so that order of arrival does not matter."""
        started = self.time_start.isoformat() if self.time_start else "~"
        return (-self.score, started, self.title, self.statement, self.slices)


class Gathering:
    """Takes in entries and gives back, by type, the strongest; with `merging`, those of different slices as one."""

    def __init__(self, *, merging: bool) -> None:
        self._merging = merging
        self._held: dict[str, list[Entry]] = {}
        self._dropped: Counter[str] = Counter()

    def add(self, entry: Entry) -> None:
        """Take in one entry; now and then alike ones are merged and the weakest let go."""
        held = self._held.setdefault(entry.type, [])
        held.append(entry)
        if len(held) >= 2 * HELD:
            self._compact(entry.type)

    def entries(self) -> list[Entry]:
        """The entries that are held, by type, strongest first."""
        for type_ in self._held:
            self._compact(type_)
        return [entry for _, held in sorted(self._held.items()) for entry in held]

    def counts(self) -> Counter[str]:
        """How many entries of each type there are, merged ones as one, with those let go for want of room."""
        return Counter({type_: len(held) for type_, held in self._held.items()}) + self._dropped

    def _compact(self, type_: str) -> None:
        held = self._held[type_]
        kept = sorted(merge(type_, held) if self._merging else held, key=lambda entry: entry.rank)
        self._dropped[type_] += max(len(kept) - HELD, 0)
        self._held[type_] = kept[:HELD]


def merge(type_: str, entries: list[Entry]) -> list[Entry]:
    """`entries` of one type with those of different slices that say the same as one."""
    if type_ in SUMMED:
        return _grouped(entries, lambda e: (e.kind, _plain(e.title)), _sum)
    same = _grouped(entries, lambda e: (e.kind, e.title, e.statement, e.time_start, e.time_stop), _same)
    if type_ == "topic":
        return _clustered(same, lambda a, b: True)
    if type_.startswith("log_"):
        return _clustered(same, _neighbours)
    return same


def _grouped(
    entries: list[Entry], key: Callable[[Entry], object], combine: Callable[[list[Entry]], Entry]
) -> list[Entry]:
    groups: dict[object, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.rank):
        groups.setdefault(key(entry), []).append(entry)
    return [combine(group) if len(group) > 1 else group[0] for group in groups.values()]


def _clustered(entries: list[Entry], may_join: Callable[[Entry, Entry], bool]) -> list[Entry]:
    """Greedy single pass in order of time: an entry joins the first cluster of other slices with an alike title."""
    clusters: list[tuple[frozenset[str], Entry]] = []
    for entry in sorted(entries, key=lambda e: (e.time_start.isoformat() if e.time_start else "", e.rank)):
        names = frozenset(_WORD.findall(entry.title.lower()))
        for i, (others, cluster) in enumerate(clusters):
            alike = len(names & others) >= ALIKE * len(names | others) if names else entry.title == cluster.title
            if alike and not set(cluster.slices) & set(entry.slices) and may_join(cluster, entry):
                clusters[i] = (others, _together([cluster, entry]))
                break
        else:
            clusters.append((names, entry))
    return [entry for _, entry in clusters]


def _neighbours(earlier: Entry, later: Entry) -> bool:
    """Whether `later` starts before or soon after `earlier` stops."""
    if earlier.time_start is None or later.time_start is None:
        return False
    return later.time_start <= (earlier.time_stop or earlier.time_start) + NEIGHBOURING


def _plain(title: str) -> str:
    """`title` without what differs between slices: case and numbers."""
    return _NUMBER.sub("…", title.lower())


def _same(group: list[Entry]) -> Entry:
    """One statement that several slices make word for word: its numbers are those of each, so nothing adds up."""
    best = min(group, key=lambda entry: entry.rank)
    # One citation of each in turn, so that every slice is heard before one is heard twice.
    turns = zip_longest(*(entry.evidence for entry in sorted(group, key=lambda entry: entry.rank)))
    cited = dict.fromkeys(citation for turn in turns for citation in turn if citation is not None)
    return replace(
        best,
        slices=tuple(sorted({key for entry in group for key in entry.slices})),
        time_start=min((entry.time_start for entry in group if entry.time_start), default=None),
        time_stop=max((entry.time_stop for entry in group if entry.time_stop), default=None),
        evidence=tuple(cited)[:EVIDENCE_LIMIT],
        citations=sum(entry.citations for entry in group),
        merged=any(entry.merged for entry in group),
    )


def _together(group: list[Entry]) -> Entry:
    """What the slices of `group` each saw a part of: the sentence of the strongest, the numbers of all."""
    return replace(_same(group), values=_values(group, keep_others=True), merged=True)


def _sum(group: list[Entry]) -> Entry:
    """The counts of all slices. A sentence or number about one slice says nothing of the whole, so it goes."""
    whole = _same(group)
    title = _NUMBER.sub("…", whole.title)
    statement = f"Added up over {len(whole.slices):,} slices."
    return replace(whole, title=title, statement=statement, values=_values(group, keep_others=False))


def _values(group: list[Entry], *, keep_others: bool) -> Values:
    """Counts added up, series of one unit on one axis; figures that do not add up are the strongest's, or left out."""
    ranked = [entry.values for entry in sorted(group, key=lambda entry: entry.rank)]
    series = [values.series for values in ranked if values.series is not None]
    same_unit = [part for part in series if part.unit == series[0].unit]
    return Values(
        add_series(same_unit) if same_unit else None,
        add_breakdowns(values.breakdowns for values in ranked),
        add_figures([values.figures for values in ranked], keep_others=keep_others),
    )
