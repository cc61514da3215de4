"""Chunks for tests: files cut into rows of `CHUNKS`, and the stages run on them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from blake3 import blake3

from mesh_assets.insights.chunk_stage import insight_batches
from mesh_assets.insights.log_tables import log_batches
from mesh_assets.insights.slice_stage import slice_insight_batches
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import AttachedRows, Outcome


def pieces(text: str, size: int) -> Iterator[tuple[int, str]]:
    """`text` cut at line ends into parts of about `size` characters, each with its first character."""
    at = 0
    while at < len(text):
        stop = text.find("\n", min(at + size, len(text) - 1))
        stop = len(text) if stop < 0 else stop + 1
        yield at, text[at:stop]
        at = stop


def rows(
    path: str,
    text: str,
    *,
    kind: str = "text",
    format: str = "plain",  # noqa: A002
    size: int = 1000,
    encoding: str = "utf-8",
    time_stop: datetime | None = None,
    context: str = "",
    symbol: str | None = None,
) -> list[dict[str, object]]:
    """The chunks of one file."""
    made: list[dict[str, object]] = []
    byte, line = 0, 1
    for at, part in pieces(text, size):
        length = len(part.encode(encoding, "surrogatepass"))
        made.append(
            {
                "chunk_id": blake3(f"{path} {at}".encode("utf-8", "surrogatepass")).hexdigest(16),
                "dataset": "d",
                "slice": "d.000001",
                "path": path,
                "extent_start": 0,
                "kind": kind,
                "format": format,
                "language": "en",
                "symbol": symbol,
                "context": context,
                "text": part,
                "tokens": len(part) // 4,
                "byte_start": byte,
                "byte_stop": byte + length,
                "line_start": line,
                "line_stop": line + max(part.count("\n") - 1, 0),
                "time_start": None,
                "time_stop": time_stop,
                "source_hash": "ab" * 16,
            }
        )
        byte += length
        line += part.count("\n")
    return made


def batches(made: list[dict[str, object]], size: int = 512) -> list[pa.RecordBatch]:
    return [CHUNKS.batch(made[i : i + size]) for i in range(0, len(made), size)]


def vectors_of(batch: pa.RecordBatch) -> np.ndarray:
    """Unit vectors in which texts with common words are near: hashed words, no model."""
    out = np.zeros((batch.num_rows, 64), np.float32)
    for i, text in enumerate(batch.column("text").to_pylist()):
        for word in text.lower().split():
            out[i, sum(word.encode()) * 31 % 64] += 1
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)


def chunk_rows(made: list[dict[str, object]], size: int = 512) -> list[dict]:
    return [row for batch in insight_batches(batches(made, size), Outcome()) for row in batch.to_pylist()]


class Found(NamedTuple):
    """An entity at the characters `start` up to `stop` of a text."""

    label: str
    text: str
    start: int
    stop: int


def entities_of(text: str) -> list[Found]:
    """The entities of one text, with their characters."""
    content = text.encode("utf-8", "replace")
    text = content.decode()
    found: list[Found] = []
    for row in chunk_rows(whole(text)):
        for e in row["entities"]:
            start = len(content[: e["byte_start"]].decode())
            stop = start + len(content[e["byte_start"] : e["byte_stop"]].decode())
            found.append(Found(e["label"], e["text"], start, stop))
    return found


def phrases_of(text: str, kind: str = "text") -> list[tuple[str, float]]:
    """The keyphrases of one text of a kind of file."""
    return [(p["phrase"], p["score"]) for row in chunk_rows(whole(text, kind)) for p in row["keyphrases"]]


def whole(text: str, kind: str = "text") -> list[dict[str, object]]:
    """A text as one chunk."""
    return rows("f.txt", text, kind=kind, size=10**9)


def slice_rows(made: list[dict[str, object]], size: int = 512, *, embedded: bool = True) -> list[dict]:
    """The insights of a slice of these chunks, with vectors or without."""
    cut = batches(made, size)
    none = np.zeros((size, 0), np.float32)
    aligned = [
        (b, next(iter(insight_batches([b], Outcome()))), vectors_of(b) if embedded else none[: b.num_rows]) for b in cut
    ]
    made_rows = slice_insight_batches(
        aligned, logs_of(cut).take("log_insights"), dataset="d", slice_key="d.000001", outcome=Outcome()
    )
    return [row for batch in made_rows for row in batch.to_pylist()]


def logs_of(cut: list[pa.RecordBatch], events: list[pa.RecordBatch] | None = None) -> AttachedRows:
    """What is published beside the events of the logs of a slice of these chunks; the events are added to `events`."""
    attached = AttachedRows()
    made = log_batches(cut, cut, dataset="d", slice_key="d.000001", outcome=Outcome(), attached=attached)
    (events if events is not None else []).extend(made)
    return attached
