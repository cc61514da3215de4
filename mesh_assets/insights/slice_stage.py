"""`slice_insights`: runs the registered accumulators over the chunks of a slice and writes what they conclude."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from mesh_assets.insights.events import Events
from mesh_assets.insights.label_shares import LabelInsight, Labeller
from mesh_assets.insights.protocol import Insight, SliceBatch, SliceInsight
from mesh_assets.insights.registry import slice_accumulators
from mesh_assets.schemas.insights import INSIGHTS
from mesh_assets.schemas.outcome import AttachedRows, Outcome

# What is read of the chunks, and how many of them at once.
COLUMNS = (
    *("chunk_id", "dataset", "path", "kind", "format", "language", "symbol", "context", "text", "source_hash"),
    *("byte_start", "byte_stop", "line_start", "line_stop", "place", "time_start", "time_stop"),
    *("row_start", "row_stop"),
)
BATCH_ROWS = 8192


def slice_insight_batches(
    aligned: Iterable[tuple[pa.RecordBatch, pa.RecordBatch, NDArray[np.float32]]],
    told: Iterable[pa.RecordBatch],
    *,
    dataset: str,
    slice_key: str,
    outcome: Outcome,
    labeller: Labeller | None = None,
    attached: AttachedRows | None = None,
) -> Iterator[pa.RecordBatch]:
    """`INSIGHTS`, best score first, in one batch; empty ones come before it. `outcome` advances with each batch.

    `aligned` gives, row by row, chunks, what `chunk_insights` says of them, and their vectors (rows, dimension); `told`
    are the `LOG_INSIGHTS` and `CODE_FINDINGS` of the slice. A slice without chunks has no insights, and no batch.
    With a `labeller`, `attached` gets the rows of `CHUNK_LABELS`.
    """
    accumulators: list[SliceInsight] = slice_accumulators()
    if labeller is not None and attached is not None:
        accumulators.append(LabelInsight(labeller, attached))
    events = Events()
    for chunks, insights, vectors in aligned:
        batch = SliceBatch(chunks, insights, vectors)
        for accumulator in accumulators:
            accumulator.observe(batch)
        events.observe(batch)
        outcome.advance(chunks.num_rows)
        if labeller is not None:
            yield INSIGHTS.batch([])  # what is attached is written now, and does not wait in memory
    with threadpool_limits(limits=1, user_api="blas"):  # small matrices: threads only spin, and other runs need them
        concluded = [insight for accumulator in accumulators for insight in accumulator.conclude()]
        concluded += [Insight.of(row) for batch in told for row in batch.to_pylist()]
        found = _with_own_titles([*concluded, *events.together(concluded)])
    if found:
        yield INSIGHTS.batch([insight.row(dataset=dataset, slice_key=slice_key) for insight in found])


def _with_own_titles(insights: Iterable[Insight]) -> list[Insight]:
    """Best first; a title that its type has already gets a number, because the id of an insight comes from both."""
    ranked = sorted(insights, key=lambda insight: (-insight.score, insight.type, insight.title))
    titles: set[tuple[str, str]] = set()
    named: list[Insight] = []
    for insight in ranked:
        title, number = insight.title, 1
        while (insight.type, title) in titles:
            number += 1
            title = f"{insight.title} ({number})"
        titles.add((insight.type, title))
        named.append(replace(insight, title=title))
    return named
