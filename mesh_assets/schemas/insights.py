"""Insights: what local models and algorithms say, about one chunk (`CHUNK_INSIGHTS`) and about a slice (`INSIGHTS`)."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.citations import CITATION
from mesh_assets.schemas.table import Column, Table

KEYPHRASE = pa.struct([("phrase", pa.string()), ("score", pa.float32())])
ENTITY = pa.struct(
    [
        ("label", pa.string()),
        ("text", pa.string()),
        ("byte_start", pa.int64()),
        ("byte_stop", pa.int64()),
        ("source", pa.string()),
    ]
)

CHUNK_INSIGHTS = Table(
    name="chunk_insights",
    grain="what is said of one chunk",
    key=("chunk_id",),
    columns=(
        Column("chunk_id", pa.string(), "The chunk."),
        Column("keyphrases", pa.list_(KEYPHRASE), "Phrases that tell the chunk apart, best first, scores in 0..1."),
        Column(
            "entities",
            pa.list_(ENTITY),
            "Named things with their bytes from `byte_start` on; `source` is a model, or null.",
        ),
        Column(
            "basis",
            pa.string(),
            "Kind and bytes of the chunk, and a model for names, which they come from too.",
            nullable=True,
        ),
    ),
)

CHUNK_LABELS = Table(
    name="chunk_labels",
    grain="one label of one chunk",
    key=("chunk_id", "label_set"),
    columns=(
        Column("chunk_id", pa.string(), "The chunk."),
        Column("label_set", pa.string(), "Set that the label is of: topic, content, or one of the owner's."),
        Column("label", pa.string(), "The label; `other` where none of the set fits."),
        Column("probability", pa.float32(), "Of this label, 0..1."),
        Column("calibrated", pa.bool_(), "Whether the probability was fitted to labelled texts with this model."),
        Column("basis", pa.string(), "What it was told by: `descriptions`, or also the owner's `corrections`."),
    ),
)

INSIGHTS = Table(
    name="insights",
    grain="one insight about a slice",
    key=("insight_id",),
    columns=(
        Column("insight_id", pa.string(), "32 hex digits of slice, type and title."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("kind", pa.string(), "Kind of data that it is about; `mixed` for several."),
        Column("type", pa.string(), "What sort of insight: overview, topic, summary, entities, log_rate ..."),
        Column("title", pa.string(), "A few words."),
        Column("statement", pa.string(), "The insight as a plain sentence."),
        Column("score", pa.float64(), "How much it deserves a person's time, 0..1; findings have 0.5 or more."),
        Column("value", pa.string(), "Its numbers as JSON: statistics, baseline, a series to plot."),
        Column("time_start", TIMESTAMP, "First moment that it is about, UTC.", nullable=True),
        Column("time_stop", TIMESTAMP, "Last moment.", nullable=True),
        Column("evidence", pa.list_(CITATION), "Where it can be seen."),
    ),
)

# Those of `slice_insights` that the tools of `code_findings` made, before they are ranked with the others.
CODE_FINDINGS = replace(INSIGHTS, name="code_findings", grain="one insight about the code of a slice")

# An insight of at least this score is a finding: the report ranks it instead of listing it.
FINDING_SCORE = 0.5
