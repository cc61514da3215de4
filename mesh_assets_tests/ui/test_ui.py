"""The Dagster UI as its users see it: `mesh up`, drops, a browser, and what people do there by hand.

One file, because its tests share one live mesh, and a file is what a test process takes at a time.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mesh_assets.cli.backfill_requests import report_assets
from mesh_assets.stages import SLICE_ASSETS, STAGES
from mesh_assets_tests.ui.conftest import SLICES
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
    expect(page.get_by_text("broken png").first).to_be_visible()
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


def _new_backfill(mesh: Mesh, known: set[str]) -> dict[str, Any]:
    return mesh.wait_for("the backfill", lambda: [b for b in mesh.backfills() if b["id"] not in known])[0]


def _runs_of(mesh: Mesh, backfill: str, partitions: set[str]) -> list[dict[str, Any]]:
    """The runs of a backfill once there is one for each of its partitions."""

    def runs() -> list[dict[str, Any]]:
        found = mesh.runs(dagster__backfill=backfill)
        return found if {tags_of(run).get("dagster/partition") for run in found} >= partitions else []

    return mesh.wait_for(f"a run of each of {sorted(partitions)}", runs)


def _all_wait(mesh: Mesh, *backfills: str) -> bool:
    """Whether every run of the backfills is queued; none may be further."""
    states = {run["status"] for backfill in backfills for run in mesh.runs(dagster__backfill=backfill)}
    assert states <= {"NOT_STARTED", "QUEUED"}
    return states == {"QUEUED"}


def _all_succeed(mesh: Mesh, *backfills: str) -> None:
    def done() -> bool:
        runs = [run for backfill in backfills for run in mesh.runs(dagster__backfill=backfill)]
        assert "FAILURE" not in {run["status"] for run in runs}
        return {run["status"] for run in runs} == {"SUCCESS"}

    mesh.wait_for("the end of the backfills", done)


@pytest.fixture
def paused(settled: Mesh) -> Iterator[Mesh]:
    assert "Paused by `mesh pause`" in settled.command("pause")
    yield settled
    settled.command("resume")


def _launch_all(mesh: Mesh, page: Page, where: str) -> dict[str, Any]:
    """The backfill that *Materialize*, *All* on a page of the UI launches."""
    known = {backfill["id"] for backfill in mesh.backfills()}
    page.goto(f"{mesh.url}{where}")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    return _new_backfill(mesh, known)


def test_backfills_from_the_ui_and_from_the_command_wait_while_the_mesh_is_paused(paused: Mesh, page: Page) -> None:
    from playwright.sync_api import expect

    assert json.loads(paused.command("backfill", "notes", "--stale", "--json"))["slices"] == []
    (paused.state / "lake" / "chunk_insights" / "notes" / "notes.000001.parquet").unlink()
    answer = json.loads(paused.command("backfill", "notes", "--stale", "--json"))
    assert answer["reasons"] == {"notes.000001": "chunk_insights is missing or damaged"}
    stale = answer["backfill"]
    slices = _launch_all(paused, page, "/locations/intelligence_mesh/jobs/slice_job")["id"]
    reports = _launch_all(paused, page, "/assets/dataset_reports?view=partitions")["id"]

    _runs_of(paused, stale, {"notes.000001"})
    _runs_of(paused, slices, {*SLICES, "letters.000000"})
    _runs_of(paused, reports, {"notes", "letters"})
    paused.wait_for("the queue", lambda: _all_wait(paused, stale, slices, reports))
    page.goto(f"{paused.url}/deployment/concurrency")
    expect(page.get_by_text("slices", exact=True).first).to_be_visible()
    expect(page.get_by_text("0", exact=True)).to_have_count(2)
    picture(page, "concurrency-while-paused")
    assert "until `mesh resume`" in json.loads(paused.command("status", "--json"))["held"]

    assert "may work" in paused.command("resume")
    _runs_of(paused, stale, {"notes.000001", "notes"})  # its report comes after its slices
    _all_succeed(paused, stale, slices, reports)
    assert json.loads(paused.command("backfill", "notes", "--stale", "--json"))["slices"] == []
    (backfill,) = [b for b in paused.backfills() if b["id"] == stale]
    assert {key["path"][0] for key in backfill["assetSelection"]} == {*SLICE_ASSETS, *report_assets()}
    page.goto(f"{paused.url}/runs/b/{stale}")
    expect(page.get_by_text("chunk_sets").first).to_be_visible()
    picture(page, "backfill")


def test_some_slices_are_chosen_and_made(settled: Mesh, page: Page) -> None:
    known = {backfill["id"] for backfill in settled.backfills()}
    page.goto(f"{settled.url}/assets/chunk_sets?view=partitions")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    page.get_by_role("button", name="All", exact=True).click()
    for left_out in ("letters.000000", SLICES[0]):
        page.locator(f'[data-tooltip="{left_out}"]').get_by_role("img", name="close").click()
    picture(page, "range")
    page.get_by_role("button", name="Launch backfill").click()
    backfill = _new_backfill(settled, known)
    assert sorted(backfill["partitionNames"]) == list(SLICES[1:])
    runs = _runs_of(settled, backfill["id"], set(SLICES[1:]))
    assert {tags_of(run)["dagster/partition"] for run in runs} == set(SLICES[1:])
    _all_succeed(settled, backfill["id"])


def test_two_runs_of_one_slice_never_overlap_and_each_has_its_dataset(settled: Mesh) -> None:
    runs = [run for run in settled.runs(mesh__dataset="notes") if run["endTime"]]
    for partition in ("notes", *SLICES):
        of_one = [run for run in runs if tags_of(run)["dagster/partition"] == partition]
        spans = sorted((run["startTime"], run["endTime"]) for run in of_one)
        assert spans
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans)), partition
    assert {tags_of(run)["mesh/dataset"] for run in settled.runs(dagster__partition="letters.000000")} == {"letters"}


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
