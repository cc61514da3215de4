"""How well labels, entities and summaries are told without a large model, on small labelled sets of our own.

    python benchmarks/local_models.py [--fit] [--part dev|report]

The texts are in `labelled/`; their authors also wrote the descriptions and rules, so the figures flatter. What was
tuned (descriptions, calibration, forms) saw the part `dev` only; the part `report` is reported. Plain baselines beside
each: words of the descriptions that occur in the text; a regular expression for each label; the first three sentences.

Classification is the macro F1 over labels, `other` among them, the mean of the two sets. Extraction is the micro F1 of
label and exact characters. Summaries are the mean F1 of ROUGE-1 (Lin 2004; words in lower case, no stemming, no stop
words) of three sentences. `--fit` prints the calibration of the labels that fits `dev`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from mesh_assets.insights.byte_text import NO_SPANS, ByteText
from mesh_assets.insights.entities import find_entities
from mesh_assets.insights.labels import LabelSet, fitted, probabilities, read_labels, similarities
from mesh_assets.insights.locators import ChunkText
from mesh_assets.insights.stop_words import STOP_WORDS
from mesh_assets.insights.summary import summary_sentences
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.settings import SHIPPED_LABELS, Settings

LABELLED = Path(__file__).parent / "labelled"
_WORD = re.compile(r"[a-z]{3,}")
# One expression a label, as one writes them first.
_PLAIN = {
    "url": r"https?://\S+",
    "email": r"\S+@\S+\.\w+",
    "uuid": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "time": r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d)?Z?"
    r"|\d{1,2} [A-Z][a-z]+ \d{4}|[A-Z][a-z]+ \d{1,2}, \d{4}|\d\d?[./]\d\d?[./]\d{4}",
    "ip": r"\d+\.\d+\.\d+\.\d+",
    "version": r"v?\d+\.\d+\.\d+",
    "percent": r"\d+(?:\.\d+)?%",
    "duration": r"\d+ (?:ms|s|minutes|hours)",
    "amount": r"[$€£]\d[\d,.]*",
    "error_code": r"CVE-\d+-\d+|E[A-Z]{4,}|[45]\d\d",
    "exception": r"\w+(?:Error|Exception)",
    "identifier": r"[A-Z]+-\d+",
    "path": r"(?:/[\w.]+)+",
    "host": r"(?:[\w-]+\.)+(?:com|org|net)",
    "person": r"(?:Mr|Mrs|Ms|Dr)\.? [A-Z]\w+(?: [A-Z]\w+)?|[A-Z][a-z]+ [A-Z][a-z]+",
    "organisation": r"(?:[A-Z]\w+ )+(?:Ltd|Inc|GmbH|AG|LLC)",
    "address": r"\d+ [A-Z]\w+ (?:Street|Road)",
}


def rows_of(name: str, part: str) -> list[dict[str, Any]]:
    """The labelled rows of a part."""
    lines = (LABELLED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for line in lines if (row := json.loads(line))["part"] == part]


def macro_f1(truth: list[str], told: list[str]) -> float:
    """The mean F1 over the labels that occur."""
    scores: list[float] = []
    for label in sorted(set(truth)):
        right = sum(t == s == label for t, s in zip(truth, told, strict=True))
        scores.append(2 * right / (truth.count(label) + told.count(label)))
    return sum(scores) / len(scores)


def by_words(labels: LabelSet, texts: list[str]) -> list[str]:
    """The label most of whose words occur in the text; `other` where none does."""
    known = {n: set(_WORD.findall(" ".join((n, *d)).lower())) - STOP_WORDS for n, d in labels.labels.items()}
    told: list[str] = []
    for text in texts:
        words = set(_WORD.findall(text.lower()))
        best = max(known, key=lambda name: len(known[name] & words))
        told.append(best if known[best] & words else "other")
    return told


def classification(part: str, *, fit: bool) -> tuple[float, float]:
    """F1 of the descriptions and of their words."""
    encoder = connect_encoder(Settings())
    ours: list[float] = []
    plain: list[float] = []
    for labels in read_labels(SHIPPED_LABELS, Path("/nonexistent")):
        if fit:
            dev = rows_of("classification", "dev")
            cosines = similarities(labels, encoder.encode([row["text"] for row in dev]), encoder.encode)
            scale, other = fitted(cosines, np.array([labels.names.index(row[labels.name]) for row in dev]))
            print(f"{labels.name}: scale {scale:.1f}, other {other:.3f} (fitted to {len(dev)} texts)")
        rows = rows_of("classification", part)
        texts, truth = [row["text"] for row in rows], [row[labels.name] for row in rows]
        made = probabilities(
            similarities(labels, encoder.encode(texts), encoder.encode), scale=labels.scale, other=labels.other
        )
        told = [labels.names[at] for at in made.argmax(axis=1)]
        ours.append(macro_f1(truth, told))
        plain.append(macro_f1(truth, by_words(labels, texts)))
        right = np.array([t == s for t, s in zip(truth, told, strict=True)])
        sure = made.max(axis=1)
        print(
            f"{labels.name:12} F1 {ours[-1]:.3f}, by words {plain[-1]:.3f}; right {right.mean():.3f}, "
            f"stated {sure.mean():.3f}, calibration error {calibration_error(right, sure):.3f}, {len(rows)} texts"
        )
    return float(np.mean(ours)), float(np.mean(plain))


def calibration_error(right: np.ndarray, sure: np.ndarray) -> float:
    """Expected calibration error (Guo et al. 2017) in five bins of equally many texts."""
    order = np.argsort(sure)
    bins = np.array_split(order, 5)
    return float(sum(len(b) * abs(right[b].mean() - sure[b].mean()) for b in bins) / len(order))


def entities_of(text: str) -> set[tuple[str, int, int]]:
    """Label, first and last character of each entity that the mesh finds."""
    import pyarrow as pa

    found = find_entities(ByteText.of(pa.array([text], pa.string())), NO_SPANS, [])
    content = text.encode()
    return {
        (label, len(content[:start].decode()), len(content[:stop].decode()))
        for label, start, stop in zip(
            found.label_names().to_pylist(), found.starts.tolist(), found.stops.tolist(), strict=True
        )
    }


def plain_entities(text: str) -> set[tuple[str, int, int]]:
    """The same by one expression a label, the first that matches a place winning."""
    taken: list[tuple[str, int, int]] = []
    for label, pattern in _PLAIN.items():
        for match in re.finditer(pattern, text):
            if all(match.end() <= start or match.start() >= stop for _, start, stop in taken):
                taken.append((label, *match.span()))
    return set(taken)


def extraction(part: str) -> tuple[float, float]:
    """Micro F1 of the mesh and of plain expressions."""
    counts = {"ours": Counter[str](), "plain": Counter[str]()}
    by_label: Counter[str] = Counter()
    for row in rows_of("extraction", part):
        truth = {(e["label"], e["start"], e["stop"]) for e in row["entities"]}
        for name, told in (("ours", entities_of(row["text"])), ("plain", plain_entities(row["text"]))):
            counts[name].update(right=len(truth & told), told=len(told), true=len(truth))
            if name == "ours":
                by_label.update(f"missed {label}" for label, *_ in truth - told)
                by_label.update(f"wrong {label}" for label, *_ in told - truth)
    scores = {name: 2 * c["right"] / (c["told"] + c["true"]) for name, c in counts.items()}
    print(f"extraction   F1 {scores['ours']:.3f}, plain {scores['plain']:.3f}; {counts['ours']['true']} entities")
    print(f"             {dict(by_label)}")
    return scores["ours"], scores["plain"]


def rouge(told: str, reference: str) -> float:
    """F1 of ROUGE-1."""
    a, b = (Counter(w for w in re.findall(r"[a-z0-9]+", t.lower()) if w not in STOP_WORDS) for t in (told, reference))
    return 2 * (a & b).total() / max(a.total() + b.total(), 1)


def summaries(part: str) -> tuple[float, float]:
    """ROUGE of our sentences and of the first three."""
    encoder = connect_encoder(Settings())
    ours: list[float] = []
    lead: list[float] = []
    for row in rows_of("summaries", part):
        sentences = re.split(r"(?<=\.) ", row["text"])
        chunks = [ChunkText("d", "f", "text", s, 0, len(s), 1, "ab" * 16, None) for s in sentences]
        chosen = summary_sentences(chunks, encoder.encode(sentences), 3)
        ours.append(rouge(" ".join(c.chunk.text[c.start : c.stop] for c in chosen), row["reference"]))
        lead.append(rouge(" ".join(sentences[:3]), row["reference"]))
    print(f"summaries    ROUGE-1 {np.mean(ours):.3f}, first three {np.mean(lead):.3f}; {len(ours)} texts")
    return float(np.mean(ours)), float(np.mean(lead))


def main() -> None:
    """Print the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="print the calibration that fits the part dev")
    parser.add_argument("--part", choices=("dev", "report"), default="report")
    given = parser.parse_args()
    f1, words = classification(given.part, fit=given.fit)
    found, plain = extraction(given.part)
    said, lead = summaries(given.part)
    print(
        f"classification_f1={f1:.3f} classification_words={words:.3f} extraction_f1={found:.3f} "
        f"extraction_plain={plain:.3f} summary_rouge={said:.3f} summary_lead3={lead:.3f}"
    )


if __name__ == "__main__":
    main()
