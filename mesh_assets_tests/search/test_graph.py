"""Names find what is meant by them, and ways between two things are found from both ends."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from mesh_assets.search.graph import MOST_NAMESAKES, Step, Vertex, fitting, way


def symbol(name: str, path: str) -> Vertex:
    return Vertex(f"{path}:{name}", name, "symbol", name, "d", path)


def file(path: str) -> Vertex:
    return Vertex(path, path, "file", path, "d", path)


def test_a_call_means_its_own_file_unless_it_says_another() -> None:
    here, there = symbol("close", "shop/till.py"), symbol("Door.close", "shop/doors.py")
    caller = symbol("main", "shop/till.py")
    assert fitting(caller, "close", [here, there]) == [here]
    assert fitting(caller, "self.close", [here, there]) == [here]
    assert fitting(caller, "doors.close", [here, there]) == [there]
    assert fitting(caller, "Door.close", [here, there]) == [there]


def test_a_name_that_everything_has_means_nothing() -> None:
    many = [symbol("get", f"a{n}.py") for n in range(MOST_NAMESAKES + 1)]
    assert fitting(symbol("main", "b.py"), "get", many) == []
    assert fitting(symbol("main", "b.py"), "get", many[1:]) == many[1:]
    assert fitting(symbol("main", "a3.py"), "get", many) == [many[3]]


def test_a_module_of_python_is_beside_the_one_that_imports_it_or_named_by_its_package() -> None:
    ours = file("shop/secrets.py")
    assert fitting(file("other/app.py"), "secrets", [ours]) == []
    assert fitting(file("shop/app.py"), "secrets", [ours]) == [ours]
    assert fitting(file("other/app.py"), "shop.secrets", [ours]) == [ours]


class Chain:
    """A Graph of vertices in a row, each calling the next one."""

    def __init__(self, length: int) -> None:
        self.vertices = [symbol(str(n), "a.py") for n in range(length)]
        self.at = {vertex.vertex_id: n for n, vertex in enumerate(self.vertices)}

    def find(
        self, name: str, *, types: Collection[str] = (), dataset: str | None = None, limit: int = 20
    ) -> list[Vertex]:
        raise NotImplementedError

    def steps(self, vertex_ids: Collection[str], *, types: Collection[str] = (), limit: int = 1000) -> list[Step]:
        found: list[Step] = []
        for vertex_id in vertex_ids:
            n = self.at[vertex_id]
            found += [Step(vertex_id, "calls", True, vertex) for vertex in self.vertices[n + 1 : n + 2]]
            found += [Step(vertex_id, "calls", False, vertex) for vertex in self.vertices[max(n - 1, 0) : n]]
        return found


@pytest.mark.parametrize("hops", [1, 2, 3, 4])
def test_a_way_is_as_long_as_it_must_be_and_says_its_directions(hops: int) -> None:
    graph = Chain(8)
    steps = way(graph, graph.vertices[1], graph.vertices[1 + hops])
    assert [step.vertex.name for step in steps] == [str(n) for n in range(2, 2 + hops)]
    assert [step.from_id for step in steps] == [graph.vertices[n].vertex_id for n in range(1, 1 + hops)]
    assert all(step.is_outgoing for step in steps)
    assert not any(step.is_outgoing for step in way(graph, graph.vertices[1 + hops], graph.vertices[1]))


def test_what_is_more_than_four_edges_away_is_not_near() -> None:
    graph = Chain(8)
    assert way(graph, graph.vertices[0], graph.vertices[5]) == []
    assert way(graph, graph.vertices[0], graph.vertices[2], hops=1) == []
    assert way(graph, graph.vertices[0], graph.vertices[0]) == []
