"""What every graph promises, whichever engine is behind it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa
import pytest

from mesh_assets.errors import IndexDownError, KeyFormatError
from mesh_assets.indexes.graph_file import SUFFIX
from mesh_assets.resources import neo4j_graph
from mesh_assets.resources.neo4j_graph import Neo4jGraph, connected
from mesh_assets.schemas.graph import EDGES, VERTICES
from mesh_assets.search.graph import Graph, Step, way
from mesh_assets.storage.graph_files import GraphFiles
from mesh_assets.storage.graph_queries import LakeGraph
from mesh_assets_tests.search.neo4j_fake import FakeDriver
from mesh_assets_tests.storage.written_graph import write_graph

Row = dict[str, Any]
A, B, OTHER = "testgraph.000001", "testgraph.000002", "testgraph-other.000001"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SERVER = os.environ.get("MESH_NEO4J_URL", "")  # the real server, where there is one


def hexed(told: str) -> str:
    """An id as the lake has them."""
    return told if re.fullmatch("[0-9a-f]{32}", told) else md5(told.encode(), usedforsecurity=False).hexdigest()


def vertex(
    name: str, kind: str = "symbol", path: str | None = "shop/till.py", at: str = A, key: str = "", **more: object
) -> Row:
    dataset = at.rpartition(".")[0]
    named = {"vertex_id": hexed(f"{kind}:{path}:{name}"), "type": kind, "name": name, "dataset": dataset, "slice": at}
    rest = {"path": path, "chunk_id": None, "detail": None, "time": None, **more}
    return {**named, **rest, "key": hexed(key or f"name:{name.rpartition('.')[2]}")}


def edge(source: str, kind: str, target: str, at: str = A, weight: float = 1.0, written: str | None = None) -> Row:
    told = {"source": hexed(source), "type": kind, "target": hexed(target), "weight": weight, "written": written}
    return {**told, "dataset": at.rpartition(".")[0], "slice": at}


HOST = vertex("10.1.2.3", "entity", None, key="host", detail="host")
SLICES: dict[str, tuple[list[Row], list[Row]]] = {
    A: (
        [
            vertex("shop/till.py", "file"),
            vertex("Till.sell"),
            vertex("Till.check"),
            HOST,
            vertex("Till broke", "event", time=NOON),
            vertex("c1", "chunk", chunk_id=hexed("c1")),
        ],
        [
            edge("file:shop/till.py:shop/till.py", "contains", "chunk:shop/till.py:c1", weight=9.0),
            edge("symbol:shop/till.py:Till.sell", "calls", "name:check", weight=2.0, written="self.check"),
            edge("symbol:shop/till.py:Till.sell", "calls", "name:take", written="take"),
            edge("chunk:shop/till.py:c1", "mentions", HOST["vertex_id"]),
        ],
    ),
    B: (
        [vertex("take", path="shop/stock.py", at=B), vertex("count", path="shop/stock.py", at=B), {**HOST, "slice": B}],
        [edge("symbol:shop/stock.py:take", "calls", "name:count", at=B, written="count")],
    ),
    OTHER: ([vertex("take", path="x.py", at=OTHER, key="elsewhere:take")], []),
}


def lake_graph(slices: dict[str, tuple[list[Row], list[Row]]]) -> LakeGraph:
    connection = duckdb.connect()
    for name, table, number in (("vertices", VERTICES, 0), ("edges", EDGES, 1)):
        rows = pa.Table.from_pylist([row for told in slices.values() for row in told[number]], schema=table.schema)
        connection.register("told", rows)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM told")
    return LakeGraph(connection)


def file_graph(slices: dict[str, tuple[list[Row], list[Row]]], root: Path) -> Graph:
    for key, (vertices, edges) in slices.items():
        path = root / "graph_index" / key.rpartition(".")[0] / f"{key}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        vertices = sorted(vertices, key=lambda row: str(row["vertex_id"]))
        edges = sorted(edges, key=lambda row: str(row["source"]))
        told = (pa.Table.from_pylist(r, schema=t.schema) for r, t in ((vertices, VERTICES), (edges, EDGES)))
        write_graph(path, *told)
    return GraphFiles(root).graph(lake_graph(slices).connection)


def fill(graph: Neo4jGraph, slices: dict[str, tuple[list[Row], list[Row]]]) -> Neo4jGraph:
    for key, (vertices, edges) in slices.items():
        graph.replace_slice(key, vertices, edges)
    return graph


def fake_graph(slices: dict[str, tuple[list[Row], list[Row]]]) -> Neo4jGraph:
    driver = FakeDriver()
    return fill(Neo4jGraph(lambda: cast("Any", driver)), slices)


ENGINES: dict[str, Callable[[dict[str, tuple[list[Row], list[Row]]]], Graph]] = {
    "lake": lake_graph,
    "neo4j fake": fake_graph,
}


@pytest.fixture(params=[*ENGINES, "files", *(["neo4j server"] if SERVER else [])])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Graph]:
    if request.param in ENGINES:
        yield ENGINES[request.param](SLICES)
        return
    if request.param == "files":
        yield file_graph(SLICES, tmp_path)
        return
    server = Neo4jGraph(connected(SERVER))
    yield fill(server, SLICES)
    server.forget_slices(list(SLICES))


@pytest.fixture(params=["fake", *(["server"] if SERVER else [])])
def loaded(request: pytest.FixtureRequest) -> Iterator[Neo4jGraph]:
    if request.param == "fake":
        yield fake_graph(SLICES)
        return
    server = Neo4jGraph(connected(SERVER))
    yield fill(server, SLICES)
    server.forget_slices(list(SLICES))


def called(steps: list[Step], *, out: bool) -> list[str]:
    return [step.vertex.name for step in steps if step.is_outgoing == out]


def test_names_are_found_exactly_else_by_their_last_part_else_by_a_part(graph: Graph) -> None:
    assert [v.path for v in graph.find("take", dataset="testgraph")] == ["shop/stock.py"]
    assert {v.dataset for v in graph.find("take")} == {"testgraph", "testgraph-other"}
    assert [v.name for v in graph.find("SELL")] == ["Till.sell"]
    assert [v.name for v in graph.find("till", types=["file"])] == ["shop/till.py"]
    assert [v.name for v in graph.find("ecK")] == ["Till.check"]
    assert graph.find("c1") == [], "chunks are found by a search"
    assert [v.chunk_id for v in graph.find("c1", types=["chunk"])] == [hexed("c1")]
    assert graph.find("a.b(c[") == []
    assert [len(graph.find("take", limit=n)) for n in (1, 2)] == [1, 2]


def test_a_vertex_comes_with_all_that_is_known_of_it(graph: Graph) -> None:
    (event,) = graph.find("Till broke")
    assert (event.type, event.path, event.time) == ("event", "shop/till.py", NOON)
    (host,) = graph.find("10.1.2.3")
    assert (host.path, host.detail, host.time) == (None, "host", None)


def test_who_calls_and_what_mentions_is_told_in_both_directions(graph: Graph) -> None:
    (sell,) = graph.find("Till.sell")
    steps = graph.steps([sell.vertex_id], types=["calls"])
    assert called(steps, out=True) == ["Till.check", "take"], "the strongest first, names over slices"
    assert steps[0].written == "self.check"
    (take,) = graph.find("take", dataset="testgraph")
    assert called(graph.steps([take.vertex_id]), out=False) == ["Till.sell"]
    assert called(graph.steps([take.vertex_id]), out=True) == ["count"]
    (host,) = graph.find("10.1.2.3")
    assert [step.vertex.chunk_id for step in graph.steps([host.vertex_id], types=["mentions"])] == [hexed("c1")]


def test_what_contains_it_comes_last_and_a_limit_counts_edges(graph: Graph) -> None:
    at = hexed("chunk:shop/till.py:c1")
    assert [step.type for step in graph.steps([at])] == ["mentions", "contains"]
    assert [step.type for step in graph.steps([at], limit=1)] == ["mentions"]
    assert graph.steps(["nobody"]) == graph.steps([]) == []


def test_a_way_leads_over_names_of_other_slices(graph: Graph) -> None:
    (sell,), (count,) = graph.find("Till.sell"), graph.find("count")
    steps = way(graph, sell, count)
    assert [(step.is_outgoing, step.vertex.name) for step in steps] == [(True, "take"), (True, "count")]


def test_a_replaced_slice_leaves_nothing_of_the_former_one(loaded: Neo4jGraph) -> None:
    assert loaded.held(A) == 4
    stored = loaded.replace_slice(
        A, [vertex("Till.open")], [edge("symbol:shop/till.py:Till.open", "calls", "name:take")]
    )
    assert (stored.entries, loaded.held(A)) == (1, 1)
    assert loaded.find("Till.sell") == []
    (take,) = loaded.find("take", dataset="testgraph")
    assert called(loaded.steps([take.vertex_id]), out=False) == ["Till.open"]
    assert len(loaded.find("10.1.2.3")) == 1, "the other slice holds it still"


def test_loading_twice_changes_nothing(loaded: Neo4jGraph) -> None:
    (sell,) = loaded.find("Till.sell")
    before = loaded.steps([sell.vertex_id])
    fill(loaded, SLICES)
    assert loaded.steps([sell.vertex_id]) == before
    assert len(loaded.find("10.1.2.3")) == 1


def test_a_source_that_fails_leaves_the_former_slice(loaded: Neo4jGraph) -> None:
    def failing() -> Iterator[Row]:
        yield edge("symbol:shop/till.py:Till.sell", "calls", "name:count")
        raise RuntimeError("the lake went away")

    with pytest.raises(RuntimeError):
        loaded.replace_slice(A, [], failing())
    assert loaded.held(A) == 4
    assert called(loaded.steps([hexed("symbol:shop/till.py:Till.sell")]), out=True) == ["Till.check", "take"]


def test_forgotten_slices_and_datasets_go_and_no_others(loaded: Neo4jGraph) -> None:
    loaded.forget_slices([A, "testgraph.000009"])
    assert loaded.held(A) is None
    assert loaded.find("Till.sell") == []
    assert len(loaded.find("take")) == 2
    loaded.forget_dataset("testgraph")
    loaded.forget_dataset("testgraph")
    assert [v.dataset for v in loaded.find("take")] == ["testgraph-other"]
    assert loaded.held(B) is None
    assert loaded.held(OTHER) == 0
    with pytest.raises(KeyFormatError):
        loaded.forget_slices([OTHER, "../a"])
    assert loaded.held(OTHER) == 0


def test_nothing_is_left_of_what_is_forgotten() -> None:
    driver = FakeDriver()
    graph = fill(Neo4jGraph(lambda: cast("Any", driver)), SLICES)
    graph.forget_slices(list(SLICES))
    state = driver.state
    assert not (state.nodes or state.edges or state.slices or state.holds or state.touched)


def test_rows_are_sent_in_batches_and_texts_only_as_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neo4j_graph, "_ROWS", 2)
    driver = FakeDriver()
    fill(Neo4jGraph(lambda: cast("Any", driver)), SLICES)
    batches = [asked["rows"] for statement, asked in driver.sent if statement == neo4j_graph.ADD_VERTICES]
    assert [len(rows) for rows in batches] == [2, 2, 2, 2, 1, 1]
    assert not [statement for statement, _ in driver.sent if "Till" in statement or "10.1.2.3" in statement]


def test_a_server_that_is_down_is_told_in_words_without_the_password() -> None:
    graph = Neo4jGraph(connected("bolt://neo4j:secret@127.0.0.1:1"))
    with pytest.raises(IndexDownError, match="MESH_NEO4J_URL") as told:
        graph.replace_slice(A, *SLICES[A])
    assert "secret" not in str(told.value)
