"""What each stage made of each slice of a dataset and what it cost, as rows of `STATISTICS`, from footers alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from mesh_assets.errors import CorruptTableError
from mesh_assets.schemas.statistics import DAMAGED, DONE, MISSING, STATISTICS, UNFINISHED
from mesh_assets.stages import ASSETS, DUCKDB_ASSETS, SLICE_ASSETS, STAGES
from mesh_assets.storage.lake import Lake, LakeTable
from mesh_assets.storage.progress import dataset_progress

_STAGE_OF = {asset.name: stage.name for stage in STAGES for asset in stage.assets}
# Tables of a whole dataset that have a footer.
_DATASET_ASSETS = tuple(n for n, a in ASSETS.items() if a.partition == "dataset" and n not in DUCKDB_ASSETS)


def expected_rows(lake: Lake, dataset: str) -> set[tuple[str | None, str]]:
    """Slice (None for the dataset as a whole) and asset of every row that the statistics of a dataset have."""
    slices = dataset_progress(lake, dataset).versions
    rows: set[tuple[str | None, str]] = {(None, asset) for asset in _DATASET_ASSETS}
    return rows.union((key, asset) for key in slices for asset in SLICE_ASSETS)


def dataset_statistics_table(lake: Lake, dataset: str) -> pa.Table:
    """One row for each table that the dataset has or should have, slices first, in the order of the flow."""
    progress = dataset_progress(lake, dataset)
    rows = [
        _row(lake, dataset, asset, key, done=key in progress.finished)
        for key in sorted(progress.versions)
        for asset in SLICE_ASSETS
    ]
    done = not progress.unfinished
    rows += [_row(lake, dataset, asset, None, done=done or asset == "drop_manifests") for asset in _DATASET_ASSETS]
    return pa.Table.from_batches([STATISTICS.batch(rows)])


def _row(lake: Lake, dataset: str, asset: str, slice_key: str | None, *, done: bool) -> dict[str, object]:
    row: dict[str, object] = {"dataset": dataset, "slice": slice_key, "stage": _STAGE_OF[asset], "asset": asset}
    try:
        table = lake.find(asset, slice_key or dataset)
        return row | ({"state": MISSING} if table is None else _numbers(table, DONE if done else UNFINISHED))
    except (CorruptTableError, FileNotFoundError):  # the file may go between its footer and its size
        return row | {"state": DAMAGED}


def _numbers(table: LakeTable, state: str) -> dict[str, object]:
    footer = table.footer
    return {
        "state": state,
        "rows": footer.rows,
        "rows_in": footer.rows_in,
        "rejects": footer.rejects,
        "skipped": footer.skipped,
        "bytes_in": footer.bytes_in,
        "bytes_out": table.path.stat().st_size,
        "seconds": footer.seconds,
        "made_at": datetime.fromtimestamp(footer.made_at, UTC),
        "run_id": footer.run_id,
        "pipeline_version": footer.pipeline_version,
    }
