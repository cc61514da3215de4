"""From which confidence on a case is settled at a depth: by that depth's gate where it holds, else by the settings.

A gate holds for answers whose confidence is of the fit that it was made with, and that are of its own depth: an earlier
answer that was kept is none of those.
"""

from __future__ import annotations

from dataclasses import dataclass

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.offers import Thresholds
from mesh_assets.analyses.signals import Calibrator


@dataclass(frozen=True, slots=True)
class Bar:
    """The confidence that is enough, whether an answer has it, and what that promises; empty where no gate does."""

    threshold: float
    is_passed: bool
    guarantee: str = ""


def bar(own: Analysis, sure: float, thresholds: Thresholds, calibrator: Calibrator) -> Bar:
    """That of the depth of `own`, for a case whose standing answer is `sure` by so much."""
    gate = calibrator.gate(own.depth)
    holds = own.is_calibrated and not own.is_kept and own.calibration == calibrator.version
    if gate is None or gate.threshold is None or not holds:
        threshold = thresholds.of(own.depth)
        return Bar(threshold, sure >= threshold)
    return Bar(gate.threshold, gate.keeps_one(sure), gate.guarantee)
