"""How fast search is and what it costs: `python benchmarks/search.py [--data FOLDER] [--chunks N]`.

Chunks of real texts (by default Python's standard library and the documentation of what is installed), then of varied
copies of them, go through the product into a lake and its two indexes: at 10,000, 100,000 and 1,000,000 chunks one
searching process asks the same questions, sentences out of the texts, by words, by vectors and by both, as the product
does: the model embeds each question, and each hit is opened in the lake. The first `--embed` chunks are embedded by the
model, all others get perturbed copies of those vectors (see `search_corpus`): more would take hours of the model.

The graph is asked for what is around names of functions and classes, the timeline for what happened around a moment.

Times are of the processor, all threads together, because a shared machine's clock measures its other users; wall times
stand beside them. `recall` compares the vector index with exact search; `peak_rss_mb` is the searching process with the
model and all pages of the indexes that it mapped; `words_vs_bm25s` is the median time of bm25s (defaults, English stop
words, in a process of its own) over that of the product's word index, both without opening hits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from search_corpus import DATASET, Builder, Built, Corpus, Vectors, moments, names, questions

from mesh_assets.embeddings.no_encoder import NoEncoder
from mesh_assets.embeddings.protocol import OFF
from mesh_assets.embeddings.sentence_encoder import DEFAULT_MODEL, SentenceEncoder
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.fakes import InMemoryFulltextIndex
from mesh_assets.indexes.stage import DOCUMENT_COLUMNS, documents_of
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.indexes.vector_file import VectorFile, map_vectors
from mesh_assets.search.hybrid import search
from mesh_assets.serving.one_query import OneQuery
from mesh_assets.settings import Settings
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.lake import Lake

SIZES = (10_000, 100_000, 1_000_000)
HITS = 10
WARM = 10  # questions asked before it is measured
SLOWER = 4  # one of so many questions is asked of the graph and the timeline
MODES = ("words index", "words", "vectors", "hybrid")


@dataclass(frozen=True)
class Times:
    """Milliseconds a question: on the processor, and by the clock."""

    cpu_p50: float
    cpu_p95: float
    wall_p50: float
    wall_p95: float

    def row(self, name: str) -> str:
        return (
            f"{'':>9}  {name:<13}{self.cpu_p50:>10.1f}{self.cpu_p95:>8.1f}{self.wall_p50:>11.1f}{self.wall_p95:>8.1f}"
        )


def timed(ask: Callable[[str], object], asked: list[str]) -> Times:
    """Times of all questions but the first few."""
    spent: list[tuple[float, float]] = []
    for question in asked:
        cpu, wall = time.process_time(), time.perf_counter()
        ask(question)
        spent.append((time.process_time() - cpu, time.perf_counter() - wall))
    each = 1000 * np.array(spent[WARM:])
    median, high = np.percentile(each, [50, 95], axis=0).tolist()
    return Times(median[0], high[0], median[1], high[1])


def searching(state: Path, count: int) -> dict[str, Any]:
    """The searching process: times of each mode, what the vector index found for each question, peak memory."""
    lake = Lake(state / "lake")
    asked = questions(lake, count + WARM)
    encoder = SentenceEncoder(DEFAULT_MODEL, batch=32, threads=1)
    words = TantivyFulltextIndex(state / "indexes" / "words")
    vectors = FaissVectorIndex(state / "indexes" / "vectors", threads=psutil.cpu_count() or 1)
    chunks = LakeChunks(lake)

    def by(mode: str) -> Callable[[str], object]:
        if mode == "words index":
            return lambda question: words.search(question, limit=HITS)
        used = InMemoryFulltextIndex() if mode == "vectors" else words
        model = NoEncoder() if mode == "words" else encoder
        return lambda q: search(q, encoder=model, vectors=vectors, words=used, chunks=chunks, limit=HITS)

    times = {"embedding": asdict(timed(lambda question: encoder.encode([question]), asked))}
    times |= {mode: asdict(timed(by(mode), asked)) for mode in MODES}
    mesh = OneQuery(Settings(state=state, embedding_model=OFF))
    held = sum(lake.read("chunk_sets", key).footer.rows for key in lake.slices(DATASET))
    few = count // SLOWER + WARM
    others = {"graph": names(lake, few), "time": moments(held, few)}
    times |= {
        mode: asdict(timed(partial(mesh.search, mode=mode, limit=HITS), asked_)) for mode, asked_ in others.items()
    }
    embedded = [encoder.encode([question])[0] for question in asked]
    found = [[hit.chunk_id for hit in vectors.search(encoder.model, v, limit=HITS)] for v in embedded]
    return {"times": times, "vectors": np.stack(embedded).tolist(), "found": found, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Resident memory of this process at its peak, mapped pages included; MB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return psutil.Process().memory_info().rss / 1e6
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def bm25s_process(state: Path, count: int) -> dict[str, Any]:
    """bm25s over the same texts, asked the same questions."""
    import bm25s  # pyright: ignore[reportMissingTypeStubs]

    lake = Lake(state / "lake")
    keys = sorted(path.stem for path in (lake.root / "chunk_sets" / DATASET).glob("*.parquet"))
    batches = (batch for key in keys for batch in lake.read("chunk_sets", key).batches(DOCUMENT_COLUMNS))
    texts = [f"{document.symbol}\n{document.text}" for document in documents_of(batches)]
    before = time.process_time()
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
    built = time.process_time() - before

    def ask(question: str) -> object:
        tokens = bm25s.tokenize([question], stopwords="en", show_progress=False)
        return cast("object", index.retrieve(tokens, k=HITS, show_progress=False))

    return {"times": asdict(timed(ask, questions(lake, count + WARM))), "build_s": built, "peak_mb": peak_mb()}


def in_a_process(part: str, state: Path, count: int) -> dict[str, Any]:
    """The result of `part` in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--state", str(state), "--questions", str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return cast("dict[str, Any]", json.loads(done.stdout.splitlines()[-1]))


def recall(state: Path, asked: NDArray[np.float32], found: list[list[str]]) -> float:
    """Share of the ten entries that are nearest by exact cosine that the index found."""
    best_scores = np.full((len(asked), HITS), -2.0, np.float32)
    best_ids = np.zeros((len(asked), HITS), "V16")
    for path in sorted((state / "indexes" / "vectors").rglob("*.vectors")):
        file = map_vectors(path)
        for start in range(0, file.rows, 50_000):
            scores, ids = _scored(file, start, start + 50_000, asked)
            scores, ids = np.concatenate([best_scores, scores], axis=1), np.concatenate([best_ids, ids], axis=1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, :HITS]
            best_scores, best_ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    exact = [{entry.tobytes().hex() for entry in row} for row in best_ids]
    return float(np.mean([len(right & set(got)) / HITS for right, got in zip(exact, found, strict=True)]))


def _scored(file: VectorFile, start: int, stop: int, asked: NDArray[np.float32]) -> tuple[Any, Any]:
    scores = asked @ file.vectors[start:stop].astype(np.float32).T
    near = np.argpartition(-scores, min(HITS, scores.shape[1]) - 1, axis=1)[:, :HITS]
    ids = np.ascontiguousarray(file.ids[start:stop]).view("V16").reshape(-1)
    return np.take_along_axis(scores, near, 1), ids[near]


def on_disk_mb(folder: Path) -> float:
    """Bytes of the files below `folder`, in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def measured(state: Path, built: Built, count: int) -> dict[str, Any]:
    """Search what is there, and print it."""
    result = in_a_process("search", state, count)
    lake, words, vectors = (on_disk_mb(state / part) for part in ("lake", "indexes/words", "indexes/vectors"))
    print(
        f"{built.chunks:>9,}  built: chunks published in {built.publish_s:.1f} CPU-s, words {built.words_s:.1f}, "
        f"vectors {built.vectors_s:.1f}, graph and moments {built.tables_s:.1f};\n"
        f"{'':>9}  on disk: chunks {lake:.0f} MB, words {words:.0f}, "
        f"vectors {vectors:.0f}; searching process {result['peak_mb']:.0f} MB at its peak"
    )
    for name, times in result["times"].items():
        print(Times(**times).row(name), flush=True)
    return result


def run(state: Path, folder: Path | None, chunks: int, embed: int, count: int) -> None:
    """Build and search at each size up to `chunks`; a state that is there is only searched."""
    note = state / "built.json"
    heading = (
        f"{'chunks':>9}  {'mode':<13}{'CPU p50':>10}{'p95':>8}{'wall p50':>11}{'p95':>8}   (ms, {count} questions)"
    )
    print(heading)
    result: dict[str, Any] = {}
    if note.exists():
        result = measured(state, Built(**json.loads(note.read_text())), count)
    else:
        vectors = Vectors(SentenceEncoder(DEFAULT_MODEL, batch=32, threads=1), embed)
        builder = Builder(state, Corpus(folder), vectors)
        for size in sorted({size for size in (*SIZES, chunks) if size <= chunks}):
            result = measured(state, builder.fill(size), count)
        note.write_text(json.dumps(asdict(builder.built)))
        real, rest = len(vectors.real), builder.built.chunks - len(vectors.real)
        print(f"{real:,} chunks embedded in {vectors.seconds:.0f} CPU-s, {rest:,} vectors are perturbed copies")
    theirs = in_a_process("bm25s", state, count)
    print(
        Times(**theirs["times"]).row("bm25s") + f"   built in {theirs['build_s']:.0f} CPU-s, {theirs['peak_mb']:.0f} MB"
    )
    found = recall(state, np.array(result["vectors"], np.float32), result["found"])
    times = result["times"]
    print(
        f"recall={found:.3f} hybrid_p95_ms={times['hybrid']['cpu_p95']:.1f} peak_rss_mb={result['peak_mb']:.0f} "
        f"words_vs_bm25s={theirs['times']['cpu_p50'] / times['words index']['cpu_p50']:.1f}"
    )


def main() -> None:
    """Print the table and the line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of files; default: what every Python has")
    parser.add_argument("--chunks", type=int, default=SIZES[-1], help="the largest size; the goals are for 1,000,000")
    parser.add_argument("--embed", type=int, default=10_000, help="chunks embedded by the model; at most 50,000")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--state", type=Path, help="folder that keeps what was built, and is searched where it is")
    parser.add_argument("--part", choices=("search", "bm25s"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        part = searching if given.part == "search" else bm25s_process
        print(json.dumps(part(given.state, given.questions)))
        return
    if given.chunks != SIZES[-1]:
        print(f"a smaller run: figures are for {given.chunks:,} chunks")
    with tempfile.TemporaryDirectory() as scratch:
        state = given.state or Path(scratch)
        state.mkdir(parents=True, exist_ok=True)
        run(state, given.data, given.chunks, min(given.embed, 50_000), given.questions)


if __name__ == "__main__":
    main()
