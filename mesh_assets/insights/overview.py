"""What is in the slice: counts by kind, format and language, its span of time, the files with the most text.

Bytes are those of chunks: of a picture, a recording or a document they count what is read out of it, not the file.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any, cast

import pyarrow.compute as pc

from mesh_assets.insights.columns import column_of, sums
from mesh_assets.insights.locators import ChunkText
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.wording import plural, share
from mesh_assets.wording import size

_LONGEST = 5


def _span(moments: object) -> tuple[datetime | None, datetime | None]:
    """The first and the last of some moments."""
    found = cast(Any, pc).min_max(moments).as_py()
    return found["min"], found["max"]


class OverviewInsight:
    """Counts chunks, files and bytes. The chunks of a file come together, so that files need no memory."""

    def __init__(self) -> None:
        self._chunks = 0
        self._files = 0
        self._kinds: Counter[str] = Counter()
        self._formats: Counter[str] = Counter()
        self._languages: Counter[str] = Counter()
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._longest: list[tuple[int, int, ChunkText]] = []
        self._open: tuple[SliceBatch, int] | None = None
        self._open_bytes = 0

    def observe(self, batch: SliceBatch) -> None:
        """Count the chunks."""
        sizes = batch.sizes
        self._chunks += len(sizes)
        for name, counter in (("kind", self._kinds), ("format", self._formats)):
            for value, count in sums(column_of(batch.chunks, name), sizes):
                counter[value] += count
        starts = batch.first_of_files(str(self._open[0].value("path", self._open[1])) if self._open else None)
        if len(sizes):
            self._open_bytes += int(sizes[: starts[0] if starts else None].sum())
        for start, stop in pairwise([*starts, len(sizes)]):
            self._close_file()
            self._files += 1
            self._open = (batch, start)
            self._open_bytes = int(sizes[start:stop].sum())
            language = batch.value("language", start)
            if language:
                self._languages[str(language)] += 1
        for name in ("time_start", "time_stop"):
            first, last = _span(column_of(batch.chunks, name))
            if first is not None and last is not None:
                self._first = first if self._first is None else min(self._first, first)
                self._last = last if self._last is None else max(self._last, last)

    def _close_file(self) -> None:
        rank = (self._open_bytes, -self._files)
        if self._open is not None and (len(self._longest) < _LONGEST or rank > self._longest[0][:2]):
            batch, row = self._open
            heapq.heappush(self._longest, (*rank, batch.chunk(row)))
            if len(self._longest) > _LONGEST:
                heapq.heappop(self._longest)
        self._open_bytes = 0

    def conclude(self) -> Iterable[Insight]:
        """One insight on the whole, one on the files with the most text."""
        self._close_file()
        self._open = None
        if self._chunks:
            yield self._whole()
            yield from self._most_text()

    def _whole(self) -> Insight:
        total = sum(self._kinds.values())
        kinds = ", ".join(f"{kind} {share(count, total)}" for kind, count in self._kinds.most_common())
        span = ""
        if self._first is not None and self._last is not None:
            span = f" It is about the time from {self._first:%Y-%m-%d %H:%M} to {self._last:%Y-%m-%d %H:%M} UTC."
        spoken = [language for language, _ in self._languages.most_common(5)]
        languages = f" {'Languages' if len(spoken) > 1 else 'Language'}: {', '.join(spoken)}." if spoken else ""
        return Insight(
            kind=self._kind(),
            type="overview",
            title="What is in here",
            statement=f"{plural(self._chunks, 'chunk')} of {plural(self._files, 'file')}, {size(total)} of text: "
            f"{kinds}.{span}{languages}",
            score=0.2,
            value={
                "chunks": self._chunks,
                "files": self._files,
                "text_bytes": total,
                "text_bytes_by_kind": dict(self._kinds.most_common()),
                "text_bytes_by_format": dict(self._formats.most_common()),
                "files_by_language": dict(self._languages.most_common()),
            },
            evidence=tuple(chunk.cite_opening() for _, _, chunk in self._ranked()),
            time_start=self._first,
            time_stop=self._last,
        )

    def _ranked(self) -> list[tuple[int, int, ChunkText]]:
        return sorted(self._longest, key=lambda item: item[:2], reverse=True)

    def _kind(self) -> str:
        return next(iter(self._kinds)) if len(self._kinds) == 1 else "mixed"

    def _most_text(self) -> Iterator[Insight]:
        ranked = self._ranked()
        if self._files > 1:
            listed = ", ".join(f"{chunk.path} ({size(count)})" for count, _, chunk in ranked)
            yield Insight(
                kind=self._kind(),
                type="overview",
                title="Files with the most text",
                statement=f"Most text is in {listed}.",
                score=0.15,
                value={"text_bytes_by_file": {chunk.path: count for count, _, chunk in ranked}},
                evidence=tuple(chunk.cite_opening() for _, _, chunk in ranked),
            )
