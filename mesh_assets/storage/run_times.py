"""What slices of this lake took, for estimates of what is to come: from footers and the kinds of their files."""

from __future__ import annotations

from contextlib import suppress

import polars as pl

from mesh_assets.errors import MeshError
from mesh_assets.insights.expected_time import Pace, learned
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.staleness import footers_of

# The newest slices say most of the next ones; reading the footers of ten thousand takes longer than it is worth.
_SLICES = 60


def pace_of(lake: Lake) -> Pace:
    """The pace of this machine by the newest slices of the lake, whichever datasets they belong to."""
    newest = sorted(lake.root.glob("slice_reports/*/[!.]*.parquet"), key=lambda path: path.stat().st_mtime)[-_SLICES:]
    runs: list[tuple[dict[str, float], float]] = []
    for path in newest:
        with suppress(MeshError, OSError, pl.exceptions.PolarsError):  # a slice that goes meanwhile says nothing
            seconds = sum(footer.seconds for footer in footers_of(lake, path.stem).values())
            runs.append((_bytes_by_kind(lake, path.stem), seconds))
    return learned(runs)


def _bytes_by_kind(lake: Lake, slice_key: str) -> dict[str, float]:
    sizes = pl.col("stop") - pl.col("start")
    found = pl.scan_parquet(lake.read("raw_partitions", slice_key).path).group_by("kind").agg(sizes.sum()).collect()
    return {str(kind): float(size) for kind, size in found.iter_rows()}
