"""What the HTTP API answers, as plain dataclasses, and how that is found. Nothing of HTTP is known here."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import pyarrow as pa
import pyarrow.dataset as pads

from mesh_assets.search.graph import Step, Vertex
from mesh_assets.search.protocol import ChunkRow, SearchHit
from mesh_assets.search.timeline import Moment, Window
from mesh_assets.serving.one_query import OneQuery
from mesh_assets.settings import Settings
from mesh_assets.storage.duckdb_query import lake_connection
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.timeline_queries import LakeTimeline

_MOMENTS = 50
_PICTURED = ("image", "video")
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
    picture: str | None
    asset_url: str
    others: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits, best first; how many there are, as far as was looked, and whether others are behind; how many of
    the best each dataset, kind and folder has; words to mark; what could not be asked.
    """

    hits: list[FoundHit]
    found: int
    more: bool
    datasets: dict[str, int]
    kinds: dict[str, int]
    folders: dict[str, int]
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
        self._query = OneQuery(settings)
        self._lake: Lake = self._query.lake

    def search(self, query: str, *, mode: str, limit: int, offset: int, fields: Mapping[str, str | None]) -> Found:
        """A page of the best hits; see `OneQuery.search`."""
        answer = self._query.search(query, mode=mode, limit=limit, offset=offset, **fields)
        pictured = self._pictured(answer.hits)
        return Found(
            hits=[self._hit(hit, pictured) for hit in answer.hits],
            found=answer.found,
            more=answer.more,
            datasets=answer.facets["dataset"],
            kinds=answer.facets["kind"],
            folders=answer.facets["folder"],
            words=answer.words,
            notes=answer.notes,
        )

    def _hit(self, hit: SearchHit, pictured: Collection[str]) -> FoundHit:
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
            picture=_picture_url(hit.chunk_id, hit.slice) if hit.chunk_id in pictured else None,
            asset_url=f"http://127.0.0.1:{self._settings.port}{_SLICE_PAGE}{quote(hit.slice)}",
            others=[f"{c.dataset}/{c.path}:{c.line_start}" for c in hit.others],
        )

    def around(self, chunk_id: str, slice_key: str) -> Around:
        """What is around a chunk; QueryError where the lake has it no more."""
        found = self._query.around_chunk(chunk_id, slice_key)
        return Around(
            chunk_id=chunk_id,
            text=found.row.text,
            before=found.before.chunk_id if found.before else None,
            behind=found.behind.chunk_id if found.behind else None,
            picture=_picture_url(chunk_id, slice_key) if chunk_id in self._pictured([found.row]) else None,
            vertices=found.vertices,
            steps=found.steps,
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

    def _pictured(self, chunks: Sequence[SearchHit | ChunkRow]) -> set[str]:
        """Ids of those of some chunks that have a picture."""
        ids = [chunk.chunk_id for chunk in chunks if chunk.kind in _PICTURED]
        chosen = pads.field("chunk_id").isin(pa.array(ids, pa.string()))
        found: set[str] = set()
        for slice_key in {chunk.slice for chunk in chunks if chunk.kind in _PICTURED}:
            path = self._lake.path("previews", slice_key)
            if path.exists():
                rows = pads.dataset(path).to_table(columns=["chunk_id"], filter=chosen).to_pylist()
                found.update(row["chunk_id"] for row in rows)
        return found


def _picture_url(chunk_id: str, slice_key: str) -> str:
    return f"/api/picture?chunk={quote(chunk_id)}&slice={quote(slice_key)}"
