"""What comes before failures: messages of one log after which a failure of it followed more often than by chance.

A failure, and what may announce it, are templates; both are looked at in episodes, so that a burst is one case. How
often a message stands before a failure is held against how often it stands before anything else, and what is left must
be unlikely for all that was tried together (Bonferroni). What deviates at one time belongs to `log_scan`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.log_incidents import template_text
from mesh_assets.insights.log_reader import Witness
from mesh_assets.insights.log_scales import says_failure
from mesh_assets.insights.log_series import LogSeries, Series
from mesh_assets.insights.protocol import Insight
from mesh_assets.insights.wording import amount, duration, plural

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

# Seconds before a failure in which something may announce it; of a log, those that it holds this many times.
WINDOWS = (10.0, 60.0, 600.0, 3600.0, 21_600.0)
_TIMES_WINDOW = 50
# What comes less than this before a failure (seconds) is the failure itself, told by another message.
LEAST_LEAD = 1.0
# Cases that a rule rests on: fewer are an anecdote.
LEAST_CASES = 5
# A rule announces at least this share of the failures, and at least this share of its warnings is right.
LEAST_SHARE, LEAST_PRECISION = 0.3, 0.5
# So many times more often than by chance: what comes before a failure half as often anyway tells nobody anything.
LEAST_LIFT = 2.0
# Chance that any rule of one log is none, all that were tried together.
_CHANCE = 1e-3
# Failures and other messages looked at in one log, and cases of one failure: what mining costs is bounded by them.
MAX_FAILURES, MAX_SIGNS, MAX_CASES = 40, 400, 200
# Events before all cases of one failure together.
_MAX_PAIRS = 200_000
MAX_FINDINGS = 4
_SHOWN = 3


@dataclass(frozen=True)
class Points:
    """When the templates of one log came: `times` (seconds, ascending) of the templates `of`, places in the lists.

    `fails` says of each template whether it is a failure.
    """

    times: Floats
    of: Places
    fails: NDArray[np.bool_]

    @classmethod
    def of_log(cls, templates: Sequence[Series]) -> Points:
        """The first and the last event of each template in each bucket: what a log in bounded memory remembers."""
        times = [[time for c in series.cells.values() for time in {c.first.time, c.last}] for series in templates]
        of = np.repeat(np.arange(len(times)), [len(each) for each in times])
        joined = np.array([time for each in times for time in each], np.float64)
        order = np.lexsort((of, joined))
        return cls(joined[order], of[order], np.array([says_failure(series) for series in templates], np.bool_))

    @cached_property
    def following(self) -> Places:
        """For each event the place of the next one of its template, the number of all events where there is none."""
        order = np.lexsort((np.arange(len(self.of)), self.of))
        found = np.full(len(self.of), len(self.of))
        same = self.of[order[1:]] == self.of[order[:-1]]
        found[order[:-1][same]] = order[1:][same]
        return found

    def between(self, start: float, stop: float) -> Points:
        """Those from `start` to `stop` (seconds, exclusive)."""
        part = slice(*np.searchsorted(self.times, (start, stop)).tolist())
        return Points(self.times[part], self.of[part], self.fails)

    def episodes(self, template: int, window: float) -> Floats:
        """When episodes of a template begin: its events with none of it in the `window` seconds before."""
        return episode_starts(self.times[self.of == template], window)


@dataclass(frozen=True)
class Tally:
    """How a rule fared: of `failures` it announced `cases`, by `leads` seconds; `alone` warnings had no failure."""

    failures: int
    cases: int
    alone: int
    leads: Floats

    @property
    def precision(self) -> float:
        """Share of the warnings that a failure followed; NaN without warnings."""
        return self.cases / (self.cases + self.alone) if self.cases + self.alone else math.nan

    @property
    def lead(self) -> float:
        """The median lead time in seconds, NaN without cases."""
        return float(np.median(self.leads)) if len(self.leads) else math.nan


@dataclass(frozen=True)
class Rule:
    """Template `sign` announces template `failure` within `window` seconds; by chance it would `by_chance` times.

    `chance` is how likely so many cases are without any connection, before correction for all rules tried.
    """

    sign: int
    failure: int
    window: float
    tally: Tally
    by_chance: float
    chance: float


def tally(points: Points, sign: int, failure: int, window: float) -> Tally:
    """What the rule would have announced in `points`: each failure episode at most once."""
    failures, signs = points.episodes(failure, window), points.episodes(sign, window)
    every = points.times[points.of == sign]
    # The latest event of the sign's that is old enough, and the first event of its episode, so that a warning is
    # counted from when it was first given.
    begin, end = np.searchsorted(every, failures - window), np.searchsorted(every, failures - LEAST_LEAD, side="right")
    told = end > begin
    leads = failures[told] - every[begin[told]]
    after = np.searchsorted(points.times[points.of == failure], signs + LEAST_LEAD)
    failing = np.append(points.times[points.of == failure], np.inf)
    alone = int((failing[after] > signs + window).sum())
    return Tally(len(failures), int(told.sum()), alone, leads)


def mine(points: Points) -> list[Rule]:
    """The rules that hold in `points`, the most reliable first; for each failure the best one of each sign."""
    if len(points.times) < 2 * LEAST_CASES:
        return []
    span = float(points.times[-1] - points.times[0])
    counts = np.bincount(points.of, minlength=len(points.fails))
    may = np.flatnonzero(counts >= LEAST_CASES)
    failures = may[points.fails[may]]
    # Failures are rare: of many the rarest, of the messages before them the commonest, which have the most to say.
    failures = failures[np.argsort(counts[failures], kind="stable")][:MAX_FAILURES]
    signs = may[np.argsort(-counts[may], kind="stable")][:MAX_SIGNS]
    windows = [window for window in WINDOWS if window * _TIMES_WINDOW <= span]
    tried = max(1, len(failures) * len(signs) * len(windows))
    best: dict[tuple[int, int], Rule] = {}
    for window in windows:
        for rule in _rules(points, failures, np.isin(np.arange(len(counts)), signs), window, _CHANCE / tried):
            key = (rule.failure, rule.sign)
            if key not in best or _worth(rule) > _worth(best[key]):
                best[key] = rule
    return sorted(best.values(), key=lambda rule: (-_worth(rule), rule.failure, rule.sign))


def _rules(
    points: Points, failures: Places, may_sign: NDArray[np.bool_], window: float, chance: float
) -> Iterator[Rule]:
    """The rules with one window whose cases are less likely than `chance`."""
    usual: Floats | None = None
    for failure in failures.tolist():
        onsets = points.episodes(failure, window)
        if len(onsets) < LEAST_CASES:
            continue
        before, cases = _before(points, onsets, window)
        worth = may_sign & (before >= max(LEAST_CASES, LEAST_SHARE * cases))
        if usual is None and worth.any():
            usual = _usual(points, window)
        worth[failure] = False
        for sign in np.flatnonzero(worth).tolist():
            p = float(cast(Floats, usual)[sign])
            unlikely = _tail(int(before[sign]), cases, p)
            if unlikely > chance:
                continue
            found = tally(points, sign, failure, window)
            many = found.cases >= max(LEAST_CASES, LEAST_LIFT * p * found.failures)
            if many and found.precision >= LEAST_PRECISION:
                yield Rule(sign, failure, window, found, p * found.failures, unlikely)


def _before(points: Points, moments: Floats, window: float) -> tuple[Places, int]:
    """Before how many of the `moments` each template came, and how many those were: of many some are looked at."""
    begins = np.searchsorted(points.times, moments - window)
    ends = np.searchsorted(points.times, moments - LEAST_LEAD, side="right")
    many = max(-(-len(moments) // MAX_CASES), -(-int((ends - begins).sum()) // _MAX_PAIRS))
    begins, ends = begins[::many], ends[::many]
    sizes = ends - begins
    within = np.arange(int(sizes.sum())) + np.repeat(begins - np.cumsum(sizes) + sizes, sizes)
    # Each template counts once: by its last event of those before a moment.
    last = points.following[within] >= np.repeat(ends, sizes)
    return np.bincount(points.of[within[last]], minlength=len(points.fails)), len(begins)


def _usual(points: Points, window: float) -> Floats:
    """How often each template comes before a moment, of all moments, or before an episode of anything, if that is more.

    A busy hour holds every message, and every failure of the day; so moments alone would make rules of all of them.
    """
    order = np.lexsort((points.times, points.of))
    times, of = points.times[order], points.of[order]
    same = np.append(of[1:] == of[:-1], False)
    covered = np.full(len(times), window)
    gaps = np.append(np.diff(times), 0.0)
    covered[same] = np.minimum(gaps[same], window)
    span = max(float(points.times[-1] - points.times[0]), window)
    of_time = np.bincount(of, weights=covered, minlength=len(points.fails)) / span
    starts = times[np.append(True, ~same[:-1] | (gaps[:-1] > window))]
    before, drawn = _before(points, np.sort(starts), window)
    of_episodes = (before + 0.5) / (drawn + 1)
    return np.minimum(np.maximum(of_time, of_episodes), 1.0)


def episode_starts(times: Floats, window: float) -> Floats:
    """When episodes begin: those of `times` (ascending) with none of them in the `window` seconds before."""
    return times[np.append(True, np.diff(times) > window)] if len(times) else times


def _tail(cases: int, of: int, p: float) -> float:
    """Chance of `cases` or more of `of` where each has chance `p`: the bound of Chernoff, which is never too low."""
    share = cases / of
    if share <= p:
        return 1.0
    divergence = share * math.log(share / p) + ((1 - share) * math.log((1 - share) / (1 - p)) if share < 1 else 0.0)
    return math.exp(-of * divergence)


def _worth(rule: Rule) -> float:
    """The F1 of warnings against failures."""
    share, precision = rule.tally.cases / rule.tally.failures, rule.tally.precision
    return 2 * share * precision / (share + precision)


# --- findings -------------------------------------------------------------------------------------------------------


def precursors(logs: Iterable[LogSeries]) -> list[Insight]:
    """Findings of type `log_precursor`, most reliable first: of each failure the best of what announces it."""
    found: list[tuple[float, Insight]] = []
    for log in logs:
        templates = log.templates
        if not any(says_failure(series) and len(series.cells) >= LEAST_CASES for series in templates):
            continue
        said: set[int] = set()
        for rule in mine(Points.of_log(templates)):
            if rule.failure not in said:
                said.add(rule.failure)
                found.append((_worth(rule), _insight(log.source, templates[rule.sign], templates[rule.failure], rule)))
    return [insight for _, insight in sorted(found, key=lambda item: -item[0])[:MAX_FINDINGS]]


def _insight(source: str, sign: Series, failure: Series, rule: Rule) -> Insight:
    told = rule.tally
    names = [template_text(series.words, example=_first(series).text) for series in (sign, failure)]
    without = f"{plural(told.alone, 'time')} it came without the failure" if told.alone else "it never came without it"
    return Insight(
        kind="log",
        type="log_precursor",
        title=f"`{names[0][:60]}` before `{names[1][:60]}` in {source}",
        statement=(
            f"In {source}, `{names[0]}` came before `{names[1]}` in {amount(told.cases)} of {amount(told.failures)} "
            f"cases, {duration(told.lead)} before in the median; {without}. "
            f"By chance it would have come before {amount(round(rule.by_chance, 1))} of them."
        ),
        score=0.5 + 0.45 * _worth(rule),
        value={
            "source": source,
            "pattern": names[0],
            "failure": names[1],
            "cases": told.cases,
            "failures": told.failures,
            "without_failure": told.alone,
            "precision": round(told.precision, 3),
            "lead_seconds": round(told.lead, 3),
            "window_seconds": rule.window,
            "baseline": round(rule.by_chance, 3),
            "log10_chance": round(math.log10(max(rule.chance, 1e-300)), 1),
        },
        evidence=tuple(witness.citation() for witness in _shown(sign, failure, rule.window)),
    )


def _first(series: Series) -> Witness:
    return series.cells[min(series.cells)].first


def _shown(sign: Series, failure: Series, window: float) -> list[Witness]:
    """Lines of the first cases: what announced the failure, and the failure."""
    signs = sorted((cell.first for cell in sign.cells.values()), key=lambda witness: witness.time)
    times = np.array([witness.time for witness in signs])
    shown: list[Witness] = []
    before = -math.inf
    for witness in sorted((cell.first for cell in failure.cells.values()), key=lambda witness: witness.time):
        at = int(np.searchsorted(times, witness.time - window))
        is_case = at < len(signs) and signs[at].time <= witness.time - LEAST_LEAD
        if is_case and witness.time - before > window and len(shown) < 2 * _SHOWN:
            shown += [signs[at], witness]
        before = witness.time
    return shown
