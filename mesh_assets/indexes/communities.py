"""Communities of the graph of a dataset by the Leiden algorithm (Traag, Waltman, van Eck 2019), named by keyphrases.

A chunk is where edges lie, not what they mean: edges at a chunk or an event are edges at its file, so that the graph
has as many vertices as a dataset has things. DuckDB reads, joins and counts in bounded memory, igraph gets numbers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.indexes.lake_sql import BATCH_ROWS, connected
from mesh_assets.wording import shorten

# Tables of each slice that communities are made from.
TABLES = ("vertices", "graph_index", "chunk_insights", "chunk_sets")
# The assets that write these; vertices come with the edges.
ASSETS = ("graph_index", "chunk_insights", "chunk_sets")
# Edges after those between the same two are one; of more, the heaviest. Measured: 1M take 0.5 GB.
MOST_EDGES = 1_000_000
# Communities that are told, largest first, and the fewest vertices of one: two are a pair, which the edge says already.
MOST_COMMUNITIES, _SMALLEST = 200, 3
_MEMBERS, _PHRASES, _IN_NAME, _QUOTE = 10, 6, 3, 200
_SEED, _ROUNDS = 20_261_128, 10
# What an edge of each type says about belonging together. What code does with code says most; that a file contains or
# defines a thing keeps them together; a name that two texts mention says little, and less the more texts mention it.
# What follows what is order, not belonging. Set by this reasoning, tuned on nothing.
WEIGHTS = {"calls": 1.0, "imports": 1.0, "defines": 1.0, "contains": 0.5, "related": 0.5, "mentions": 0.5}
# A name that more vertices have leads nowhere; one of a few counts for each of them in part.
_MOST_NAMESAKES = 5

# The graph's own tables are called otherwise than the assets that make them.
_VIEWS = {"graph_index": "edges"}
_MEMORY = "512MB"
_NODES = (
    """
CREATE TEMP TABLE places AS
    SELECT v.vertex_id AS id, any_value(coalesce(f.vertex_id, v.vertex_id)) AS node
    FROM vertices v LEFT JOIN (SELECT DISTINCT vertex_id, path FROM vertices WHERE type = 'file') f
        ON v.type IN ('chunk', 'event') AND f.path = v.path
    GROUP BY v.vertex_id""",
    """
CREATE TEMP TABLE nodes AS
    SELECT row_number() OVER (ORDER BY vertex_id) - 1 AS number, * FROM (
        SELECT vertex_id, any_value(key) AS key, any_value(type) AS type, any_value(name) AS name,
               coalesce(min(v.chunk_id), min(c.chunk_id)) AS chunk_id
        FROM vertices v
        LEFT JOIN (SELECT path, arg_min(chunk_id, byte_start) AS chunk_id FROM chunk_sets GROUP BY path) c
            ON v.type = 'file' AND c.path = v.path
        WHERE type NOT IN ('chunk', 'event') GROUP BY vertex_id
    )""",
)
_NAMED = """
CREATE TEMP TABLE named AS
    SELECT key, list(number) AS numbers FROM nodes WHERE key != vertex_id GROUP BY key HAVING count(*) <= $namesakes
"""
_WEIGHTED = """
CREATE TEMP TABLE weighted AS
WITH typed AS (
    SELECT source, target, weight * share AS weight
    FROM edges JOIN (SELECT unnest($types) AS type, unnest($shares) AS share) USING (type)
),
at_nodes AS (
    SELECT s.number AS source, t.number AS target, weight FROM typed
    JOIN places p ON p.id = typed.source JOIN nodes s ON s.vertex_id = p.node
    JOIN places q ON q.id = typed.target JOIN nodes t ON t.vertex_id = q.node
    UNION ALL
    SELECT s.number, unnest(numbers), weight / len(numbers) FROM typed
    JOIN places p ON p.id = typed.source JOIN nodes s ON s.vertex_id = p.node
    JOIN named ON named.key = typed.target
)
SELECT least(source, target) AS one, greatest(source, target) AS other, ln(1 + sum(weight)) AS weight
FROM at_nodes WHERE source != target GROUP BY ALL
"""
# A vertex that everything is joined to joins nothing: an edge counts by the degree of its wider end.
_HEAVIEST = """
WITH degrees AS (
    SELECT number, count(*) AS degree
    FROM (SELECT one AS number FROM weighted UNION ALL SELECT other FROM weighted) GROUP BY number
)
SELECT one, other, weighted.weight / ln(1 + greatest(a.degree, b.degree)) AS weight FROM weighted
JOIN degrees a ON a.number = one JOIN degrees b ON b.number = other
ORDER BY 3 DESC, one, other LIMIT $most
"""
_MEMBERS_OF = """
SELECT community, n.vertex_id, n.type, n.name, n.chunk_id FROM found JOIN nodes n USING (number)
ORDER BY community, strength DESC, n.vertex_id
"""
_KEYPHRASES = """
WITH phrases AS (
    SELECT community, unnest(keyphrases, recursive := true) FROM chunk_insights JOIN places ON id = chunk_id
    JOIN nodes ON vertex_id = node JOIN found USING (number)
),
counted AS (
    SELECT community, phrase, sum(score) AS score, count(*) OVER (PARTITION BY phrase) AS communities
    FROM phrases GROUP BY community, phrase
),
ranked AS (
    SELECT community, phrase, score / communities AS worth,
           row_number() OVER (PARTITION BY community ORDER BY score / communities DESC, phrase) AS rank
    FROM counted
)
SELECT community, list(phrase ORDER BY rank) FROM ranked WHERE rank <= $phrases GROUP BY community
"""
_CITED = ("dataset", "path", "byte_start", "byte_stop", "line_start", "source_hash", "place", "quote")
_CHUNKS = """
SELECT chunk_id, dataset, path, byte_start, byte_stop, line_start, source_hash, place, text
FROM chunk_sets WHERE chunk_id IN (SELECT unnest($ids))
"""


def leiden(
    vertices: int, ends: NDArray[np.int64], weights: NDArray[np.float64], *, seed: int = _SEED
) -> NDArray[np.int32]:
    """The community of each vertex by Leiden with modularity; `ends` has shape (edges, 2). The same for one seed.

    Communities are numbered by size, largest first, those of one size by their first vertex.
    """
    import igraph  # pyright: ignore[reportMissingTypeStubs]  # it is typed, but not marked so

    igraph.set_random_number_generator(random.Random(seed))  # noqa: S311  # no secret
    try:
        graph = igraph.Graph(n=vertices, edges=ends)
        found = graph.community_leiden(objective_function="modularity", weights=weights, n_iterations=_ROUNDS)
    finally:
        igraph.set_random_number_generator(random)
    membership = np.asarray(found.membership, np.int64)
    _, first, inverse, sizes = np.unique(membership, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[inverse]


def community_rows(
    tables: Mapping[str, Sequence[Path]], *, dataset: str, seed: int = _SEED
) -> Iterator[dict[str, object]]:
    """Rows of `COMMUNITIES`, largest first; `tables` by `TABLES`, a file for each slice. None without edges."""
    if not tables["graph_index"]:
        return
    with connected({_VIEWS.get(name, name): paths for name, paths in tables.items()}, memory=_MEMORY) as connection:
        if not _find(connection, seed):
            return
        groups = _members(connection)
        phrases = dict(connection.execute(_KEYPHRASES, {"phrases": _PHRASES}).fetchall())
        cited = {each.chunk_id for group in groups.values() for each in group[:_MEMBERS] if each.chunk_id}
        chunks = {row[0]: row[1:] for row in connection.execute(_CHUNKS, {"ids": sorted(cited)}).fetchall()}
    for number, group in sorted(groups.items()):
        yield _row(dataset, group, phrases.get(number, []), chunks)


class _Member(NamedTuple):
    vertex_id: str
    type: str
    name: str
    chunk_id: str | None


def _find(connection: duckdb.DuckDBPyConnection, seed: int) -> bool:
    """Make the table `found` of (number of a vertex, community, strength); False where there are no edges."""
    for statement in _NODES:
        connection.execute(statement)
    connection.execute(_NAMED, {"namesakes": _MOST_NAMESAKES})
    connection.execute(_WEIGHTED, {"types": list(WEIGHTS), "shares": list(WEIGHTS.values())})
    edges: pa.Table = connection.sql(_HEAVIEST, params={"most": MOST_EDGES}).to_arrow_table()
    if not edges.num_rows:
        return False
    count = int(connection.execute("SELECT count(*) FROM nodes").fetchall()[0][0])
    ends = np.stack([edges["one"].to_numpy(), edges["other"].to_numpy()], axis=1).astype(np.int64)
    weights = edges["weight"].to_numpy().astype(np.float64)
    communities = leiden(count, ends, weights, seed=seed)
    strength = np.bincount(ends[:, 0], weights, count) + np.bincount(ends[:, 1], weights, count)
    told = np.flatnonzero((np.bincount(communities)[communities] >= _SMALLEST) & (communities < MOST_COMMUNITIES))
    found = {"number": told, "community": communities[told].astype(np.int64), "strength": strength[told]}
    connection.register("found_rows", pa.table(found))
    connection.execute("CREATE TEMP TABLE found AS SELECT * FROM found_rows")
    connection.unregister("found_rows")
    return True


def _members(connection: duckdb.DuckDBPyConnection) -> dict[int, list[_Member]]:
    groups: dict[int, list[_Member]] = {}
    reader = connection.execute(_MEMBERS_OF)
    while rows := reader.fetchmany(BATCH_ROWS):
        for community, *member in rows:
            groups.setdefault(community, []).append(_Member(*member))
    return groups


def _row(
    dataset: str, group: Sequence[_Member], phrases: Sequence[str], chunks: Mapping[str, tuple[Any, ...]]
) -> dict[str, object]:
    identity = "\n".join([dataset, *sorted(member.vertex_id for member in group)])
    citations: dict[str, dict[str, Any]] = {}
    for member in group[:_MEMBERS]:
        if chunk := chunks.get(member.chunk_id or ""):
            citation: dict[str, Any] = dict(zip(_CITED, chunk, strict=True))
            citation["quote"] = shorten(" ".join(str(citation["quote"]).split()), _QUOTE)
            citations.setdefault(citation["path"], citation)
    return {
        "community_id": blake3(identity.encode("utf-8", "surrogatepass")).hexdigest(length=16),
        "dataset": dataset,
        "name": ", ".join(phrases[:_IN_NAME]) or group[0].name,
        "size": len(group),
        "files": sum(member.type == "file" for member in group),
        "members": [member.name for member in group[:_MEMBERS]],
        "keyphrases": list(phrases),
        "citations": list(citations.values()),
    }
