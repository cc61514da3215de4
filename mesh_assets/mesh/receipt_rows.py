"""Receipts as rows of `RECEIPTS`: how the record of money gets beside everything else that can be queried."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow as pa

from mesh_assets.mesh.protocol import Receipt
from mesh_assets.mesh.spending import share_of
from mesh_assets.schemas.outcome import Outcome, in_batches
from mesh_assets.schemas.receipts import RECEIPTS


def receipt_batches(receipts: Iterable[Receipt], dataset: str, outcome: Outcome) -> Iterator[pa.RecordBatch]:
    """The rows of some receipts of a dataset, each with what of it counts there, and counted in `outcome`."""
    for rows in in_batches(_row(share_of(receipt, dataset), dataset) for receipt in receipts):
        yield RECEIPTS.batch(rows)
        outcome.advance(len(rows))


def _row(receipt: Receipt, dataset: str) -> dict[str, object]:
    billed, usage = receipt.billed, receipt.billed.usage
    named = {scope.kind: scope.name for scope in receipt.scopes}
    return {
        "receipt_id": receipt.id,
        "dataset": dataset,
        "at": datetime.fromtimestamp(receipt.at, UTC),
        "node": billed.node,
        "model": billed.model,
        "depth": billed.depth,
        "case_id": billed.case_id,
        "run": named.get("run"),
        "problem": named.get("problem"),
        "outcome": billed.outcome,
        "cost_usd": receipt.cost,
        "reserved_usd": receipt.reserved,
        "input_tokens": usage and usage.input,
        "cached_tokens": usage and usage.cached_input,
        "cache_write_tokens": usage and usage.cache_write,
        "output_tokens": usage and usage.output,
        "reasoning_tokens": usage and usage.reasoning,
        "is_batch": billed.is_batch,
        "price": json.dumps(asdict(billed.price), default=str),
        "request_id": billed.request_id,
    }
