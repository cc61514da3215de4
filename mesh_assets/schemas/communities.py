"""Communities: what hangs together in the graph of a dataset more closely than with the rest."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.citations import CITATION
from mesh_assets.schemas.table import Column, Table

COMMUNITIES = Table(
    name="communities",
    grain="one community of a dataset's graph",
    key=("community_id",),
    columns=(
        Column("community_id", pa.string(), "32 hex digits of dataset and members: other members, another id."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("name", pa.string(), "Its first keyphrases, or the name of its first member."),
        Column("size", pa.int64(), "Vertices in it: files, symbols, entities, templates, columns, series."),
        Column("files", pa.int64(), "How many of them are files."),
        Column("members", pa.list_(pa.string()), "Names of some of them, those of the heaviest edges first."),
        Column("keyphrases", pa.list_(pa.string()), "Phrases that tell its files from those of the others."),
        Column("citations", pa.list_(CITATION), "The first chunks of those members that have some, one of a file."),
    ),
)
