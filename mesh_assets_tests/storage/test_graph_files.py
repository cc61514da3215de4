"""Files beside the tables answer what a scan of the tables answers, and are never older than they look."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.graph_file import SUFFIX, edges_held, graph_parts
from mesh_assets.schemas.graph import EDGE_TYPES, EDGES, VERTEX_TYPES, VERTICES
from mesh_assets.search.graph import Step
from mesh_assets.storage.graph_files import FileGraph, GraphFiles
from mesh_assets.storage.graph_queries import LakeGraph
from mesh_assets.storage.lake import Lake
from mesh_assets_tests.storage.written_graph import write_graph

Row = dict[str, Any]
SLICES = ("a.000000", "a.000001", "b.000000")
# Few halves, so that ids share one.
NUMBERS = st.integers(1, 3)
PART_ROWS = st.sampled_from([1, 3, 100])
NAMES = st.text("aB._/( É", min_size=1, max_size=7)


def an_id(high: int, low: int) -> str:
    return f"{high:016x}{low:016x}"


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[list[Row], list[Row]]]:
    """Slices of two datasets. What is told of a vertex or an edge is the same in each slice that has it."""
    ids = st.builds(an_id, NUMBERS, NUMBERS)
    known: dict[tuple[str, str], Row] = {}
    weights: dict[tuple[str, str, str], float] = {}
    found: dict[str, tuple[list[Row], list[Row]]] = {}
    for key in SLICES:
        dataset = key[0]
        vertices: list[Row] = []
        for vertex_id in sorted(draw(st.sets(ids, max_size=6))):
            here = an_id(int(vertex_id[:16], 16) + 8 * (dataset == "b"), int(vertex_id[16:], 16))
            row = known.setdefault((dataset, here), {"vertex_id": here}) | {"dataset": dataset, "slice": key}
            if "name" not in row:
                told = {
                    "key": draw(st.one_of(st.just(here), ids)),
                    "type": draw(st.sampled_from(VERTEX_TYPES)),
                    "name": draw(NAMES),
                    "path": draw(st.none() | st.sampled_from(["a/B.py", "B/a.py"])),
                    "chunk_id": draw(st.none() | ids),
                    "detail": draw(st.none() | st.just("function")),
                    "time": draw(st.none() | st.just(datetime(2026, 1, 2, tzinfo=UTC))),
                }
                known[dataset, here] |= told
                row |= told
            vertices.append(row)
        ends = st.sampled_from([row["vertex_id"] for row in vertices] or [an_id(1, 1)])
        chosen = draw(st.sets(st.tuples(ends, st.one_of(ends, ids), st.sampled_from(EDGE_TYPES)), max_size=8))
        edges: list[Row] = []
        for source, target, kind in sorted(chosen):
            weight = weights.setdefault((source, target, kind), draw(st.sampled_from([0.25, 1.0, 3.0])))
            edges.append({"source": source, "target": target, "type": kind, "weight": weight, "written": "a.B"})
            edges[-1] |= {"dataset": dataset, "slice": key}
        found[key] = (vertices, edges)
    return found


def tables(told: tuple[list[Row], list[Row]]) -> tuple[pa.Table, pa.Table]:
    return (
        pa.Table.from_pylist(told[0], schema=VERTICES.schema),
        pa.Table.from_pylist(told[1], schema=EDGES.schema),
    )


def path_of(root: Path, key: str) -> Path:
    path = root / "graph_index" / key.rpartition(".")[0] / f"{key}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def both(
    root: Path, slices: dict[str, tuple[list[Row], list[Row]]], *, part_rows: int = 100
) -> tuple[FileGraph, LakeGraph]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    for number, called in enumerate(("vertices", "edges")):
        connection.register("told", pa.concat_tables([tables(told)[number] for told in slices.values()]))
        connection.execute(f"CREATE TABLE {called} AS SELECT * FROM told")
    for key, told in slices.items():
        write_graph(path_of(root, key), *tables(told), part_rows=part_rows)
    graph = GraphFiles(root).graph(connection)
    assert isinstance(graph, FileGraph)
    return graph, LakeGraph(connection)


def in_order(steps: list[Step]) -> list[Step]:
    """Steps of one edge come in no order that means anything."""
    return sorted(steps, key=lambda step: (step.from_id, step.type, step.is_outgoing, step.vertex.vertex_id))


@settings(max_examples=8, deadline=None)
@given(
    graphs(), NAMES, st.sampled_from([(), ("symbol", "file"), ("chunk",)]), st.sampled_from([None, "a", "b"]), PART_ROWS
)
def test_files_answer_as_a_scan_of_the_tables(
    slices: dict[str, tuple[list[Row], list[Row]]],
    name: str,
    types: tuple[str, ...],
    dataset: str | None,
    part_rows: int,
) -> None:
    with TemporaryDirectory() as folder:
        graph, scan = both(Path(folder), slices, part_rows=part_rows)
        asked = {name, *(row["name"] for told in slices.values() for row in told[0])}
        for each in sorted(asked | {one.rpartition(".")[2] for one in asked} - {""})[:6]:
            found = graph.find(each, types=types, dataset=dataset)
            assert found == scan.find(each, types=types, dataset=dataset), each
            assert graph.find(each, types=types, dataset=dataset, limit=1) == found[:1]
        ids = [an_id(high, low) for high in (1, 2, 3, 9, 10, 11) for low in (1, 2, 3)]
        for some in (ids[4:6], ids):
            for kinds, limit in (((), 1000), ((), 3), (("calls", "contains"), 1000)):
                steps = scan.steps(some, types=kinds, limit=limit)
                assert in_order(graph.steps(some, types=kinds, limit=limit)) == in_order(steps)
        assert graph.slices_of(ids).keys() == scan.slices_of(ids).keys()


def test_a_large_slice_is_written_in_parts_that_are_asked_as_one(tmp_path: Path) -> None:
    ids = [an_id(1, number) for number in range(10)]
    vertices = [VERTEX | {"vertex_id": each, "key": each, "name": f"n{at}"} for at, each in enumerate(ids)]
    edge = {"type": "calls", "weight": 1.0, "written": None, "dataset": "a", "slice": SLICES[0]}
    edges = [edge | {"source": source, "target": target} for source, target in pairwise(ids)]
    graph, _ = both(tmp_path, {SLICES[0]: (vertices, edges)}, part_rows=3)
    path = path_of(tmp_path, SLICES[0])
    assert [part.edges for part in graph_parts(path)] == [0, 0, 0, 3, 3, 3]
    assert edges_held(path) == 9
    assert {step.vertex.name for step in graph.steps([ids[5]])} == {"n4", "n6"}
    assert graph.slices_of(ids) == {}


VERTEX: Row = {
    **dict.fromkeys(("path", "chunk_id", "detail", "time")),
    "vertex_id": an_id(1, 1),
    "key": an_id(1, 2),
    "type": "symbol",
    "name": "old",
    "dataset": "a",
    "slice": SLICES[0],
}


def test_a_replaced_file_is_asked_at_once_and_a_forgotten_one_no_more(tmp_path: Path) -> None:
    path = path_of(tmp_path, SLICES[0])
    write_graph(path, *tables(([VERTEX], [])))
    connection = both(tmp_path / "empty", {SLICES[1]: ([], [])})[1].connection
    graphs = GraphFiles(tmp_path)
    assert [vertex.name for vertex in graphs.graph(connection).find("old")] == ["old"]
    write_graph(beside := path.with_name("x.tmp"), *tables(([VERTEX | {"name": "new"}], [])))
    beside.replace(path)
    assert [len(graphs.graph(connection).find(name)) for name in ("old", "new")] == [0, 1]
    assert Lake(tmp_path).delete_slices("a", [SLICES[0]]) == 1
    assert graphs.graph(connection).find("new") == []


def test_a_lake_with_a_slice_without_a_file_is_scanned(tmp_path: Path) -> None:
    graph, scan = both(tmp_path, {SLICES[0]: ([VERTEX], []), SLICES[1]: ([VERTEX | {"slice": SLICES[1]}], [])})
    table = tmp_path / "vertices" / "a" / f"{SLICES[1]}.parquet"
    table.parent.mkdir(parents=True)
    table.touch()
    graphs = GraphFiles(tmp_path)
    assert isinstance(graphs.graph(scan.connection), FileGraph)
    path_of(tmp_path, SLICES[1]).unlink()
    assert isinstance(found := graphs.graph(scan.connection), LakeGraph)
    assert found.find("old") == graph.find("old") != []


def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = path_of(tmp_path, SLICES[0])
    assert edges_held(path) is None
    edge: Row = {"source": an_id(1, 1), "target": an_id(2, 1), "type": "calls", "weight": 1.0, "written": None}
    write_graph(path, *tables(([VERTEX], [edge | {"dataset": "a", "slice": SLICES[0]}])))
    assert edges_held(path) == 1
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"MESH" * 100):
        path.write_bytes(damaged)
        with pytest.raises(IndexDownError, match="materialize `graph_index`"):
            graph_parts(path)


def test_what_is_no_id_is_refused_when_written_and_not_found_when_asked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 hex digits"):
        write_graph(tmp_path / "x", *tables(([VERTEX | {"vertex_id": "short"}], [])))
    graph, _ = both(tmp_path, {SLICES[0]: ([VERTEX], [])})
    assert graph.steps(["short", "Z" * 32]) == []
    assert graph.slices_of(["short"]) == {}
