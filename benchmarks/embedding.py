"""How fast passages are embedded, and how near to the original: `python benchmarks/embedding.py [--data FOLDER]`.

The same passages of 256 tokens go through plain sentence-transformers (torch, float32, its defaults: sorted by length,
32 at a time) and through the product's encoder at each precision, interleaved in small groups on one thread, so that a
busy machine slows all of them alike. Nothing is calibrated on any text. Every passage is distinct and of one length: no
time is won by repeats or by padding that a plain user would not have won as well.

Passages come from the `*.md`, `*.rst`, `*.txt` and `*.py` files below `FOLDER`, or from Python's standard library and
the documents of installed packages. For each of `QUERIES` passages the ten nearest of the rest are compared with those
by the original: `overlap` is the mean share that both have. The time to load and to convert a model is not counted.
"""

from __future__ import annotations

import argparse
import random
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesh_assets.embeddings.model_files import DEFAULT_MODEL, load_torch, model_folder
from mesh_assets.embeddings.sentence_encoder import SentenceEncoder

TOKENS, GROUP, QUERIES, NEAREST = 256, 32, 200, 10
_SUFFIXES = {".md", ".rst", ".txt", ".py"}
_FILE_BYTES = 200_000


@dataclass
class Measured:
    """One way to embed: its CPU-seconds a group, and its vectors."""

    encode: Callable[[list[str]], NDArray[np.float32]]
    seconds: list[float] = field(default_factory=list[float])
    vectors: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])

    def embed(self, group: list[str]) -> None:
        """Embed one group and note what it took."""
        before = time.process_time()
        found = self.encode(group)
        self.seconds.append(time.process_time() - before)
        self.vectors.append(found)


def passages(folders: list[Path], count: int, tokenizer: Tokenizer) -> list[str]:
    """`count` distinct passages of `TOKENS` tokens from files in a random, repeatable order."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in _SUFFIXES]
    random.Random(5).shuffle(files)
    found: dict[str, None] = {}
    for path in files:
        for text in list(_cut(path.read_text(errors="replace")[:_FILE_BYTES], tokenizer))[:4]:
            found[text] = None
        if len(found) >= count:
            return list(found)[:count]
    raise SystemExit(f"{folders} hold only {len(found)} passages of {TOKENS} tokens, {count} are needed.")


def _cut(text: str, tokenizer: Tokenizer) -> Iterator[str]:
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    size = TOKENS - 2
    for start in range(0, len(offsets) - size, size):
        yield text[offsets[start][0] : offsets[start + size - 1][1]]


def overlap(original: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Mean share of the ten nearest of each query that both have; no passage is its own neighbour."""
    tops: list[NDArray[np.intp]] = []
    for vectors in (original, other):
        scores = vectors[:QUERIES] @ vectors.T
        np.fill_diagonal(scores, -1.0)
        tops.append(np.argsort(-scores, axis=1)[:, :NEAREST])
    return float(np.mean([len(set(a) & set(b)) / NEAREST for a, b in zip(*tops, strict=True)]))


def main() -> None:
    """Print the table and the line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of texts; default: Python's own files and packages")
    parser.add_argument("--passages", type=int, default=1024)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    plain = load_torch(model_folder(DEFAULT_MODEL), "cpu")
    places = [options.data] if options.data else [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    tokenizer = Tokenizer.from_file(str(model_folder(DEFAULT_MODEL) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts = passages(places, options.passages, tokenizer)
    with tempfile.TemporaryDirectory() as cache:
        ways = {"torch fp32, plain": Measured(lambda group: plain.encode(group, show_progress_bar=False))}
        for precision in ("auto", "fp32", "int8"):
            encoder = SentenceEncoder(DEFAULT_MODEL, batch=32, threads=1, cache=Path(cache), precision=precision)
            encoder.encode(["loaded before the clock runs"])
            ways[f"{precision}: {encoder.engine}"] = Measured(encoder.encode)
        for start in range(0, len(texts), GROUP):
            for way in ways.values():
                way.embed(texts[start : start + GROUP])
    _report(ways, len(texts))


def _report(ways: dict[str, Measured], count: int) -> None:
    first, ours = list(ways.values())[:2]
    original = np.concatenate(first.vectors)
    print(f"{count:,} passages of {TOKENS} tokens, {NEAREST} nearest of {QUERIES} of them, one thread")
    print(f"{'':<32}{'passages/CPU-s':>15}{'times plain':>12}{'cosine':>9}{'least':>8}{'overlap':>9}")
    for name, way in ways.items():
        vectors = np.concatenate(way.vectors)
        cosines = (vectors * original).sum(axis=1)
        print(
            f"{name:<32}{count / sum(way.seconds):>15.1f}{sum(first.seconds) / sum(way.seconds):>12.2f}"
            f"{cosines.mean():>9.5f}{cosines.min():>8.4f}{overlap(original, vectors):>9.4f}"
        )
    speedup = sum(first.seconds) / sum(ours.seconds)
    print(f"speedup={speedup:.2f} overlap={overlap(original, np.concatenate(ours.vectors)):.4f}")


if __name__ == "__main__":
    main()
