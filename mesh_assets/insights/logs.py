"""Logs: level counts and rates, and the incidents in them. Detection is in `log_scan`, wording in `log_incidents`.

What comes before failures is in `log_precursors`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import numpy as np

from mesh_assets.insights.earlier_templates import NO_EARLIER, EarlierTemplates
from mesh_assets.insights.known_templates import Room
from mesh_assets.insights.log_incidents import incidents
from mesh_assets.insights.log_precursors import precursors
from mesh_assets.insights.log_reader import LEVEL_NAMES, Events, Witness
from mesh_assets.insights.log_scan import scan
from mesh_assets.insights.log_series import LogSeries
from mesh_assets.insights.protocol import Insight
from mesh_assets.insights.wording import amount, duration, plural, share

# Logs that are followed one by one; a slice with more has its further ones looked at as one.
MAX_LOGS = 48
FURTHER = "further logs"
_DAY = 86_400  # seconds


class LogInsight:
    """Follows each log of a slice and says how much it wrote, of which levels, and what was unusual when."""

    def __init__(self, earlier: Mapping[str, EarlierTemplates] | None = None) -> None:
        """`earlier` has the templates of the logs that earlier slices had, too."""
        self._earlier = earlier or {}
        self._room = Room()
        self._logs: dict[str, LogSeries] = {}
        self._error: dict[str, Witness] = {}
        self._first: dict[str, Witness] = {}

    def observe(self, name: str, events: Events) -> None:
        """Take in the next events of a log, one at least."""
        source = name if name in self._logs or len(self._logs) < MAX_LOGS else FURTHER
        log = self._logs.get(source)
        if log is None:
            log = self._logs[source] = LogSeries(source, self._room, self._earlier.get(source, NO_EARLIER))
            self._first[source] = events.witness(0)
        log.add(events)
        errors = np.flatnonzero(events.levels == LEVEL_NAMES.index("error"))
        if len(errors) and source not in self._error:
            self._error[source] = events.witness(int(errors[0]))

    def conclude(self) -> Iterable[Insight]:
        """Levels of each log, then the incidents of all of them, and what came before failures."""
        yield from self._levels()
        spans = [(log.span() or (0, 0), log.width) for log in self._logs.values()]
        days = max(((last - first + 1) * width / _DAY for (first, last), width in spans), default=0.0)
        yield from incidents((deviation for log in self._logs.values() for deviation in scan(log)), days=days)
        yield from precursors(self._logs.values())

    def _levels(self) -> Iterator[Insight]:
        for source, log in sorted(self._logs.items(), key=lambda item: -item[1].records):
            span = log.span()
            start, stop = (span[0] * log.width, (span[1] + 1) * log.width) if span else (0, 0)
            levels = Counter(log.levels)
            found = [
                f"{plural(levels[level], name)} ({share(levels[level], log.records)})"
                for level, name in (("error", "error"), ("warning", "warning"))
                if levels[level]
            ]
            over = (
                f" over {duration(stop - start)}, about {amount(log.records / (stop - start) * 60)} a minute"
                if span
                else ""
            )
            rest = f", {' and '.join(found)}" if found else ", none of them an error or warning"
            shown = self._error.get(source) or self._first[source]
            yield Insight(
                kind="log",
                type="log_levels",
                title=f"Records of {source}",
                statement=f"{source} holds {plural(log.records, 'record')}{over}{rest}.",
                score=0.3,
                value={"records": log.records, "levels": dict(levels), "seconds": stop - start, "series": _volume(log)},
                evidence=(shown.citation(),),
                time_start=_time(start) if span else None,
                time_stop=_time(stop) if span else None,
            )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, -62_000_000_000), 253_000_000_000), UTC)


def _volume(log: LogSeries) -> dict[str, object]:
    """Records over time in at most 240 steps."""
    span = log.span()
    if span is None:
        return {}
    first, last = span
    step = -(-(last - first + 1) // 240)
    counts = np.zeros((last - first) // step + 1)
    for bucket, cell in log.total.cells.items():
        if first <= bucket <= last:
            counts[(bucket - first) // step] += cell.count
    return {
        "x": [_time((first + i * step) * log.width).isoformat() for i in range(len(counts))],
        "y": counts.tolist(),
        "unit": f"records in {duration(log.width * step)}",
    }
