"""`mesh calibrate`: makes confidence a probability, and gates that settle cases, from the verdicts that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from mesh_assets.analyses.calibration import quality
from mesh_assets.analyses.confidence import fit_confidence, standing
from mesh_assets.analyses.gates.gate import Gate
from mesh_assets.analyses.judged import Judged, gates_of, parted, stated
from mesh_assets.cli.console import console, print_json
from mesh_assets.mesh.shapes import Depth
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts
from mesh_assets.resources.calibrator import publish_calibration
from mesh_assets.settings import load_settings
from mesh_assets.storage.judged_answers import judged_answers
from mesh_assets.storage.lake import Lake


def calibrate(
    target: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Share of the answers that a gate settles which is right.")
    ] = 0.9,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit confidence to the verdicts of people and of verifiers; answers from now on are judged by it.

    Where there are enough verdicts, a third of the answers that people judged is kept from the fit, and makes a gate
    for each depth: where it holds, it settles cases there in the place of the thresholds of the settings.
    """
    settings = load_settings()
    judged = list(judged_answers(Lake(settings.state / "lake"), SqliteVerdicts(settings.state).all()))
    learned, kept = parted(judged)
    fit = fit_confidence(learned)
    if fit is None:  # none to spare for a gate
        learned, kept = [*learned, *(each.verdict for each in kept)], []
        fit = fit_confidence(learned)
    if fit is None:
        if json:
            print_json({"verdicts": len(judged), "is_calibrated": False, "why": standing(learned)})
        else:
            console.print(f"{standing(learned)} `mesh judge --list` has answers to judge.", soft_wrap=True)
        return
    gates = gates_of(fit, kept, target=target)
    found = quality(*stated(fit, kept)) if kept else None
    path = publish_calibration(settings, fit, gates, found)
    if json:
        said = {"verdicts": len(judged), **_judges(judged), "is_calibrated": True, "version": fit.version}
        told = {depth: {"threshold": gate.threshold, "guarantee": gate.guarantee} for depth, gate in gates.items()}
        unseen = {"answers": found.answers, "calibration_error": found.error, "brier": found.brier} if found else None
        print_json(said | {"file": str(path), "fitted_to": len(learned), "unseen": unseen, "gates": told})
        return
    of = ", ".join(f"{count:,} {who.replace('_', ' ')}" for who, count in _judges(judged).items())
    console.print(
        f"Confidence is fitted to {len(learned):,} of {len(judged):,} verdicts ({of}): {path}", soft_wrap=True
    )
    if found is not None:
        what = f"calibration error {found.error:.3f}, mean squared error {found.brier:.3f}"
        console.print(f"On {found.answers:,} answers that it did not see: {what}; the page to judge plots it.")
    _print_gates(gates)
    console.print("Answers from now on have it; `mesh backfill DATASET --stale` judges those that are there again.")


def _judges(judged: list[Judged]) -> dict[str, int]:
    people = sum(each.judge == "person" for each in judged)
    return {"of_people": people, "of_verifiers": len(judged) - people}


def _print_gates(gates: Mapping[Depth, Gate]) -> None:
    for depth, gate in gates.items():
        at = gate.threshold
        what = "is left to the thresholds of the settings" if at is None else f"is settled from confidence {at:.2f} on"
        console.print(f"{depth} {what}. {gate.guarantee}", soft_wrap=True)
