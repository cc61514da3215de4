"""The first look into a dataset: a sample of its files, and by what this machine did before how long they take."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from mesh_assets.insights.expected_time import expected
from mesh_assets.insights.immediate import Immediate, told
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.reports.markdown import escape_markdown
from mesh_assets.schemas.immediate import IMMEDIATE_INSIGHTS
from mesh_assets.schemas.outcome import Outcome
from mesh_assets.slices import LOOSE_FILES
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.run_times import pace_of


def first_look(
    lake: Lake, area: DropArea, dataset: str, outcome: Outcome, shown: dict[str, object]
) -> Iterator[pa.RecordBatch]:
    """Rows of `IMMEDIATE_INSIGHTS` of a dataset; `shown` gets what the UI shows and plots over time."""
    if dataset != LOOSE_FILES:
        found = told(area.folder_of(dataset), area.listing(dataset))
        yield IMMEDIATE_INSIGHTS.batch(list(found.rows(dataset)))
        slices = len(lake.read("drop_manifests", dataset).footer.extra["slices"])
        shown.update(_numbers(lake, found, slices))
    outcome.advance()


def _numbers(lake: Lake, found: Immediate, slices: int) -> dict[str, object]:
    # As if one slice ran after the other: how many run side by side changes with the hours and the owner's limits.
    left = expected(found.bytes_by_kind, slices, pace_of(lake), 1)
    said = "\n".join(f"- {escape_markdown(statement)}" for statement in found.statements())
    return {
        "files": found.files,
        "bytes": found.bytes,
        "work_seconds": left.likely,
        "work_seconds_low": left.low,
        "work_seconds_high": left.high,
        "what_is_in_there": dg.MetadataValue.md(said),
    }
