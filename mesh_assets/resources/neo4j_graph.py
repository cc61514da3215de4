"""The graph in a Neo4j server, over Bolt: loaded by slice, asked as the tables of the lake are. Their twin.

Nodes have the label `MeshNode` and, while a slice holds them as a vertex, `MeshVertex`; what has only `MeshNode` is a
name that edges end at. A `MeshSlice` holds its vertices; edges carry the slice that told them. One transaction
replaces a slice, so readers see the old or the new one. Labels begin with `Mesh` to keep clear of the owner's graphs.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.protocol import Stored
from mesh_assets.resources.server_url import ServerUrl
from mesh_assets.schemas.graph import EDGE_TYPES, VERTEX_TYPES
from mesh_assets.search.graph import Step, Vertex, steps_of
from mesh_assets.slices import SliceKey, check_dataset_key

if TYPE_CHECKING:
    from neo4j import Driver

Run = Callable[[str, dict[str, Any]], None]
_CONNECT_SECONDS = 10.0
# Rows of one UNWIND: Neo4j advises some ten thousand.
_ROWS = 10_000
_NAMED = tuple(kind for kind in VERTEX_TYPES if kind != "chunk")

SCHEMA = (
    "CREATE CONSTRAINT mesh_node IF NOT EXISTS FOR (n:MeshNode) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT mesh_slice IF NOT EXISTS FOR (s:MeshSlice) REQUIRE s.key IS UNIQUE",
    "CREATE INDEX mesh_key IF NOT EXISTS FOR (v:MeshVertex) ON (v.key)",
    "CREATE TEXT INDEX mesh_name IF NOT EXISTS FOR (v:MeshVertex) ON (v.lower)",
)
# Edges of a slice have an index by type each, so that a slice can be replaced without a look at all edges.
_TYPES = {kind: kind.upper() for kind in EDGE_TYPES}
EDGE_SCHEMA = tuple(
    f"CREATE INDEX mesh_{kind}_slice IF NOT EXISTS FOR ()-[e:{name}]-() ON (e.slice)" for kind, name in _TYPES.items()
)
# What a slice leaves is marked within the transaction, so that tidying up looks at no other node.
DROP_EDGES = {
    kind: f"MATCH (s)-[e:{name}]->(t) WHERE e.slice IN $slices SET s:MeshTouched, t:MeshTouched DELETE e"
    for kind, name in _TYPES.items()
}
DROP_HOLDS = "MATCH (s:MeshSlice)-[held:HOLDS]->(v) WHERE s.key IN $slices SET v:MeshTouched DELETE held"
DROP_SLICES = "MATCH (s:MeshSlice) WHERE s.key IN $slices DELETE s"
# What no slice holds is no vertex, and what no edge ends at either is nothing.
UNLABEL = """
MATCH (v:MeshTouched) WHERE NOT EXISTS { (:MeshSlice)-[:HOLDS]->(v) } REMOVE v:MeshVertex SET v = {id: v.id}
"""
DROP_NODES = "MATCH (n:MeshTouched) WHERE NOT EXISTS { (n)--() } DELETE n"
UNMARK = "MATCH (n:MeshTouched) REMOVE n:MeshTouched"
ADD_SLICE = "CREATE (s:MeshSlice {key: $slice, dataset: $dataset})"
ADD_VERTICES = """
UNWIND $rows AS row
MERGE (v:MeshNode {id: row.id})
SET v:MeshVertex, v += row
WITH v MATCH (s:MeshSlice {key: $slice}) MERGE (s)-[:HOLDS]->(v)
"""
ADD_EDGES = {
    kind: f"""
UNWIND $rows AS row
MERGE (source:MeshNode {{id: row.source}})
MERGE (target:MeshNode {{id: row.target}})
CREATE (source)-[:{name} {{slice: $slice, weight: row.weight, written: row.written}}]->(target)
"""
    for kind, name in _TYPES.items()
}
COUNT = "MATCH (s:MeshSlice {key: $slice}) SET s.vertices = $vertices, s.edges = $edges"
HELD = "MATCH (s:MeshSlice {key: $slice}) RETURN s.edges AS edges"
SLICES = "MATCH (s:MeshSlice {dataset: $dataset}) RETURN s.key AS key"
_VERTEX = (
    "v.id AS id, v.key AS key, v.type AS type, v.name AS name, v.dataset AS dataset, "
    "v.path AS path, v.chunk_id AS chunk_id, v.detail AS detail, v.time AS time"
)
FIND = f"""
MATCH (v:MeshVertex)
WHERE v.lower CONTAINS $lower AND v.type IN $types AND ($dataset IS NULL OR v.dataset = $dataset)
WITH v, CASE WHEN v.name = $name THEN 0 WHEN v.lower =~ $last THEN 1 ELSE 2 END AS rank
RETURN {_VERTEX}, rank ORDER BY rank, size(v.name), v.name, v.id LIMIT $limit
"""
VERTICES = f"""
CALL {{
    MATCH (v:MeshVertex) WHERE v.id IN $ids RETURN v
    UNION
    MATCH (v:MeshVertex) WHERE v.key IN $ids RETURN v
}}
RETURN {_VERTEX}
"""
EDGES = """
CALL {
    MATCH (s:MeshNode)-[e]->(t:MeshNode) WHERE s.id IN $ids RETURN s, e, t
    UNION
    MATCH (s:MeshNode)-[e]->(t:MeshNode) WHERE t.id IN $targets RETURN s, e, t
}
WITH s.id AS source, t.id AS target, toLower(type(e)) AS type, e
WHERE type IN $types
RETURN source, target, type, max(e.weight) AS weight, min(e.written) AS written
ORDER BY type IN ['contains', 'follows'], weight DESC, type, source, target LIMIT $limit
"""


def connected(url: str) -> "Callable[[], Driver]":
    """Opens a driver of the server at `url`, as `bolt://neo4j:password@127.0.0.1:7687`, when it is first needed."""
    at = ServerUrl.parse("MESH_NEO4J_URL", url)

    def connect() -> "Driver":
        from neo4j import GraphDatabase

        login = (at.user, at.password) if at.user else None
        return GraphDatabase.driver(at.address, auth=login, connection_timeout=_CONNECT_SECONDS)

    return connect


class Neo4jGraph:
    """A Graph in a server. `connect` opens the driver, once."""

    def __init__(self, connect: "Callable[[], Driver]") -> None:
        self._connect = connect
        self._opened: Driver | None = None
        self._is_prepared = False

    @property
    def engine(self) -> str:
        """`neo4j`."""
        return "neo4j"

    def find(
        self, name: str, *, types: Collection[str] = (), dataset: str | None = None, limit: int = 20
    ) -> list[Vertex]:
        """See the Protocol."""
        lower = name.lower()
        asked = {
            "name": name,
            "lower": lower,
            # All of a name has to match in Cypher. The last part, with or without an extension.
            "last": rf"(?s)(.*\W)?{re.escape(lower)}(\.\w+)?",
            "types": list(types or _NAMED),
            "dataset": dataset,
            "limit": limit,
        }
        rows = self._rows(FIND, asked)
        return [_vertex(row) for row in rows if row["rank"] == rows[0]["rank"]]

    def steps(self, vertex_ids: Collection[str], *, types: Collection[str] = (), limit: int = 1000) -> list[Step]:
        """See the Protocol. `limit` counts edges: one that ends at a name may be several steps."""
        ends = {vertex.vertex_id: vertex for vertex in self._vertices(vertex_ids) if vertex.vertex_id in vertex_ids}
        asked = {
            "ids": sorted(ends),
            "targets": sorted({*ends, *(vertex.key for vertex in ends.values())}),
            "types": list(types or EDGE_TYPES),
            "limit": limit,
        }
        edges = [
            (row["source"], row["target"], row["type"], row["weight"], row["written"])
            for row in self._rows(EDGES, asked)
        ]
        known: dict[str, Vertex] = {}
        called: defaultdict[str, list[Vertex]] = defaultdict(list)
        for vertex in self._vertices({end for edge in edges for end in edge[:2]}):
            known[vertex.vertex_id] = vertex
            called[vertex.key].append(vertex)
        return [step for edge in edges for step in steps_of(edge, ends, known, called)]

    def replace_slice(
        self, slice_key: str, vertices: Iterable[dict[str, Any]], edges: Iterable[dict[str, Any]]
    ) -> Stored:
        """Make `vertices` and `edges` (rows of `VERTICES` and `EDGES`) all that the server holds of the slice.

        One transaction: nothing changes where either raises. `Stored.entries` counts the edges. IndexDownError where
        the server does not answer, or has no memory for a transaction of this size.
        """
        dataset = SliceKey.parse(slice_key).dataset
        self._prepare()
        vertex_rows = edge_rows = 0
        with self._transaction() as run:
            _drop(run, [slice_key])
            run(ADD_SLICE, {"slice": slice_key, "dataset": dataset})
            for rows in _batched(map(_properties, vertices)):
                run(ADD_VERTICES, {"slice": slice_key, "rows": rows})
                vertex_rows += len(rows)
            for rows in _batched(edges):
                edge_rows += len(rows)
                for kind in sorted({row["type"] for row in rows}):
                    of_kind = [_edge(row) for row in rows if row["type"] == kind]
                    run(ADD_EDGES[kind], {"slice": slice_key, "rows": of_kind})
            run(COUNT, {"slice": slice_key, "vertices": vertex_rows, "edges": edge_rows})
            _tidy(run)
        return Stored(edge_rows, "neo4j")

    def held(self, slice_key: str) -> int | None:
        """Number of edges that the server was given of the slice; None where it holds no such slice."""
        SliceKey.parse(slice_key)
        rows = self._rows(HELD, {"slice": slice_key})
        return int(rows[0]["edges"]) if rows else None

    def forget_slices(self, slice_keys: Collection[str]) -> None:
        """Remove all that these slices told; unknown ones are no error. KeyFormatError where one is no key."""
        keys = sorted(str(SliceKey.parse(key)) for key in slice_keys)
        if not keys:
            return
        with self._transaction() as run:
            _drop(run, keys)
            _tidy(run)

    def forget_dataset(self, dataset: str) -> None:
        """Remove every slice of a dataset. KeyFormatError where it is no key."""
        check_dataset_key(dataset)
        self.forget_slices([row["key"] for row in self._rows(SLICES, {"dataset": dataset})])

    def _driver(self) -> "Driver":
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def _prepare(self) -> None:
        if self._is_prepared:
            return
        for statement in (*SCHEMA, *EDGE_SCHEMA):
            self._rows(statement, {})
        self._is_prepared = True

    def _vertices(self, ids: Iterable[str]) -> list[Vertex]:
        return [_vertex(row) for row in self._rows(VERTICES, {"ids": sorted(ids)})]

    def _rows(self, query: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        with _answered(), self._driver().session() as session:
            # The driver wants queries that are written in the code: these are, with our own types in them.
            return [row.data() for row in session.run(cast("Any", query), asked)]

    @contextmanager
    def _transaction(self) -> Generator[Run]:
        """Statements that are done together or, where the body raises, not at all."""
        with _answered(), self._driver().session() as session, session.begin_transaction() as work:

            def run(statement: str, asked: dict[str, Any]) -> None:
                work.run(cast("Any", statement), asked).consume()

            yield run
            work.commit()


def _drop(run: Run, keys: list[str]) -> None:
    for statement in (*DROP_EDGES.values(), DROP_HOLDS, DROP_SLICES):
        run(statement, {"slices": keys})


def _tidy(run: Run) -> None:
    for statement in (UNLABEL, DROP_NODES, UNMARK):
        run(statement, {})


def _properties(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `VERTICES` as properties of its node, which may have no nulls."""
    names = ("key", "type", "name", "dataset", "path", "chunk_id", "detail", "time")
    return {"id": row["vertex_id"], "lower": row["name"].lower(), **{name: row.get(name) for name in names}}


def _edge(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("source", "target", "weight", "written")}


def _vertex(row: dict[str, Any]) -> Vertex:
    time = row["time"]
    # The driver has a type of its own for moments, finer than Python's.
    moment = time if time is None or isinstance(time, datetime) else time.to_native()
    told = {name: row[name] for name in ("key", "type", "name", "dataset", "path", "chunk_id", "detail")}
    return Vertex(row["id"], **told, time=moment)


def _batched(rows: Iterable[dict[str, Any]]) -> Generator[Sequence[dict[str, Any]]]:
    held: list[dict[str, Any]] = []
    for row in rows:
        held.append(row)
        if len(held) >= _ROWS:
            yield held
            held = []
    if held:
        yield held


@contextmanager
def _answered() -> Generator[None]:
    """What the driver raises where the server does not answer, or not as it should, as an index that is down."""
    from neo4j.exceptions import DriverError, Neo4jError

    try:
        yield
    except (DriverError, Neo4jError, OSError) as error:
        said = " ".join(str(error).split())[:300]
        raise IndexDownError(
            f"The Neo4j server of MESH_NEO4J_URL does not do what it is asked: {said}.",
            remedy="See that it runs and has memory; slices stay pending until the next catch-up. Or set it to `off`.",
        ) from error
