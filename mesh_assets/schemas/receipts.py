"""Receipts: every call to a model node that was billed, as the ledger has it."""

from __future__ import annotations

import pyarrow as pa

from mesh_assets.schemas.chunks import TIMESTAMP
from mesh_assets.schemas.table import Column, Table

# Exact to 1e-12 USD, as the ledger is.
USD = pa.decimal128(20, 12)

RECEIPTS = Table(
    name="receipts",
    grain="one call to a model node that was billed",
    key=("receipt_id",),
    columns=(
        Column("receipt_id", pa.string(), "The attempt, as the node was told it."),
        Column("dataset", pa.string(), "Key of the dataset."),
        Column("at", TIMESTAMP, "When it was settled, UTC."),
        Column("node", pa.string(), "Node that was asked."),
        Column("model", pa.string(), "Model that it is."),
        Column("depth", pa.string(), "Rung of the ladder: surface, deep, expert, research."),
        Column("case_id", pa.string(), "Case that was asked."),
        Column("run", pa.string(), "Dagster run that asked.", nullable=True),
        Column("problem", pa.string(), "Problem that the case is of.", nullable=True),
        Column("outcome", pa.string(), "What became of the call."),
        Column(
            "cost_usd", USD, "What it cost. A call over several datasets is in each with its part of cost and tokens."
        ),
        Column("reserved_usd", USD, "What was set aside for it: its worst case."),
        Column(
            "input_tokens", pa.int64(), "Tokens read at full price; null where the node did not say.", nullable=True
        ),
        Column("cached_tokens", pa.int64(), "Tokens read from the node's prompt cache.", nullable=True),
        Column("cache_write_tokens", pa.int64(), "Tokens written to it.", nullable=True),
        Column("output_tokens", pa.int64(), "Tokens written, with those of reasoning.", nullable=True),
        Column("reasoning_tokens", pa.int64(), "Tokens of reasoning among them.", nullable=True),
        Column("is_batch", pa.bool_(), "Whether it was part of a batch, at the price of those."),
        Column("price", pa.string(), "USD for a million tokens of each kind, and where that is from, as JSON."),
        Column("request_id", pa.string(), "The node's own name for the call; empty where it has none."),
    ),
)
