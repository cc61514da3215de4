"""The graph of a slice: vertices (`VERTICES`) and edges between them (`EDGES`).

An edge ends at a vertex by its id, or at every vertex that has a name, by its key: what source code calls and imports
is a name there, and what has that name may lie in another slice, or be added later. So a slice's graph depends on
nothing but the slice.
"""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.table import Column, Table

VERTEX_TYPES = ("file", "chunk", "symbol", "entity", "template", "column", "series", "event")
EDGE_TYPES = ("contains", "defines", "calls", "imports", "mentions", "follows", "related")

VERTICES = Table(
    name="vertices",
    grain="one vertex of the graph; a file or entity of several slices is one vertex, with a row in each",
    key=("vertex_id",),
    columns=(
        Column("vertex_id", pa.string(), "32 hex digits: the same in every slice."),
        Column("key", pa.string(), "What edges that end at a name have as target; else the vertex's id."),
        Column("type", pa.string(), f"One of: {', '.join(VERTEX_TYPES)}."),
        Column("name", pa.string(), "What people call it: a path, a symbol, a host, a template."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("path", pa.string(), "Path of the file that it is in; of an entity, null.", nullable=True),
        Column("chunk_id", pa.string(), "The chunk that it is in or begins in.", nullable=True),
        Column("detail", pa.string(), "Its type in its own terms: function, host, a column's type.", nullable=True),
        Column("time", TIMESTAMP, "When, of an event.", nullable=True),
    ),
)

EDGES = Table(
    name="edges",
    grain="one edge of the graph",
    key=("source", "type", "target"),
    columns=(
        Column("source", pa.string(), "Id of the vertex that it starts at."),
        Column("target", pa.string(), "Id or key of the vertices that it ends at."),
        Column("type", pa.string(), f"One of: {', '.join(EDGE_TYPES)}."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("weight", pa.float64(), "How often, or for `related` how closely (0..1)."),
        Column("written", pa.string(), "How a call, an import or a base is written.", nullable=True),
    ),
)
