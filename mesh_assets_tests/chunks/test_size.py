"""A gigabyte in one line, in one Parquet file, in one row: the memory of a slice does not grow with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

BYTES = int(float(os.environ.get("MESH_TEST_BYTES", "1e9")))
# Of the process and of its child, each. A slice's memory is that of a batch: about the same for a MB.
MOST_MIB = 700
_CHUNKED = """
import resource, sys
from pathlib import Path
from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.schemas.outcome import Outcome

path, kind, form = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
size = path.stat().st_size
encoding = None if form == "parquet" else "utf-8"
source = Source("d", path.name, kind, form, encoding, None, 0, size, "", 0, open=lambda: path.open("rb"))
outcome = Outcome()
batches = chunk_batches([source], slice_key="d.000000", chunk_tokens=256, outcome=outcome)
chunks = sum(batch.num_rows for batch in batches)
own, child = (resource.getrusage(who).ru_maxrss >> 10 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(chunks, len(outcome.rejects), own, child)
"""


def one_line(path: Path) -> None:
    block = "".join(f"word{n} " for n in range(100_000))
    with path.open("w") as file:
        for _ in range(BYTES // len(block) + 1):
            file.write(block)


def one_record(path: Path) -> None:
    with path.open("w") as file:
        file.write("2026-01-01 00:00:00 INFO begins\n")
        for n in range(BYTES // 50):
            file.write(f"    at com.example.shop.Till.sell(Till.java:{n:08})\n")


def parquet(path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = 1 << 17
    schema = pa.schema([("at", pa.timestamp("us")), ("value", pa.float64()), ("name", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for part in range(BYTES // (rows * 24) + 1):
            times = pa.array(np.arange(rows, dtype=np.int64) + part * rows).cast(pa.timestamp("us"))
            names = pa.array([f"{n:08x}" for n in rng.integers(0, 1 << 32, rows)])
            writer.write_table(pa.table([times, pa.array(rng.random(rows)), names], schema=schema))


@pytest.mark.parametrize(
    ("make", "kind", "form"),
    [
        (one_line, "text", "plain"),
        (one_line, "log", "log"),
        (one_line, "structured", "csv"),
        (one_line, "structured", "jsonl"),
        (one_line, "code", "python"),
        (one_record, "log", "log"),
        (parquet, "structured", "parquet"),
    ],
)
def test_a_gigabyte_is_chunked_in_the_memory_of_a_batch(
    tmp_path: Path, make: Callable[[Path], None], kind: str, form: str
) -> None:
    path = tmp_path / "large"
    make(path)
    done = subprocess.run(
        [sys.executable, "-c", _CHUNKED, str(path), kind, form], capture_output=True, text=True, check=True
    )
    path.unlink()
    chunks, rejects, own, child = map(int, done.stdout.split())
    assert chunks + rejects > 0
    assert max(own, child) < MOST_MIB, f"{own} and {child} MiB"
