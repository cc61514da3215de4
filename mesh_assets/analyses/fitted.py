"""A fitted confidence in the place of the uncalibrated one: what the ladder decides by once verdicts are enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mesh_assets.analyses.confidence import FittedConfidence
from mesh_assets.analyses.gates.gate import Gate
from mesh_assets.analyses.signals import Confidence, Signals
from mesh_assets.mesh.shapes import Depth


@dataclass(frozen=True)
class Fitted:
    """A `Calibrator` by a fit on verdicts. An answer of which nothing holds has no confidence, whatever the fit.

    `gates` were made with the fit, by depth.
    """

    fit: FittedConfidence
    gates: Mapping[Depth, Gate] = field(default_factory=dict[Depth, Gate])

    @property
    def version(self) -> str:
        """That of the fit."""
        return self.fit.version

    def confidence(self, signals: Signals, *, question: str, answer: str) -> Confidence:
        """How likely the answer is right. CalibrationError where the fit knows other signals."""
        if not signals.claims:
            return Confidence(0.0, is_calibrated=True, version=self.version)
        (value,) = self.fit.probabilities([question], [answer], [signals.values()])
        return Confidence(float(value), is_calibrated=True, version=self.version)

    def gate(self, depth: Depth) -> Gate | None:
        """That of the depth."""
        return self.gates.get(depth)
