"""Speed of insights of chunks and of slices by kind of data, in MB of source bytes per CPU-second of all threads.

Those of slices include the tables of logs, which are made in the same reading.

    python benchmarks/insights.py --data FOLDER [--mb 4] [--dimension 0] [--part tune|report]

Reads code from the standard library, prose from FOLDER/retrieval and the descriptions of installed packages, logs from
FOLDER/logs, tables from FOLDER/tables and FOLDER/logs. Files fall into two parts by a hash of their path, so that what
was tuned on one is reported on the other. Reading and cutting into chunks is not part of the figures.
"""

from __future__ import annotations

import argparse
import sysconfig
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from blake3 import blake3

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.insights.chunk_stage import BATCH_ROWS, insight_batches
from mesh_assets.insights.log_tables import log_batches
from mesh_assets.insights.slice_stage import slice_insight_batches
from mesh_assets.intake.kinds import SAMPLE_BYTES, detect
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import AttachedRows, Outcome

CHUNK_TOKENS = 256
_KINDS = {"code": ("code",), "prose": ("text",), "logs": ("log",), "tables": ("structured", "metric")}


def files_of(kind: str, folder: Path) -> Iterator[Path]:
    """The files of a kind of data, in order."""
    library = Path(sysconfig.get_paths()["stdlib"])
    packages = Path(sysconfig.get_paths()["purelib"])
    if kind == "code":
        found: Iterable[Path] = (p for p in library.rglob("*.py") if "site-packages" not in p.parts)
    elif kind == "prose":
        found = [
            *(folder / "retrieval").rglob("*.md"),
            *(p for p in packages.rglob("*") if p.name == "METADATA" or p.suffix in (".md", ".rst")),
        ]
    elif kind == "logs":
        found = (folder / "logs").rglob("*.log")
    else:
        found = [*(folder / "tables").rglob("*.[ctj]sv"), *(folder / "logs").rglob("*_structured.csv")]
        found += (folder / "metrics").rglob("*.csv")
    return iter(sorted(set(found)))


def sources_of(kind: str, folder: Path, *, part: str, limit: int) -> Iterator[Source]:
    """Sources of about `limit` bytes; a large file gives its half, so that each part has some of it."""
    taken = 0
    for path in files_of(kind, folder):
        if not path.is_file() or taken >= limit:
            continue
        content, second = path.read_bytes(), part == "report"
        if len(content) > 150_000 and kind != "code":
            middle = content.find(b"\n", len(content) // 2) + 1
            content = content[middle:] if second else content[:middle]
        elif part != "all" and (blake3(path.name.encode()).digest()[0] % 2 == 1) != second:
            continue
        content = content[:2_000_000]
        found = detect(content[:SAMPLE_BYTES], path.name, whole=len(content) <= SAMPLE_BYTES)
        if found.kind in _KINDS[kind] and content:
            taken += len(content)
            yield _source(path, content, found.kind, found.format, found.encoding)


def _source(path: Path, content: bytes, kind: str, form: str, encoding: str | None) -> Source:
    return Source(
        dataset="benchmark",
        path=f"{path.parent.name}/{path.name}",
        kind=kind,
        format=form,
        encoding=encoding,
        language="en" if kind == "text" else None,
        start=0,
        stop=len(content),
        content_hash=blake3(content).hexdigest(length=16),
        mtime_ns=int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 10**9,
        open=lambda: BytesIO(content),
    )


def chunks_of(sources: Iterable[Source]) -> list[pa.RecordBatch]:
    """Batches of `CHUNKS` of `BATCH_ROWS` rows."""
    made = chunk_batches(sources, slice_key="benchmark.000001", chunk_tokens=CHUNK_TOKENS, outcome=Outcome())
    table = pa.Table.from_batches(list(made), CHUNKS.schema).combine_chunks()
    return table.to_batches(max_chunksize=BATCH_ROWS)


def vectors_for(rows: int, dimension: int) -> np.ndarray:
    """Unit vectors of shape (rows, dimension): what the stage does with them costs the same whatever they mean."""
    made = np.random.default_rng(rows).normal(size=(rows, dimension)).astype(np.float32)
    return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)


def measure(batches: list[pa.RecordBatch], dimension: int) -> tuple[float, float]:
    """CPU seconds of the two stages, the best of three runs."""
    chunk_times: list[float] = []
    slice_times: list[float] = []
    vectors = [vectors_for(batch.num_rows, dimension) for batch in batches]
    for _ in range(3):
        begun = time.process_time()
        insights = list(insight_batches(batches, Outcome()))
        chunk_times.append(time.process_time() - begun)
        begun = time.process_time()
        slice_of: dict[str, Any] = {"dataset": "d", "slice_key": "d.000001", "outcome": Outcome()}
        attached = AttachedRows()
        list(log_batches(batches, batches, attached=attached, **slice_of))
        logs = attached.take("log_insights")
        list(slice_insight_batches(zip(batches, insights, vectors, strict=True), logs, **slice_of))
        slice_times.append(time.process_time() - begun)
    return min(chunk_times), min(slice_times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--mb", type=float, default=4.0, help="source bytes of each kind, in MB")
    parser.add_argument("--dimension", type=int, default=0, help="of the vectors; 0 is embeddings switched off")
    parser.add_argument("--part", choices=("tune", "report", "all"), default="report")
    arguments = parser.parse_args()
    total = chunk_total = slice_total = 0.0
    print(f"{'kind':8} {'MB':>6} {'chunks':>7} {'chunk_insights MB/CPU-s':>24} {'slice_insights MB/CPU-s':>24}")
    for kind in _KINDS:
        sources = sources_of(kind, arguments.data, part=arguments.part, limit=int(arguments.mb * 1e6))
        batches = chunks_of(sources)
        rows = sum(batch.num_rows for batch in batches)
        stops = [stop for batch in batches for stop in batch.column("byte_stop").to_pylist()]
        starts = [start for batch in batches for start in batch.column("byte_start").to_pylist()]
        megabytes = (sum(stops) - sum(starts)) / 1e6
        chunk_seconds, slice_seconds = measure(batches, arguments.dimension)
        total, chunk_total, slice_total = total + megabytes, chunk_total + chunk_seconds, slice_total + slice_seconds
        print(f"{kind:8} {megabytes:6.2f} {rows:7} {megabytes / chunk_seconds:24.1f} {megabytes / slice_seconds:24.1f}")
    print(
        f"chunk_insights_mb_per_cpu_s={total / chunk_total:.2f} slice_insights_mb_per_cpu_s={total / slice_total:.2f}"
    )


if __name__ == "__main__":
    main()
