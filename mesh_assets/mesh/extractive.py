"""The answerer that needs no weights: it quotes the sentences of the evidence that share most with the question.

It composes nothing, so it cannot invent, and it says what it is. Sentences are ranked by BM25 (Robertson and Zaragoza
2009, k1 1.2, b .75) over those of the case.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass

from mesh_assets.errors import NodeError
from mesh_assets.mesh.json_schema import faults
from mesh_assets.mesh.prompts import evidence_in, question_in
from mesh_assets.mesh.protocol import Completion, Request, Usage

_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[^\n.!?]*(?:[.!?](?!\s|$)[^\n.!?]*)*[.!?]?")
_K1, _B = 1.2, 0.75
_CLAIMS = 3
# Of a longer one, a log line or a row, the beginning is quoted.
_QUOTE_CHARACTERS = 400
_NOTE = "Extracted, not composed: the sentences of the evidence that share most words with the question."
_NOTHING = "No sentence of the evidence shares a word with the question. (Extracted, not composed.)"


@dataclass(frozen=True, slots=True)
class _Sentence:
    label: str
    text: str
    words: Counter[str]


def extract(request: Request) -> Completion:
    """The answer in the form of `ANSWER_SCHEMA`; its confidence is the share of the question's words that are quoted.

    NodeError where another form is asked for.
    """
    sentences = _sentences(request)
    asked = {word for word in _WORD.findall(question_in(request).lower()) if len(word) > 2}
    best = _ranked(sentences, asked)[:_CLAIMS]
    covered = {word for sentence in best for word in asked & sentence.words.keys()}
    answer = {
        "answer": f"{' '.join(each.text for each in best)} ({_NOTE})" if best else _NOTHING,
        "claims": [{"statement": s.text, "citations": [{"label": s.label, "quote": s.text}]} for s in best],
        "confidence": round(len(covered) / len(asked), 3) if asked and best else 0.0,
    }
    wrong = faults(answer, request.schema)
    if wrong:
        raise NodeError(
            f"The extractive answerer has only the mesh's own form of an answer: {wrong[0]}.",
            remedy="Ask a node with a model for answers of another form.",
            failure="refused",
        )
    words = sum(sum(sentence.words.values()) for sentence in sentences)
    said = sum(sum(sentence.words.values()) for sentence in best)
    return Completion(json.dumps(answer), "stop", Usage(input=words, output=said))


def _sentences(request: Request) -> list[_Sentence]:
    found: list[_Sentence] = []
    for label, text in evidence_in(request):
        for match in _SENTENCE.finditer(text):
            words = Counter(_WORD.findall(match[0].lower()))
            if words:
                found.append(_Sentence(label, match[0].strip()[:_QUOTE_CHARACTERS], words))
    return found


def _ranked(sentences: list[_Sentence], asked: set[str]) -> list[_Sentence]:
    """Those that share a word with the question, best first, in their order where they are as good."""
    if not sentences:
        return []
    mean = sum(sum(sentence.words.values()) for sentence in sentences) / len(sentences)
    holders = Counter(word for sentence in sentences for word in sentence.words.keys() & asked)

    def score(sentence: _Sentence) -> float:
        length = _K1 * (1 - _B + _B * sum(sentence.words.values()) / mean)
        shared = asked & sentence.words.keys()
        return sum(
            math.log(1 + (len(sentences) - holders[word] + 0.5) / (holders[word] + 0.5))
            * (sentence.words[word] * (_K1 + 1) / (sentence.words[word] + length))
            for word in sorted(shared)
        )

    scored = [(score(sentence), sentence) for sentence in sentences]
    return [sentence for value, sentence in sorted(scored, key=lambda each: -each[0]) if value > 0]
