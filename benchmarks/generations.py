"""What search by meaning keeps while a model changes: `python benchmarks/generations.py --data FOLDER`.

Sets are those of `retrieval.py` with qrels. The full model stands for one generation, static vectors distilled from it
for the other: their cosines have different scales. Every second document is of the one and the rest of the other, in
both ways. Rows: all documents of one generation, and both, put in one order by the product (`search.meaning`) and, for
comparison, by their cosines as they are. nDCG at 10 by vectors alone, a document one text, without what follows in
search (words, feedback, exact candidates). `mixed_ratio` is the mean of both ways over the mean of the two generations
alone: 1 where the order of a mixture is as good as those that it is mixed from.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from retrieval import JudgedSet, figures, load
from two_effort import StaticOnly

from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.embeddings.sentence_encoder import DEFAULT_MODEL, SentenceEncoder
from mesh_assets.embeddings.static_encoder import StaticEncoder
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.protocol import Hit
from mesh_assets.search.meaning import Meaning

HITS = 100
SLICES = ("benchmark.000001", "benchmark.000002")


def indexed(judged: JudgedSet, vectors: dict[str, np.ndarray], models: Sequence[str], root: Path) -> FaissVectorIndex:
    """An index whose two slices hold every second document by one of the `models` each."""
    index = FaissVectorIndex(root)
    for half, (key, model) in enumerate(zip(SLICES, models, strict=True)):
        rows = np.arange(half, len(judged.documents), 2)
        batch = ([f"{row:032x}" for row in rows], ["text"] * len(rows), vectors[model][rows].astype(np.float16))
        index.replace_slice(key, model, [batch])
    return index


def by_product(question: str, encoders: Sequence[Encoder], index: FaissVectorIndex) -> list[Hit]:
    """As search asks for it."""
    return Meaning(question, encoders[0], index, HITS, None, encoders[1:]).hits([])


def by_cosine(question: str, encoders: Sequence[Encoder], index: FaissVectorIndex) -> list[Hit]:
    """Scores of both as they are."""
    found = [hit for each in encoders for hit in index.search(each.model, each.encode([question])[0], limit=HITS)]
    return sorted(found, key=lambda hit: -hit.score)[:HITS]


def main() -> None:
    """Print the table and the line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of sets")
    sets = [judged for judged in load(parser.parse_args().data) if judged.relevant]
    ratios: list[tuple[float, float]] = []
    print(f"{'set':<15}{'documents of':<24}{'order':<10}{'nDCG@10':>8}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        full = SentenceEncoder(DEFAULT_MODEL, batch=32, threads=1, cache=root / "models")
        static = StaticOnly(StaticEncoder(full, root / "models"))
        for judged in sets:
            names = list(judged.documents)
            texts = list(judged.documents.values())
            vectors = {each.model: each.encode(texts) for each in (full, static)}
            found: dict[str, float] = {}
            ways = {"full": (full, full), "static": (static, static), "full, static": (full, static)}
            for way, halves in {**ways, "static, full": (static, full)}.items():
                index = indexed(judged, vectors, [each.model for each in halves], root / judged.name / way)
                asked = list(dict.fromkeys(halves))
                for order, ask in (("product", by_product), ("cosine", by_cosine)):
                    gains = [
                        figures(
                            [names[int(hit.chunk_id, 16)] for hit in ask(text, asked, index)], judged.relevant[key]
                        )[2]
                        for key, text in judged.questions.items()
                    ]
                    found[f"{way} by {order}"] = float(np.mean(gains))
                    print(f"{judged.name:<15}{way:<24}{order:<10}{np.mean(gains):>8.3f}", flush=True)
            alone = (found["full by product"] + found["static by product"]) / 2
            mixed = [(found[f"full, static by {o}"] + found[f"static, full by {o}"]) / 2 for o in ("product", "cosine")]
            ratios.append((mixed[0] / alone, mixed[1] / alone))
    ours, raw = np.mean(ratios, axis=0) if ratios else (np.nan, np.nan)
    print(f"mixed_ratio={ours:.3f} by_cosine_ratio={raw:.3f}")


if __name__ == "__main__":
    main()
