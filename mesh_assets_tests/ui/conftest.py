"""One live mesh and one browser for all browser tests: two datasets, one of them with three slices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from mesh_assets_tests.ui.live import CHROMIUM, Mesh, live_mesh

SLICES = ("notes.000000", "notes.000001", "notes.000002")
_PLACES = ("reservoir", "harbour", "observatory")


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("ui")
    notes = folder / "drops" / "notes"
    notes.mkdir(parents=True)
    for number, place in enumerate(_PLACES):
        (notes / f"{number}-plan.md").write_text(f"# The {place}\n\nThe {place} is closed in spring.\n")
        # Nothing reads a picture yet: it fills its slice and costs no time.
        (notes / f"{number}-view.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(900_000))
    letters = folder / "drops" / "letters"
    letters.mkdir()
    (letters / "april.md").write_text("# April\n\nThe ferry sails again.\n")
    # Without a model a run takes a second; what it embeds is tested elsewhere.
    with live_mesh(folder, MESH_SLICE_MIB="1", MESH_EMBEDDING_MODEL="off") as mesh:
        yield mesh


@pytest.fixture(scope="session")
def settled(mesh: Mesh) -> Mesh:
    """The mesh once every slice and the reports of both datasets were made."""

    def reports() -> bool:
        made = {str(row["partition"]) for row in mesh.materializations("dataset_reports")}
        return made == {"notes", "letters"} and mesh.at_rest()

    mesh.wait_for("the reports of both datasets", reports)
    return mesh


# Of a module: while Playwright's synchronous API is open, an event loop runs in this thread, and no other test could
# start one.
@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, "--disable-component-update"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield page
        browser.close()
