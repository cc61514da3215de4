"""What an insight is made of. Adding one means a file beside this one and a line in `registry`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import pyarrow as pa
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.schemas.citations import Citation


@dataclass(frozen=True, slots=True)
class Insight:
    """One insight about a slice: a plain sentence, its numbers and where it can be seen.

    `score` says how much it deserves a person's time, 0..1. `value` is JSON-able; a series to plot is
    `{"series": {"x": [ISO times or labels], "y": [numbers], "unit": "...", "marked": [first, last index]}}`.
    """

    kind: str
    type: str
    title: str
    statement: str
    score: float
    value: dict[str, object] = field(default_factory=dict[str, object])
    evidence: tuple[Citation, ...] = ()
    time_start: datetime | None = None
    time_stop: datetime | None = None

    def row(self, *, dataset: str, slice_key: str) -> dict[str, object]:
        """The insight as a row of the table `INSIGHTS`. Its id comes from slice, type and title."""
        identity = "\x1f".join((slice_key, self.type, self.title))
        return {
            "insight_id": blake3(identity.encode("utf-8", "surrogatepass")).hexdigest(length=16),
            "dataset": dataset,
            "slice": slice_key,
            "kind": self.kind,
            "type": self.type,
            "title": self.title,
            "statement": self.statement,
            "score": float(min(max(self.score, 0.0), 1.0)),
            "value": json.dumps(self.value, sort_keys=True),
            "time_start": self.time_start,
            "time_stop": self.time_stop,
            "evidence": [citation.row() for citation in self.evidence],
        }


class SliceInsight(Protocol):
    """Watches the chunks of one slice stream by, then says what it saw. Its memory does not grow with the slice."""

    def observe(self, chunks: pa.RecordBatch, insights: pa.RecordBatch, vectors: NDArray[np.float32]) -> None:
        """Take in aligned batches: rows of `CHUNKS`, of `CHUNK_INSIGHTS`, and vectors of shape (rows, dimension)."""
        ...

    def conclude(self) -> Iterable[Insight]:
        """The insights, once every batch was observed."""
        ...
