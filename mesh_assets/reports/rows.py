"""Rows of `INSIGHTS` and `REJECTS` as they stream in, folded into what a report can hold. Nothing is laid out here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

import pyarrow as pa

from mesh_assets.reports.merging import EVIDENCE_LIMIT, Entry, Gathering
from mesh_assets.reports.prose import shorten
from mesh_assets.reports.values import read_values
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.rejects import REJECTS

# Characters kept of a text that comes from drops or models; the whole lies behind the citation.
TITLE_LIMIT = 160
STATEMENT_LIMIT = 600
QUOTE_LIMIT = 600
REJECT_EXAMPLES = 3
# Reasons are short phrases, a few dozen in all; what comes beyond this many is counted together.
_REASONS = 1000


@dataclass(frozen=True, slots=True)
class Unread:
    """What one stage could not process for one reason: how often, what to do, and a few examples as (path, detail)."""

    stage: str
    reason: str
    remedy: str
    count: int
    examples: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Gathered:
    """Insights as they streamed by: findings and the rest apart, each by type."""

    findings: Gathering
    others: Gathering
    time_start: datetime | None = None
    time_stop: datetime | None = None

    def cover(self, start: datetime | None, stop: datetime | None) -> None:
        """Widen the time that the insights are about."""
        if start is not None and (self.time_start is None or start < self.time_start):
            self.time_start = start
        if stop is not None and (self.time_stop is None or stop > self.time_stop):
            self.time_stop = stop


def gather(insights: Iterable[pa.RecordBatch], *, merging: bool) -> Gathered:
    """Rows of `INSIGHTS`; with `merging`, those of different slices that say the same become one."""
    gathered = Gathered(Gathering(merging=merging), Gathering(merging=merging))
    for batch in insights:
        for row in cast("list[dict[str, object]]", batch.to_pylist()):
            entry = _entry(row, (cast(str, row["slice"]),) if merging else ())
            (gathered.findings if entry.is_finding else gathered.others).add(entry)
            gathered.cover(entry.time_start, entry.time_stop)
    return gathered


def _entry(row: dict[str, object], slices: tuple[str, ...]) -> Entry:
    evidence = cast("list[dict[str, object]]", row["evidence"])
    return Entry(
        type=cast(str, row["type"]),
        kind=cast(str, row["kind"]),
        title=shorten(cast(str, row["title"]), TITLE_LIMIT),
        statement=shorten(cast(str, row["statement"]), STATEMENT_LIMIT),
        score=cast(float, row["score"]),
        slices=slices,
        time_start=cast("datetime | None", row["time_start"]),
        time_stop=cast("datetime | None", row["time_stop"]),
        values=read_values(cast(str, row["value"])),
        evidence=tuple(_citation(cited) for cited in evidence[:EVIDENCE_LIMIT]),
        citations=len(evidence),
    )


def _citation(row: dict[str, object]) -> Citation:
    cited = Citation(**row)  # pyright: ignore[reportArgumentType]
    return replace(cited, quote=shorten(cited.quote, QUOTE_LIMIT))


def read_rejects(rejects: Mapping[str, Iterable[pa.RecordBatch]]) -> list[Unread]:
    """Rejects by stage and reason, most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    remedies: dict[tuple[str, str], str] = {}
    examples: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for stage, batches in rejects.items():
        for batch in batches:
            columns = REJECTS.cast(batch).to_pydict()
            rows = zip(*(cast("list[str]", columns[c]) for c in ("path", "reason", "detail", "remedy")), strict=True)
            for path, reason, detail, remedy in rows:
                key = (stage, shorten(reason, TITLE_LIMIT))
                if key not in counts and len(counts) >= _REASONS:
                    key = (stage, "other reasons")
                counts[key] += 1
                remedies.setdefault(key, shorten(remedy, STATEMENT_LIMIT))
                seen = examples.setdefault(key, [])
                if len(seen) < REJECT_EXAMPLES:
                    seen.append((shorten(path, STATEMENT_LIMIT), shorten(detail, TITLE_LIMIT)))
    ranked = sorted(counts, key=lambda key: (-counts[key], key))
    return [Unread(*key, remedies[key], counts[key], tuple(examples[key])) for key in ranked]
