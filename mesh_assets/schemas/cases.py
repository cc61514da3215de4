"""Cases: the questions of a slice, each with the evidence that it may be answered from, as nodes see them."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.citations import CITATION
from mesh_assets.schemas.table import Column, Table

EVIDENCE = pa.struct(
    [
        pa.field("label", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("citation", CITATION),
        pa.field("query", pa.string()),
    ]
)

CASES = Table(
    name="cases",
    grain="one question over evidence of a slice",
    key=("slice", "case_id"),
    columns=(
        Column("case_id", pa.string(), "32 hex digits of all that the answer depends on: not of where evidence lies."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("brief", pa.string(), "Name of the standing question that it comes from."),
        Column("brief_version", pa.string(), "12 hex digits of the brief's content."),
        Column("audience", pa.string(), "Whom the answer is for."),
        Column("kind", pa.string(), "Kind of data that it is about; `mixed` for several."),
        Column("title", pa.string(), "What it is about, in a few words."),
        Column("question", pa.string(), "What is asked."),
        Column("speciality", pa.string(), "What a node should be good at: code, statistics ..."),
        Column("complexity", pa.float64(), "How likely an ordinary node's answer is wrong, 0..1."),
        Column("score", pa.float64(), "How much it deserves a person's time, 0..1; rows are sorted by it."),
        Column("share", pa.float64(), "Part of a run's money that all cases of its brief may take, 0..1."),
        Column("insight_id", pa.string(), "The insight that it goes after.", nullable=True),
        Column("time_start", TIMESTAMP, "First moment that it is about, UTC.", nullable=True),
        Column("time_stop", TIMESTAMP, "Last moment.", nullable=True),
        Column(
            "evidence", pa.list_(EVIDENCE), "Texts with their citation, computed facts with the query that gives them."
        ),
        Column("tokens", pa.int64(), "Estimated tokens of question and evidence."),
        Column("answer_schema", pa.string(), "JSON schema of the answer, as JSON."),
        Column("private", pa.bool_(), "Whether only nodes on this machine may see it."),
        Column(
            "is_impossible", pa.bool_(), "Whether its problem counts as impossible: it goes as deep as there are nodes."
        ),
        Column(
            "technique", pa.string(), "The research technique that its brief wishes for: `auto` by rule, `plain` none."
        ),
        Column("prompt_version", pa.string(), "Brief, its version and that of the prompt."),
    ),
)
