"""The Dagster UI as its users see it: `mesh up`, a drop, a browser. Nothing sleeps a fixed time."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh_assets.cli.services import graphql
from mesh_assets.settings import PROJECT_ROOT
from mesh_assets.stages import STAGES

CHROMIUM = shutil.which("chromium")
SCREENSHOTS = os.environ.get("MESH_SCREENSHOTS")
WAIT_SECONDS = 240
pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: sudo apt-get install -y chromium"),
]
_MATERIALIZED = """query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
  assetMaterializations(limit: 5) { partition runId metadataEntries { label } } } } }"""


@dataclass
class Mesh:
    url: str
    drops: Path
    process: subprocess.Popen[bytes]

    def wait_for(self, what: str, probe: Callable[[], object]) -> object:
        """The first true answer of `probe`, asked again and again until the time is over."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            assert self.process.poll() is None, "mesh up ended"
            try:
                answer = probe()
            except (urllib.error.URLError, OSError, TypeError, KeyError):
                answer = None
            if answer:
                return answer
            time.sleep(0.5)
        raise AssertionError(f"{what} did not happen within {WAIT_SECONDS} s")

    def materializations(self, asset: str) -> list[dict[str, object]]:
        data = graphql(self.url, _MATERIALIZED, {"key": {"path": [asset]}})
        return data["assetOrError"]["assetMaterializations"]  # type: ignore[index,call-overload]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("ui")
    home = folder / "home"
    home.mkdir()
    shutil.copy(PROJECT_ROOT / "dagster.yaml", home)
    notes = folder / "drops" / "notes"
    notes.mkdir(parents=True)
    (notes / "plan.md").write_text("# Plan\n\nThe reservoir is drained in spring, before the snow melts.\n")
    (notes / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    port = _free_port()
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "MESH_STATE": str(folder / "state"),
        "MESH_DROPS": str(folder / "drops"),
        "MESH_PORT": str(port),
        "MESH_QUIET_SECONDS": "0",
    }
    command = [str(Path(sys.executable).with_name("mesh")), "up"]
    process = subprocess.Popen(command, env=environment, cwd=folder, start_new_session=True)
    try:
        yield Mesh(f"http://127.0.0.1:{port}", folder / "drops", process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def test_a_drop_is_found_made_and_shown(mesh: Mesh) -> None:
    from playwright.sync_api import expect, sync_playwright

    made = mesh.wait_for("the dataset's report", lambda: mesh.materializations("dataset_reports"))
    assert made[0]["partition"] == "notes"  # type: ignore[index]
    labels = {entry["label"] for entry in mesh.materializations("slice_reports")[0]["metadataEntries"]}  # type: ignore
    assert {"rows", "bytes_in", "bytes_out", "seconds", "rejects", "report", "findings"} <= labels
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, "--disable-component-update"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(f"{mesh.url}/asset-groups?expanded=" + ",".join(f"global@global:{stage.name}" for stage in STAGES))
        graph = page.locator("foreignObject")
        for stage in STAGES:
            expect(graph.get_by_text(stage.name, exact=True).first).to_be_visible()
            for asset in stage.assets:
                expect(graph.get_by_text(asset.name).first).to_be_visible()
        _picture(page, "asset-graph")
        page.goto(f"{mesh.url}/assets/slice_reports?view=partitions&partition=notes.000000")
        expect(page.get_by_text("notes.000000").first).to_be_visible()
        expect(page.get_by_text("bytes_out").first).to_be_visible()
        expect(page.get_by_text("findings").first).to_be_visible()
        _picture(page, "slice-page")
        page.goto(f"{mesh.url}/assets/chunk_sets?view=partitions&partition=notes.000000")
        expect(page.get_by_text("no chunker for image").first).to_be_visible()
        _picture(page, "rejects")
        browser.close()


def _picture(page: object, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS, f"{name}.png"))  # type: ignore[attr-defined]


def test_a_second_mesh_on_the_same_state_is_refused(mesh: Mesh) -> None:
    state = mesh.drops.parent / "state"
    environment = os.environ | {"MESH_STATE": str(state), "MESH_DROPS": str(mesh.drops), "MESH_PORT": str(_free_port())}
    command = [str(Path(sys.executable).with_name("mesh")), "up"]
    second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "up already" in second.stderr
