"""What reports are made of, gathered from the lake: facts, insights and rejects of a slice or of a whole dataset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.synthesis import Topic, standing
from mesh_assets.embeddings.protocol import OFF
from mesh_assets.errors import CorruptTableError
from mesh_assets.mesh.shapes import DEPTHS
from mesh_assets.reports.answers import Answers, answers_of
from mesh_assets.reports.model import Facts
from mesh_assets.stages import SLICE_ASSETS
from mesh_assets.storage.lake import Lake, LakeTable

# Tables whose rows or rejects go into a report: all of a slice but the report itself.
_SOURCES = tuple(asset for asset in SLICE_ASSETS if asset != "slice_reports")
# A report shows some dozens of pictures: those of so many slices are read, and so many at once.
_TOPIC = [field.name for field in fields(Topic)]
_PICTURED_SLICES, _PREVIEWS_AT_ONCE = 40, 64


def facts(lake: Lake, dataset: str, slices: Sequence[str], *, not_done: Sequence[str] = ()) -> Facts:
    """Counts and engines of finished slices; MissingUpstreamError where one of them is not."""
    sources = [lake.read("raw_partitions", key).footer for key in slices]
    chunks = [lake.read("chunk_sets", key).footer for key in slices]
    insights = [lake.read("slice_insights", key).footer for key in slices]
    manifest = lake.read("drop_manifests", dataset).footer
    made = max((footer.made_at for footer in insights), default=manifest.made_at)
    return Facts(
        dataset=dataset,
        slices=tuple(slices),
        files=sum(footer.rows for footer in sources),
        size=sum(footer.bytes_in for footer in sources),
        chunks=sum(footer.rows for footer in chunks),
        made=datetime.fromtimestamp(made, UTC),
        engines=tuple(_engines(lake, slices)),
        not_done=tuple(not_done),
    )


def insights(lake: Lake, slices: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The insights of slices, one slice after the other, without their summaries: a dataset has its own."""
    for key in slices:
        for batch in lake.read("slice_insights", key).batches():
            yield batch.filter(pads.field("type") != "summary")


def summaries(lake: Lake, slices: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """The sentences that summarise each slice (rows of `INSIGHTS`), the most central first."""
    for key in slices:
        rows = lake.read("slice_insights", key).rows(where=("type", "summary"))
        yield sorted(rows, key=lambda row: -row["score"])


def previews(lake: Lake, slices: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The previews of slices, one slice after the other; of many slices only some have their pictures along."""
    tables = [table for key in slices if (table := lake.find("previews", key)) is not None and table.footer.rows]
    step = -(-len(tables) // _PICTURED_SLICES) or 1
    for at, table in enumerate(tables):
        if at % step:
            yield from table.batches(["kind", "path"])
        else:
            yield from table.batches(rows=_PREVIEWS_AT_ONCE)


def answers(lake: Lake, slices: Sequence[str]) -> Answers:
    """What the ladder answered about slices. The evidence of the cases is not read: answers have their citations."""
    topics: list[Topic] = []
    rows: list[Analysis] = []
    cost: dict[str, Decimal] = defaultdict(Decimal)
    for key in slices:
        for depth in DEPTHS:
            table = lake.find(f"{depth}_analyses", key)
            for row in table.rows() if table is not None else ():
                rows.append(Analysis.of(row))
                cost[row["case_id"]] += row["cost_usd"]
        cases = lake.find("cases", key)
        for batch in cases.batches(_TOPIC) if cases is not None else ():
            topics += [Topic(**row) for row in batch.to_pylist()]
    return answers_of(standing(topics, rows, cost))


def remembered(lake: Lake, dataset: str, state: str) -> dict[str, str] | None:
    """The findings of the report before the one of this `state` of the dataset; None where there was none.

    A report that is written again of the same state is compared with what it was compared with before.
    """
    with suppress(CorruptTableError):
        last = lake.find("dataset_reports", dataset)
        if last is not None:
            return last.footer.extra.get("findings_before" if last.footer.extra.get("state") == state else "findings")
    return None


def rejects(lake: Lake, slices: Sequence[str]) -> dict[str, Iterable[pa.RecordBatch]]:
    """The rejects of slices by the asset that made them."""
    return {asset: _rejects_of(lake, asset, slices) for asset in _SOURCES}


def dataset_rejects(lake: Lake, dataset: str, slices: Sequence[str]) -> dict[str, Iterable[pa.RecordBatch]]:
    """The rejects of slices, and what the walk of the dataset could not use."""
    return {"drop_manifests": lake.rejects("drop_manifests", dataset), **rejects(lake, slices)}


def _rejects_of(lake: Lake, asset: str, slices: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for key in slices:
        yield from lake.rejects(asset, key)


def _engines(lake: Lake, slices: Sequence[str]) -> Iterator[tuple[str, str]]:
    roles = (
        ("Embedding model", "chunk_embeddings", "model"),
        ("Names by a model", "chunk_insights", "ner_model"),
        ("Largest chunk, tokens", "chunk_sets", "chunk_tokens"),
        ("Speech into text", "chunk_sets", "speech_model"),
        ("Pictures into words", "chunk_sets", "caption_model"),
        ("Text in pictures", "chunk_sets", "print_reader"),
    )
    for role, asset, setting in roles:
        # A table that is gone says nothing until it is made again; what the report needs is read elsewhere.
        tables = [table for key in slices if (table := lake.find(asset, key)) is not None]
        settings = [table.footer.extra["settings"] for table in tables]
        # Slices without pictures and sound do not depend on those.
        used = {str(made[setting]) for made in settings if setting in made}
        if used:
            yield role, ", ".join(sorted(used))
    for role, asset in (("Vector index", "vector_index"), ("Full-text index", "fulltext_index")):
        states = [lake.read(asset, key).rows()[0] for key in slices]
        pending = sum(state["state"] != "ready" for state in states)
        used = {_engine(lake.read(asset, key), state) for key, state in zip(slices, states, strict=True)}
        if used:
            yield role, ", ".join(sorted(used)) + (f"; {pending} slices pending" if pending else "")


def _engine(table: LakeTable, state: Mapping[str, object]) -> str:
    """The engine that holds the slice, `off` where there are no embeddings for it to hold."""
    return OFF if table.footer.extra["settings"].get("model") == OFF else str(state["engine"])
