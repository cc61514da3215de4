"""The Dagster UI as its users see it: `mesh up`, a drop, a browser, and what people do there by hand."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mesh_assets.stages import SLICE_ASSETS, STAGES
from mesh_assets_tests.ui.live import CHROMIUM, MESH, Mesh, free_port, picture, tags_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: sudo apt-get install -y chromium"),
]


def test_a_drop_is_found_made_and_shown(settled: Mesh, page: Page) -> None:
    from playwright.sync_api import expect

    labels = {entry["label"] for entry in settled.materializations("slice_reports")[0]["metadataEntries"]}
    assert {"rows", "bytes_in", "bytes_out", "seconds", "rejects", "report", "findings"} <= labels
    page.goto(f"{settled.url}/asset-groups?expanded=" + ",".join(f"global@global:{stage.name}" for stage in STAGES))
    graph = page.locator("foreignObject")
    for stage in STAGES:
        expect(graph.get_by_text(stage.name, exact=True).first).to_be_visible()
        for asset in stage.assets:
            expect(graph.get_by_text(asset.name).first).to_be_visible()
    picture(page, "asset-graph")
    page.goto(f"{settled.url}/assets/slice_reports?view=partitions&partition=notes.000000")
    for text in ("notes.000000", "bytes_out", "findings"):
        expect(page.get_by_text(text).first).to_be_visible()
    picture(page, "slice-page")
    page.goto(f"{settled.url}/assets/chunk_sets?view=partitions&partition=notes.000000")
    expect(page.get_by_text("no chunker for image").first).to_be_visible()
    picture(page, "rejects")


def test_a_second_mesh_on_the_same_state_is_refused(mesh: Mesh) -> None:
    environment = mesh.environment | {"MESH_PORT": str(free_port())}
    second = subprocess.run([MESH, "up"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "up already" in second.stderr


def test_a_slice_is_materialized_by_hand_and_its_run_is_known_as_one_of_the_dataset(settled: Mesh, page: Page) -> None:
    before = {run["id"] for run in settled.runs(dagster__partition="notes.000001")}
    page.goto(f"{settled.url}/assets/chunk_sets?view=partitions&partition=notes.000001")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    picture(page, "materialize")
    page.get_by_role("button", name=re.compile("Launch 1 run")).click()

    def by_hand() -> list[dict[str, Any]]:
        new = [run for run in settled.runs(dagster__partition="notes.000001") if run["id"] not in before]
        return [run for run in new if run["status"] == "SUCCESS"]

    (run,) = settled.wait_for("the run by hand", by_hand)
    assert run["assetSelection"] == [{"path": ["chunk_sets"]}]
    assert tags_of(run)["mesh/dataset"] == "notes"
    assert tags_of(run)["mesh/slice_version"]


def _fail(mesh: Mesh, dataset: str) -> Path:
    """A new dataset whose slice fails by what a person may do: a file is where the folder of its reports should be."""
    in_the_way = mesh.state / "reports" / dataset
    in_the_way.write_text("my notes on these reports")
    (mesh.drops / dataset).mkdir()
    (mesh.drops / dataset / "may.md").write_text(f"# May\n\nThe {dataset} of May.\n")
    mesh.wait_for("the failure", lambda: _states(mesh, dataset) == ["FAILURE"])
    return in_the_way


def _states(mesh: Mesh, dataset: str) -> list[str]:
    """The states of the runs of its first slice, the latest first."""
    return [run["status"] for run in mesh.runs(dagster__partition=f"{dataset}.000000")]


def test_a_failed_slice_says_why_and_is_run_again_from_its_failure(settled: Mesh, page: Page) -> None:
    from playwright.sync_api import expect

    in_the_way = _fail(settled, "poems")
    (run,) = settled.runs(dagster__partition="poems.000000")
    why = "poems.000000.html cannot be written: File exists."
    (told,) = json.loads(settled.command("status", "--json"))["failures"]
    assert (told["slice"], told["step"], told["run_id"]) == ("poems.000000", "slice_reports", run["id"])
    assert why in told["why"]
    assert "poems.000000, slice_reports: " in settled.command("status")
    page.goto(f"{settled.url}/runs/{run['id']}")
    expect(page.get_by_text(why).first).to_be_visible()
    picture(page, "failed-run")
    in_the_way.unlink()
    page.get_by_role("button").filter(has=page.get_by_role("img", name="arrow_drop_down")).last.click()
    page.get_by_text("From failure", exact=True).click()

    def again() -> list[dict[str, Any]]:
        runs = settled.runs(dagster__partition="poems.000000")
        return [r for r in runs if r["parentRunId"] == run["id"] and r["status"] == "SUCCESS"]

    (second,) = settled.wait_for("the second run", again)
    done = {step["stepKey"] for step in second["stepStats"] if step["status"] == "SUCCESS"}
    assert done == {"slice_reports", "slice_reports_checks"}
    before = {step["stepKey"] for step in run["stepStats"] if step["status"] == "SUCCESS"}
    assert before >= set(SLICE_ASSETS) - {"slice_reports"}


def test_failed_and_missing_slices_are_chosen_by_one_click(settled: Mesh, page: Page) -> None:
    _fail(settled, "songs").unlink()
    page.goto(f"{settled.url}/assets/slice_reports?view=partitions")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    page.get_by_role("button", name="Failed and missing", exact=True).click()
    picture(page, "failed-and-missing")
    page.get_by_role("button", name=re.compile("Launch 1 run")).click()
    settled.wait_for("the second run", lambda: _states(settled, "songs") == ["SUCCESS", "FAILURE"])
    assert settled.runs(dagster__partition="songs.000000")[0]["assetSelection"] == [{"path": ["slice_reports"]}]
