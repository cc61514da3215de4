"""`chunk_relations`: chunks of different files that name the same rare things, nearer ones in time first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import combinations
from typing import cast

import numpy as np
import polars as pl
import pyarrow as pa

from mesh_assets.insights.shared_names import PLACE, SharedNames
from mesh_assets.schemas.outcome import Outcome
from mesh_assets.schemas.relations import RELATIONS

COLUMNS = (*PLACE, "text")
INSIGHT_COLUMNS = ("keyphrases", "entities")
# A name in more files than this is common: a host in every log relates nothing.
MAX_FILES = 8
# Pairs that a slice keeps, the closest ones, and of one chunk.
MAX_RELATIONS = 200_000
MAX_OF_CHUNK = 16
# Chunks this near in time are as good as at once.
NEAR_SECONDS = 300.0


def relation_batches(
    aligned: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]], *, dataset: str, slice_key: str, outcome: Outcome
) -> Iterator[pa.RecordBatch]:
    """One batch of `RELATIONS`, closest first. `outcome` advances with each batch of chunks.

    `aligned` gives, row by row, chunks and what `chunk_insights` says of them.
    """
    names = SharedNames()
    for chunks, insights in aligned:
        names.add(chunks, insights)
        outcome.advance(chunks.num_rows)
    rows = [{"dataset": dataset, "slice": slice_key, **row} for row in related(names)]
    if rows:
        yield RELATIONS.batch(rows)


def related(names: SharedNames) -> list[dict[str, object]]:
    """Pairs of chunks with what they share, closest first: columns of `RELATIONS` but dataset and slice."""
    places = names.places
    frame = names.frame.filter(~pl.col("is_word"))
    if frame.is_empty():
        return []
    paths = places["path"].to_list()
    files = places["path"].rank("dense").cast(pl.Int32) - 1
    frame = frame.with_columns(file=files.gather(frame["chunk"]))
    # One chunk of each file for each name: the first, which is where it is introduced.
    first = frame.sort("chunk").unique(["key", "file"], keep="first", maintain_order=True)
    rare = (
        first.group_by("key")
        .agg("chunk", pl.col("name").first())
        .filter(pl.col("chunk").list.len().is_between(2, MAX_FILES))
    )
    rare = rare.sort(pl.col("chunk").list.len(), "name")
    found: dict[tuple[int, int], tuple[float, list[str]]] = {}
    for chunks, name in zip(rare["chunk"].to_list(), rare["name"].to_list(), strict=True):
        weight = 1.0 / np.log2(len(chunks))
        for pair in combinations(sorted(chunks, key=lambda chunk: (paths[chunk], chunk)), 2):
            score, shared = found.get(pair, (0.0, []))
            found[pair] = (score + weight, [*shared, name] if len(shared) < 4 else shared)
        if len(found) > MAX_RELATIONS:
            break
    times = list(zip(places["time_start"].to_list(), places["time_stop"].to_list(), strict=True))
    ids = places["chunk_id"].to_list()
    return _closest(
        {
            "chunk_id": ids[one],
            "other_id": ids[other],
            "shared": shared,
            "seconds_apart": apart(times[one], times[other]),
            "score": score,
        }
        for (one, other), (score, shared) in found.items()
    )


def _closest(rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    """With scores in 0..1, nearness in time counted, best first, and no chunk in too many."""
    scored: list[dict[str, object]] = []
    for row in rows:
        seconds = cast("float | None", row["seconds_apart"])
        near = 1.0 if seconds is None else 2.0 if seconds <= NEAR_SECONDS else 0.7
        weight = cast(float, row["score"]) * near
        scored.append(row | {"score": weight / (1.0 + weight)})
    scored.sort(key=lambda row: (-cast(float, row["score"]), str(row["chunk_id"]), str(row["other_id"])))
    counts: dict[object, int] = {}
    kept: list[dict[str, object]] = []
    for row in scored:
        ends = (row["chunk_id"], row["other_id"])
        if all(counts.get(end, 0) < MAX_OF_CHUNK for end in ends):
            kept.append(row)
            for end in ends:
                counts[end] = counts.get(end, 0) + 1
    return kept


def apart(one: tuple[datetime | None, datetime | None], other: tuple[datetime | None, datetime | None]) -> float | None:
    """Seconds between two spans of time, 0 where they overlap; None where one has none."""
    if one[0] is None or other[0] is None:
        return None
    latest_start = max(one[0], other[0])
    earliest_stop = min(one[1] or one[0], other[1] or other[0])
    return max((latest_start - earliest_stop).total_seconds(), 0.0)
