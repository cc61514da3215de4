"""Backfills from the UI and from the command line, and a pause that holds them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

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


def test_backfills_of_slices_and_of_reports_wait_while_the_mesh_is_paused(paused: Mesh, page: Page) -> None:
    from playwright.sync_api import expect

    settled = paused
    known = {backfill["id"] for backfill in settled.backfills()}
    page.goto(f"{settled.url}/locations/intelligence_mesh/jobs/slice_job")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    slices = _new_backfill(settled, known)
    page.goto(f"{settled.url}/assets/dataset_reports?view=partitions")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    reports = _new_backfill(settled, known | {slices["id"]})

    _runs_of(settled, slices["id"], {*SLICES, "letters.000000"})
    _runs_of(settled, reports["id"], {"notes", "letters"})
    settled.wait_for("the queue", lambda: _all_wait(settled, slices["id"], reports["id"]))
    page.goto(f"{settled.url}/deployment/concurrency")
    expect(page.get_by_text("slices").first).to_be_visible()
    picture(page, "concurrency-while-paused")
    assert "until `mesh resume`" in json.loads(settled.command("status", "--json"))["held"]
    assert "may work" in settled.command("resume")
    _all_succeed(settled, slices["id"], reports["id"])
    page.goto(f"{settled.url}/runs/b/{slices['id']}")
    picture(page, "backfill")
    assert {tags_of(run)["mesh/dataset"] for run in settled.runs(dagster__backfill=slices["id"])} >= {
        "notes",
        "letters",
    }


def test_the_command_asks_for_slices_that_are_stale_and_for_the_report_after_them(settled: Mesh) -> None:
    assert json.loads(settled.command("backfill", "notes", "--stale", "--json"))["slices"] == []
    (settled.state / "lake" / "chunk_sets" / "notes" / "notes.000001.parquet").write_bytes(b"junk")
    answer = json.loads(settled.command("backfill", "notes", "--stale", "--json"))
    assert answer["reasons"] == {"notes.000001": "chunk_sets is missing or damaged"}
    runs = _runs_of(settled, answer["backfill"], {"notes.000001", "notes"})
    _all_succeed(settled, answer["backfill"])
    (backfill,) = [b for b in settled.backfills() if b["id"] == answer["backfill"]]
    assert {key["path"][0] for key in backfill["assetSelection"]} == {*SLICE_ASSETS, "dataset_reports"}
    assert {tags_of(run)["mesh/dataset"] for run in runs} == {"notes"}
    assert json.loads(settled.command("backfill", "notes", "--stale", "--json"))["slices"] == []
