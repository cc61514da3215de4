"""The calibrator in use: the newest fit on verdicts that `mesh calibrate` published, else the uncalibrated one.

    <state>/calibration/<version>.json
    <state>/calibration/<version>.<depth>.gate      from which confidence on cases are settled there
    <state>/calibration/<version>.quality           how it did on answers that it did not see

A fit is never changed: another is another file, and each answer has the version that it was judged by.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mesh_assets.analyses.calibration import Quality
from mesh_assets.analyses.confidence import FittedConfidence
from mesh_assets.analyses.fitted import Fitted
from mesh_assets.analyses.gates.gate import Gate
from mesh_assets.analyses.signals import Calibrator, Uncalibrated
from mesh_assets.errors import CalibrationError
from mesh_assets.mesh.shapes import DEPTHS, Depth
from mesh_assets.settings import Settings
from mesh_assets.storage.files import publish_text

FOLDER = "calibration"


def connect_calibrator(settings: Settings) -> Calibrator:
    """What makes a confidence of signals. CalibrationError where the newest fit cannot be read, GateError for gates."""
    newest = _newest(settings)
    if newest is None:
        return Uncalibrated()
    try:
        fit = FittedConfidence.from_json(newest.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{newest} cannot be read: {error}.", remedy="Run `mesh calibrate` again.") from error
    gates: dict[Depth, Gate] = {}
    for depth in DEPTHS:
        path = gate_path(settings, fit.version, depth)
        if path.exists():
            gates[depth] = Gate.load(path)
    return Fitted(fit, gates)


def calibration_quality(settings: Settings) -> Quality | None:
    """How the fit in use did on answers that it did not see; None where there is none, or too few were left for that.

    CalibrationError where it cannot be read.
    """
    newest = _newest(settings)
    path = newest.with_suffix(".quality") if newest is not None else None
    if path is None or not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        bins, risk = (tuple(tuple(each) for each in found.pop(name)) for name in ("bins", "risk"))
        return Quality(**found, bins=bins, risk=risk)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CalibrationError(f"{path} cannot be read: {error}.", remedy="Run `mesh calibrate` again.") from error


def publish_calibration(
    settings: Settings, fit: FittedConfidence, gates: Mapping[Depth, Gate], found: Quality | None
) -> Path:
    """Keep a fit with its gates and its quality, from now on the one in use; the path of the fit."""
    path = settings.state / FOLDER / f"{fit.version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    for depth in DEPTHS:
        if depth in gates:
            gates[depth].save(gate_path(settings, fit.version, depth))
        else:
            gate_path(settings, fit.version, depth).unlink(missing_ok=True)
    if found is not None:
        publish_text(path.with_suffix(".quality"), json.dumps(asdict(found)), "calibrate")
    else:
        path.with_suffix(".quality").unlink(missing_ok=True)
    publish_text(path, fit.to_json(), "calibrate")
    return path


def gate_path(settings: Settings, version: str, depth: Depth) -> Path:
    """Where the gate of a depth lies."""
    return settings.state / FOLDER / f"{version}.{depth}.gate"


def _newest(settings: Settings) -> Path | None:
    return max((settings.state / FOLDER).glob("[!.]*.json"), key=_age, default=None)


def _age(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.name
