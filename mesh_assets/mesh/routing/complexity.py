"""How hard a case looks by its text, and what that lets one expect of a node of which there are no records yet.

No model is asked. Where there are records, `quality` knows better.
"""

from __future__ import annotations

import math
import re

from mesh_assets.mesh.protocol import Node
from mesh_assets.mesh.shapes import Depth

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SYMBOL = re.compile(r"[=^\\{}<>|∑∫√≤≥]")
# Logistic regression of wrong answers within three sets of records (school sums, exams, nine models on mixed tasks). On
# the set that was left out of learning, rank correlation with the share of nodes that failed was .14, .28 and .22.
_WORDS_WEIGHT, _NUMBERS_WEIGHT, _SYMBOLS_WEIGHT = 0.13, 0.37, 0.17
_BASE = -1.3  # thirty words without numbers: three of ten answers are wrong
# Of the failures of the weakest, what is left to deeper nodes: the strong node of two sets of records had .40 and .56.
# What lies between is an assumption.
_FAILURES_LEFT: dict[Depth, float] = {"surface": 1.0, "deep": 0.75, "expert": 0.6, "research": 0.45}
_SPECIALITY_LEFT = 0.9  # an assumption that decides between nodes that are alike otherwise


def complexity(question: str) -> float:
    """How likely an ordinary node's answer is wrong, 0 to 1, by the words, numbers and symbols of the question."""
    size = _WORDS_WEIGHT * math.log1p(len(question.split()))
    size += _NUMBERS_WEIGHT * math.log1p(len(_NUMBER.findall(question)))
    size += _SYMBOLS_WEIGHT * math.log1p(len(_SYMBOL.findall(question)))
    return 1.0 / (1.0 + math.exp(-(_BASE + size)))


def expected_quality(question: str, node: Node, *, speciality: str) -> float:
    """How well a node is expected to answer, 0 to 1, while nothing is known of it but what `mesh.yaml` says."""
    left = min(_FAILURES_LEFT[depth] for depth in node.depths) if node.depths else 1.0
    if speciality in node.specialities:
        left *= _SPECIALITY_LEFT
    return 1.0 - complexity(question) * left
