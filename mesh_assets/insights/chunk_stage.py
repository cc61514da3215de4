"""`chunk_insights`: what is said of each chunk by itself. What needs the whole slice is in `slice_stage`.

Chunks are read many at once, as arrays; what is said of one depends on its own row alone, so that a slice that is made
again, in other batches, says the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa

from mesh_assets.insights.byte_text import NO_SPANS, ByteText, Flags, Places, Spans
from mesh_assets.insights.columns import (
    byte_lengths,
    column_of,
    equals,
    integers,
    is_in,
    joined,
    lists_of,
    rows_of,
    rows_where,
    strings_of,
)
from mesh_assets.insights.entities import Entities, find_entities
from mesh_assets.insights.keyphrases import MAX_BYTES, MAX_TEXTS, Phrases, keyphrases
from mesh_assets.insights.locators import relative_spans
from mesh_assets.insights.model_names import MODEL_LABELS, NameModel
from mesh_assets.insights.protocol import NOTHING_KNOWN, KnownInsights
from mesh_assets.insights.secret_forms import Secret
from mesh_assets.insights.secrets import find_secrets, may_hold_secrets
from mesh_assets.schemas.insights import CHUNK_INSIGHTS, ENTITY, KEYPHRASE
from mesh_assets.schemas.outcome import Outcome

# What is read of the chunks, and how many of them at once: what is done for each batch costs little then.
COLUMNS = ("chunk_id", "kind", "text", "byte_start", "byte_stop")
BATCH_ROWS = 8192
_LOGS = ["log", "structured", "metric"]


def insight_counts() -> Counter[str]:
    """What `insight_batches` counts of the chunks, each once: `found` now, or `reused` from the table before."""
    return Counter(found=0, reused=0)


def insight_batches(
    chunks: Iterable[pa.RecordBatch],
    outcome: Outcome,
    *,
    known: KnownInsights = NOTHING_KNOWN,
    counts: Counter[str] | None = None,
    names: NameModel | None = None,
) -> Iterator[pa.RecordBatch]:
    """Batches of `CHUNK_INSIGHTS`, row by row those of the batches of `CHUNKS`. `outcome` advances with each batch.

    A chunk that `known` has is not looked at again: the same would be found. `names` tells names in prose that no form
    gives away, as long as it works.
    """
    counts = insight_counts() if counts is None else counts
    for batch in chunks:
        names = names if names is not None and names.works else None
        basis = _basis(batch, names)
        is_known, rows = known.find(cast("pa.StringArray", column_of(batch, "chunk_id")), basis)
        columns = batch.select(list(COLUMNS)).append_column("basis", cast("pa.Array[Any]", basis))
        tables, places = [rows], [np.flatnonzero(is_known)]
        is_code = equals(column_of(batch, "kind"), "code")
        for chosen, code in ((is_code & ~is_known, True), (~is_code & ~is_known, False)):
            if chosen.any():
                fresh = columns if chosen.all() else rows_where(columns, chosen)
                tables.append(
                    pa.Table.from_batches(_insights_of(part, is_code=code, names=names) for part in _parts(fresh))
                )
                places.append(np.flatnonzero(chosen))
        if batch.num_rows:
            order = np.concatenate(places)
            table = pa.concat_tables(tables)
            made = table if (order[1:] > order[:-1]).all() else rows_of(table, np.argsort(order))
            yield CHUNK_INSIGHTS.cast(made.combine_chunks().to_batches()[0])
        counts["reused"] += len(rows)
        counts["found"] += batch.num_rows - len(rows)
        outcome.advance(batch.num_rows, read=int(_sizes(batch).sum()))


def _basis(batch: pa.RecordBatch, names: NameModel | None) -> pa.StringArray:
    """What insights come from beside the text: the kind of the file, and the bytes, which tell its encoding."""
    sizes = cast("pa.Array[Any]", pa.array(_sizes(batch))).cast(pa.string())
    basis = joined(column_of(batch, "kind"), sizes, separator=" ")
    if names is None:
        return basis
    return joined(basis, cast("pa.Array[Any]", pa.array([names.source] * len(basis))), separator=" ")


def _sizes(batch: pa.RecordBatch) -> Places:
    return integers(column_of(batch, "byte_stop")) - integers(column_of(batch, "byte_start"))


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """`batch` in parts of at most `MAX_TEXTS` rows and about `MAX_BYTES` of text: arrays are many times the text."""
    sizes = byte_lengths(column_of(batch, "text"))
    ends = np.cumsum(sizes)
    start = 0
    while start < batch.num_rows:
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + MAX_BYTES, side="right"))
        stop = min(max(stop, start + 1), start + MAX_TEXTS)
        yield batch.slice(start, stop - start)
        start = stop


def _insights_of(batch: pa.RecordBatch, *, is_code: bool, names: NameModel | None) -> pa.RecordBatch:
    texts = cast("pa.StringArray", column_of(batch, "text"))
    text = ByteText.of(texts)
    secrets, descriptions = _secrets(texts, text)
    in_logs = is_in(column_of(batch, "kind"), _LOGS)
    phrases = keyphrases(text, is_code=is_code, in_logs=in_logs, hidden=secrets)
    told = _told(text, texts, in_logs, names) if names is not None and not is_code else None
    entities = find_entities(text, secrets, descriptions, told)
    columns: list[pa.Array[Any]] = [
        column_of(batch, "chunk_id"),
        _phrase_lists(phrases),
        _entity_lists(batch, entities, names),
        column_of(batch, "basis"),
    ]
    return CHUNK_INSIGHTS.cast(pa.RecordBatch.from_arrays(columns, names=CHUNK_INSIGHTS.schema.names))


def _secrets(texts: pa.StringArray, text: ByteText) -> tuple[Spans, list[str]]:
    """The secrets of all texts as bytes, and what is said of each."""
    possible = np.flatnonzero(may_hold_secrets(cast("pl.Series", pl.from_arrow(texts)), text))
    starts: list[int] = []
    stops: list[int] = []
    descriptions: list[str] = []
    for row in possible.tolist():
        content = texts[row].as_py() or ""
        for secret in find_secrets(content):
            before = int(text.starts[row]) + _utf8(content, 0, secret.start)
            starts.append(before)
            stops.append(before + _utf8(content, secret.start, secret.stop))
            descriptions.append(_description(secret))
    return (Spans(np.array(starts, np.int64), np.array(stops, np.int64)) if starts else NO_SPANS), descriptions


def _utf8(text: str, start: int, stop: int) -> int:
    return stop - start if text.isascii() else len(text[start:stop].encode())


def _description(secret: Secret) -> str:
    return f"{secret.name}, {secret.stop - secret.start} characters, masked"


def _phrase_lists(phrases: Phrases) -> pa.Array[Any]:
    structs = pa.StructArray.from_arrays(
        [strings_of(phrases.content, phrases.offsets), pa.array(phrases.scores)], fields=_fields(KEYPHRASE)
    )
    return lists_of(structs, phrases.counts)


def _told(text: ByteText, texts: pa.StringArray, in_logs: Flags, names: NameModel) -> dict[str, Spans]:
    """Names by label that the model finds in what is no log, as bytes of all texts in order."""
    rows: list[int] = np.flatnonzero(~in_logs).tolist()
    contents = [texts[row].as_py() or "" for row in rows]
    starts: dict[str, list[int]] = {label: [] for label in MODEL_LABELS}
    stops: dict[str, list[int]] = {label: [] for label in MODEL_LABELS}
    for row, content, found in zip(rows, contents, names.names(contents), strict=True):
        for name in found:
            before = int(text.starts[row]) + _utf8(content, 0, name.start)
            starts[name.label].append(before)
            stops[name.label].append(before + _utf8(content, name.start, name.stop))
    return {
        label: Spans(np.array(starts[label], np.int64), np.array(stops[label], np.int64))
        for label in MODEL_LABELS
        if starts[label]
    }


def _entity_lists(batch: pa.RecordBatch, entities: Entities, names: NameModel | None) -> pa.Array[Any]:
    starts, stops = relative_spans(batch, entities.counts, entities.starts, entities.stops)
    source = names.source if names is not None else None
    sources = pa.array([source if told else None for told in entities.by_model.tolist()], pa.string())
    structs = pa.StructArray.from_arrays(
        [entities.label_names(), entities.texts, pa.array(starts), pa.array(stops), sources], fields=_fields(ENTITY)
    )
    return lists_of(structs, entities.counts)


def _fields(struct: pa.StructType) -> list[pa.Field[Any]]:
    return [struct.field(i) for i in range(struct.num_fields)]
