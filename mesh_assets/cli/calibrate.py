"""`mesh calibrate`: makes confidence a probability, from the verdicts that there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from json import loads
from typing import Annotated

import numpy as np
import typer
from blake3 import blake3

from mesh_assets.analyses.confidence import FittedConfidence, Verdict, fit_confidence, standing
from mesh_assets.analyses.gates.gate import Gate
from mesh_assets.analyses.gates.new_cases import gate_for_new
from mesh_assets.cli.console import console, print_json
from mesh_assets.mesh.shapes import DEPTHS
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts
from mesh_assets.mesh.sqlite_verdicts import Verdict as Word
from mesh_assets.resources.calibrator import FOLDER
from mesh_assets.settings import load_settings
from mesh_assets.storage.files import publish_text
from mesh_assets.storage.lake import Lake


def calibrate(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Fit confidence to the verdicts of `mesh judge` and of verifiers; answers from now on are judged by it.

    Where there are enough verdicts, a third of them is kept from the fit, and a gate by those says how many of the
    answers that are called sure are right.
    """
    settings = load_settings()
    verdicts = list(_judged(Lake(settings.state / "lake"), SqliteVerdicts(settings.state).all()))
    learned, kept = _split(verdicts)
    fit = fit_confidence(learned)
    if fit is None:  # none to spare for a gate
        learned, kept = verdicts, []
        fit = fit_confidence(learned)
    if fit is None:
        if json:
            print_json({"verdicts": len(verdicts), "is_calibrated": False, "why": standing(verdicts)})
        else:
            console.print(f"{standing(verdicts)} `mesh judge --list` has answers to judge.", soft_wrap=True)
        return
    path = settings.state / FOLDER / f"{fit.version}.json"
    publish_text(path, fit.to_json(), "calibrate")
    gate = _gate(fit, kept) if kept else None
    if json:
        said = {"verdicts": len(verdicts), "is_calibrated": True, "version": fit.version, "file": str(path)}
        guarantee = {"threshold": gate.threshold, "guarantee": gate.guarantee} if gate is not None else None
        print_json(said | {"fitted_to": len(learned), "gate": guarantee})
        return
    console.print(f"Confidence is fitted to {len(learned):,} of {len(verdicts):,} verdicts: {path}", soft_wrap=True)
    if gate is not None:
        least = f"Answers of confidence {gate.threshold:.2f} or more: " if gate.threshold is not None else ""
        console.print(f"{least}{gate.guarantee}", soft_wrap=True)
    console.print("Answers from now on have it; `mesh backfill DATASET --stale` judges those that are there again.")


def _split(verdicts: list[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """Two thirds to learn from and one to make a gate with, by lot: the same answer is always in the same part."""
    parts: tuple[list[Verdict], list[Verdict]] = ([], [])
    for each in verdicts:
        lot = blake3(f"{each.question}\x1f{each.answer}".encode("utf-8", "surrogatepass")).digest(length=1)[0]
        parts[lot % 3 == 0].append(each)
    return parts


def _gate(fit: FittedConfidence, verdicts: list[Verdict]) -> Gate:
    scores = fit.probabilities(
        [each.question for each in verdicts], [each.answer for each in verdicts], [each.signals for each in verdicts]
    )
    return gate_for_new(scores, np.array([each.is_right for each in verdicts], np.int64), "precision")


def _judged(lake: Lake, words: Iterable[Word]) -> Iterator[Verdict]:
    """The last word of each judge on each answer that the lake still has, with its question and text."""
    last = {(w.dataset, w.case_id, w.depth, w.judge, w.judge_name): w for w in sorted(words, key=lambda w: w.at)}
    by_dataset: dict[str, dict[tuple[str, str], list[Word]]] = {}
    for word in last.values():
        by_dataset.setdefault(word.dataset, {}).setdefault((word.case_id, word.depth), []).append(word)
    for dataset, wanted in by_dataset.items():
        for key in sorted(lake.slices(dataset)):
            yield from _of_slice(lake, key, wanted)


def _of_slice(lake: Lake, key: str, wanted: dict[tuple[str, str], list[Word]]) -> Iterator[Verdict]:
    cases = lake.find("cases", key)
    columns = ["case_id", "question"]
    questions = {
        row["case_id"]: row["question"]
        for batch in (cases.batches(columns) if cases is not None else ())
        for row in batch.to_pylist()
    }
    for depth in DEPTHS:
        table = lake.find(f"{depth}_analyses", key)
        for row in table.rows() if table is not None else ():
            for word in wanted.pop((row["case_id"], depth), ()):
                yield Verdict(questions.get(row["case_id"], ""), row["text"], _numbers(row["signals"]), word.is_right)


def _numbers(signals: str) -> dict[str, float]:
    return {name: float(value) for name, value in loads(signals).items()}
