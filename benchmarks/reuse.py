"""How many texts are not embedded again: `python benchmarks/reuse.py [--data FOLDER] [--mb 40] [--slice-mb 4]`.

Text files of `FOLDER` (or those of the installed packages and of Python's library: code with its licences, templates
and copies) become slices, in the order of their paths, and go through the stage `embeddings` with the store of all
slices. Then each tenth file of the last slice gets one more line at its top and one at its end, and the slice is made
again; once more with nothing changed in its texts, as after a new version of the chunks; and as a slice of another
dataset, as a copy or an unpacked archive is.

A text counts as repeated where an earlier chunk of its slice has it, as reused where an earlier run or another slice
has. The model is not run on all of it: vectors are zeros, and the default model embeds 256 of the texts, which gives
what a text costs. The alternative without a store, reading the hashes of all tables of the lake, is timed once.
"""

from __future__ import annotations

import argparse
import random
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from taken_in import source_of

from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.embeddings.sentence_encoder import DEFAULT_MODEL, SentenceEncoder
from mesh_assets.embeddings.stage import embedding_batches, embedding_counts
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.slices import SliceKey
from mesh_assets.storage.known_vectors import StoredVectors
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.shared_vectors import SharedVectors

_KINDS, _PRICED, _FILE_BYTES = ("text", "code", "log", "structured"), 256, 500_000
Files = list[tuple[str, bytes]]


class Zeros:
    """An encoder that costs nothing; it remembers some of what it was asked."""

    model, dimension, engine = "zeros", 384, "none"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Zeros."""
        self.seen += texts[:: max(1, len(texts) // 8)]
        return np.zeros((len(texts), self.dimension), np.float32)


def files_of(folder: Path | None) -> Iterator[tuple[str, bytes]]:
    """Paths and contents below a folder, or of what is installed."""
    roots = [folder] if folder else [Path(sysconfig.get_paths()[name]) for name in ("purelib", "stdlib")]
    for root in roots:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            content = path.read_bytes()[:_FILE_BYTES]
            if content and (folder or path.suffix in {".py", ".rst", ".txt", ".md"}):
                yield str(path.relative_to(root)), content


def slices_of(files: Iterator[tuple[str, bytes]], slice_bytes: float, limit: float) -> Iterator[Files]:
    """Files by slice, in order, about `limit` bytes in all."""
    held: Files = []
    while limit > 0:
        path, content = next(files, ("", b""))
        if not path:
            break
        held.append((path, content))
        limit -= len(content)
        if sum(len(each) for _, each in held) >= slice_bytes:
            yield held
            held = []
    if held:
        yield held


def chunks_of(files: Files, key: str) -> list[pa.RecordBatch]:
    """The chunks of a slice."""
    sources = [source for path, content in files if (source := source_of(path, content)).kind in _KINDS]
    return list(chunk_batches(sources, slice_key=key, chunk_tokens=256, outcome=Outcome()))


def embedded(lake: Lake, key: str, batches: list[pa.RecordBatch], encoder: Zeros) -> tuple[Counter[str], float]:
    """What was counted of a slice, and the CPU-seconds of the stage without the model."""
    begun = time.process_time()
    shared = SharedVectors(lake.root.parent, encoder.model, dataset="benchmark", log=print)
    known = StoredVectors(lake, key, model=encoder.model, run_id="benchmark", log=print, shared=shared)
    outcome, counts = Outcome(total=sum(batch.num_rows for batch in batches)), embedding_counts()
    rows = embedding_batches(batches, encoder, outcome, known=known, counts=counts)
    made = {"settings": {"model": encoder.model}}
    produced = Produced(rows, outcome, "hash", made, counts, known.forget_parts)
    lake.publish("chunk_embeddings", key, produced, version="1", run_id="benchmark")
    return counts, time.process_time() - begun


def scanned(lake: Lake) -> float:
    """CPU-seconds of reading the hashes of every table of the lake, as each slice would have to without a store."""
    begun = time.process_time()
    for path in (lake.root / "chunk_embeddings").rglob("*.parquet"):
        column = pq.read_table(path, columns=["text_hash"])["text_hash"]
        np.frombuffer(bytes.fromhex("".join(column.to_pylist())), np.uint64)
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--mb", type=float, default=40.0)
    parser.add_argument("--slice-mb", type=float, default=4.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        lake, encoder, whole, spent = Lake(Path(state) / "lake"), Zeros(), Counter[str](), 0.0
        print(f"{'slice':>24} {'chunks':>8} {'embedded':>9} {'repeated':>9} {'reused':>7}")
        files: Files = []
        key = ""
        for number, files in enumerate(slices_of(files_of(options.data), options.slice_mb * 1e6, options.mb * 1e6)):
            key = str(SliceKey("benchmark", number))
            counts, seconds = embedded(lake, key, chunks_of(files, key), encoder)
            whole, spent = whole + counts, spent + seconds
            _row(key, counts)
        scan = scanned(lake)
        edited = [
            (path, b"# edited\n" + content + b"\n# edited\n" if at % 10 == 0 else content)
            for at, (path, content) in enumerate(files)
        ]
        again, _ = embedded(lake, key, chunks_of(edited, key), encoder)
        _row("the last, edited", again)
        same, _ = embedded(lake, key, chunks_of(edited, key), encoder)
        _row("the last, once more", same)
        copied, _ = embedded(lake, str(SliceKey("copy", 0)), chunks_of(edited, key), encoder)
        _row("a copy of it elsewhere", copied)
        stored = next((Path(state) / "embedded").iterdir()).stat()
    texts = random.Random(7).sample(encoder.seen, min(_PRICED, len(encoder.seen)))
    model = SentenceEncoder(DEFAULT_MODEL, batch=32, threads=1)
    model.encode(texts[:8])
    begun = time.process_time()
    model.encode(texts)
    price = (time.process_time() - begun) / len(texts)
    print(
        f"a text costs {1e3 * price:.1f} CPU-ms; the stage without the model {1e3 * spent / whole.total():.3f} a chunk"
    )
    print(
        f"hashes of the {number + 1} tables of the lake: {scan:.2f} CPU-s; store {stored.st_blocks * 512 / 1e6:.0f} MB"
    )
    saved = (whole["repeated"] + whole["reused"]) / whole.total()
    print(
        f"saved_share={saved:.3f} reused_share={whole['reused'] / whole.total():.3f} "
        f"edited_embedded_share={again['embedded'] / again.total():.4f} again_embedded={same['embedded']} "
        f"copy_embedded={copied['embedded']} "
        f"store_and_lookup_share={spent / (price * whole['embedded'] + spent):.4f}"
    )


def _row(name: str, counts: Counter[str]) -> None:
    print(f"{name:>24} {counts.total():>8} {counts['embedded']:>9} {counts['repeated']:>9} {counts['reused']:>7}")


if __name__ == "__main__":
    main()
