"""Backfills from the UI and from the command line, and a pause that holds them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from mesh_assets.cli.backfill_requests import report_assets
from mesh_assets.stages import SLICE_ASSETS
from mesh_assets_tests.ui.conftest import SLICES
from mesh_assets_tests.ui.live import CHROMIUM, Mesh, picture, tags_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: sudo apt-get install -y chromium"),
]


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
