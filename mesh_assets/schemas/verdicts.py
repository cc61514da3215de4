"""Verdicts: the word of a person or of a verifier on whether an answer is right: what gates learn from."""

from __future__ import annotations

from typing import Literal, get_args

import pyarrow as pa

from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.table import Column, Table

Judge = Literal["person", "verifier"]
JUDGES: tuple[Judge, ...] = get_args(Judge)

VERDICTS = Table(
    name="verdicts",
    grain="one word of one judge on one answer",
    key=("number",),
    columns=(
        Column("number", pa.int64(), "Which verdict it is, in the order that they came."),
        Column("dataset", pa.string(), "Key of the dataset that the case is of."),
        Column("case_id", pa.string(), "The case that was answered."),
        Column("depth", pa.string(), "Rung of the ladder that the answer is of."),
        Column("node", pa.string(), "Who answered; null where nobody was asked.", nullable=True),
        Column("is_right", pa.bool_(), "Whether the answer is right."),
        Column("judge", pa.string(), f"What kind of judge said so: {', '.join(JUDGES)}."),
        Column("judge_name", pa.string(), "Which one: a person's name, or a verifier's."),
        Column("at", TIMESTAMP, "When, UTC."),
        Column("signals", pa.string(), "What the answer's confidence came from, as a JSON object of numbers."),
    ),
)
