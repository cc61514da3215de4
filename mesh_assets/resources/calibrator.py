"""The calibrator in use: the newest fit on verdicts that `mesh calibrate` published, else the uncalibrated one.

    <state>/calibration/<version>.json

A fit is never changed: another is another file, and each answer has the version that it was judged by.
"""

from pathlib import Path

from mesh_assets.analyses.confidence import FittedConfidence
from mesh_assets.analyses.fitted import Fitted
from mesh_assets.analyses.signals import Calibrator, Uncalibrated
from mesh_assets.errors import CalibrationError
from mesh_assets.settings import Settings

FOLDER = "calibration"


def connect_calibrator(settings: Settings) -> Calibrator:
    """What makes a confidence of signals. CalibrationError where the newest fit cannot be read."""
    newest = max((settings.state / FOLDER).glob("[!.]*.json"), key=_age, default=None)
    if newest is None:
        return Uncalibrated()
    try:
        return Fitted(FittedConfidence.from_json(newest.read_text()))
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{newest} cannot be read: {error}.", remedy="Run `mesh calibrate` again.") from error


def _age(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.name
