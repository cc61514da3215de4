"""Which modules of Python need which while they load, and where they need each other in a circle."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, cast

from mesh_assets.insights.code_candidates import Candidate, Place
from mesh_assets.insights.code_files import CodeFile
from mesh_assets.insights.code_tools import FileReport
from mesh_assets.insights.wording import plural, share

_SHOWN = 6


class Imports:
    """Gathers the imports that run while a module loads, file by file."""

    def __init__(self) -> None:
        self._modules: dict[str, tuple[str, float]] = {}
        self._wanted: dict[str, list[tuple[str, int, list[str]]]] = {}

    def add(self, file: CodeFile, report: FileReport) -> None:
        """One file; those of other languages have no modules."""
        if file.path.endswith(".py"):
            parts = PurePosixPath(file.path).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self._modules[module] = file.path, file.worth
            self._wanted[module] = report.imports

    def candidates(self) -> Iterator[Candidate]:
        """One for each circle, the shortest way around it."""
        edges = sorted(self._edges())
        names = sorted({end for edge in edges for end in edge})
        if not names:
            return
        import igraph  # pyright: ignore[reportMissingTypeStubs]

        numbers = {name: at for at, name in enumerate(names)}
        graph: Any = cast(Any, igraph).Graph(
            n=len(names), edges=[(numbers[a], numbers[b]) for a, b in edges], directed=True
        )
        importers = Counter(target for _, target in edges)
        components: list[list[int]] = list(graph.connected_components(mode="strong"))
        for members in components:
            if len(members) > 1:
                inside = graph.induced_subgraph(members)
                ring: list[str] = [names[members[at]] for at in _ring(inside)]
                yield self._candidate(ring, [names[at] for at in members], importers)

    def _edges(self) -> Iterator[tuple[str, str]]:
        """From a module to one that it needs; a package that a module lies in is loaded before it in any case."""
        roots: dict[str, str] = {}
        for module in self._modules:
            roots.setdefault(module, module)
            parts = module.split(".")
            for cut in range(1, len(parts)):  # sources may lie below folders that are no packages, as `src`
                if ".".join(parts[:cut]) in self._modules:
                    break
                roots.setdefault(".".join(parts[cut:]), module)
        for module, wanted in self._wanted.items():
            is_package = self._modules[module][0].endswith("__init__.py")
            for named, level, members in wanted:
                base = named
                if level:
                    kept = module.split(".")[: len(module.split(".")) - level + is_package]
                    base = ".".join([*kept, named] if named else kept)
                for target in [f"{base}.{member}" for member in members] or [base]:
                    found = roots.get(target) or roots.get(target.rpartition(".")[0] if members else target)
                    if found and found != module and not f"{module}.".startswith(f"{found}."):
                        if is_package and found.startswith(f"{module}."):
                            continue
                        yield module, found

    def _candidate(self, ring: list[str], members: list[str], importers: Counter[str]) -> Candidate:
        paths = [self._modules[module][0] for module in ring]
        around = " needs ".join([*ring[:_SHOWN], "..."] if len(ring) > _SHOWN else [*ring, ring[0]])
        more = f"; {plural(len(members), 'module')} hang together so" if len(members) > len(ring) else ""
        users = sum(importers[module] for module in members)
        return Candidate(
            sort="circle",
            title=f"Import circle: {ring[0]}",
            statement=f"Modules need each other while they load: {around}{more} "
            f"({share(len(members), len(self._modules))} of the modules of the slice). Which is imported first decides "
            "whether it works.",
            severity=0.4 + 0.15 * min(len(members) / 20, 1.0),
            confidence=0.75,
            worth=max(self._modules[module][1] for module in ring),
            places=tuple(Place(path, 1, 1) for path in paths[:_SHOWN]),
            name="",
            detail="circle",
            value={"modules": members[:50], "importers": users},
        )


def _ring(graph: object) -> list[int]:
    """The vertices of a shortest circle through the first vertex that has one of two, else through the first."""
    found: Any = graph
    best: list[int] = []
    nexts: dict[int, list[int]] = defaultdict(list)
    for edge in found.es:
        nexts[edge.source].append(edge.target)
    for start in range(min(found.vcount(), 50)):
        for after in nexts[start][:50]:
            way: list[int] = found.get_shortest_path(after, to=start)
            if way and (not best or len(way) < len(best)):
                best = way
        if len(best) == 2:
            break
    return [best[-1], *best[:-1]]
