"""What the HTTP API answers, as plain dataclasses, and how that is found. Nothing of HTTP is known here."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from threading import Lock
from urllib.parse import quote

import pyarrow.dataset as pads

from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.errors import QueryError
from mesh_assets.indexes.protocol import Filter
from mesh_assets.indexes.words import query_words
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.vector_index import connect_vector_index
from mesh_assets.search.graph import Step, Vertex
from mesh_assets.search.hybrid import search
from mesh_assets.search.protocol import SearchHit
from mesh_assets.search.timeline import Moment, Window
from mesh_assets.settings import Settings
from mesh_assets.slices import SliceKey
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.duckdb_query import lake_connection
from mesh_assets.storage.graph_queries import LakeGraph
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.timeline_queries import LakeTimeline

# Hits that facets are counted over.
MOST_HITS = 100
_NEIGHBOURS, _MOMENTS = 40, 50
# Of the Dagster UI.
_SLICE_PAGE = "/assets/slice_reports?view=partitions&partition="


@dataclass(frozen=True, slots=True)
class FoundHit:
    """One hit: where it is, why it was found, how it is opened, and where else nearly the same text lies."""

    chunk_id: str
    slice: str
    dataset: str
    path: str
    kind: str
    symbol: str | None
    place: str
    snippet: str
    why: str
    score: float
    citation: str
    time: datetime | None
    asset_url: str
    others: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, best first; how many of them each dataset and kind has; words to mark; what could not be asked."""

    hits: list[FoundHit]
    datasets: dict[str, int]
    kinds: dict[str, int]
    words: list[str]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Around:
    """A chunk with all of its text, the chunks before and behind it, and its neighbours in the graph."""

    chunk_id: str
    text: str
    before: str | None
    behind: str | None
    picture: str | None
    vertices: list[Vertex]
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class ReportLink:
    """The report of a dataset."""

    dataset: str
    url: str


class Answers:
    """Answers for one state folder, from any number of threads. The encoder is loaded with the first query."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lake = Lake(settings.state / "lake")
        self._chunks = LakeChunks(self._lake)
        self._words = connect_fulltext_index(settings)
        self._vectors = connect_vector_index(settings)
        self._turn = Lock()

    @cached_property
    def _encoder(self) -> Encoder:
        return connect_encoder(self._settings)

    def search(self, query: str, *, dataset: str | None, kind: str | None, limit: int) -> Found:
        """The best hits. Dataset and kind may be None for any."""
        with self._turn:  # neither the model nor the mapped files are made for several threads
            result = search(
                query,
                encoder=self._encoder,
                vectors=self._vectors,
                words=self._words,
                chunks=self._chunks,
                limit=limit,
                where=Filter(dataset or None, kind or None),
            )
        return Found(
            hits=[self._hit(hit) for hit in result.hits],
            datasets=dict(Counter(hit.dataset for hit in result.hits).most_common()),
            kinds=dict(Counter(hit.kind for hit in result.hits).most_common()),
            words=query_words(query),
            notes=result.notes,
        )

    def _hit(self, hit: SearchHit) -> FoundHit:
        return FoundHit(
            chunk_id=hit.chunk_id,
            slice=hit.slice,
            dataset=hit.dataset,
            path=hit.path,
            kind=hit.kind,
            symbol=hit.symbol,
            place=hit.citation.place or f"line {hit.line_start}",
            snippet=hit.snippet,
            why=hit.why,
            score=round(hit.score, 4),
            citation=str(hit.citation),
            time=hit.time_start,
            asset_url=f"http://127.0.0.1:{self._settings.port}{_SLICE_PAGE}{quote(hit.slice)}",
            others=[f"{c.dataset}/{c.path}:{c.line_start}" for c in hit.others],
        )

    def around(self, chunk_id: str, slice_key: str) -> Around:
        """What is around a chunk; QueryError where the lake has it no more."""
        row = self._chunks.fetch({str(SliceKey.parse(slice_key)): [chunk_id]}).get(chunk_id)
        if row is None:
            raise QueryError(f"There is no chunk {chunk_id} any more.", remedy="Search again: the file was read anew.")
        with lake_connection(self._lake.root, uuid.uuid4().hex) as connection:
            graph = LakeGraph(connection)
            steps = graph.steps([chunk_id], limit=_NEIGHBOURS)
            # What the chunk holds says more than the chunk: who calls its symbols, what its entities are in.
            held = [step.vertex for step in steps if step.is_outgoing and step.vertex.type in ("symbol", "entity")]
            if held:
                steps += graph.steps([vertex.vertex_id for vertex in held[:8]], limit=_NEIGHBOURS)
        follows = [step for step in steps if step.type == "follows" and step.from_id == chunk_id]
        return Around(
            chunk_id=chunk_id,
            text=row.text,
            before=next((step.vertex.vertex_id for step in follows if not step.is_outgoing), None),
            behind=next((step.vertex.vertex_id for step in follows if step.is_outgoing), None),
            picture=self._picture_url(chunk_id, slice_key) if row.kind in ("image", "video") else None,
            vertices=held,
            steps=_once(steps),
        )

    def moments(self, near: datetime, *, seconds: float, dataset: str | None) -> list[Moment]:
        """Events and values around a moment."""
        with lake_connection(self._lake.root, uuid.uuid4().hex) as connection:
            window = Window.around(near, seconds, dataset=dataset)
            return LakeTimeline(connection).moments(window, near=near, limit=_MOMENTS)

    def reports(self) -> list[ReportLink]:
        """The reports that there are."""
        found = [(key, self._lake.find("dataset_reports", key)) for key in self._lake.datasets("dataset_reports")]
        return [ReportLink(key, f"/reports/{table.rows()[0]['html']}") for key, table in found if table is not None]

    def picture(self, chunk_id: str, slice_key: str) -> tuple[bytes, str] | None:
        """The small picture of a chunk and its media type; None where it has none."""
        path = self._lake.path("previews", slice_key)
        if not path.exists():
            return None
        rows = pads.dataset(path).to_table(columns=["image", "media_type"], filter=pads.field("chunk_id") == chunk_id)
        return None if not rows.num_rows else (rows["image"][0].as_py(), rows["media_type"][0].as_py())

    def _picture_url(self, chunk_id: str, slice_key: str) -> str | None:
        found = self.picture(chunk_id, slice_key)
        return None if found is None else f"/api/picture?chunk={quote(chunk_id)}&slice={quote(slice_key)}"


def _once(steps: Sequence[Step]) -> list[Step]:
    """Each edge from one of its ends only, without those between chunks of a file."""
    kept: dict[tuple[str, str, str], Step] = {}
    for step in steps:
        if step.type not in ("follows", "contains"):
            ends = sorted((step.from_id, step.vertex.vertex_id))
            kept.setdefault((step.type, ends[0], ends[1]), step)
    return list(kept.values())[:_NEIGHBOURS]
