"""Writes the graph file of a slice from its tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from mesh_assets.indexes.graph_file import PART_ROWS, GraphWriter


def write_graph(path: Path, vertices: pa.Table, edges: pa.Table, *, part_rows: int = PART_ROWS) -> None:
    """The file of `vertices` by id and `edges` by source, row by row where parts are to be as small."""
    with GraphWriter(path, part_rows=part_rows) as writer:
        for batch in vertices.to_batches(max_chunksize=min(part_rows, 1000)):
            writer.add_vertices(batch)
        for batch in edges.to_batches(max_chunksize=min(part_rows, 1000)):
            writer.add_edges(batch)
