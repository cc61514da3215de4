"""Judged answers in two parts, one to fit confidence to and one to make gates with, and the gates of the depths.

The part for gates is drawn by lot and takes verdicts of people alone: a gate promises something of the answers to come,
so its verdicts must be on answers that were drawn like those. Verifiers judge what they can, which is no fair sample;
what they say is learned from, without their own signal, which would only repeat them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from blake3 import blake3

from mesh_assets.analyses.confidence import FittedConfidence, Verdict
from mesh_assets.analyses.gates.gate import Gate
from mesh_assets.analyses.gates.new_cases import gate_for_new
from mesh_assets.mesh.shapes import DEPTHS, Depth
from mesh_assets.schemas.verdicts import Judge

# Part of the answers that gates are made with.
_ONE_OF = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on an answer at a depth, and who gave it."""

    verdict: Verdict
    depth: Depth
    judge: Judge


def is_for_gates(question: str, answer: str) -> bool:
    """Whether a person's verdict on this answer is for gates: by lot, the same each time."""
    lot = blake3(f"{question}\x1f{answer}".encode("utf-8", "surrogatepass")).digest(length=1)[0]
    return lot % _ONE_OF == 0


def parted(judged: Iterable[Judged]) -> tuple[list[Verdict], list[Judged]]:
    """What is to be learned from, and what is kept for gates."""
    learned: list[Verdict] = []
    kept: list[Judged] = []
    for each in judged:
        if each.judge == "verifier":
            learned.append(replace(each.verdict, signals={**each.verdict.signals, "verifier": 0.5}))
        elif is_for_gates(each.verdict.question, each.verdict.answer):
            kept.append(each)
        else:
            learned.append(each.verdict)
    return learned, kept


def stated(fit: FittedConfidence, judged: Iterable[Judged]) -> tuple[list[float], list[bool]]:
    """What the fit says of judged answers, and whether each is right."""
    verdicts = [each.verdict for each in judged]
    questions, answers = [each.question for each in verdicts], [each.answer for each in verdicts]
    found = fit.probabilities(questions, answers, [each.signals for each in verdicts])
    return found.tolist(), [each.is_right for each in verdicts]


def gates_of(fit: FittedConfidence, kept: Iterable[Judged], *, target: float) -> Mapping[Depth, Gate]:
    """The gate of each depth that has verdicts: of what it settles, at least `target` is right."""
    found: dict[Depth, Gate] = {}
    held = list(kept)
    for depth in DEPTHS:
        own = [each for each in held if each.depth == depth]
        if own:
            scores, right = stated(fit, own)
            found[depth] = gate_for_new(np.array(scores), np.array(right, np.int64), "precision", target=target)
    return found
