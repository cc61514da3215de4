"""The graph of the lake, asked by DuckDB: the embedded engine behind `search.graph.Graph`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

import duckdb

from mesh_assets.schemas.graph import EDGE_TYPES, VERTEX_TYPES
from mesh_assets.search.graph import Step, Vertex, steps_of

_FIELDS = ("vertex_id", "key", "type", "name", "dataset", "path", "chunk_id", "detail", "time")
# A file or a host of several slices has a row in each.
_VERTEX = ", ".join(("vertex_id", *(f"any_value({field}) AS {field}" for field in _FIELDS[1:])))
# What people call by a name: chunks are found by a search.
_NAMED = tuple(kind for kind in VERTEX_TYPES if kind != "chunk")

_FIND = f"""
WITH candidates AS (
    SELECT {_VERTEX} FROM vertices
    WHERE type IN (SELECT unnest($types)) AND ($dataset IS NULL OR dataset = $dataset)
        AND contains(lower(name), lower($name))
    GROUP BY vertex_id
),
ranked AS (
    SELECT *, CASE WHEN name = $name THEN 0
                   WHEN regexp_matches(lower(name), '(^|\\W)' || regexp_escape(lower($name)) || '(\\.\\w+)?$') THEN 1
                   ELSE 2 END AS rank
    FROM candidates
)
SELECT {", ".join(_FIELDS)} FROM ranked WHERE rank = (SELECT min(rank) FROM ranked)
ORDER BY length(name), name, vertex_id LIMIT $limit
"""  # noqa: S608  # all of it is ours
_VERTICES = f"""
SELECT {_VERTEX} FROM vertices
WHERE vertex_id IN (SELECT unnest($ids)) OR key IN (SELECT unnest($ids)) GROUP BY vertex_id
"""  # noqa: S608
_EDGES = """
SELECT source, target, type, max(weight) AS weight, any_value(written) FROM edges
WHERE type IN (SELECT unnest($types))
    AND (source IN (SELECT unnest($ids)) OR target IN (SELECT unnest($ids)) OR target IN (SELECT unnest($keys)))
GROUP BY source, target, type
ORDER BY type IN ('contains', 'follows'), weight DESC, type, source, target LIMIT $limit
"""


class LakeGraph:
    """The graph behind an open `lake.duckdb` (`storage.duckdb_query.lake_connection`)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def find(
        self, name: str, *, types: Collection[str] = (), dataset: str | None = None, limit: int = 20
    ) -> list[Vertex]:
        """See the Protocol."""
        asked = {"name": name, "types": list(types or _NAMED), "dataset": dataset, "limit": limit}
        return [Vertex(*row) for row in self._rows(_FIND, asked)]

    def steps(self, vertex_ids: Collection[str], *, types: Collection[str] = (), limit: int = 1000) -> list[Step]:
        """See the Protocol. `limit` counts edges: one that ends at a name may be several steps."""
        ends = {vertex.vertex_id: vertex for vertex in self._vertices(vertex_ids) if vertex.vertex_id in vertex_ids}
        asked = {
            "ids": list(ends),
            "keys": sorted({vertex.key for vertex in ends.values()}),
            "types": list(types or EDGE_TYPES),
            "limit": limit,
        }
        edges = self._rows(_EDGES, asked)
        known: dict[str, Vertex] = {}
        called: defaultdict[str, list[Vertex]] = defaultdict(list)
        for vertex in self._vertices({end for edge in edges for end in edge[:2]}):
            known[vertex.vertex_id] = vertex
            called[vertex.key].append(vertex)
        return [step for edge in edges for step in steps_of(edge, ends, known, called)]

    def slices_of(self, chunk_ids: Collection[str]) -> dict[str, str]:
        """The slices that chunks are in; those that the graph does not have are left out."""
        query = "SELECT vertex_id, slice FROM vertices WHERE type = 'chunk' AND vertex_id IN (SELECT unnest($ids))"
        return dict(self._rows(query, {"ids": sorted(chunk_ids)}))

    def _vertices(self, ids: Iterable[str]) -> list[Vertex]:
        return [Vertex(*row) for row in self._rows(_VERTICES, {"ids": sorted(ids)})]

    def _rows(self, query: str, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, asked).fetchall()
