"""Makes a lake with its two indexes for `search.py` and `readers.py`: real chunks first, then varied copies of them.

Chunks go the product's way (cut, published, indexed slice by slice); only their vectors do not, as the model takes a
day for a million: the first `embedded` chunks get theirs from the model, every other one a perturbed copy of one of
these, at a cosine of about .8, as near neighbours have in real data. The graph is that of files, chunks and symbols.
There are no logs among the texts: for the time index each chunk stands for a record, one a second.
"""

from __future__ import annotations

import io
import random
import re
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from varied_input import VariedInput, real_files

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.indexes import graph_rows, moment_rows
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.graph_file import SUFFIX, GraphWriter
from mesh_assets.indexes.stage import DOCUMENT_COLUMNS, index_documents
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.intake.kinds import SAMPLE_BYTES, detect
from mesh_assets.schemas.chunks import TIMESTAMP, embedding_text
from mesh_assets.schemas.log_events import LOG_EVENTS
from mesh_assets.schemas.outcome import AttachedRows, Outcome, Produced
from mesh_assets.settings import Settings
from mesh_assets.storage.lake import Lake

DATASET = "benchmark"
SLICE_CHUNKS = 50_000  # about a slice of the default size
_COSINE = 0.8
START = datetime(2026, 1, 1, tzinfo=UTC)
# Kinds whose chunks need no model and no library for their format.
_KINDS = {"text", "code", "log", "structured"}
_LARGEST_FILE = 8 << 20
# Sentences of plain words, as people ask: four to ten of them.
_SENTENCE = re.compile(r"\b[A-Z][a-z]+(?: [a-z]{2,}){3,9}(?=[.?\n])")


def slice_key(number: int) -> str:
    """Key of the slice that is made as the `number`th."""
    return f"{DATASET}.{number:06d}"


@dataclass
class Corpus:
    """Files as they are, in an order that mixes them, then varied copies without end."""

    folder: Path | None

    def sources(self) -> Iterator[Source]:
        """One a file, real ones first."""
        found = [(name, data) for name, data in real_files(self.folder) if len(data) <= _LARGEST_FILE]
        random.Random(6).shuffle(found)
        for name, data in found:
            yield from _source(name, data)
        copies = VariedInput(self.folder, None)
        for name, data in copies.files(1 << 60):
            if len(data) <= _LARGEST_FILE:
                yield from _source(name, data)


def _source(name: str, data: bytes) -> Iterator[Source]:
    kind = detect(data[:SAMPLE_BYTES], name, whole=len(data) <= SAMPLE_BYTES)
    if kind.kind in _KINDS and kind.encoding is not None:
        yield Source(
            dataset=DATASET,
            path=name,
            kind=kind.kind,
            format=kind.format,
            encoding=kind.encoding,
            language="en",
            start=0,
            stop=len(data),
            content_hash="0" * 32,
            mtime_ns=0,
            open=lambda: io.BytesIO(data),
        )


@dataclass
class Vectors:
    """Vectors of chunks by their place in the corpus: real ones, then perturbed copies of these."""

    encoder: Encoder
    embedded: int
    seconds: float = 0.0
    real: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])

    def of(self, texts: Sequence[str], start: int) -> NDArray[np.float16]:
        """Those of the chunks from place `start` on."""
        fresh = list(texts[: max(0, self.embedded - len(self.real))])
        before = time.process_time()
        rows = [self.encoder.encode([text])[0] for text in fresh]
        self.seconds += time.process_time() - before
        self.real += rows
        copies = len(texts) - len(rows)
        if not copies:
            return np.stack(rows).astype(np.float16)
        made = _perturbed(np.stack(self.real), copies, seed=start)
        return np.concatenate([*(row[None] for row in rows), made]).astype(np.float16)


def _perturbed(real: NDArray[np.float32], count: int, *, seed: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((count, real.shape[1]), np.float32)
    noise *= np.sqrt(1 / _COSINE**2 - 1) / np.linalg.norm(noise, axis=1, keepdims=True)
    moved = real[generator.integers(0, len(real), count)] + noise
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


@dataclass
class Built:
    """CPU seconds of each step of the product, and the chunks so far."""

    chunks: int = 0
    slices: int = 0
    publish_s: float = 0.0
    words_s: float = 0.0
    vectors_s: float = 0.0
    tables_s: float = 0.0


class Builder:
    """Fills a state folder up to a number of chunks, and further when asked again."""

    def __init__(self, state: Path, corpus: Corpus, vectors: Vectors) -> None:
        self.lake = Lake(state / "lake")
        self.words = TantivyFulltextIndex(state / "indexes" / "words")
        self.vectors = FaissVectorIndex(state / "indexes" / "vectors")
        self.built = Built()
        self._sources = corpus.sources()
        self._made_vectors = vectors

    def fill(self, chunks: int) -> Built:
        """Slices until there are `chunks` chunks."""
        while self.built.chunks < chunks:
            self._add_slice(min(SLICE_CHUNKS, chunks - self.built.chunks))
        return self.built

    def _add_slice(self, rows: int) -> None:
        built, key = self.built, slice_key(self.built.slices)
        before = time.process_time()
        attached = AttachedRows()
        _publish(self.lake, "chunk_sets", key, chunks_of(self._sources, key, rows, attached), attached)
        published = time.process_time()
        table = self.lake.read("chunk_sets", key)
        index_documents(self.words, key, table.batches(DOCUMENT_COLUMNS), Outcome())
        indexed = time.process_time()
        made = list(self._batches(key))
        before_vectors = time.process_time()
        self.vectors.replace_slice(key, self._made_vectors.encoder.model, made)
        built.publish_s += published - before
        built.words_s += indexed - published
        built.vectors_s += time.process_time() - before_vectors
        before_tables = time.process_time()
        relate(self.lake, key, built.chunks)
        built.tables_s += time.process_time() - before_tables
        built.chunks += rows
        built.slices += 1

    def _batches(self, key: str) -> Iterator[tuple[list[str], list[str], NDArray[np.float16]]]:
        start = self.built.chunks
        names = ("chunk_id", "kind", "context", "text")
        for batch in self.lake.read("chunk_sets", key).batches(names):
            ids, kinds, contexts, texts = (_strings(batch, name) for name in names)
            whole = [embedding_text(context, text) for context, text in zip(contexts, texts, strict=True)]
            yield ids, kinds, self._made_vectors.of(whole, start)
            start += len(ids)


def _publish(
    lake: Lake, asset: str, key: str, batches: Iterator[pa.RecordBatch], attached: AttachedRows | None = None
) -> None:
    produced = Produced(batches, Outcome(), input_hash=key, attached=attached or AttachedRows())
    lake.publish(asset, key, produced, version="1", run_id="benchmark")


def relate(lake: Lake, key: str, start: int) -> None:
    """Make the graph and the moments of a slice whose chunks are there; its first chunk is the one of second `start`.

    Tables that this needs and that no stage made here are empty.
    """
    for asset in ("chunk_insights", "chunk_relations", "slice_insights", "series", "series_points"):
        _publish(lake, asset, key, iter(()))
    _publish(lake, "log_events", key, _records(lake, key, start))
    attached = AttachedRows()
    graph = {name: lake.path(name, key) for name in graph_rows.TABLES}
    file = lake.path("graph_index", key).with_suffix(SUFFIX)
    edges = graph_rows.graph_batches(graph, dataset=DATASET, slice_key=key, attached=attached, file=GraphWriter(file))
    _publish(lake, "graph_index", key, edges, attached)
    logs = {name: lake.path(name, key) for name in moment_rows.TABLES}
    _publish(lake, "time_index", key, moment_rows.moment_batches(logs, dataset=DATASET, slice_key=key))


def _records(lake: Lake, key: str, start: int) -> Iterator[pa.RecordBatch]:
    for batch in lake.read("chunk_sets", key).batches(["chunk_id", "dataset", "slice", "path"]):
        rows = batch.num_rows
        seconds = START.timestamp() + np.arange(start, start + rows)
        columns: dict[str, pa.Array[Any]] = {name: batch.column(name) for name in batch.schema.names}
        columns |= {"byte_start": pa.array([0] * rows), "byte_stop": pa.array([1] * rows)}
        columns["time"] = pa.array((seconds * 1e6).astype(np.int64)).cast(TIMESTAMP)
        unknown = [each for each in LOG_EVENTS.columns if each.name not in columns]
        columns |= {each.name: pa.array([None] * rows, each.type) for each in unknown}
        yield LOG_EVENTS.cast(pa.RecordBatch.from_pydict(columns))
        start += rows


def chunks_of(sources: Iterator[Source], key: str, rows: int, attached: AttachedRows) -> Iterator[pa.RecordBatch]:
    """Exactly `rows` chunks; the rest of the last file is left out. Their symbols go to `attached`."""
    batches = chunk_batches(
        sources, slice_key=key, chunk_tokens=Settings().chunk_tokens, outcome=Outcome(), attached=attached
    )
    with closing(cast("Generator[pa.RecordBatch]", batches)):
        for batch in batches:
            yield batch.slice(0, rows)
            rows -= batch.num_rows
            if rows <= 0:
                return


def _strings(batch: pa.RecordBatch, column: str) -> list[str]:
    return cast("list[str]", batch.column(column).to_pylist())


def names(lake: Lake, count: int) -> list[str]:
    """`count` different names of functions and classes of the first chunks, in an order that mixes them."""
    symbols = pq.read_table(lake.path("symbols", slice_key(0)), columns=["symbol"]).column(0).to_pylist()
    chosen = sorted({str(symbol).rpartition(".")[2] for symbol in symbols} - {""})
    random.Random(6).shuffle(chosen)
    return chosen[:count]


def moments(chunks: int, count: int) -> list[str]:
    """`count` moments at which something happened."""
    seconds = random.Random(6).sample(range(chunks), count)
    return [f"{START + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S}" for second in seconds]


def questions(lake: Lake, count: int) -> list[str]:
    """`count` different sentences out of the first chunks, in an order that mixes them."""
    found: dict[str, None] = {}
    for batch in lake.read("chunk_sets", slice_key(0)).batches(["text"]):
        for text in _strings(batch, "text"):
            found |= dict.fromkeys(_SENTENCE.findall(text))
    chosen = sorted(found)
    random.Random(6).shuffle(chosen)
    if len(chosen) < count:
        raise SystemExit(f"The texts have only {len(chosen)} sentences to ask with; {count} are needed.")
    return chosen[:count]
