"""`chunk_insights`: what is said of each chunk by itself. What needs the whole slice is in `slice_stage`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, cast

import pyarrow as pa

from mesh_assets.insights.entities import Entity, find_entities
from mesh_assets.insights.keyphrases import keyphrases
from mesh_assets.insights.locators import ChunkText, chunk_texts
from mesh_assets.insights.secrets import mask
from mesh_assets.schemas.insights import CHUNK_INSIGHTS, ENTITY, KEYPHRASE
from mesh_assets.schemas.outcome import Outcome


def insight_batches(chunks: Iterable[pa.RecordBatch], outcome: Outcome) -> Iterator[pa.RecordBatch]:
    """Batches of `CHUNK_INSIGHTS`, row by row those of the batches of `CHUNKS`. `outcome` advances with each row."""
    for batch in chunks:
        rows = chunk_texts(batch)
        phrases = [keyphrases(mask(row.text), row.kind) for row in rows]
        entities = [[(entity, row) for entity in find_entities(row.text)] for row in rows]
        columns: list[pa.Array[Any]] = [batch.column("chunk_id"), _phrase_lists(phrases), _entity_lists(entities)]
        yield CHUNK_INSIGHTS.cast(pa.RecordBatch.from_arrays(columns, names=["chunk_id", "keyphrases", "entities"]))
        for row in rows:
            outcome.advance(read=row.byte_stop - row.byte_start)


def _phrase_lists(phrases: list[list[tuple[str, float]]]) -> pa.Array[Any]:
    flat = [item for items in phrases for item in items]
    structs = pa.StructArray.from_arrays(
        [pa.array([phrase for phrase, _ in flat], pa.string()), pa.array([score for _, score in flat], pa.float32())],
        fields=_fields(KEYPHRASE),
    )
    return _lists(structs, [len(items) for items in phrases])


def _entity_lists(entities: list[list[tuple[Entity, ChunkText]]]) -> pa.Array[Any]:
    flat = [item for items in entities for item in items]
    spans = [row.byte_span(entity.start, entity.stop) for entity, row in flat]
    structs = pa.StructArray.from_arrays(
        [
            pa.array([entity.label for entity, _ in flat], pa.string()),
            pa.array([entity.text for entity, _ in flat], pa.string()),
            pa.array([start for start, _ in spans], pa.int64()),
            pa.array([stop for _, stop in spans], pa.int64()),
        ],
        fields=_fields(ENTITY),
    )
    return _lists(structs, [len(items) for items in entities])


def _fields(struct: pa.StructType) -> list[pa.Field[Any]]:
    return [struct.field(i) for i in range(struct.num_fields)]


def _lists(values: pa.StructArray, lengths: list[int]) -> pa.Array[Any]:
    offsets = [0, *accumulate(lengths)]
    return cast("pa.Array[Any]", pa.ListArray.from_arrays(offsets, values))
