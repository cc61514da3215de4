"""A driver of Neo4j that knows our statements by their text, and does to a graph in memory what Cypher says they do.

It proves what is sent, in which order and in which transaction, and what is made of the answers. It does not prove the
Cypher: nothing here reads it. The suite runs against a real server where MESH_NEO4J_URL is set.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mesh_assets.resources import neo4j_graph as sent

Row = dict[str, Any]


@dataclass
class State:
    """Nodes by id, ids of vertices that each slice holds, and edges."""

    nodes: dict[str, Row] = field(default_factory=dict)
    holds: dict[str, set[str]] = field(default_factory=dict)
    slices: dict[str, Row] = field(default_factory=dict)
    edges: list[Row] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)

    @property
    def vertices(self) -> list[Row]:
        return [self.nodes[key] for key in sorted(set().union(*self.holds.values()))]


class Record(dict[str, Any]):
    """A row of an answer."""

    def data(self) -> Row:
        return dict(self)


class Answer(list[Record]):
    """What a statement returned."""

    def consume(self) -> None:
        """Nothing is left to wait for."""


class FakeDriver:
    """Sessions and transactions over one `State`. `sent` is every statement with its parameters."""

    def __init__(self) -> None:
        self.state = State()
        self.sent: list[tuple[str, Row]] = []

    @contextmanager
    def session(self) -> Iterator[FakeDriver]:
        yield self

    @contextmanager
    def begin_transaction(self) -> Iterator[FakeDriver]:
        before = copy.deepcopy(self.state)
        self._is_committed = False
        try:
            yield self
        finally:
            if not self._is_committed:
                self.state = before

    def commit(self) -> None:
        self._is_committed = True

    def run(self, statement: str, asked: Row) -> Answer:
        named = set(re.findall(r"\$(\w+)", statement))
        assert named == set(asked), f"parameters of {statement}"
        self.sent.append((statement, asked))
        if statement in (*sent.SCHEMA, *sent.EDGE_SCHEMA):
            return Answer()
        for kind in sent.DROP_EDGES:
            if statement == sent.DROP_EDGES[kind]:
                return self._drop_edges(kind, asked)
            if statement == sent.ADD_EDGES[kind]:
                return self._add_edges(kind, asked)
        return self._KNOWN[statement](self, asked)

    def _drop_edges(self, kind: str, asked: Row) -> Answer:
        gone = [e for e in self.state.edges if e["type"] == kind and e["slice"] in asked["slices"]]
        self.state.edges = [edge for edge in self.state.edges if edge not in gone]
        self.state.touched |= {edge[end] for edge in gone for end in ("source", "target")}
        return Answer()

    def _add_edges(self, kind: str, asked: Row) -> Answer:
        for row in asked["rows"]:
            assert set(row) == {"source", "target", "weight", "written"}
            for end in (row["source"], row["target"]):
                self.state.nodes.setdefault(end, {"id": end})
            self.state.edges.append({**row, "type": kind, "slice": asked["slice"]})
        return Answer()

    def _drop_holds(self, asked: Row) -> Answer:
        for key in asked["slices"]:
            self.state.touched |= self.state.holds.pop(key, set())
        return Answer()

    def _drop_slices(self, asked: Row) -> Answer:
        for key in asked["slices"]:
            self.state.slices.pop(key, None)
        return Answer()

    def _add_slice(self, asked: Row) -> Answer:
        assert asked["slice"] not in self.state.slices
        self.state.slices[asked["slice"]] = {"dataset": asked["dataset"]}
        self.state.holds[asked["slice"]] = set()
        return Answer()

    def _add_vertices(self, asked: Row) -> Answer:
        for row in asked["rows"]:
            self.state.nodes.setdefault(row["id"], {}).update(row)
            self.state.holds[asked["slice"]].add(row["id"])
        return Answer()

    def _count(self, asked: Row) -> Answer:
        self.state.slices[asked["slice"]] |= {"vertices": asked["vertices"], "edges": asked["edges"]}
        return Answer()

    def _unlabel(self, _: Row) -> Answer:
        held = set().union(*self.state.holds.values())
        for key in self.state.touched - held:
            self.state.nodes[key] = {"id": key}
        return Answer()

    def _drop_nodes(self, _: Row) -> Answer:
        ends = {edge[end] for edge in self.state.edges for end in ("source", "target")}
        for key in self.state.touched - ends - set().union(*self.state.holds.values()):
            del self.state.nodes[key]
            self.state.touched = self.state.touched - {key}
        return Answer()

    def _unmark(self, _: Row) -> Answer:
        self.state.touched = set()
        return Answer()

    def _held(self, asked: Row) -> Answer:
        found = self.state.slices.get(asked["slice"])
        return Answer([Record(edges=found["edges"])] if found else [])

    def _slices(self, asked: Row) -> Answer:
        return Answer(Record(key=key) for key, told in self.state.slices.items() if told["dataset"] == asked["dataset"])

    def _find(self, asked: Row) -> Answer:
        rows: list[Record] = []
        for node in self.state.vertices:
            if (
                asked["lower"] in node["lower"]
                and node["type"] in asked["types"]
                and asked["dataset"] in (None, node["dataset"])
            ):
                is_last = re.fullmatch(asked["last"], node["lower"])
                rows.append(Record({**node, "rank": 0 if node["name"] == asked["name"] else 1 if is_last else 2}))
        rows.sort(key=lambda row: (row["rank"], len(row["name"]), row["name"], row["id"]))
        return Answer(rows[: asked["limit"]])

    def _vertices(self, asked: Row) -> Answer:
        wanted = set(asked["ids"])
        return Answer(Record(node) for node in self.state.vertices if {node["id"], node["key"]} & wanted)

    def _edges(self, asked: Row) -> Answer:
        found: dict[tuple[str, str, str], Record] = {}
        for edge in self.state.edges:
            is_met = edge["source"] in asked["ids"] or edge["target"] in asked["targets"]
            if is_met and edge["type"] in asked["types"]:
                at = (edge["source"], edge["target"], edge["type"])
                if at not in found or found[at]["weight"] < edge["weight"]:
                    found[at] = Record(edge)
        rows = sorted(
            found.values(),
            key=lambda e: (e["type"] in ("contains", "follows"), -e["weight"], e["type"], e["source"], e["target"]),
        )
        return Answer(rows[: asked["limit"]])

    _KNOWN: dict[str, Callable[[FakeDriver, Row], Answer]] = {  # noqa: RUF012
        sent.DROP_HOLDS: _drop_holds,
        sent.DROP_SLICES: _drop_slices,
        sent.ADD_SLICE: _add_slice,
        sent.ADD_VERTICES: _add_vertices,
        sent.COUNT: _count,
        sent.UNLABEL: _unlabel,
        sent.DROP_NODES: _drop_nodes,
        sent.UNMARK: _unmark,
        sent.HELD: _held,
        sent.SLICES: _slices,
        sent.FIND: _find,
        sent.VERTICES: _vertices,
        sent.EDGES: _edges,
    }
