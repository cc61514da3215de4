"""Chunks by id, for search: the indexes know ids, the lake knows the texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import pyarrow as pa
import pyarrow.dataset as pads

from mesh_assets.search.protocol import ChunkRow
from mesh_assets.storage.lake import Lake, LakeTable

_COLUMNS = [field.name for field in fields(ChunkRow)]


class LakeChunks:
    """Fetches rows of `chunk_sets` from the lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def fetch(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, ChunkRow]:
        """Rows by chunk id, for slice keys with their ids. An id that the lake no longer has is left out."""
        found: dict[str, ChunkRow] = {}
        for slice_key, ids in wanted.items():
            path = self._lake.path("chunk_sets", slice_key)
            if path.exists():
                chosen = pads.field("chunk_id").isin(pa.array(list(ids), pa.string()))
                for row in pads.dataset(path).to_table(columns=_COLUMNS, filter=chosen).to_pylist():
                    found[row["chunk_id"]] = ChunkRow(**row)
        return found


def formats_of(sources: LakeTable) -> set[tuple[str, str]]:
    """The kinds and formats of the files in a table of sources."""
    return {(row["kind"], row["format"]) for batch in sources.batches(["kind", "format"]) for row in batch.to_pylist()}
