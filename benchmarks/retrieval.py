"""How well search finds what judges called relevant: `python benchmarks/retrieval.py --data FOLDER`.

Each set below `FOLDER` (or `FOLDER` itself) goes through the product: documents are cut into chunks, embedded and
indexed as a slice run does it, and each question goes to `search` at its defaults: by words alone, by vectors alone,
and by both. A document stands where its best chunk stands. Layouts that are read:

- TREC: `*.tar.gz` of documents, `topics*`, `*qrel*` (CACM);
- Cranfield: `*.all*.xml`, `*.qry*.xml`, `*qrel*`; other collections in its form are read as well;
- spans: `questions.csv` with the parts of `corpora/*.md` that answer each question (Chroma's chunking evaluation).
  Here a chunk is relevant where it shares a character with such a part. They stand in the table, not in the means.

Of `HITS` chunks a question: mean average precision (MAP), precision of the first 30, nDCG of the first 10 with gains of
0 and 1, over the questions that have something relevant, as trec_eval counts them. Weights are from publications or
from the spans; `RESULTS.md` says which, and what was seen of CACM meanwhile.
"""

from __future__ import annotations

import argparse
import csv
import html
import io
import json
import math
import re
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.embeddings.no_encoder import NoEncoder
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.embeddings.sentence_encoder import DEFAULT_MODEL, SentenceEncoder
from mesh_assets.embeddings.stage import embedding_batches
from mesh_assets.indexes.faiss_codes import FaissVectorIndex
from mesh_assets.indexes.fakes import InMemoryFulltextIndex
from mesh_assets.indexes.protocol import FulltextIndex, VectorIndex
from mesh_assets.indexes.stage import DOCUMENT_COLUMNS, index_documents, index_vectors
from mesh_assets.indexes.tantivy_text import TantivyFulltextIndex
from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import Outcome
from mesh_assets.search.hybrid import search
from mesh_assets.search.protocol import ChunkRow
from mesh_assets.settings import Settings

HITS = 1000
SLICE = "benchmark.000001"
MODES = ("words", "vectors", "hybrid")
_RECORD = re.compile(r"<(doc|top)\b[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(r"<(docno|num)>([^<]*)(?:</\1>)?", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z]\w*[^<>]*>")
# What CACM's records hold beside their text: when they were typed in, and which records cite which.
_NO_TEXT = re.compile(r"^(CA\d{6}\w? .*|\d+\t\d+\t\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class JudgedSet:
    """Documents and questions by id, with what answers each question: ids of documents, or spans of them in bytes."""

    name: str
    documents: dict[str, str]
    questions: dict[str, str]
    relevant: dict[str, set[str]]
    spans: dict[str, list[tuple[str, int, int]]]


def load(folder: Path) -> list[JudgedSet]:
    """The sets in `folder`; SystemExit where there is none, or one cannot be read."""
    found: list[JudgedSet] = []
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        try:
            judged = _load_set(place)
        except (OSError, KeyError, ValueError, tarfile.TarError) as error:
            raise SystemExit(f"{place} cannot be read as a set of questions: {error!r}") from error
        if judged is not None:
            found.append(judged)
    if not found:
        raise SystemExit(f"{folder} has no set of questions in a layout that is known here.")
    return found


def _load_set(place: Path) -> JudgedSet | None:
    if (place / "questions.csv").is_file():
        return _load_spans(place)
    qrels, documents = _first(place, "*qrel*"), _first(place, "*.all*.xml") or _first(place, "*.tar.gz")
    topics = _first(place, "*.qry*.xml") or _first(place, "topics*")
    if qrels is None or documents is None or topics is None:
        return None
    texts = dict(_archived(documents) if documents.suffix == ".gz" else _records(documents.read_text(errors="replace")))
    asked = list(_records(topics.read_text(errors="replace")))
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in qrels.read_text().splitlines():
        if len(row := line.split()) == 4 and int(row[3]) > 0:
            relevant[_plain_id(row[0])].add(_plain_id(row[2]))
    numbers = [number for number, _ in asked]
    if not relevant.keys() <= set(numbers):
        # Cranfield's own numbers have gaps; its judgements count the questions.
        numbers = [str(at) for at in range(1, len(asked) + 1)]
    questions = {number: text for number, (_, text) in zip(numbers, asked, strict=True) if relevant.get(number)}
    if unknown := {name for names in relevant.values() for name in names} - texts.keys():
        # They count as relevant and not found, as trec_eval has it.
        print(f"{place.name}: {len(unknown)} relevant documents are not in the collection", file=sys.stderr)
    if not questions:
        raise ValueError("no question has a relevant document")
    return JudgedSet(place.name, texts, questions, dict(relevant), {})


def _first(place: Path, pattern: str) -> Path | None:
    return next((path for path in sorted(place.glob(pattern)) if path.is_file()), None)


def _plain_id(text: str) -> str:
    # `CACM-0756` is `CACM-756` among the judgements, and 001 is 1.
    return re.sub(r"\b0+(?=\d)", "", text.strip())


def _records(text: str) -> Iterator[tuple[str, str]]:
    """Id and text of each `<doc>` or `<top>`. Not all such files are XML that a parser takes."""
    for _, record in _RECORD.findall(text):
        _, _, number, rest = _NUMBER.split(record, maxsplit=1)
        text = html.unescape(_TAG.sub("\n\n", rest))
        yield _plain_id(number), re.sub(r"\s*\n\s*\n\s*", "\n\n", text).strip()


def _archived(path: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each file of an archive of CACM's kind."""
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                text = html.unescape(_TAG.sub("", file.read().decode("utf-8", "replace")))
                yield _plain_id(Path(member.name).stem), _NO_TEXT.sub("", text).strip()


def _load_spans(place: Path) -> JudgedSet:
    corpora = {path.stem: path.read_text() for path in sorted((place / "corpora").glob("*.md"))}
    questions: dict[str, str] = {}
    spans: dict[str, list[tuple[str, int, int]]] = {}
    with (place / "questions.csv").open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            text = corpora[row["corpus_id"]]
            questions[str(number)] = row["question"]
            parts = [(part["start_index"], part["end_index"]) for part in json.loads(row["references"])]
            spans[str(number)] = [
                (row["corpus_id"], len(text[:start].encode()), len(text[:stop].encode())) for start, stop in parts
            ]
    return JudgedSet(place.name, corpora, questions, {}, spans)


@dataclass(frozen=True)
class Indexed:
    """What a slice run leaves of a set: chunks and the two indexes."""

    chunks: dict[str, ChunkRow]
    words: FulltextIndex
    vectors: VectorIndex
    encoder: Encoder

    def fetch(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, ChunkRow]:
        """As the lake does it."""
        return {i: self.chunks[i] for ids in wanted.values() for i in ids if i in self.chunks}


def index(documents: Mapping[str, str], encoder: Encoder, root: Path, format_: str) -> Indexed:
    """Chunk, embed and index `documents`, each a file."""
    sources = (_source(name, text, format_) for name, text in documents.items())
    made = chunk_batches(sources, slice_key=SLICE, chunk_tokens=Settings().chunk_tokens, outcome=Outcome())
    table = pa.Table.from_batches(list(made), CHUNKS.schema)
    words, vectors = TantivyFulltextIndex(root / "words"), FaissVectorIndex(root / "vectors")
    index_documents(words, SLICE, table.select(DOCUMENT_COLUMNS).to_batches(), Outcome())
    embedded = embedding_batches(table.to_batches(), encoder, Outcome())
    index_vectors(vectors, SLICE, encoder.model, embedded, Outcome())
    rows = table.select([field.name for field in fields(ChunkRow)]).to_pylist()
    return Indexed({row["chunk_id"]: ChunkRow(**row) for row in rows}, words, vectors, encoder)


def _source(name: str, text: str, format_: str) -> Source:
    content = text.encode()
    return Source(
        dataset="benchmark",
        path=f"{name}.{'md' if format_ == 'markdown' else 'txt'}",
        kind="text",
        format=format_,
        encoding="utf-8",
        language="en",
        start=0,
        stop=len(content),
        content_hash="0" * 32,
        mtime_ns=0,
        open=lambda: io.BytesIO(content),
    )


class _Remembering:
    """An encoder that embeds a question once for all modes."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, NDArray[np.float32]] = {}
        self.model, self.dimension, self.engine = encoder.model, encoder.dimension, encoder.engine

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See Encoder."""
        for text in texts:
            if text not in self._known:
                self._known[text] = self._encoder.encode([text])[0]
        return np.stack([self._known[text] for text in texts])


def ranked(question: str, mode: str, indexed: Indexed) -> list[ChunkRow]:
    """The chunks that the product's search finds, best first; further places of a hit's text come with it."""
    result = search(
        question,
        encoder=NoEncoder() if mode == "words" else indexed.encoder,
        vectors=indexed.vectors,
        words=InMemoryFulltextIndex() if mode == "vectors" else indexed.words,
        chunks=indexed,
        limit=HITS,
    )
    places = {(row.path, row.byte_start): row for row in indexed.chunks.values()}
    cited = (citation for hit in result.hits for citation in (hit.citation, *hit.others))
    return [places[citation.path, citation.byte_start] for citation in cited]


def figures(found: Sequence[str], relevant: Collection[str]) -> tuple[float, float, float]:
    """Average precision, precision at 30 and nDCG at 10 of `found`, each of which counts once."""
    right = np.array([name in relevant for name in dict.fromkeys(found)], float)
    ranks = np.arange(1, right.size + 1)
    average = float((np.cumsum(right) / ranks)[right > 0].sum()) / len(relevant)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(10, len(relevant)) + 1))
    gained = float((right[:10] / np.log2(ranks[:10] + 1)).sum())
    return average, float(right[:30].sum()) / 30, gained / ideal


def measure(judged: JudgedSet, indexed: Indexed, mode: str) -> tuple[NDArray[np.float64], float]:
    """Means of the three figures over the questions, and CPU-ms a question without its embedding."""
    each: list[tuple[float, float, float]] = []
    spent = 0.0
    for number, question in judged.questions.items():
        if mode != "words":
            indexed.encoder.encode([question.strip()])
        before = time.process_time()
        rows = ranked(question, mode, indexed)
        spent += time.process_time() - before
        if judged.spans:
            relevant = _covering(judged.spans[number], indexed.chunks.values())
            each.append(figures([row.chunk_id for row in rows], relevant))
        else:
            each.append(figures([row.path.removesuffix(".txt") for row in rows], judged.relevant[number]))
    return np.mean(each, axis=0), 1000 * spent / len(each)


def _covering(spans: Sequence[tuple[str, int, int]], chunks: Iterable[ChunkRow]) -> set[str]:
    return {
        row.chunk_id
        for row in chunks
        for name, start, stop in spans
        if row.path == f"{name}.md" and row.byte_start < stop and start < row.byte_stop
    }


def main() -> None:
    """Print the table and the line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of sets")
    sets = load(parser.parse_args().data)
    encoder = _Remembering(SentenceEncoder(DEFAULT_MODEL, batch=32, threads=1))
    means: dict[str, list[float]] = {mode: [] for mode in MODES}
    print(f"{'set':<16}{'chunks':>8}{'questions':>11}  {'mode':<9}{'MAP':>7}{'P@30':>7}{'nDCG@10':>9}{'CPU-ms':>8}")
    for judged in sets:
        with tempfile.TemporaryDirectory() as root:
            format_ = "markdown" if judged.spans else "plain"
            indexed = index(judged.documents, encoder, Path(root), format_)
            for mode in MODES:
                (average, precision, gain), cost = measure(judged, indexed, mode)
                print(
                    f"{judged.name:<16}{len(indexed.chunks):>8,}{len(judged.questions):>11,}  {mode:<9}"
                    f"{average:>7.3f}{precision:>7.3f}{gain:>9.3f}{cost:>8.1f}",
                    flush=True,
                )
                if not judged.spans:
                    means[mode].append(float(average))
    if means["words"]:
        print(f"words_map={np.mean(means['words']):.3f} hybrid_map={np.mean(means['hybrid']):.3f}")
    else:
        print("words_map=nan hybrid_map=nan")


if __name__ == "__main__":
    main()
