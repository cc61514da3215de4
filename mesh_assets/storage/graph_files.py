"""The graph of the lake, asked by the files that `indexes.graph_file` writes beside the tables of `graph_index`.

Each question looks up what it names in the file of each slice, and opens the vertices and edges that are there: it
costs as much as what it finds, and a little for each slice. What a file does not answer is left to a scan by DuckDB:
names of which only a part is told, chunks by name, and all of a lake in which a slice has no file yet.
"""

from __future__ import annotations

import re
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from mesh_assets.indexes.graph_file import SUFFIX, GraphPart, Ids, Rows, end_of_name, graph_parts
from mesh_assets.schemas.graph import EDGE_TYPES, VERTEX_TYPES
from mesh_assets.search.graph import Step, Vertex, steps_of
from mesh_assets.storage.graph_queries import LakeGraph

# A mapped file holds no file descriptor, but one of the 65,530 maps that a process has by default.
_MAPPED_FILES = 8192
_SAID = ("type", "name", "path", "detail", "time")
_NO_CHUNK = "0" * 32
_LATE = ("contains", "follows")
_Edge = tuple[str, str, str, float, str | None]


class GraphFiles:
    """The graph of a lake for any number of questions: files that were mapped for one are there for the next."""

    def __init__(self, lake_root: Path) -> None:
        self._root = lake_root
        self._mapped: OrderedDict[tuple[Path, int, int], list[GraphPart]] = OrderedDict()

    def graph(self, connection: duckdb.DuckDBPyConnection) -> FileGraph | LakeGraph:
        """The graph as it is now. `connection` is an open `lake.duckdb` of the same lake, for what is scanned."""
        scan = LakeGraph(connection)
        files = {path.stem: path for path in (self._root / "graph_index").glob(f"[!.]*/[!.]*{SUFFIX}")}
        tables = {path.stem for path in (self._root / "vertices").glob("[!.]*/[!.]*.parquet")}
        self._let_go(files.values())
        return FileGraph(self, sorted(files.values()), scan) if files.keys() >= tables else scan

    def mapped(self, paths: Iterable[Path]) -> Iterator[tuple[str, GraphPart]]:
        """The slices of files, each with a part of its file; those that went meanwhile are left out."""
        for path in paths:
            with suppress(FileNotFoundError):
                told = path.stat()
                key = (path, told.st_mtime_ns, told.st_ino)
                parts = self._mapped.pop(key, None) or graph_parts(path)
                self._mapped[key] = parts
                while len(self._mapped) > _MAPPED_FILES:
                    self._mapped.popitem(last=False)
                for part in parts:
                    yield path.stem, part

    def _let_go(self, paths: Iterable[Path]) -> None:
        # What was forgotten would keep its disk as long as it is mapped.
        kept = set(paths)
        for key in [key for key in self._mapped if key[0] not in kept]:
            self._mapped.pop(key, None)


@dataclass(frozen=True)
class FileGraph:
    """The Graph of the files at `paths`."""

    files: GraphFiles
    paths: list[Path]
    scan: LakeGraph

    def find(
        self, name: str, *, types: Collection[str] = (), dataset: str | None = None, limit: int = 20
    ) -> list[Vertex]:
        """See the Protocol."""
        end = end_of_name(name)
        wanted = types or [kind for kind in VERTEX_TYPES if kind != "chunk"]
        if end is None or "chunk" in wanted:
            return self.scan.find(name, types=types, dataset=dataset, limit=limit)
        is_last = re.compile(rf"(^|\W){re.escape(name.lower())}(\.\w+)?\Z", re.ASCII).search
        paths = [path for path in self.paths if dataset in (None, path.parent.name)]
        found: list[tuple[int, int, str, str, int, GraphPart, str]] = []
        for slice_key, file in self.files.mapped(paths):
            rows = file.of_types("type", file.called(end), wanted)
            named = zip(file.values("name", rows), file.ids.texts(rows), rows.tolist(), strict=True)
            found += [
                (int(called != name), len(called), called, vertex_id, row, file, slice_key)
                for called, vertex_id, row in named
                if called == name or is_last(called.lower())
            ]
        best = min((each[0] for each in found), default=0)
        kept: dict[str, Vertex] = {}
        for rank, _, _, vertex_id, row, file, slice_key in sorted(found, key=lambda each: each[:5]):
            if rank == best and len(kept) < limit and vertex_id not in kept:
                (kept[vertex_id],) = _vertices(slice_key, file, np.array([row]))
        return list(kept.values()) or self.scan.find(name, types=types, dataset=dataset, limit=limit)

    def steps(self, vertex_ids: Collection[str], *, types: Collection[str] = (), limit: int = 1000) -> list[Step]:
        """See the Protocol. `limit` counts edges: one that ends at a name may be several steps."""
        ends = self._vertices(vertex_ids, by_key=False)
        edges = self._edges(Ids.of(ends), Ids.of({each.key for each in ends.values()}), types or EDGE_TYPES, limit)
        known = self._vertices({end for edge in edges for end in edge[:2]}, by_key=True)
        called: defaultdict[str, list[Vertex]] = defaultdict(list)
        for vertex in known.values():
            called[vertex.key].append(vertex)
        return [step for edge in edges for step in steps_of(edge, ends, known, called)]

    def slices_of(self, chunk_ids: Collection[str]) -> dict[str, str]:
        """The slices that chunks are in; those that the graph does not have are left out."""
        asked = Ids.of(chunk_ids)
        found: dict[str, str] = {}
        for slice_key, file in self.files.mapped(self.paths):
            rows = file.of_types("type", file.by_id(asked), ["chunk"])
            found |= dict.fromkeys(file.ids.texts(rows), slice_key)
        return found

    def _vertices(self, ids: Collection[str], *, by_key: bool) -> dict[str, Vertex]:
        """Vertices that have one of these ids, or else keys, by their ids; as the first slice tells them."""
        asked = Ids.of(ids)
        found: dict[str, Vertex] = {}
        for slice_key, file in self.files.mapped(self.paths):
            rows = file.by_id(asked)
            if by_key:
                rows = np.unique(np.concatenate([rows, file.by_key(asked)]))
            for vertex in _vertices(slice_key, file, rows):
                found.setdefault(vertex.vertex_id, vertex)
        return found

    def _edges(self, ids: Ids, keys: Ids, types: Collection[str], limit: int) -> list[_Edge]:
        """The strongest edges at these ends, each once."""
        found: list[tuple[bool, float, str, str, str, str | None]] = []
        for _, file in self.files.mapped(self.paths):
            rows = file.of_types("edge_type", file.edges_at(ids, keys), types)
            if not rows.size:
                continue
            kinds = np.array(file.values("edge_type", rows))
            sources, targets = file.ends_of(rows)
            late, weights = np.isin(kinds, _LATE), -file.weights(rows)
            order = np.lexsort((targets, sources, kinds, weights, late))[:limit]
            found += zip(
                late[order].tolist(),
                weights[order].tolist(),
                kinds[order].tolist(),
                file.ends.texts(sources[order]),
                file.ends.texts(targets[order]),
                file.values("written", rows[order]),
                strict=True,
            )
        found.sort(key=lambda edge: edge[:5])
        kept: dict[tuple[str, str, str], _Edge] = {}
        for _, weight, kind, source, target, written in found:
            kept.setdefault((source, target, kind), (source, target, kind, -weight, written))
            if len(kept) == limit:
                break
        return list(kept.values())


def _vertices(slice_key: str, file: GraphPart, rows: Rows) -> Iterator[Vertex]:
    dataset = slice_key.rpartition(".")[0]
    said = [file.values(name, rows) for name in _SAID]
    ids = zip(*(held.texts(rows) for held in (file.ids, file.keys, file.chunks)), strict=True)
    for (vertex_id, key, chunk), (kind, name, path, detail, time) in zip(ids, zip(*said, strict=True), strict=True):
        yield Vertex(vertex_id, key, kind, name, dataset, path, None if chunk == _NO_CHUNK else chunk, detail, time)
