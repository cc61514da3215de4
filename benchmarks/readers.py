"""Searching while slices are written: `python benchmarks/readers.py [--data FOLDER]`.

Eight processes search a lake of real chunks by words and vectors, each a few times a second, while one process writes:
it publishes slices of chunks and indexes them as a slice run does, one after the other, each replacing what the slice
held before. Windows with and without the writer take turns, a minute of the former in all, so that other work on the
machine weighs on both.

Last line: `errors` (searches that raised, said that an index did not answer, or gave a hit of another slice's text),
`stale_s` (longest time from publishing a slice, before it is indexed, to its first hit in each reader; the table says
how much of it is the writer's, until its commit, and how much the reader's) and `p95_ratio`
(95th percentile of the time of a search with the writer over that without). Questions are embedded once, before it
begins: eight models would measure the memory of the machine. Vectors are random: nothing here depends on what is near.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from search_corpus import DATASET, Builder, Corpus, Vectors, questions

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.errors import MeshError
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.stage import DOCUMENT_COLUMNS, index_documents
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.search.hybrid import search
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.lake import Lake

READERS = 8
WRITTEN_SLICES = 3  # that the writer replaces in turn
PAUSE_S = 0.2  # of a reader between two searches
DIMENSION = 384
QUESTIONS = 200


@dataclass
class Shared:
    """What the processes tell each other: whether the writer's window is open, which round was published when."""

    writing: Any
    ended: Any
    ready: Any
    rounds: Any
    published_at: Any
    committed_at: Any

    @classmethod
    def of(cls, context: SpawnContext) -> Shared:
        return cls(
            context.Event(),
            context.Event(),
            context.Semaphore(0),
            context.Value("i", 0),
            context.Array("d", 10_000),
            context.Array("d", 10_000),
        )


@dataclass
class Seen:
    """What one reader saw: seconds of searches without and with the writer, seconds until each round was found.

    `unseen` are the seconds of those between the end of the indexing and the hit.
    """

    calm: list[float] = field(default_factory=list[float])
    busy: list[float] = field(default_factory=list[float])
    stale: list[float] = field(default_factory=list[float])
    unseen: list[float] = field(default_factory=list[float])
    errors: list[str] = field(default_factory=list[str])


def marker(number: int) -> str:
    """The word that every chunk of a round holds, and no other."""
    return f"roundnumber{number:06d}"


class Reader:
    """A searching process."""

    def __init__(self, state: Path, asked: Sequence[str], shared: Shared, number: int) -> None:
        self.encoder = FakeEncoder(DIMENSION)
        self.words = TantivyFulltextIndex(state / "indexes" / "words")
        self.vectors = FaissVectorIndex(state / "indexes" / "vectors")
        self.chunks = LakeChunks(Lake(state / "lake"))
        self.asked = asked
        self.shared = shared
        self.number = number
        self.seen = Seen()

    def run(self) -> Seen:
        """Search until all has ended; what was seen."""
        for question in self.asked[:5]:
            self._search(question)
        self.shared.ready.release()
        known, at = 0, self.number
        while not self.shared.ended.is_set():
            writing = self.shared.writing.is_set()
            spent = self._search(self.asked[at % len(self.asked)])
            (self.seen.busy if writing else self.seen.calm).append(spent)
            known = self._look_for_round(known)
            at += READERS
            time.sleep(PAUSE_S)
        return self.seen

    def _search(self, question: str) -> float:
        before = time.perf_counter()
        try:
            result = search(
                question, encoder=self.encoder, vectors=self.vectors, words=self.words, chunks=self.chunks, limit=10
            )
            self.seen.errors += result.notes
            if not result.hits:
                self.seen.errors.append(f"nothing found for {question!r}")
        except Exception:  # noqa: BLE001  (whatever it is, it is counted and told)
            self.seen.errors.append(traceback.format_exc())
        return time.perf_counter() - before

    def _look_for_round(self, known: int) -> int:
        """Once a round was published, look for it until it is found; the last round that was."""
        latest = int(self.shared.rounds.value)
        if latest == known:
            return known
        hits = self.words.search(marker(latest), limit=5)
        rows = self.chunks.fetch({hit.slice: [hit.chunk_id] for hit in hits})
        now = time.monotonic()
        if not rows:
            return known
        if any(marker(latest) not in row.text for row in rows.values()):
            self.seen.errors.append(f"a hit of round {latest} has the text of another one")
        self.seen.stale.append(now - float(self.shared.published_at[latest]))
        # The words are visible a moment before the writer says so: it then waits for merges.
        committed = float(self.shared.committed_at[latest])
        self.seen.unseen.append(max(now - committed, 0.0) if committed else 0.0)
        return latest


def read(state: Path, asked: Sequence[str], shared: Shared, number: int, results: Any) -> None:
    """A reader's process."""
    results.put(Reader(state, asked, shared, number).run())


def write(state: Path, rows: int, shared: Shared, results: Any) -> None:
    """The writer's process: rounds as long as its window is open."""
    lake = Lake(state / "lake")
    words = TantivyFulltextIndex(state / "indexes" / "words")
    vectors = FaissVectorIndex(state / "indexes" / "vectors")
    key = next(path.stem for path in sorted((lake.root / "chunk_sets" / DATASET).glob("*.parquet")))
    templates = next(lake.read("chunk_sets", key).batches(rows=rows)).to_pylist()
    seen, number = Seen(), 0
    shared.ready.release()
    while not shared.ended.is_set():
        if not shared.writing.wait(0.1):
            continue
        number += 1
        try:
            write_round(number, templates, lake, words, vectors, shared)
        except MeshError:
            seen.errors.append(traceback.format_exc())
    results.put(seen)


def write_round(
    number: int,
    templates: Sequence[dict[str, Any]],
    lake: Lake,
    words: TantivyFulltextIndex,
    vectors: FaissVectorIndex,
    shared: Shared,
) -> None:
    """Publish a slice and index it, as a slice run does."""
    key = f"written.{number % WRITTEN_SLICES:06d}"
    made: list[dict[str, object]] = []
    for at, row in enumerate(templates):
        own = {"chunk_id": f"{number:016x}{at:016x}", "slice": key, "dataset": "written", "path": f"{number}/{at}.txt"}
        made.append({**row, **own, "text": f"{row['text']}\n{marker(number)} {at}"})
    batch = CHUNKS.batch(made)
    lake.publish("chunk_sets", key, Produced([batch], Outcome(), f"{number}"), version="1", run_id="readers")
    shared.published_at[number] = time.monotonic()
    shared.rounds.value = number
    index_documents(words, key, lake.read("chunk_sets", key).batches(DOCUMENT_COLUMNS), Outcome())
    shared.committed_at[number] = time.monotonic()
    ids = [str(row["chunk_id"]) for row in made]
    entries = (ids, ["text"] * len(ids), random_vectors(len(ids), number))
    vectors.replace_slice(key, FakeEncoder(DIMENSION).model, [entries])


def random_vectors(rows: int, seed: int) -> NDArray[np.float16]:
    """Unit vectors, shape (rows, dimension)."""
    made = np.random.default_rng(seed).standard_normal((rows, DIMENSION), np.float32)
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16)


def run(state: Path, folder: Path | None, chunks: int, rows: int, seconds: float) -> None:
    """Print what the readers saw and the line of figures."""
    builder = Builder(state, Corpus(folder), Vectors(FakeEncoder(DIMENSION), chunks))
    builder.fill(chunks)
    context = multiprocessing.get_context("spawn")
    shared, results = Shared.of(context), context.Queue()
    asked = questions(builder.lake, QUESTIONS)
    processes = [context.Process(target=read, args=(state, asked, shared, n, results)) for n in range(READERS)]
    processes.append(context.Process(target=write, args=(state, rows, shared, results)))
    for process in processes:
        process.start()
    for _ in processes:
        shared.ready.acquire()
    for _ in range(4):
        time.sleep(seconds / 4)
        shared.writing.set()
        time.sleep(seconds / 4)
        shared.writing.clear()
    shared.ended.set()
    seen: list[Seen] = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    report(seen, int(shared.rounds.value), chunks, rows)


def report(seen: Sequence[Seen], rounds: int, chunks: int, rows: int) -> None:
    """The table and the last line."""
    calm = [second for each in seen for second in each.calm]
    busy = [second for each in seen for second in each.busy]
    stale = [second for each in seen for second in each.stale]
    unseen = [second for each in seen for second in each.unseen]
    errors = [error for each in seen for error in each.errors]
    for error in dict.fromkeys(errors):
        print(error, file=sys.stderr)
    print(f"{READERS} readers over {chunks:,} chunks; {rounds} slices of {rows:,} chunks written")
    print(f"{'':<16}{'searches':>10}{'p50 ms':>9}{'p95 ms':>9}")
    quantiles: list[float] = []
    for name, spent in (("without writer", calm), ("with writer", busy)):
        median, high = np.percentile(spent, [50, 95])
        quantiles.append(float(high))
        print(f"{name:<16}{len(spent):>10,}{1000 * median:>9.1f}{1000 * high:>9.1f}")
    if not stale:
        raise SystemExit("No reader found anything of what was written.")
    print(f"found after publishing: median {np.median(stale):.2f} s of {len(stale)}")
    print(f"found after indexing: median {np.median(unseen):.2f} s, longest {max(unseen):.2f} s")
    print(f"errors={len(errors)} stale_s={max(stale):.2f} p95_ratio={quantiles[1] / quantiles[0]:.2f}")


def main() -> None:
    """Print the table and the line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of files; default: what every Python has")
    parser.add_argument("--chunks", type=int, default=50_000, help="chunks that are there before")
    parser.add_argument("--rows", type=int, default=2_000, help="chunks of a written slice")
    parser.add_argument("--seconds", type=float, default=60, help="time with the writer, and as long without")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        run(Path(state), given.data, given.chunks, given.rows, given.seconds)


if __name__ == "__main__":
    main()
