"""The one query over all indexes, as Python calls it; `mesh search`, `mesh around` and the HTTP API ask the same.

    from mesh_assets.serving.one_query import OneQuery
    from mesh_assets.settings import load_settings

    mesh = OneQuery(load_settings())
    answer = mesh.search('lantern kind:log -debug after:2015-10-18', limit=20)
    print(answer.hits[0].citation, answer.hits[0].why, answer.facets["kind"])
    print(mesh.around(str(answer.hits[0].citation)).behind)

The language is `search.query`'s, ranking is `search.hybrid`'s. From any number of threads; the model is loaded with the
first query that needs it.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from threading import Lock
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.dataset as pads

from mesh_assets.errors import QueryError
from mesh_assets.indexes.words import all_words, query_words
from mesh_assets.resources.encoder import SearchEncoders
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.vector_index import connect_vector_index
from mesh_assets.schemas.citations import Citation
from mesh_assets.search.hits import hit_of
from mesh_assets.search.hybrid import MODES as BOTH
from mesh_assets.search.hybrid import search
from mesh_assets.search.protocol import ChunkRow, SearchHit, SearchResult
from mesh_assets.search.query import Query, moment_of, read_query, with_pattern
from mesh_assets.search.timeline import Window
from mesh_assets.settings import Settings
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.duckdb_query import lake_connection
from mesh_assets.storage.graph_files import GraphFiles
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.slice_times import SliceTimes
from mesh_assets.storage.surroundings import Surroundings, chunk_at, surroundings
from mesh_assets.storage.text_patterns import PatternSearch
from mesh_assets.storage.timeline_queries import LakeTimeline

Mode = Literal["hybrid", "words", "meaning", "regex", "graph", "time"]
MODE_NAMES: tuple[str, ...] = get_args(Mode)
# Hits that facets are counted over, and the last one that a page can show.
COUNTED, MOST_HITS = 100, 1_000
# Entries that are looked through for those that satisfy fields, exclusions and phrases: each time ten times as many.
_DEPTHS = (100, 1_000, 10_000)
# Rows of the lake that are fetched at once where a scan gives them.
_WAVE = 200
_NAMESAKES, _EDGES, _MOMENTS, _SECONDS = 5, 300, 1_000, 300


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of hits. `found` counts hits up to the end of the page or `COUNTED`, whichever is later; `more` says that
    there are others behind. `facets` count the best `COUNTED` by dataset, kind and folder. `words` are to be marked.
    """

    hits: list[SearchHit]
    found: int
    more: bool
    facets: dict[str, dict[str, int]]
    words: list[str]
    notes: list[str]


class OneQuery:
    """One query over the indexes of a state folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.lake = Lake(settings.state / "lake")
        self.chunks = LakeChunks(self.lake)
        self._times = SliceTimes(self.lake)
        self._graphs = GraphFiles(self.lake.root)
        self._words = connect_fulltext_index(settings)
        self._vectors = connect_vector_index(settings)
        self._encoders = SearchEncoders(settings)
        self._turn = Lock()

    def search(
        self, text: str, *, mode: str = "hybrid", limit: int = 10, offset: int = 0, **fields: str | None
    ) -> Answer:
        """Hits `offset` up to `offset + limit`, best first; `fields` are those of the language, as keywords.

        A query of fields alone lists chunks in the order of the lake. Where it has a /pattern/, or in mode `regex`,
        the lake's texts are looked through for at most ten seconds, and its words must all be there. Mode `graph`
        takes the text for the name of a vertex and finds the chunks around it; mode `time` takes it for a moment.
        QueryError where the query is none.
        """
        if mode not in MODE_NAMES:
            raise QueryError(f"There is no mode {mode!r}.", remedy=f"Modes are {', '.join(MODE_NAMES)}.")
        if limit < 1 or not 0 <= offset <= MOST_HITS - limit:
            raise QueryError(f"Only the {MOST_HITS:,} best hits can be shown.", remedy="Ask for less, or narrow it.")
        query = with_pattern(Query(), text) if mode == "regex" and text else read_query(text)
        query = query.and_fields(**fields)
        wanted = max(offset + limit + 1, COUNTED)
        result = SearchResult() if query.is_blank else self._found(query, mode, wanted)
        best = result.hits[:COUNTED]
        return Answer(
            hits=result.hits[offset : offset + limit],
            found=min(len(result.hits), max(offset + limit, COUNTED)),
            more=len(result.hits) > offset + limit,
            facets={
                "dataset": _counted(hit.dataset for hit in best),
                "kind": _counted(hit.kind for hit in best),
                "folder": _counted(hit.path.rpartition("/")[0] for hit in best if "/" in hit.path),
            },
            words=query_words(query.text),
            notes=result.notes,
        )

    def around(self, citation: str) -> Surroundings:
        """What is around the chunk that a citation lies in."""
        return self.around_chunk(*chunk_at(Citation.parse(citation), self.lake))

    def around_chunk(self, chunk_id: str, slice_key: str) -> Surroundings:
        """What is around a chunk; QueryError where the lake has it no more."""
        with lake_connection(self.lake.root, uuid.uuid4().hex) as connection:
            graph = self._graphs.graph(connection)
            return surroundings(chunk_id, slice_key, chunks=self.chunks, graph=graph, timeline=LakeTimeline(connection))

    def _found(self, query: Query, mode: str, wanted: int) -> SearchResult:
        if mode == "graph":
            return self._by_graph(query, wanted)
        if mode == "time":
            return self._by_time(query, wanted)
        if query.patterns or not query.text:
            return self._by_scan(query, wanted)
        return self._ranked(query, BOTH if mode == "hybrid" else (mode,), wanted)

    def _ranked(self, query: Query, modes: Collection[str], wanted: int) -> SearchResult:
        """By words and meaning; deeper where fields leave too few of the first entries."""
        result, where = SearchResult(), query.where
        if query.after or query.before:
            where = replace(where, slices=self._times.within(query.after, query.before, where.dataset))
        for depth in _DEPTHS:
            with self._turn:  # neither the model nor the mapped files are made for several threads
                result = search(
                    query.text,
                    encoder=self._encoders.current,
                    older=self._encoders.older(),
                    vectors=self._vectors,
                    words=self._words,
                    chunks=self.chunks,
                    limit=wanted,
                    where=where,
                    modes=modes,
                    keep=self._keep(query) if query.narrows else None,
                    depth=depth,
                )
            enough = len(result.hits) >= wanted or result.looked_at < max(depth, wanted)
            if enough or not query.narrows:
                return result
        note = f"The {_DEPTHS[-1]:,} best entries were looked through for what satisfies the fields."
        return replace(result, notes=[*result.notes, note])

    def _by_scan(self, query: Query, wanted: int) -> SearchResult:
        scan = PatternSearch(self.lake, query.patterns)
        matches = scan.matches(query.where.dataset, query.where.kind)
        words = set(query_words(query.text)) if query.text else set[str]()
        hits: list[SearchHit] = []
        while len(hits) < wanted and (wave := list(islice(matches, _WAVE))):
            rows = self._rows(query, [(match.chunk_id, match.slice) for match in wave])
            for match in wave:
                row = rows.get(match.chunk_id)
                if row is not None and words <= set(all_words(f"{row.context}\n{row.text}")):
                    reasons = [f"matches {match.matched[:60]!r}"] if query.patterns else ["satisfies the fields"]
                    hits.append(hit_of(row, match.matched or query.text, score=1.0, reasons=reasons))
        return SearchResult(hits[:wanted], [scan.stopped] if scan.stopped else [], len(hits))

    def _by_graph(self, query: Query, wanted: int) -> SearchResult:
        if not query.text:
            raise QueryError("Nothing is named.", remedy="Name a path, a symbol, a host or a template.")
        why: dict[str, str] = {}
        with lake_connection(self.lake.root, uuid.uuid4().hex) as connection:
            graph = self._graphs.graph(connection)
            named = graph.find(query.text, dataset=query.where.dataset, limit=_NAMESAKES)
            if not named:
                return SearchResult(notes=[f"Nothing is called {query.text!r}: names are paths, symbols, hosts ..."])
            for vertex in named:
                if vertex.chunk_id:
                    why.setdefault(vertex.chunk_id, f"{vertex.type} {vertex.name}")
            names = {vertex.vertex_id: vertex.name for vertex in named}
            for step in graph.steps(list(names), limit=_EDGES):
                chunk = step.vertex.chunk_id or (step.vertex.vertex_id if step.vertex.type == "chunk" else None)
                ends = (names[step.from_id], step.vertex.name)
                source, target = ends if step.is_outgoing else ends[::-1]
                if chunk:
                    why.setdefault(chunk, f"{source[:60]} {step.type} {target[:60]}")
            places = graph.slices_of(why)
        return self._listed(query, [(chunk, places[chunk], why[chunk]) for chunk in why if chunk in places], wanted)

    def _by_time(self, query: Query, wanted: int) -> SearchResult:
        near = moment_of(query.text, "The moment") if query.text else None
        if near is None and query.after is None and query.before is None:
            raise QueryError(
                "No time is named.", remedy="Write a moment, as 2015-10-18T18:01:47, or after: and before:."
            )
        window = Window(query.after, query.before, query.where.dataset)
        if near is not None and query.after is None and query.before is None:
            window = Window.around(near, _SECONDS, dataset=query.where.dataset)
        with lake_connection(self.lake.root, uuid.uuid4().hex) as connection:
            moments = LakeTimeline(connection).moments(window, near=near, limit=_MOMENTS)
        if near is not None:
            moments.sort(key=lambda moment: abs(moment.time - near))
        found = {
            moment.chunk_id: (moment.chunk_id, moment.slice, f"at {moment.time:%Y-%m-%d %H:%M:%S}")
            for moment in reversed(moments)
        }
        # What was inserted last is nearest.
        return self._listed(query, list(reversed(found.values())), wanted)

    def _listed(self, query: Query, found: list[tuple[str, str, str]], wanted: int) -> SearchResult:
        """Chunks in the order in which they were found, each with its reason."""
        hits: list[SearchHit] = []
        left = iter(found)
        while len(hits) < wanted and (wave := list(islice(left, wanted))):
            rows = self._rows(query, [(chunk, slice_key) for chunk, slice_key, _ in wave])
            hits += [
                hit_of(rows[chunk], query.text, score=1.0, reasons=[why]) for chunk, _, why in wave if chunk in rows
            ]
        return SearchResult(hits[:wanted], looked_at=len(found))

    def _rows(self, query: Query, places: Iterable[tuple[str, str]]) -> dict[str, ChunkRow]:
        """The rows of chunks in slices that the lake has and the query accepts."""
        asked: dict[str, list[str]] = {}
        for chunk_id, slice_key in places:
            asked.setdefault(slice_key, []).append(chunk_id)
        rows = self.chunks.fetch(asked)
        kept = self._keep(query)(rows)
        return {chunk_id: row for chunk_id, row in rows.items() if chunk_id in kept}

    def _keep(self, query: Query) -> _Keep:
        return _Keep(query, self.lake)


@dataclass(frozen=True, slots=True)
class _Keep:
    """Leaves the rows that a query accepts."""

    query: Query
    lake: Lake

    def __call__(self, rows: Mapping[str, ChunkRow]) -> set[str]:
        labels = self._labels(rows) if self.query.labels else {}
        return {chunk_id for chunk_id, row in rows.items() if self.query.accepts(row, labels.get(chunk_id, ()))}

    def _labels(self, rows: Mapping[str, ChunkRow]) -> dict[str, set[str]]:
        """Labels of the entities of each chunk, in lower case."""
        found: dict[str, set[str]] = {}
        for slice_key in sorted({row.slice for row in rows.values()}):
            path = self.lake.path("chunk_insights", slice_key)
            if path.exists():
                ids = pa.array([row.chunk_id for row in rows.values() if row.slice == slice_key], pa.string())
                chosen = pads.dataset(path).to_table(
                    columns=["chunk_id", "entities"], filter=pads.field("chunk_id").isin(ids)
                )
                for row in chosen.to_pylist():
                    found[row["chunk_id"]] = {str(entity["label"]).lower() for entity in row["entities"] or ()}
        return found


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
