"""What happened together: findings of different files at one time, and the pages that are about what they name.

A log incident at 10:42, a metric that jumped at 10:41 and the page of the runbook about that error are one event to
the person who has to act. Made of findings and of names that chunks share; no model is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.shared_names import SharedNames, name_keys
from mesh_assets.insights.wording import plural
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.insights import FINDING_SCORE

# Findings whose times are this near, or overlap, are of one event.
NEARBY = timedelta(minutes=5)
# What lasts longer is a state, and everything happens during it.
LONGEST = timedelta(hours=6)
MAX_EVENTS = 6
MAX_PAGES = 3
MAX_MEMBERS = 5
# A page must share one rare name, or as many words that few pages have: one common word is chance.
_FEW_CHUNKS = 12
_LEAST_WORDS = 2
_NAME = re.compile(r"[A-Za-z0-9_][\w.@:/-]{2,}")


@dataclass(slots=True)
class Events:
    """Watches the chunks of a slice for names; then says which findings and pages belong together."""

    names: SharedNames = field(default_factory=SharedNames)

    def observe(self, batch: SliceBatch) -> None:
        """Take in the next chunks."""
        self.names.add(batch.chunks, batch.insights)

    def together(self, found: Iterable[Insight]) -> list[Insight]:
        """Insights of type `event`, strongest first, from everything else that was found in the slice."""
        dated = [insight for insight in found if _is_dated_finding(insight)]
        events = [self._event(group) for group in _grouped(dated)]
        ranked = sorted((event for event in events if event is not None), key=lambda event: -event.score)
        return ranked[:MAX_EVENTS]

    def _event(self, group: list[Insight]) -> Insight | None:
        group = sorted(group, key=lambda insight: -insight.score)[:MAX_MEMBERS]
        first, *rest = group
        files = {cited.path for insight in group for cited in insight.evidence}
        pages = self._pages(group)
        if len(files) < 2 and not pages:
            return None
        start = min(_start(insight) for insight in group)
        places = plural(len(files), "file") + (f" and {plural(len(pages), 'page')}" if pages else "")
        sentences = [f"{first.statement.rstrip('.')}."]
        sentences += [f"At the same time: {insight.statement.rstrip('.')}." for insight in rest]
        sentences += [f"{_called(page)} is about the same: it names {_listed(shared)}." for page, shared in pages]
        return Insight(
            kind="mixed",
            type="event",
            title=f"{plural(len(group), 'finding')} in {places} around {start:%Y-%m-%d %H:%M}",
            statement=" ".join(sentences),
            score=min(1.0, first.score + 0.02 * (len(files) - 1 + len(pages))),
            value={"findings": len(group), "files": len(files), "pages": len(pages)},
            evidence=(*_first_of_files(group), *(page for page, _ in pages)),
            time_start=start,
            time_stop=max(insight.time_stop or _start(insight) for insight in group),
        )

    def _pages(self, group: list[Insight]) -> list[tuple[Citation, list[str]]]:
        """Chunks of prose and code that name what the evidence names, with what that is, best first."""
        frame, places = self.names.frame, self.names.places
        if frame.is_empty():
            return []
        said = " ".join(cited.quote for insight in group for cited in insight.evidence)
        names = sorted({name for match in _NAME.findall(said) for name in (match, match.lower().rpartition("/")[2])})
        wanted = pl.DataFrame({"key": name_keys(names), "said": names}).unique("key", maintain_order=True)
        own = [cited.path for insight in group for cited in insight.evidence]
        kind, path = places["kind"], places["path"]
        hits = frame.join(wanted, on="key").with_columns(
            kind=kind.gather(frame.join(wanted, on="key")["chunk"]),
            path=path.gather(frame.join(wanted, on="key")["chunk"]),
        )
        hits = hits.filter(pl.col("kind").is_in(["text", "code"]) & ~pl.col("path").is_in(own))
        spread = hits.group_by("key").agg(spread=pl.col("chunk").n_unique())
        hits = hits.join(spread, on="key").filter(pl.col("spread") <= _FEW_CHUNKS)
        scored = (
            hits.sort("spread", "said")
            .group_by("chunk")
            .agg(
                score=(1.0 / pl.col("spread")).sum(),
                shared="said",
                names=(~pl.col("is_word")).sum(),
                words=pl.col("is_word").sum(),
            )
            .filter((pl.col("names") > 0) | (pl.col("words") >= _LEAST_WORDS))
            .sort(["score", "chunk"], descending=[True, False])
        )
        pages: list[tuple[Citation, list[str]]] = []
        seen: set[str] = set()
        for row in scored.iter_rows(named=True):
            place = places.row(row["chunk"], named=True)
            if place["path"] not in seen and len(pages) < MAX_PAGES:
                seen.add(place["path"])
                shared = {name.casefold(): name for name in reversed(row["shared"])}
                pages.append((_citation(place), list(reversed(shared.values()))[:3]))
        return pages


def _is_dated_finding(insight: Insight) -> bool:
    if insight.time_start is None or insight.score < FINDING_SCORE or not insight.evidence:
        return False
    return (insight.time_stop or insight.time_start) - insight.time_start <= LONGEST


def _first_of_files(group: list[Insight]) -> list[Citation]:
    """The strongest evidence from each file, in the order of the findings."""
    cited = [cited for insight in group for cited in insight.evidence]
    return list({each.path: each for each in reversed(cited)}.values())[::-1][:MAX_MEMBERS]


def _start(insight: Insight) -> datetime:
    return insight.time_start or datetime.min.replace(tzinfo=UTC)


def _grouped(dated: list[Insight]) -> list[list[Insight]]:
    """Findings whose times are near each other; a group never lasts longer than what one finding may."""
    groups: list[list[Insight]] = []
    for insight in sorted(dated, key=_start):
        group = groups[-1] if groups else []
        until = max((other.time_stop or _start(other) for other in group), default=None)
        is_near = until is not None and _start(insight) <= until + NEARBY
        if is_near and (insight.time_stop or _start(insight)) - _start(group[0]) <= LONGEST:
            group.append(insight)
        else:
            groups.append([insight])
    return groups


def _citation(place: dict[str, Any]) -> Citation:
    return Citation(
        dataset=place["dataset"],
        path=place["path"],
        byte_start=place["byte_start"],
        byte_stop=place["byte_stop"],
        source_hash=place["source_hash"],
        line_start=place["line_start"],
        quote=" ".join(str(place["text"]).split()),
        place=place["place"],
    )


def _called(page: Citation) -> str:
    return f"{page.path} ({page.place})" if page.place else f"{page.path}, line {page.line_start:,},"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
