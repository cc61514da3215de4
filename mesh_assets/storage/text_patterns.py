"""Chunks by a regular expression over the lake's texts, asked by DuckDB: RE2, so that no pattern takes for ever.

Slice by slice, in time and rows that are bounded, so that what was found until then is an answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Timer

import duckdb

from mesh_assets.errors import QueryError
from mesh_assets.slices import SliceKey
from mesh_assets.storage.duckdb_views import escape
from mesh_assets.storage.lake import Lake

# Chunks of one slice that are looked at further, however many match.
_MOST_OF_A_SLICE = 10_000


@dataclass(frozen=True, slots=True)
class Match:
    """A chunk that matches, in the order of the lake, and the text that the first pattern matched there."""

    chunk_id: str
    slice: str
    matched: str


class PatternSearch:
    """One search: `matches` are fetched as they are read; `stopped` says afterwards why not everything was."""

    def __init__(self, lake: Lake, patterns: Sequence[str], *, seconds: float = 10.0) -> None:
        self._lake = lake
        self._patterns = patterns
        self._seconds = seconds
        self.stopped: str | None = None

    def matches(self, dataset: str | None = None, kind: str | None = None) -> Iterator[Match]:
        """Chunks whose text matches all patterns (any chunk where there is none); QueryError where one is none."""
        tests = " AND ".join(f"regexp_matches(text, ${number})" for number in range(4, 4 + len(self._patterns)))
        first = "regexp_extract(text, $4)" if self._patterns else "''"
        query = (
            f"SELECT chunk_id, {first} FROM read_parquet($1) "  # noqa: S608  # patterns are parameters
            f"WHERE ($2 IS NULL OR kind = $2) {f'AND {tests}' if tests else ''} LIMIT $3"
        )
        end = time.monotonic() + self._seconds
        slices = self._slices(dataset)
        with duckdb.connect() as connection:
            connection.execute("SET threads = 2")
            self._check(connection)
            for number, slice_key in enumerate(slices):
                left = end - time.monotonic()
                rows = self._of_slice(connection, query, slice_key, kind, left) if left > 0 else None
                if rows is None:
                    self.stopped = (
                        f"Stopped after {self._seconds:g} seconds: {number:,} of {len(slices):,} slices were looked "
                        "through. Name a dataset, or search for words."
                    )
                    return
                if len(rows) >= _MOST_OF_A_SLICE:
                    self.stopped = f"Of {slice_key} only the first {_MOST_OF_A_SLICE:,} chunks that match were taken."
                yield from (Match(chunk_id, slice_key, matched) for chunk_id, matched in rows)

    def _check(self, connection: duckdb.DuckDBPyConnection) -> None:
        try:
            for pattern in self._patterns:
                connection.execute("SELECT regexp_matches('', $1)", [pattern])
        except duckdb.InvalidInputException as error:
            raise QueryError(
                f"That is no pattern: {str(error).partition('Error: ')[2].strip()}.",
                remedy="Patterns are those of RE2: no look-ahead and no back-references; \\ takes a sign as it is.",
            ) from error

    def _slices(self, dataset: str | None) -> list[str]:
        datasets = [dataset] if dataset else sorted(self._lake.all_datasets())
        return sorted(key for each in datasets for key in self._lake.slices(each))

    def _of_slice(
        self, connection: duckdb.DuckDBPyConnection, query: str, slice_key: str, kind: str | None, seconds: float
    ) -> list[tuple[str, str]] | None:
        """Ids and matches of one slice; None where the time ended first."""
        path = self._lake.path("chunk_sets", str(SliceKey.parse(slice_key)))
        if not path.exists():
            return []
        timer = Timer(seconds, connection.interrupt)
        timer.start()
        try:
            # A path is no pattern: brackets in it are those of a file's name.
            asked = [escape(str(path)), kind, _MOST_OF_A_SLICE, *self._patterns]
            return connection.execute(query, asked).fetchall()
        except duckdb.InterruptException:
            return None
        except duckdb.IOException:
            return []  # replaced or deleted while it was read
        finally:
            timer.cancel()
