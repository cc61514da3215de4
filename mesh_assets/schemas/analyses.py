"""Analyses: what came of a case at one depth, one table a depth with the same columns.

A case has a row at each depth that it reached. Its last row says in `stands` at which depth the answer is that counts:
going deeper may have kept an earlier one.
"""

from __future__ import annotations

from typing import Literal, get_args

import pyarrow as pa

from mesh_assets.schemas.citations import CITATION
from mesh_assets.schemas.receipts import USD
from mesh_assets.schemas.table import Column, Table

# `settled`: sure enough. `escalated`: the next depth takes it. `stopped`: not sure enough, but nothing goes deeper.
State = Literal["settled", "escalated", "stopped"]
STATES: tuple[State, ...] = get_args(State)

CLAIM = pa.struct(
    [
        pa.field("statement", pa.string(), nullable=False),
        pa.field("aspect", pa.string()),
        pa.field("citations", pa.list_(CITATION), nullable=False),
        pa.field("queries", pa.list_(pa.string()), nullable=False),
        pa.field("evidence", pa.list_(pa.string()), nullable=False),
    ]
)
DROPPED = pa.struct(
    [pa.field("statement", pa.string(), nullable=False), pa.field("reason", pa.string(), nullable=False)]
)
TEST = pa.struct(
    [
        pa.field("statement", pa.string(), nullable=False),
        pa.field("by", pa.string(), nullable=False),
        pa.field("what", pa.string(), nullable=False),
        pa.field("holds", pa.bool_()),
        pa.field("result", pa.string(), nullable=False),
    ]
)
TRACE = pa.struct(
    [
        pa.field("role", pa.string(), nullable=False),
        pa.field("node", pa.string(), nullable=False),
        pa.field("said", pa.string(), nullable=False),
        pa.field("cost_usd", USD, nullable=False),
        pa.field("receipts", pa.list_(pa.string()), nullable=False),
        pa.field("failure", pa.string()),
    ]
)
TRIED = pa.struct([("node", pa.string()), ("failure", pa.string()), ("reason", pa.string())])

ANALYSES = Table(
    name="analyses",
    grain="what came of one case at one depth",
    key=("slice", "case_id", "depth"),
    columns=(
        Column("case_id", pa.string(), "The case."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("slice", pa.string(), "Key of the slice."),
        Column("brief", pa.string(), "Name of the standing question that the case comes from."),
        Column("depth", pa.string(), "Rung of the ladder: surface, deep, expert, research."),
        Column("node", pa.string(), "Who answered; null where nobody did.", nullable=True),
        Column("why_node", pa.string(), "Why this node was asked."),
        Column(
            "technique", pa.string(), "The research technique that it comes from; null for one call.", nullable=True
        ),
        Column(
            "trace",
            pa.list_(TRACE),
            "Each call of the technique that was tried: its role, who was asked, what it said, its cost in this run or "
            "before. Nothing of it is a claim.",
        ),
        Column(
            "text", pa.string(), "The answer: the statements that hold. Of the local answerer the sentences it quotes."
        ),
        Column(
            "claims",
            pa.list_(CLAIM),
            "Statements that hold: each has citations, or queries of facts, and the labels of its evidence.",
        ),
        Column("dropped", pa.list_(DROPPED), "Statements that were not taken, and why."),
        Column(
            "tests",
            pa.list_(TEST),
            "Claims put to the data: by the numbers or the one word that their own query gives, or by the past of what "
            "they foretell; `holds` is null where that cannot be told.",
            nullable=True,
        ),
        Column("reported", pa.float64(), "The node's own word on how sure it is, 0..1: no probability.", nullable=True),
        Column("confidence", pa.float64(), "How likely the answer is right, 0..1; 0 where there is none."),
        Column("is_calibrated", pa.bool_(), "Whether that was fitted on verdicts; else it only ranks."),
        Column("calibration", pa.string(), "Version of what made signals a confidence."),
        Column("signals", pa.string(), "What the confidence comes from, as a JSON object of numbers."),
        Column("state", pa.string(), f"What became of the case here: {', '.join(STATES)}."),
        Column("why", pa.string(), "Why it ends or goes deeper, as a sentence."),
        Column(
            "guarantee",
            pa.string(),
            "What the gate promises that settled it, by how many verdicts; null where none did.",
            nullable=True,
        ),
        Column(
            "stands", pa.string(), "Depth of the answer that counts after this one; null without one.", nullable=True
        ),
        Column("is_kept", pa.bool_(), "Whether an earlier answer was kept: this depth was asked and did not help."),
        Column("next_depth", pa.string(), "Where it goes or would go next; null where it is settled.", nullable=True),
        Column(
            "next_node", pa.string(), "The cheapest node that serves that depth, also one that is off.", nullable=True
        ),
        Column("next_usd", USD, "What that would likely cost; null where no such node is described.", nullable=True),
        Column("cost_usd", USD, "Sum of the receipts: what this depth cost, in this run or before."),
        Column(
            "input_tokens", pa.int64(), "Tokens read for that, cached ones too; null where not said.", nullable=True
        ),
        Column("output_tokens", pa.int64(), "Tokens written for that.", nullable=True),
        Column("receipts", pa.list_(pa.string()), "What was billed for the case at this depth."),
        Column(
            "is_cached", pa.bool_(), "Whether the answer was kept from before, so that this run paid nothing for it."
        ),
        Column(
            "failure", pa.string(), "Why there is no answer, as a sentence; null where there is one.", nullable=True
        ),
        Column("tried", pa.list_(TRIED), "Nodes that were asked and gave no answer, and why."),
    ),
)
