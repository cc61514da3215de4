"""How far confidence can be trusted, as the UI shows it beside the answers: figures, a table and both plots."""

from base64 import b64encode

import dagster as dg

from mesh_assets.reports.plots import reliability_chart, risk_coverage_chart, standing_alone
from mesh_assets.resources.calibrator import calibration_quality
from mesh_assets.settings import Settings


def calibration_shown(settings: Settings) -> dict[str, object]:
    """Metadata on the fit in use, by answers that it did not see; empty where there is none.

    Numbers are plotted over materializations by Dagster.
    """
    found = calibration_quality(settings)
    if found is None:
        return {}
    rows = "\n".join(f"| {stated:.2f} | {right:.2f} | {answers} |" for stated, right, answers in found.bins)
    plots = (reliability_chart(found.bins, "Reliability"), risk_coverage_chart(found.risk, "Risk by coverage"))
    images = " ".join(f"![]({_image(plot)})" for plot in plots)
    table = f"{images}\n\n| stated | right | answers |\n| --- | --- | --- |\n{rows}\n"
    return {
        "calibration": dg.MetadataValue.md(table),
        "calibration_error": found.error,
        "calibration_brier": found.brier,
        "calibration_unseen_answers": found.answers,
    }


def _image(plot: str) -> str:
    return f"data:image/svg+xml;base64,{b64encode(standing_alone(plot).encode()).decode()}"
