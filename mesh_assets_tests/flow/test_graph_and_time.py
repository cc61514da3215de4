"""What a drop holds hangs together in a graph and in time, through real slice runs and commands as people type them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.indexes import graph_rows, lake_sql
from mesh_assets.search.graph import Graph, Vertex, way
from mesh_assets.search.timeline import Timeline, Window
from mesh_assets.storage.duckdb_query import lake_connection
from mesh_assets.storage.graph_files import FileGraph, GraphFiles
from mesh_assets.storage.graph_queries import LakeGraph
from mesh_assets.storage.timeline_queries import LakeTimeline
from mesh_assets_tests.cli.command import mesh
from mesh_assets_tests.flow.location import Location

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
TILL = '''"""The till."""

from shop.stock import take


class Till:
    """Takes money."""

    def sell(self, what):
        self.check(what)
        log.sold(what)
        bus.sold(what)
        return take(what)

    def check(self, what):
        return what
'''
STOCK = '''"""The stock."""


def take(what):
    return count(what) - 1


def count(what):
    return len(what)
'''


def log(minutes: int) -> str:
    lines: list[str] = []
    for minute in range(minutes):
        moment = START + timedelta(minutes=minute)
        lines.append(f"{moment:%Y-%m-%d %H:%M:%S} INFO Sold item {minute} to host 10.1.2.{minute % 7}\n")
        if minute == 30:
            lines.append(f"{moment:%Y-%m-%d %H:%M:%S} ERROR Drawer of till-7 is stuck\n")
    return "".join(lines)


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    found = Location(tmp_path_factory.mktemp("graph"), {"encoder": FakeEncoder()})
    folder = found.settings.drops / "shop"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "till.py").write_text(TILL)
    (folder / "shop" / "stock.py").write_text(STOCK)
    (folder / "shop.log").write_text(log(120))
    times = [START + timedelta(minutes=minute) for minute in range(120)]
    rows = [f"{moment:%Y-%m-%dT%H:%M:%SZ},{minute % 10}" for minute, moment in enumerate(times)]
    (folder / "load.csv").write_text("\n".join(["at,load", *rows]) + "\n")
    (folder / "notes.md").write_text(
        "# Runbook\n\nWhere 10.1.2.3 sells nothing, look at https://shop.example/till-7.\n"
    )
    found.settle()
    yield found
    found.instance.dispose()


@pytest.fixture
def graph(location: Location) -> Iterator[Graph]:
    with lake_connection(location.lake.root, "test") as connection:
        found = GraphFiles(location.lake.root).graph(connection)
        assert isinstance(found, FileGraph), "each slice has its file"
        yield found


@pytest.fixture
def timeline(location: Location) -> Iterator[Timeline]:
    with lake_connection(location.lake.root, "test") as connection:
        yield LakeTimeline(connection)


def one(graph: Graph, name: str, kind: str = "symbol") -> Vertex:
    (found,) = graph.find(name, types=[kind])
    return found


def names(graph: Graph, vertex: Vertex, kind: str, *, out: bool) -> set[str]:
    steps = graph.steps([vertex.vertex_id], types=[kind])
    return {step.vertex.name for step in steps if step.is_outgoing == out}


def test_who_calls_whom_is_known_over_files(graph: Graph) -> None:
    assert names(graph, one(graph, "take"), "calls", out=False) == {"Till.sell"}
    assert names(graph, one(graph, "take"), "calls", out=True) == {"count"}
    assert names(graph, one(graph, "Till.sell"), "calls", out=True) == {"Till.check", "take"}
    till = one(graph, "shop/till.py", "file")
    assert names(graph, till, "imports", out=True) == {"take"}
    assert names(graph, till, "defines", out=True) == {"Till"}
    assert names(graph, one(graph, "Till"), "defines", out=True) == {"Till.sell", "Till.check"}


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_edges_are_the_same_in_batches_of_any_size(
    location: Location, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    key = "shop.000000"
    tables = {name: location.lake.path(name, key) for name in graph_rows.TABLES}

    def edges() -> list[dict[str, Any]]:
        batches = graph_rows.edge_batches(tables, dataset="shop", slice_key=key)
        return [row for batch in batches for row in batch.to_pylist()]

    whole = edges()
    ends = [(edge["source"], edge["type"], edge["target"]) for edge in whole]
    assert ends == sorted(set(ends))
    assert max(edge["weight"] for edge in whole) > 1
    monkeypatch.setattr(lake_sql, "BATCH_ROWS", rows)
    assert edges() == whole


def test_calls_of_one_name_are_one_edge_of_their_weights_together(location: Location) -> None:
    edges = graph_rows.edge_batches(
        {name: location.lake.path(name, "shop.000000") for name in graph_rows.TABLES},
        dataset="shop",
        slice_key="shop.000000",
    )
    sold = [row for batch in edges for row in batch.to_pylist() if row["written"] in ("log.sold", "bus.sold")]
    assert [(row["type"], row["weight"], row["written"]) for row in sold] == [("calls", 2.0, "bus.sold")]


def test_a_way_leads_over_calls(graph: Graph) -> None:
    steps = way(graph, one(graph, "Till.sell"), one(graph, "count"), types=["calls"])
    assert [(step.is_outgoing, step.vertex.name) for step in steps] == [(True, "take"), (True, "count")]


def test_what_mentions_a_host_is_known_over_kinds(graph: Graph, location: Location) -> None:
    host = one(graph, "10.1.2.3", "entity")
    steps = graph.steps([host.vertex_id], types=["mentions"])
    assert {step.vertex.path for step in steps} == {"shop.log", "notes.md"}
    chunks = {row["chunk_id"]: row["text"] for row in location.lake.read("chunk_sets", "shop.000000").rows()}
    assert all("10.1.2.3" in chunks[step.vertex.vertex_id] for step in steps)


def test_files_contain_their_chunks_templates_and_series_and_chunks_follow_each_other(
    graph: Graph, location: Location
) -> None:
    shop = one(graph, "shop.log", "file")
    held = {step.vertex.type for step in graph.steps([shop.vertex_id], types=["contains"])}
    assert held == {"chunk", "template"}
    assert names(graph, one(graph, "load.csv", "file"), "contains", out=True) >= {"load"}
    chunks = [row for row in location.lake.read("chunk_sets", "shop.000000").rows() if row["path"] == "shop.log"]
    chunks.sort(key=lambda row: row["byte_start"])
    follows = [
        [step.vertex.vertex_id for step in graph.steps([row["chunk_id"]], types=["follows"]) if step.is_outgoing]
        for row in chunks
    ]
    assert follows == [*([row["chunk_id"]] for row in chunks[1:]), []]


def test_what_happened_when_is_counted_and_told(timeline: Timeline) -> None:
    window = Window(START, START + timedelta(hours=1), "shop")
    buckets = timeline.buckets(window, timedelta(minutes=30))
    assert [(each.start - START, each.events, each.errors, each.points) for each in buckets] == [
        (timedelta(0), 30, 0, 30),
        (timedelta(minutes=30), 31, 1, 30),
    ]
    first, *_ = timeline.templates(window)
    assert (first.template.split()[0], first.events, first.log) == ("Sold", 60, "shop.log")
    (stuck,) = timeline.moments(Window(level="ERROR"))
    assert (stuck.time, stuck.said) == (START + timedelta(minutes=30), "Drawer of <*> is stuck")
    assert timeline.span(Window(dataset="shop")) == (START, START + timedelta(minutes=119))
    assert timeline.span(Window(dataset="other")) is None


def test_around_a_moment_stand_events_and_values_of_all_files(timeline: Timeline) -> None:
    middle = START + timedelta(minutes=30)
    found = timeline.moments(Window.around(middle, 90, dataset="shop"), near=middle, limit=5)
    assert [moment.time for moment in found] == sorted(moment.time for moment in found)
    assert {(moment.what, moment.path) for moment in found} == {("event", "shop.log"), ("point", "load.csv")}
    assert [moment.value for moment in found if moment.what == "point" and moment.time == middle] == [0.0]


def test_the_commands_say_it(location: Location) -> None:
    shown = mesh(location, "graph", "take").stdout
    assert "is called by" in shown and "Till.sell" in shown
    file = mesh(location, "graph", "shop/till.py").stdout
    assert "defines class Till" in file and re.search(r"contains \d+ chunk", file) and "contains chunk" not in file
    steps = json.loads(mesh(location, "graph", "Till.sell", "--to", "count", "--edge", "calls", "--json").stdout)[
        "steps"
    ]
    assert [step["vertex"]["name"] for step in steps] == ["take", "count"]
    assert "Drawer" in mesh(location, "time", "--around", "2026-03-01T10:30:00", "--seconds", "60").stdout
    overview = json.loads(mesh(location, "time", "--level", "error", "--json").stdout)
    assert sum(bucket["events"] for bucket in overview["buckets"]) == 1
    assert "Nothing is called" in mesh(location, "graph", "no such thing", expect=1).stderr
    assert "is no moment" in mesh(location, "time", "--around", "noon", expect=1).stderr


def test_a_second_run_touches_neither(location: Location) -> None:
    before = {asset: location.files_of(asset) for asset in ("graph_index", "vertices", "time_index")}
    assert all(before.values())
    assert location.settle() == []
    (location.settings.drops / "shop" / "notes.md").write_text("# Runbook\n\nNothing.\n")
    location.settle()
    with lake_connection(location.lake.root, "again") as connection:
        graphs = [GraphFiles(location.lake.root).graph(connection), LakeGraph(connection)]
        assert [graph.find("shop.example", types=["entity"]) for graph in graphs] == [[], []]
