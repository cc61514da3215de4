"""The HTTP API as a program asks it, and the search page as a person sees it: drop content runs nothing there."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from mesh_assets.serving.app import STATIC, build_app
from mesh_assets_tests.flow.location import Location
from mesh_assets_tests.serving.live_page import served
from mesh_assets_tests.ui.live import CHROMIUM, SCREENSHOTS, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def client(location: Location) -> TestClient:
    return TestClient(build_app(location.settings), base_url="http://127.0.0.1")


def search(client: TestClient, **asked: str) -> dict[str, Any]:
    answer = client.get("/api/search", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_query_finds_hits_with_facets_and_how_each_is_opened(client: TestClient) -> None:
    found = search(client, q="lantern", limit="100")
    assert set(found["kinds"]) == {"text", "log", "image"} and found["datasets"] == {"shop": len(found["hits"])}
    hit = next(hit for hit in found["hits"] if hit["path"] == "shop.log")
    assert hit["citation"].startswith("shop/shop.log:") and hit["time"].startswith("2026-03-0")
    assert hit["asset_url"] == "http://127.0.0.1:3111/assets/slice_reports?view=partitions&partition=shop.000000"
    assert {hit["kind"] for hit in search(client, q="lantern", kind="log")["hits"]} == {"log"}
    assert search(client, q="lantern", dataset="other")["hits"] == []
    assert found["folders"] == {"wall": 1}
    (picture,) = [hit["picture"] for hit in found["hits"] if hit["path"] == "wall/lantern.png"]
    assert client.get(picture).headers["content-type"].startswith("image/")


def test_the_language_and_its_fields_as_parameters_find_the_same(client: TestClient) -> None:
    def ids(**asked: str) -> list[str]:
        return [hit["chunk_id"] for hit in search(client, **asked)["hits"]]

    assert ids(q="lantern kind:log after:2026-03-02") == ids(q="lantern", kind="log", after="2026-03-02")
    assert ids(q="path:*.py") == ids(q="", path="*.py") != []
    assert ids(q="/lantern +went/") == ids(q="lantern +went", mode="regex") != []
    first, second = (ids(q="path:*", limit="1", offset=offset) for offset in ("0", "1"))
    assert first and second and first != second


def test_around_a_hit_stand_its_neighbours(client: TestClient) -> None:
    hit = next(hit for hit in search(client, q="sell")["hits"] if hit["path"] == "till.py")
    around = client.get("/api/around", params={"chunk": hit["chunk_id"], "slice": hit["slice"]}).json()
    assert "def sell" in around["text"]
    assert ("calls", "take") in {(step["type"], step["vertex"]["name"]) for step in around["steps"]}
    moments = client.get("/api/moments", params={"near": "2026-03-02T10:00:00", "seconds": "60"}).json()
    assert {moment["path"] for moment in moments} == {"shop.log"}


def test_many_ask_at_once(client: TestClient) -> None:
    hit = next(hit for hit in search(client, q="sell")["hits"] if hit["path"] == "till.py")

    def ask(number: int) -> int:
        asked = {"chunk": hit["chunk_id"], "slice": hit["slice"]}
        path = "/api/around" if number % 2 else "/api/search"
        return client.get(path, params=asked if number % 2 else {"q": "lantern"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(40))) == {200}


def test_what_is_wrong_with_a_call_is_said(client: TestClient) -> None:
    for path, asked in (
        ("/api/search", {"q": "x", "limit": "9999"}),
        ("/api/search", {"q": "author:me"}),
        ("/api/search", {"q": "(", "mode": "regex"}),
        ("/api/search", {"q": "x", "mode": "magic"}),
        ("/api/search", {"q": "x", "offset": "1000"}),
        ("/api/search", {"query": "x"}),
        ("/api/search", {"q": "x", "after": "2026-01-02", "before": "2026-01-01"}),
        ("/api/around", {"chunk": "x"}),
        ("/api/around", {"chunk": "x", "slice": "shop.000000"}),
        ("/api/around", {"chunk": "x", "slice": "../../etc"}),
        ("/api/moments", {"near": "noon"}),
    ):
        answer = client.get(path, params=asked)
        assert answer.status_code == 400 and answer.json()["remedy"], path


def test_the_document_names_every_call_and_what_it_answers(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.")
    for path, call in document["paths"].items():
        required = {p["name"]: "x" for p in call["get"]["parameters"] if p["required"]}
        assert client.get(path, params=required).status_code in (200, 400)
    assert set(document["components"]["schemas"]["FoundHit"]["properties"]) == set(
        search(client, q="lantern")["hits"][0]
    )


def test_nothing_is_loaded_from_outside_and_no_other_name_is_served(client: TestClient, location: Location) -> None:
    for path in ("/", "/static/page.js", "/api/reports", "/reports/shop/index.html"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    for path in ("/reports/../lake.duckdb", "/reports/%2e%2e/lake.duckdb", "/static/../app.py"):
        assert client.get(path).status_code == 404
    for file in STATIC.iterdir():
        assert "http" not in file.read_text().replace("http://www.w3.org/2000/svg", ""), file
    assert "innerHTML" not in (STATIC / "page.js").read_text()


@pytest.mark.ui
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: sudo apt-get install -y chromium")
def test_a_person_searches_by_keyboard_and_hostile_content_runs_nothing(location: Location) -> None:
    from playwright.sync_api import expect, sync_playwright

    port = free_port()
    with served(location.settings, port), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(f"http://127.0.0.1:{port}/")
        expect.set_options(timeout=60_000)
        expect(page.locator("#query")).to_be_focused()
        page.keyboard.type("lantern")
        expect(page.locator("#query")).to_have_value("lantern")
        page.keyboard.press("Enter")
        expect(page.locator("#hits li").first).to_be_visible()
        expect(page.locator("#hits mark").first).to_have_text("lantern", ignore_case=True)
        page.get_by_label("text (1)").check()
        expect(page.locator("#hits li")).to_have_count(1)
        page.locator("#hits li").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#around pre")).to_contain_text("onerror")
        # Who pastes the command into a shell runs no more than it.
        (word,) = shlex.split(page.locator("#around p.small").first.inner_text().removeprefix("mesh show "))
        assert word.startswith("shop/<img src=x onerror='")
        _shot(page, "search-page")
        page.locator("#query").fill("lantern")
        page.keyboard.press("Enter")
        expect(page.locator("#hits img")).to_be_visible()
        expect(page.locator("#folders")).to_contain_text("wall (1)")
        page.locator("#from").fill("50")
        page.get_by_role("button", name="Only this time").click()
        expect(page.get_by_label("log (")).to_be_visible()
        expect(page.get_by_label("text (")).to_have_count(0)
        page.get_by_role("button", name="Any time").click()
        expect(page.get_by_label("text (1)")).to_be_visible()
        _shot(page, "search-page-time")
        page.locator("#query").fill("sell")
        page.locator("#mode").select_option("graph")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Search").click()
        page.locator("#hits li").filter(has_text="till.py").first.click()
        expect(page.locator("#around svg text").filter(has_text="take").first).to_be_visible()
        _shot(page, "search-page-graph")
        page.locator("#query").fill("author:me")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("#said")).to_contain_text("no field")
        expect(page.locator("#hits li")).to_have_count(0)  # those of the query before are no answer
        assert page.evaluate("window.pwned") is None
        page.get_by_text("Report of shop").click()
        expect(page.get_by_role("heading").first).to_be_visible()
        assert page.evaluate("window.pwned") is None
        # The refusal of the last query, which the browser tells as a fault.
        assert [fault for fault in faults if "400" not in fault] == []
        browser.close()


def _shot(page: Page, called: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS, f"{called}.png"))
