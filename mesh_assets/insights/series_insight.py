"""Time series: how each runs, and where it leaves its usual course.

Of a long series every group of neighbours is one point, the one furthest from the mean: peaks stay. What a series is
belongs to `series_reader`, the rules for anomalies to `series_anomalies`, those
for levels to `change_points`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.change_points import STEP, Change, changes
from mesh_assets.insights.locators import ChunkText
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.secrets import mask
from mesh_assets.insights.series_anomalies import LEAST_POINTS, Anomaly, anomalies, usual_course
from mesh_assets.insights.series_reader import Points, SeriesReader, moment_of
from mesh_assets.insights.wording import amount, duration, period, plural
from mesh_assets.schemas.citations import Citation

# Series that are watched, and points that are held of each: with the texts they are cited from, about 2 MB.
MAX_SERIES, MAX_POINTS = 64, 6144
# Insights of a slice, and anomalies of one series.
MAX_PROFILES, MAX_ANOMALIES, MAX_OF_SERIES = 12, 8, 3
# Points of a chart, and those that it shows on each side of an anomaly, at least.
_CHART, _AROUND = 400, 60
# An anomaly so few points from a change of the level is that change.
_NEAR = 6
# Fewer points are no course.
_LEAST_POINTS = 10

# A point's row: its chunk with the characters there, or where its chunk is no longer held, the citation.
_Place = tuple[ChunkText, int, int] | Citation
# Moments, values and places of a series, by time.
_Points = tuple[NDArray[np.int64], NDArray[np.float64], list[_Place]]


@dataclass(slots=True)
class _Trace:
    """One series: its points as they come. Of every `stride` neighbours the one furthest from the mean is held.

    `best` is that of the last group, which has only `count` points yet.
    """

    path: str
    name: str
    kind: str
    times: list[int] = field(default_factory=list[int])
    values: list[float] = field(default_factory=list[float])
    places: list[_Place] = field(default_factory=list[_Place])
    seen: int = 0
    total: float = 0.0
    stride: int = 1
    best: tuple[int, float, _Place] | None = None
    count: int = 0

    def add(self, times: NDArray[np.int64], values: NDArray[np.float64], places: Sequence[_Place]) -> None:
        """More points."""
        at = 0
        while at < len(values):
            stop = at + (MAX_POINTS - len(self.values)) * self.stride - self.count
            self.seen += len(values[at:stop])
            self.total += float(values[at:stop].sum())
            if self.stride == 1:
                self.times += times[at:stop].tolist()
                self.values += values[at:stop].tolist()
                self.places += places[at:stop]
            else:
                self._pick(times[at:stop], values[at:stop], places[at:stop])
            if len(self.values) >= MAX_POINTS:
                self._halve()
            at = stop

    def _pick(self, times: NDArray[np.int64], values: NDArray[np.float64], places: Sequence[_Place]) -> None:
        """Hold of each group of points the one furthest from the mean of all so far."""
        mean = self.total / self.seen
        far = np.abs(values - mean)
        start = 0
        while start < len(values):
            stop = min(start + self.stride - self.count, len(values))
            at = start + int(far[start:stop].argmax())
            if self.best is None or far[at] > abs(self.best[1] - mean):
                self.best = int(times[at]), float(values[at]), _cited(places[at])
            self.count += stop - start
            if self.count == self.stride:
                self._close()
            start = stop

    def _close(self) -> None:
        """The last group has no more points."""
        if self.best is not None:
            time, value, place = self.best
            self.times.append(time)
            self.values.append(value)
            self.places.append(place)
        self.best, self.count = None, 0

    def _halve(self) -> None:
        """Hold only one of each two neighbours."""
        far = np.abs(np.array(self.values) - self.total / self.seen)
        kept = [at if far[at] > far[at + 1] else at + 1 for at in range(0, len(far) - 1, 2)]
        self.times = [self.times[at] for at in kept]
        self.values = [self.values[at] for at in kept]
        self.places = [_cited(self.places[at]) for at in kept]
        self.stride *= 2

    def ordered(self) -> tuple[NDArray[np.int64], NDArray[np.float64], list[_Place]]:
        """All that is held, by time."""
        self._close()
        times = np.array(self.times, np.int64)
        order = np.argsort(times, kind="stable")
        return times[order], np.array(self.values)[order], [self.places[at] for at in order.tolist()]


def _cited(place: _Place) -> Citation:
    if isinstance(place, Citation):
        return place
    chunk, start, stop = place
    return chunk.cite(start, stop)


class SeriesInsight:
    """Watches the time series of the slice."""

    def __init__(self) -> None:
        self._reader = SeriesReader()
        self._traces: dict[tuple[str, str, tuple[tuple[str, str], ...]], _Trace] = {}

    def observe(self, batch: SliceBatch) -> None:
        """Read the points in the chunks."""
        for points in self._reader.points(batch):
            self._add(batch, points)

    def _add(self, batch: SliceBatch, points: Points) -> None:
        kind = batch.strings("kind")[int(points.chunks[0])]
        where = cast("list[list[int]]", np.column_stack((points.chunks, points.starts, points.stops)).tolist())
        places: list[_Place] = [(batch.chunk(chunk), start, stop) for chunk, start, stop in where]
        for number, labels in enumerate(points.labels):
            rows = np.flatnonzero(points.series == number)
            for at, name in enumerate(points.names):
                key = points.path, name, tuple(labels.items())
                trace = self._traces.get(key)
                if trace is None:
                    if len(self._traces) >= MAX_SERIES:
                        continue
                    shown = f"{name} ({', '.join(labels.values())})" if labels else name
                    trace = self._traces[key] = _Trace(points.path, shown, kind)
                values = points.values[:, at]
                held = rows[np.isfinite(values[rows])]
                trace.add(points.times[held], values[held], [places[row] for row in cast("list[int]", held.tolist())])

    def conclude(self) -> Iterable[Insight]:
        """How the series run, and their anomalies: the strongest of the slice only."""
        found: list[Insight] = []
        profiles = 0
        for trace in self._traces.values():
            if trace.seen < _LEAST_POINTS:
                continue
            times, values, places = trace.ordered()
            if profiles < MAX_PROFILES:
                profiles += 1
                yield _profile(trace, times, values, places)
            found += _findings(trace, (times, values, places))
        found.sort(key=lambda insight: (-insight.score, insight.title))
        yield from found[:MAX_ANOMALIES]


def _profile(trace: _Trace, times: NDArray[np.int64], values: NDArray[np.float64], places: list[_Place]) -> Insight:
    name = mask(trace.name)
    steps = np.diff(times) // trace.stride
    usual = float(np.median(steps[steps > 0])) / 1e6 if (steps > 0).any() else 0.0
    gaps = int((steps > 2e6 * usual).sum()) if usual and trace.stride == 1 else 0
    every = f" every {duration(usual)}" if usual >= 1 else ""
    said = [
        f"{name} of {trace.path} has {plural(trace.seen, 'value')}{every}, between {amount(values.min())} and "
        f"{amount(values.max())}, with a median of {amount(float(np.median(values)))}"
    ]
    if gaps:
        said.append(f"{plural(gaps, 'time')} the next value came more than twice as late as usual")
    start, stop = moment_of(int(times[0])), moment_of(int(times[-1]))
    return Insight(
        kind=trace.kind,
        type="series_profile",
        title=f"{name} of {trace.path}",
        statement=". ".join(part[:1].upper() + part[1:] if at else part for at, part in enumerate(said)) + ".",
        score=0.25,
        value={"series": _plotted(times, values, name), "seconds": usual, "gaps": gaps, "values": trace.seen},
        evidence=(_cited(places[0]), _cited(places[-1])),
        time_start=start,
        time_stop=stop,
    )


def _findings(trace: _Trace, points: _Points) -> list[Insight]:
    """Changes of the level, and the strongest anomalies that are not one."""
    times, values, _ = points
    if len(values) < LEAST_POINTS:
        return []
    moved = changes(values, usual_course(times, values)[0])
    apart = (
        anomaly
        for anomaly in anomalies(times, values)
        if not any(anomaly.first - _NEAR <= change.at <= anomaly.last + _NEAR for change in moved)
    )
    found = [_change(trace, change, points) for change in moved]
    return found + [_anomaly(trace, anomaly, points) for anomaly in islice(apart, MAX_OF_SERIES)]


def _change(trace: _Trace, change: Change, points: _Points) -> Insight:
    times, values, places = points
    name = mask(trace.name)
    start, stop = moment_of(int(times[change.at])), moment_of(int(times[change.stop - 1]))
    word = "rises" if change.after > change.before else "falls"
    until = "" if change.stop == len(times) else f" until {stop:%Y-%m-%d %H:%M}"
    marked = change.at - change.first, change.stop - 1 - change.first
    return Insight(
        kind=trace.kind,
        type="series_change",
        title=f"{name} of {trace.path} {word} from {amount(change.before)} to {amount(change.after)} and stays",
        statement=f"From {start:%Y-%m-%d %H:%M} UTC on{until} {name} of {trace.path} is around {amount(change.after)}; "
        f"before that, since {moment_of(int(times[change.first])):%Y-%m-%d %H:%M}, it was around "
        f"{amount(change.before)}.",
        score=0.5 + 0.35 * (1 - 2.0 ** (1 - change.z / STEP)),
        value={
            "series": _plotted(times[change.first : change.stop], values[change.first : change.stop], name, marked),
            "before": change.before,
            "after": change.after,
            "robust z": round(change.z, 1),
        },
        evidence=(_cited(places[change.at - 1]), _cited(places[change.at])),
        time_start=start,
        # One that stays is told of when it began: what else lasts as long did not happen together with it.
        time_stop=stop if until else start,
    )


def _anomaly(trace: _Trace, anomaly: Anomaly, points: _Points) -> Insight:
    times, values, places = points
    name = mask(trace.name)
    value, start, stop = (
        float(values[anomaly.peak]),
        moment_of(int(times[anomaly.first])),
        moment_of(int(times[anomaly.last])),
    )
    when = {"day": " at that time of the day", "week": " at that time of the week"}.get(anomaly.season, "")
    around = max(_AROUND, 2 * (anomaly.last - anomaly.first))
    first, last = max(anomaly.first - around, 0), min(anomaly.last + around + 1, len(times))
    cited = dict.fromkeys((anomaly.peak, anomaly.first, anomaly.last))
    marked = anomaly.first - first, anomaly.last - first
    why = f"{amount(anomaly.z)} robust standard deviations away" if anomaly.lasting else ""
    if anomaly.surprise:
        why += f"{', and ' if why else ''}no course before it was like that"
    word = "rises" if value > anomaly.usual else "falls"
    return Insight(
        kind=trace.kind,
        type="series_anomaly",
        title=f"{name} of {trace.path} {word} to {amount(value)}",
        statement=f"{period(start, stop)} {name} of {trace.path} {word} to {amount(value)}, where "
        f"{amount(anomaly.usual)} is usual{when}: {why}.",
        score=0.5 + 0.35 * (1 - 2.0 ** (1 - anomaly.strength)),
        value={
            "series": _plotted(times[first:last], values[first:last], name, marked),
            "value": value,
            "usual": anomaly.usual,
            "robust z": round(anomaly.z, 1),
            "surprise": round(anomaly.surprise, 1),
        },
        evidence=tuple(_cited(places[at]) for at in cited),
        time_start=start,
        time_stop=stop,
    )


def _plotted(
    times: NDArray[np.int64], values: NDArray[np.float64], unit: str, marked: tuple[int, int] | None = None
) -> dict[str, object]:
    """The points for a chart: of more than it can show, of each group the one furthest from the median."""
    step = -(-len(times) // _CHART)
    middle = np.median(values)
    chosen = [
        start + int(np.argmax(np.abs(values[start : start + step] - middle))) for start in range(0, len(times), step)
    ]
    shown: dict[str, object] = {
        "x": [moment_of(int(times[at])).isoformat() for at in chosen],
        "y": [float(values[at]) for at in chosen],
        "unit": unit,
    }
    if marked is not None:
        shown["marked"] = [marked[0] // step, marked[1] // step]
    return shown
