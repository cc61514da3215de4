"""The graph as it is asked: what is around a vertex, and how two vertices hang together. Engines come as a Protocol.

What vertices and edges there are belongs to `schemas.graph`, how they are stored to the engine.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from mesh_assets.schemas.graph import EDGE_TYPES

# Longer ways than this say nothing: nearly everything is near everything else.
MAX_HOPS = 4
# A name that so many vertices have, none of which fits better, is none of them.
MOST_NAMESAKES = 5
# What stands before the last part of a name, and what there names the object itself.
_BEFORE = re.compile(r"(\w+)\W+\w+\W*$")
_OWN = frozenset({"self", "cls", "this", "super"})
_WORD = re.compile(r"\w+")
# Vertices from which a way is looked for at once; of more, the first by id.
_FRONTIER = 5_000


@dataclass(frozen=True, slots=True)
class Vertex:
    """One vertex of the graph; see `VERTICES` for its fields."""

    vertex_id: str
    key: str
    type: str
    name: str
    dataset: str
    path: str | None = None
    chunk_id: str | None = None
    detail: str | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """An edge as it is met from one of its ends: `vertex` is the other one.

    `is_outgoing` says that the edge starts where one comes from: a symbol calls `vertex`, and is not called by it.
    """

    from_id: str
    type: str
    is_outgoing: bool
    vertex: Vertex
    weight: float = 1.0
    written: str | None = None


class Graph(Protocol):
    """Vertices and edges of all slices."""

    def find(
        self, name: str, *, types: Collection[str] = (), dataset: str | None = None, limit: int = 20
    ) -> list[Vertex]:
        """Vertices called `name`: exactly, else by the last part of their name, else by a part of it.

        Of each of these three, shorter names first, then by id; none of the next where there are some of one. Chunks
        are among them only where `types` has them.
        """
        ...

    def steps(self, vertex_ids: Collection[str], *, types: Collection[str] = (), limit: int = 1000) -> list[Step]:
        """Edges at these vertices, in both directions, the strongest first; each other end once for each edge.

        What contains what, and what follows what, comes last: there is most of it, and it says least.

        A name that many vertices have is taken for the ones that how it is written fits best; it leads nowhere where
        none fits better than a handful of others.
        """
        ...


def fitting(source: Vertex, written: str | None, namesakes: Collection[Vertex]) -> list[Vertex]:
    """Those of `namesakes` that are meant where `source` says `written`: in the same file, else in the one it names.

    `a.b.c` names what is called `c` in a file `.../b.py` or below a class `b`. A module of Python that is called by one
    word is in the same folder, or not in the dataset. None of them where more than `MOST_NAMESAKES` are as likely.
    """
    before = _BEFORE.search(written or "")
    around = before[1] if before else None

    def fit(vertex: Vertex) -> int:
        if around is not None and around not in _OWN:
            place = f"{vertex.path} {vertex.name.rpartition('.')[0]}"
            return 2 * (around in place and around in _WORD.findall(place))
        return int(vertex.path == source.path)

    if around is None and (source.path or "").endswith(".py"):
        namesakes = [each for each in namesakes if each.type != "file" or _folder(each) == _folder(source)]
    fits = [fit(vertex) for vertex in namesakes]  # a common name has thousands
    best = max(fits, default=0)
    found = [vertex for vertex, fitted in zip(namesakes, fits, strict=True) if fitted == best]
    return found if len(found) <= MOST_NAMESAKES else []


def steps_of(
    edge: tuple[str, str, str, float, str | None],
    ends: Mapping[str, Vertex],
    known: Mapping[str, Vertex],
    called: Mapping[str, Collection[Vertex]],
) -> Iterator[Step]:
    """An edge (source, target, type, weight, written) from each of its ends that are among `ends`.

    Its target is the id of a vertex that is `known`, or a key: what is `called` so and fits is meant.
    """
    source_id, target_id, kind, weight, written = edge
    source = known.get(source_id)
    if source is None:
        return
    found = [known[target_id]] if target_id in known else fitting(source, written, called.get(target_id, []))
    for target in found:
        if target.vertex_id == source_id:
            continue
        if source_id in ends:
            yield Step(source_id, kind, True, target, weight, written)
        if target.vertex_id in ends:
            yield Step(target.vertex_id, kind, False, source, weight, written)


def _folder(vertex: Vertex) -> str:
    return (vertex.path or "").rpartition("/")[0]


def way(
    graph: Graph, start: Vertex, stop: Vertex, *, types: Collection[str] = EDGE_TYPES, hops: int = MAX_HOPS
) -> list[Step]:
    """A shortest way of at most `hops` edges from one vertex to another, in any direction; empty where there is none.

    It is looked for from both ends in turns: each then sees only what is half as far away.
    """
    if start.vertex_id == stop.vertex_id:
        return []
    known = {start.vertex_id: start, stop.vertex_id: stop}
    sides: list[dict[str, Step | None]] = [{start.vertex_id: None}, {stop.vertex_id: None}]
    fronts = [[start.vertex_id], [stop.vertex_id]]
    for hop in range(min(hops, MAX_HOPS)):
        seen, others = sides[hop % 2], sides[1 - hop % 2]
        found: set[str] = set()
        for step in graph.steps(fronts[hop % 2][:_FRONTIER], types=types, limit=_FRONTIER):
            if step.vertex.vertex_id not in seen:
                seen[step.vertex.vertex_id] = step
                known[step.vertex.vertex_id] = step.vertex
                found.add(step.vertex.vertex_id)
        met = found & others.keys()
        if met:
            middle = min(met)
            ahead, back = (_chain(side, middle) for side in sides)
            return [*reversed(ahead), *(_turned(step, known[step.from_id]) for step in back)]
        fronts[hop % 2] = sorted(found)
    return []


def _chain(seen: dict[str, Step | None], at: str) -> list[Step]:
    """The steps that led to `at`, the last one first."""
    steps: list[Step] = []
    while (step := seen[at]) is not None:
        steps.append(step)
        at = step.from_id
    return steps


def _turned(step: Step, vertex: Vertex) -> Step:
    """A step as it is from its other end; `vertex` is where it came from."""
    return replace(step, from_id=step.vertex.vertex_id, is_outgoing=not step.is_outgoing, vertex=vertex)
