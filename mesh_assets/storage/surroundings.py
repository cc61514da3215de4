"""What is around a chunk: just before and after it in its file, who calls what it defines, what mentions it, and what
happened at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow.dataset as pads

from mesh_assets.errors import CitationError, QueryError
from mesh_assets.schemas.citations import Citation
from mesh_assets.search.graph import Graph, Step, Vertex
from mesh_assets.search.protocol import ChunkRow, ChunkStore
from mesh_assets.search.timeline import Moment, Timeline, Window
from mesh_assets.slices import SliceKey
from mesh_assets.storage.lake import Lake

# Edges, and symbols and entities of the chunk whose edges are followed.
_NEIGHBOURS, _HELD = 40, 8
_MOMENTS, _SECONDS = 20, 60


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A chunk, its neighbours in the file, what it holds (`vertices`), edges at both, and moments near its first."""

    row: ChunkRow
    before: ChunkRow | None
    behind: ChunkRow | None
    vertices: list[Vertex]
    steps: list[Step]
    moments: list[Moment]


def surroundings(
    chunk_id: str, slice_key: str, *, chunks: ChunkStore, graph: Graph, timeline: Timeline
) -> Surroundings:
    """What is around a chunk; QueryError where the lake has the chunk no more."""
    key = str(SliceKey.parse(slice_key))
    row = chunks.fetch({key: [chunk_id]}).get(chunk_id)
    if row is None:
        raise QueryError(f"There is no chunk {chunk_id} any more.", remedy="Search again: the file was read anew.")
    steps = graph.steps([chunk_id], limit=_NEIGHBOURS)
    # What the chunk holds says more than the chunk: who calls its symbols, what its entities are in.
    held = [step.vertex for step in steps if step.is_outgoing and step.vertex.type in ("symbol", "entity")]
    if held:
        steps += graph.steps([vertex.vertex_id for vertex in held[:_HELD]], limit=_NEIGHBOURS)
    follows = [step for step in steps if step.type == "follows" and step.from_id == chunk_id]
    before = next((step.vertex.vertex_id for step in follows if not step.is_outgoing), None)
    behind = next((step.vertex.vertex_id for step in follows if step.is_outgoing), None)
    rows = chunks.fetch({key: [each for each in (before, behind) if each]})
    moments: list[Moment] = []
    if row.time_start is not None:
        window = Window.around(row.time_start, _SECONDS, dataset=row.dataset)
        moments = timeline.moments(window, near=row.time_start, limit=_MOMENTS)
    return Surroundings(row, rows.get(before or ""), rows.get(behind or ""), held, _once(steps), moments)


def chunk_at(citation: Citation, lake: Lake) -> tuple[str, str]:
    """Id and slice of the first chunk that a citation lies in; CitationError where the lake has none there."""
    wanted = (
        (pads.field("path") == citation.path)
        & (pads.field("byte_start") < max(citation.byte_stop, citation.byte_start + 1))
        & (pads.field("byte_stop") > citation.byte_start)
    )
    for key in sorted(lake.slices(citation.dataset)):
        path = lake.path("chunk_sets", key)
        if path.exists():
            found = pads.dataset(path).scanner(columns=["chunk_id"], filter=wanted).to_batches()
            for row in islice((row for batch in found for row in batch.to_pylist()), 1):
                return row["chunk_id"], key
    raise CitationError(
        f"{citation.dataset}/{citation.path} has no chunk at that place.",
        remedy="It was deleted or read anew since; search again for what it said.",
    )


def _once(steps: Sequence[Step]) -> list[Step]:
    """Each edge from one of its ends only, without those between chunks of a file."""
    kept: dict[tuple[str, str, str], Step] = {}
    for step in steps:
        if step.type not in ("follows", "contains"):
            ends = sorted((step.from_id, step.vertex.vertex_id))
            kept.setdefault((step.type, ends[0], ends[1]), step)
    return list(kept.values())[:_NEIGHBOURS]
