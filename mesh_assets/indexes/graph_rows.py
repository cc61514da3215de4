"""`graph_index`: what a slice holds as vertices, and how it hangs together as edges. No model is asked (decision 12).

Everything comes from tables of the slice: syntax trees, templates, series, named things, relations. What has one
identity in all slices (a file, a template, a host) is the same vertex in each. The file that answers questions belongs
to `graph_file`, how the graph is asked to `search.graph`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mesh_assets.indexes.graph_file import GraphWriter
from mesh_assets.indexes.lake_sql import gathered, streamed
from mesh_assets.indexes.protocol import GraphIndex, Stored
from mesh_assets.schemas.graph import EDGES, VERTICES
from mesh_assets.schemas.outcome import AttachedRows

# Tables that the graph is made from.
TABLES = (
    *("chunk_sets", "symbols", "chunk_insights", "chunk_relations"),
    *("slice_insights", "log_templates", "log_events", "series"),
)
# Named things that are the same thing wherever they are named. Numbers, times and versions are not, secrets are never
# shown.
ENTITIES = ("url", "email", "uuid", "ip", "host", "path", "identifier", "error_code", "exception")

_ID = "md5(concat_ws(chr(31), {}))"


def vertex_sql(kind: str, *parts: str) -> str:
    """SQL of the id of a vertex that is told by `parts`, expressions; of a file: dataset and path."""
    return _ID.format(", ".join((f"'{kind}'", *parts)))


def name_key(name: str) -> str:
    """SQL of the key of whatever has this name in source code, of the expression `name`: its last part."""
    bare = f"regexp_replace({name}, '\\.(py|pyi|js|mjs|jsx|ts|tsx|h|hh|hpp|c|cc|cpp|rb|php|lua|sh|css)$', '')"
    return _ID.format(f"'name', $dataset, regexp_extract({bare}, '([\\w$]+)\\W*$', 1)")


_FILE = vertex_sql("file", "$dataset", "path")
_ENTITY = vertex_sql("entity", "label", "text")
_COLUMN = vertex_sql("column", "$dataset", "path", "name")
# A package is called as its folder.
_PACKAGE = "regexp_replace(path, '/__init__\\.py$', '')"

_COLUMNS = '{"columns": [{"name": "VARCHAR", "type": "VARCHAR"}]}'

_NAMED = f"""
named AS (
    SELECT chunk_id, entity.label AS label, entity.text AS text, count(*) AS times
    FROM (SELECT chunk_id, unnest(entities) AS entity FROM chunk_insights)
    WHERE entity.label IN ({", ".join(f"'{label}'" for label in ENTITIES)})
    GROUP BY ALL
),
table_columns AS (
    SELECT DISTINCT path, described.name AS name, described.type AS type
    FROM (
        SELECT evidence[1].path AS path, unnest(from_json(value, '{_COLUMNS}').columns) AS described
        FROM slice_insights WHERE type = 'table_profile'
    )
),
happened AS (
    SELECT * FROM slice_insights WHERE time_start IS NOT NULL AND score >= 0.5
)
"""  # noqa: S608

_VERTICES = f"""
WITH {_NAMED}
SELECT {_FILE} AS vertex_id, {name_key(_PACKAGE)} AS key, 'file' AS type, path AS name, $dataset AS dataset,
       $slice AS slice, path, NULL AS chunk_id, any_value(kind) AS detail, NULL::TIMESTAMPTZ AS time
FROM chunk_sets GROUP BY path
UNION ALL
SELECT chunk_id, chunk_id, 'chunk', coalesce(symbol, path), $dataset, $slice, path, chunk_id, kind, time_start
FROM chunk_sets
UNION ALL
SELECT symbol_id, {name_key("symbol")}, 'symbol', symbol, $dataset, $slice, path, chunk_id, type, NULL
FROM symbols WHERE symbol != ''
UNION ALL
SELECT DISTINCT {_ENTITY}, {_ENTITY}, 'entity', text, $dataset, $slice, NULL, NULL, label, NULL::TIMESTAMPTZ
FROM named
UNION ALL
SELECT template_id, template_id, 'template', template, $dataset, $slice, log, NULL, level, time_start
FROM log_templates
UNION ALL
SELECT series_id, series_id, 'series', name, $dataset, $slice, path, NULL, NULL, time_start
FROM series
UNION ALL
SELECT {_COLUMN}, {_COLUMN}, 'column', name, $dataset, $slice, path, NULL, type, NULL
FROM table_columns
UNION ALL
SELECT insight_id, insight_id, 'event', title, $dataset, $slice, evidence[1].path, NULL, type, time_start
FROM happened
ORDER BY vertex_id
"""  # noqa: S608  # all of it is ours

# A symbol is defined by what is around it: `A` of `A.b`, where the file has one, else by the file.
_USED = f"""
WITH {_NAMED},
outer_symbols AS (
    SELECT path, symbol, any_value(symbol_id) AS symbol_id FROM symbols WHERE symbol != '' GROUP BY path, symbol
),
placed AS (
    SELECT own.*, around.symbol_id AS outer_id
    FROM symbols own LEFT JOIN outer_symbols around
        ON around.path = own.path AND around.symbol = regexp_replace(own.symbol, '\\.[^.]*$', '')
        AND around.symbol != own.symbol
),
used AS (
    SELECT *, CASE WHEN symbol = '' THEN {_FILE} ELSE symbol_id END AS user_id FROM placed
)
"""  # noqa: S608

# Each gives source, target, type, weight and what is written there.
_EDGES = f"""
SELECT {_FILE}, chunk_id, 'contains', 1.0, NULL FROM chunk_sets
;
SELECT chunk_id, symbol_id, 'contains', 1.0, NULL FROM symbols WHERE symbol != ''
;
SELECT {_FILE}, {_COLUMN}, 'contains', 1.0, NULL FROM table_columns
;
SELECT {_FILE}, series_id, 'contains', points, NULL FROM series
;
SELECT {vertex_sql("file", "$dataset", "log")}, template_id, 'contains', events, NULL FROM log_templates
;
SELECT coalesce(outer_id, {_FILE}), symbol_id, 'defines', 1.0, NULL FROM placed WHERE symbol != ''
;
SELECT user_id, {name_key("written")}, 'calls', 1.0, written FROM (SELECT user_id, unnest(calls) AS written FROM used)
;
SELECT user_id, {name_key("written")}, 'imports', 1.0, written
FROM (SELECT user_id, unnest(imports) AS written FROM used)
;
SELECT symbol_id, {name_key("written")}, 'related', 1.0, written
FROM (SELECT symbol_id, unnest(bases) AS written FROM symbols WHERE symbol != '')
;
SELECT chunk_id, {_ENTITY}, 'mentions', times, NULL FROM named
;
SELECT chunk_id, template_id, 'mentions', count(*), NULL FROM log_events WHERE template_id IS NOT NULL GROUP BY ALL
;
SELECT insight_id, chunk_id, 'mentions', 1.0, NULL
FROM (SELECT insight_id, unnest(evidence, max_depth := 2) FROM happened) cited JOIN chunk_sets USING (path)
WHERE cited.byte_start < chunk_sets.byte_stop AND cited.byte_stop > chunk_sets.byte_start
;
SELECT before, chunk_id, 'follows', 1.0, NULL FROM (
    SELECT chunk_id, lag(chunk_id) OVER (PARTITION BY path ORDER BY extent_start, byte_start) AS before FROM chunk_sets
) WHERE before IS NOT NULL
;
SELECT chunk_id, other_id, 'related', score, array_to_string(shared, ', ') FROM chunk_relations
""".split(";")  # noqa: S608
_EDGE_COLUMNS = {"source": "VARCHAR", "target": "VARCHAR", "type": "VARCHAR", "weight": "DOUBLE", "written": "VARCHAR"}


def graph_batches(
    tables: Mapping[str, Path],
    *,
    dataset: str,
    slice_key: str,
    attached: AttachedRows,
    file: AbstractContextManager[GraphWriter],
) -> Iterator[pa.RecordBatch]:
    """Batches of `EDGES`, by source, each edge once; rows of `VERTICES` go to `attached`. `tables` by `TABLES`.

    All of them go to `file` too, which is whole, and there, once the last batch was taken.
    """
    told = {"dataset": dataset, "slice_key": slice_key}
    with file as writer:
        for batch in vertex_batches(tables, **told):
            attached.add("vertices", batch)
            writer.add_vertices(batch)
            yield EDGES.batch([])  # what is attached is written with each batch
        for batch in edge_batches(tables, **told):
            writer.add_edges(batch)
            yield batch


def load_graph(index: GraphIndex, tables: Mapping[str, Path], *, dataset: str, slice_key: str) -> Stored:
    """Make the same vertices and edges what a server holds of the slice. IndexDownError where it does not answer."""
    vertices = vertex_batches(tables, dataset=dataset, slice_key=slice_key)
    edges = edge_batches(tables, dataset=dataset, slice_key=slice_key)
    return index.replace_slice(slice_key, _rows(vertices), _rows(edges))


def vertex_batches(tables: Mapping[str, Path], *, dataset: str, slice_key: str) -> Iterator[pa.RecordBatch]:
    """Batches of `VERTICES`, by id. `tables` by `TABLES`."""
    for vertices in streamed(_VERTICES, tables, {"dataset": dataset, "slice": slice_key}):
        yield VERTICES.cast(vertices)


def edge_batches(tables: Mapping[str, Path], *, dataset: str, slice_key: str) -> Iterator[pa.RecordBatch]:
    """Batches of `EDGES`, by source, each edge once. `tables` by `TABLES`."""
    queries = [f"{_USED} {query}" for query in _EDGES]
    found = gathered(
        queries, tables, {"dataset": dataset}, columns=_EDGE_COLUMNS, order="source, type, target, written"
    )
    held: pa.RecordBatch | None = None
    for batch in (batch for batch in found if batch.num_rows):
        edges = _each_once(pa.Table.from_batches([batch] if held is None else [held, batch]))
        # The last one may go on in the next batch.
        held = edges.slice(edges.num_rows - 1)
        yield _edges(edges.slice(0, edges.num_rows - 1), dataset, slice_key)
    if held is not None:
        yield _edges(held, dataset, slice_key)


def _each_once(ordered: pa.Table) -> pa.RecordBatch:
    """Rows with one source, type and target become one: the sum of their weights, the first of what is written."""
    (batch,) = ordered.combine_chunks().to_batches()
    is_new = np.ones(batch.num_rows, np.bool_)
    is_new[1:] = False
    for name in ("source", "type", "target"):
        column = cast("pa.StringArray", batch.column(name))
        is_new[1:] |= np.asarray(pc.call_function("not_equal", [column.slice(1), column.slice(0, len(column) - 1)]))
    starts = np.flatnonzero(is_new)
    weights = np.add.reduceat(cast("Any", batch.column("weight")).to_numpy(), starts)
    place = batch.schema.get_field_index("weight")
    return batch.take(pa.array(starts, pa.int64())).set_column(place, "weight", pa.array(weights))


def _edges(found: pa.RecordBatch, dataset: str, slice_key: str) -> pa.RecordBatch:
    place = found.schema.get_field_index("type") + 1
    for name, value in (("slice", slice_key), ("dataset", dataset)):
        found = found.add_column(place, name, pa.repeat(value, found.num_rows))
    return EDGES.cast(found)


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield from batch.to_pylist()
