"""What search keeps by static vectors and exact candidates: `python benchmarks/two_effort.py --data FOLDER`.

Sets and layouts are those of `retrieval.py`; each goes through the product once embedded in full and once with
`MESH_EMBEDDING_EFFORT=two`. Rows: by vectors alone and fused with full text, for the full model, for static vectors as
they are, and for static vectors with exact embedding of the candidates. Embedding at index time is that of
`embedding_batches` over the set's chunks, in CPU-seconds on one thread, with the models loaded before; distilling the
static table is once a model and stands apart. Embedded again a question: texts that the full model embedded, its own
text not counted.

The figures are of judged sets, those with qrels. Sets of spans, on which alternatives were compared, stand in the
table only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from retrieval import Indexed, JudgedSet, index, load, measure

from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.embeddings.sentence_encoder import DEFAULT_MODEL, SentenceEncoder
from mesh_assets.embeddings.static_encoder import StaticEncoder

EFFORTS = ("full", "static", "two")


class Counting(SentenceEncoder):
    """The full model, with the texts that it embedded and the CPU-seconds of that.

    While `remembers` it embeds no text twice: what the rows of quality ask for again is not paid again.
    """

    texts, seconds, remembers = 0, 0.0, True
    _known: ClassVar[dict[str, NDArray[np.float32]]] = {}

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See SentenceEncoder."""
        known = self._known if self.remembers else {}
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        before = time.process_time()
        known |= dict(zip(fresh, super().encode(fresh), strict=True)) if fresh else {}
        self.seconds += time.process_time() - before
        self.texts += len(fresh)
        return np.stack([known[text] for text in texts])


class StaticOnly:
    """Static vectors without their full model: search takes them as those of any encoder."""

    def __init__(self, static: StaticEncoder) -> None:
        self._static = static
        self.model, self.dimension, self.engine = static.model, static.dimension, static.engine
        self.seconds = 0.0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See StaticEncoder."""
        before = time.process_time()
        vectors = self._static.encode(texts)
        self.seconds += time.process_time() - before
        return vectors


@dataclass(frozen=True)
class Result:
    """Of one set: fused nDCG at 10 in full and by two efforts, CPU-seconds of both, and texts embedded a question."""

    full: float
    two: float
    full_seconds: float
    static_seconds: float
    embedded: list[int]


def measured(judged: JudgedSet, full: Counting, static: StaticEncoder, root: Path) -> Result:
    """Print the rows of one set."""
    only = StaticOnly(static)
    spent: dict[str, float] = {}
    indexed: dict[str, Indexed] = {}
    for name, encoder in (("full", full), ("static", only)):
        before = encoder.seconds
        indexed[name] = index(judged.documents, encoder, root / name, "markdown" if judged.spans else "plain")
        spent[name] = encoder.seconds - before
    found = indexed["static"]
    indexed["two"] = Indexed(found.chunks, found.words, found.vectors, static)
    gains: dict[tuple[str, str], float] = {}
    for effort in EFFORTS:
        for mode in ("vectors", "hybrid"):
            (average, _, gain), _ = measure(judged, indexed[effort], mode)
            gains[effort, mode] = gain
            seconds = spent["full" if effort == "full" else "static"]
            print(f"{judged.name:<15}{effort:<8}{mode:<9}{average:>7.3f}{gain:>9.3f}{seconds:>14.2f}", flush=True)
    embedded, taken = _questions(judged, indexed["two"], full) if judged.relevant else ([], [])
    if taken:
        print(f"{judged.name}: CPU-s a question {np.median(taken):.2f}, 95th percentile {np.percentile(taken, 95):.2f}")
    two, all_of_it = gains["two", "hybrid"], gains["full", "hybrid"]
    return Result(all_of_it, two, spent["full"], spent["static"], embedded)


def _questions(judged: JudgedSet, indexed: Indexed, full: Counting) -> tuple[list[int], list[float]]:
    """Texts embedded again, and CPU-seconds, of each question asked as a user asks it: for ten hits."""
    from mesh_assets.search.hybrid import search

    embedded: list[int] = []
    taken: list[float] = []
    full.remembers = False
    for question in judged.questions.values():
        texts, before = full.texts, time.process_time()
        search(question, encoder=indexed.encoder, vectors=indexed.vectors, words=indexed.words, chunks=indexed)
        taken.append(time.process_time() - before)
        embedded.append(full.texts - texts - 1)
    full.remembers = True
    return embedded, taken


def main() -> None:
    """Print the table and the line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of sets")
    sets = load(parser.parse_args().data)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        full = Counting(DEFAULT_MODEL, batch=32, threads=1, cache=root / "models")
        full.encode(["converted before the clock runs"])
        static = StaticEncoder(full, root / "models")
        before = time.process_time()
        _loaded(static)
        print(f"distill_cpu_s={time.process_time() - before:.1f}")
        print(f"{'set':<15}{'effort':<8}{'by':<9}{'MAP':>7}{'nDCG@10':>9}{'index CPU-s':>14}")
        results = {judged.name: measured(judged, full, static, root / judged.name) for judged in sets}
    _report({judged.name: results[judged.name] for judged in sets if not judged.spans})


def _loaded(encoder: Encoder) -> None:
    encoder.encode(["distilled before the clock runs"])


def _report(judged: dict[str, Result]) -> None:
    if not judged:
        print("quality_ratio=nan index_cost_ratio=nan reembedded_per_query=nan")
        return
    results = judged.values()
    quality = np.mean([result.two for result in results]) / np.mean([result.full for result in results])
    cost = sum(result.static_seconds for result in results) / sum(result.full_seconds for result in results)
    most = max(count for result in results for count in result.embedded)
    print(f"quality_ratio={quality:.3f} index_cost_ratio={cost:.4f} reembedded_per_query={most}")


if __name__ == "__main__":
    main()
