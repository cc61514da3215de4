"""The statistics of a dataset have a row for every table that is there or should be, and say how it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_assets.schemas import TABLES
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.schemas.rejects import Reject
from mesh_assets.stages import SLICE_ASSETS
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.statistics import dataset_statistics_table, expected_rows


def _publish(lake: Lake, asset: str, key: str, extra: dict[str, object], *, rejects: int = 0) -> None:
    outcome = Outcome(total=rejects, bytes_in=1000)
    outcome.rejects = [Reject(f"{n}", "reason", "remedy") for n in range(rejects)]
    lake.publish(asset, key, Produced([], outcome, "input", extra), version="7", run_id="run")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Slice 0 is finished, slice 1 has changed since, slice 2 was never made."""
    lake = Lake(tmp_path / "lake")
    slices = {f"d.{n:06d}": 5 + n for n in range(3)}
    _publish(lake, "drop_manifests", "d", {"slices": slices})
    for number in range(2):
        _publish(lake, "chunk_sets", f"d.{number:06d}", {}, rejects=number)
        _publish(lake, "slice_reports", f"d.{number:06d}", {"slice_version": 5})
    return lake


def test_each_table_has_its_state_and_its_numbers(lake: Lake) -> None:
    rows = {(r["slice"], r["asset"]): r for r in dataset_statistics_table(lake, "d").to_pylist()}
    assert set(rows) == expected_rows(lake, "d")
    assert len(rows) == 3 * len(SLICE_ASSETS) + 5
    states = [rows[f"d.{n:06d}", "chunk_sets"]["state"] for n in range(3)]
    assert states == ["done", "unfinished", "missing"]
    assert rows[None, "drop_manifests"]["state"] == "done"
    assert rows[None, "dataset_reports"]["state"] == "missing"
    found = rows["d.000001", "chunk_sets"]
    assert (found["stage"], found["rejects"], found["bytes_in"], found["pipeline_version"]) == ("chunks", 1, 1000, "7")
    assert found["bytes_out"] == lake.path("chunk_sets", "d.000001").stat().st_size
    assert rows["d.000002", "chunk_sets"]["rows"] is None


def test_one_damaged_table_hides_no_other(lake: Lake) -> None:
    lake.path("chunk_sets", "d.000000").write_bytes(b"PAR1 nonsense")
    rows = {(r["slice"], r["asset"]): r["state"] for r in dataset_statistics_table(lake, "d").to_pylist()}
    assert rows["d.000000", "chunk_sets"] == "damaged"
    assert rows["d.000000", "slice_reports"] == "done"
    assert set(rows) == expected_rows(lake, "d")


def test_a_dataset_that_was_emptied_has_rows_of_its_own_only(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    _publish(lake, "drop_manifests", "d", {"slices": {}})
    table = dataset_statistics_table(lake, "d")
    assert table.schema.equals(TABLES["dataset_statistics"].schema)
    assert set(zip(table["slice"].to_pylist(), table["asset"].to_pylist(), strict=True)) == {
        (None, "drop_manifests"),
        (None, "immediate_insights"),
        (None, "communities"),
        (None, "receipts"),
        (None, "dataset_reports"),
    }
