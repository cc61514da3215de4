"""The page to judge: what a verdict teaches most comes first, and nobody but its own page gives one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from mesh_assets.analyses.calibration import quality
from mesh_assets.analyses.confidence import FittedConfidence
from mesh_assets.analyses.judged import is_for_gates
from mesh_assets.defs.analyses.calibration import calibration_shown
from mesh_assets.errors import CalibrationError
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts
from mesh_assets.resources.calibrator import publish_calibration
from mesh_assets.schemas import TABLES
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.serving.app import build_app
from mesh_assets.serving.judge_routes import TOKEN
from mesh_assets_tests.analyses.scripted import posed
from mesh_assets_tests.flow.location import Location
from mesh_assets_tests.serving.live_page import EVIL, served
from mesh_assets_tests.ui.live import CHROMIUM, SCREENSHOTS, free_port

KEY = "shop.000000"
LINE = "2026-03-01 10:00:00 ERROR lantern went out\n"
HOME = "http://127.0.0.1:3001"
COUNT = 12
# A browser writes what follows it from right to left.
TURNED = "\u202egniht\x1b[0m"


def publish_answers(location: Location) -> None:
    """A dozen answers to judge, of ever more confidence, whose claims cite the dropped log."""
    cases: list[dict[str, object]] = []
    rows: list[dict[str, Any]] = []
    files = location.lake.read("raw_partitions", KEY).rows(["path", "content_hash"])
    [source] = [each["content_hash"] for each in files if each["path"] == "shop.log"]
    for number in range(COUNT):
        case = posed(number)
        cited = {"dataset": "shop", "path": "shop.log", "byte_start": 0, "byte_stop": len(LINE), "line_start": 1}
        cited |= {
            "source_hash": source,
            "quote": f"{EVIL}{TURNED}" if number == 0 else "lantern went out",
            "place": None,
        }
        statement = f"{EVIL} held it, {number}."
        claim = {"statement": statement, "aspect": None, "citations": [cited], "queries": [], "evidence": ["E1"]}
        proof = {"statement": statement, "by": "past", "what": "after `a`, `b`", "holds": True, "result": "3 of 4."}
        cases.append(case.row())
        rows.append(
            _EMPTY | {"case_id": case.case.id, "dataset": "shop", "slice": KEY, "text": statement, "claims": [claim]}
            | {"tests": [proof] if number % 2 else [], "confidence": number / COUNT}
        )  # fmt: skip
    for asset, table in (("cases", cases), ("surface_analyses", rows)):
        batch = TABLES[asset].batch(table)
        produced = Produced([batch], Outcome(total=COUNT, done=COUNT), "input")
        location.lake.publish(asset, KEY, produced, version="1", run_id="run")


_EMPTY: dict[str, Any] = {
    "brief": "incidents", "depth": "surface", "node": "near", "why_node": "", "dropped": [], "reported": 0.5,
    "trace": [],
    "is_calibrated": False, "calibration": "uncalibrated-1", "signals": '{"support": 1.0}', "state": "stopped",
    "why": "", "guarantee": None, "stands": "surface", "is_kept": False, "next_depth": None, "next_node": None,
    "next_usd": None, "cost_usd": 0, "input_tokens": 1, "output_tokens": 1, "receipts": [], "is_cached": False,
    "failure": None, "tried": [],
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _answered(location: Location) -> None:
    publish_answers(location)


@pytest.fixture
def client(location: Location) -> Iterator[TestClient]:
    yield TestClient(build_app(location.settings), base_url=HOME)
    (location.settings.state / "verdicts.sqlite").unlink(missing_ok=True)


def queue(client: TestClient) -> dict[str, Any]:
    answer = client.get("/api/judge")
    assert answer.status_code == 200, answer.text
    return answer.json()


def judge(client: TestClient, answer: dict[str, Any], word: str, **headers: str | None) -> Response:
    token = queue(client)["token"]
    sent = {"origin": HOME, "content-type": "application/json", TOKEN: token} | headers
    fields = {name: answer[name] for name in ("case_id", "slice", "depth")} | {"word": word}
    given = {name: value for name, value in sent.items() if value is not None}
    return client.post("/api/judge", content=json.dumps(fields), headers=given)


def test_what_a_verdict_teaches_most_comes_first_and_every_third_is_a_fair_draw(client: TestClient) -> None:
    found = queue(client)
    assert found["waiting"] == len(found["answers"]) == COUNT
    fair = [is_for_gates(each["question"], each["text"]) for each in found["answers"]]
    taught = [each for each, is_fair in zip(found["answers"], fair, strict=True) if not is_fair]
    distances = [abs(each["confidence"] - 0.7) for each in taught]
    assert distances == sorted(distances)
    assert 0 < sum(fair) < COUNT
    assert fair[:2] == [False, False]
    assert fair[2]
    assert "drawn by lot" in found["answers"][2]["why"]
    assert "near the 0.70" in found["answers"][0]["why"]
    assert found["answers"][0]["question"].startswith("What happened in the shop")


def test_no_character_of_an_answer_turns_or_hides_what_the_person_reads(client: TestClient) -> None:
    [shown] = [each for each in queue(client)["answers"] if EVIL in each["claims"][0]["citations"][0]["quote"]]
    assert shown["claims"][0]["citations"][0]["quote"] == f"{EVIL}\\u202egniht\\x1b[0m"


def test_a_verdict_is_that_of_mesh_judge_and_its_answer_is_not_shown_again(
    client: TestClient, location: Location
) -> None:
    first, second, third = queue(client)["answers"][:3]
    assert judge(client, first, "right").status_code == 200
    assert judge(client, second, "wrong").status_code == 200
    assert judge(client, third, "unsure").status_code == 200
    stored = SqliteVerdicts(location.settings.state).all()
    assert [(each.case_id, each.is_right, each.judge) for each in stored] == [
        (first["case_id"], True, "person"),
        (second["case_id"], False, "person"),
    ]
    assert stored[0].signals == '{"support": 1.0}'
    left = {each["case_id"] for each in queue(client)["answers"]}
    assert left.isdisjoint({first["case_id"], second["case_id"], third["case_id"]})


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": None},
        {"origin": "http://127.0.0.1:3002"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {TOKEN: None},
        {TOKEN: "guessed"},
        {TOKEN: ""},
    ],
)
def test_another_page_judges_nothing(client: TestClient, location: Location, headers: dict[str, str | None]) -> None:
    answer = judge(client, queue(client)["answers"][0], "right", **headers)
    assert answer.status_code == 403
    assert answer.json()["remedy"]
    assert SqliteVerdicts(location.settings.state).all() == []


def test_another_host_and_another_method_are_refused(client: TestClient) -> None:
    assert client.get("/api/judge", headers={"host": "evil.example"}).status_code == 400
    assert client.put("/api/judge").status_code == 405


@pytest.mark.parametrize(
    "changed",
    [
        {"case_id": "0" * 32},
        {"slice": "../../secret"},
        {"slice": "shop.000009"},
        {"depth": "abyss"},
        {"word": "maybe"},
        {"word": 1},
        {"case_id": "x" * 9000},
    ],
)
def test_what_is_no_verdict_is_refused_with_a_remedy(
    client: TestClient, location: Location, changed: dict[str, object]
) -> None:
    found = queue(client)
    fields = {name: found["answers"][0][name] for name in ("case_id", "slice", "depth")} | {"word": "right"} | changed
    headers = {"origin": HOME, "content-type": "application/json", TOKEN: found["token"]}
    answer = client.post("/api/judge", content=json.dumps(fields), headers=headers)
    assert answer.status_code == 400
    assert answer.json()["remedy"]
    assert SqliteVerdicts(location.settings.state).all() == []


def test_citations_open_the_bytes_and_nothing_else(client: TestClient) -> None:
    each = queue(client)["answers"][0]
    asked = {"case": each["case_id"], "slice": KEY, "depth": "surface", "claim": "0", "citation": "0"}
    found = client.get("/api/judge/cited", params=asked).json()
    assert (found["text"], found["place"], found["changed"]) == (LINE, "shop/shop.log, line 1", False)
    for wrong in ({"citation": "7"}, {"claim": "-1"}, {"slice": "x"}, {"case": "none"}):
        assert client.get("/api/judge/cited", params=asked | wrong).status_code == 400


def test_drop_content_is_data_and_the_page_runs_no_script_but_ours(client: TestClient) -> None:
    page = client.get("/judge")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "default-src 'none'" in policy
    assert "<script>window" not in client.get("/api/judge").text
    script = client.get("/static/judge.js").text
    assert "innerHTML" not in script
    assert "insertAdjacentHTML" not in script


def test_plots_are_shown_once_there_is_a_calibration(client: TestClient, location: Location) -> None:
    assert client.get("/judge/reliability.svg").status_code == 404
    assert not queue(client)["has_plots"]
    path = calibrated(location)
    try:
        assert queue(client)["has_plots"]
        for plot in ("reliability", "coverage"):
            answer = client.get(f"/judge/{plot}.svg")
            assert answer.headers["content-type"] == "image/svg+xml"
            assert "<svg" in answer.text
            assert "currentColor" not in answer.text
        assert client.get("/judge/other.svg").status_code == 404
        shown = calibration_shown(location.settings)
        assert shown["calibration_unseen_answers"] == 40
        assert "data:image/svg+xml;base64," in shown["calibration"].value  # type: ignore[attr-defined]
        path.with_suffix(".quality").write_text("{}")
        with pytest.raises(CalibrationError, match="cannot be read"):
            calibration_shown(location.settings)
    finally:
        shutil.rmtree(path.parent)
    assert calibration_shown(location.settings) == {}


def calibrated(location: Location) -> Path:
    """Publish a fit that says little, with what it did on forty answers; its path."""
    fit = FittedConfidence(9, (), (), (), (0.0,) * 4096, (0.0,) * 8192, 0.0, 1.0, 0.0)
    found = quality([n / 40 for n in range(40)], [n > 20 for n in range(40)])
    return publish_calibration(location.settings, fit, {}, found)


@pytest.mark.ui
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: sudo apt-get install -y chromium")
def test_a_person_judges_by_keys_in_a_browser(location: Location) -> None:
    from playwright.sync_api import expect, sync_playwright

    port, fit = free_port(), calibrated(location)
    with served(location.settings, port), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="dark")
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        expect.set_options(timeout=60_000)
        page.goto(f"http://127.0.0.1:{port}/judge")
        expect(page.locator("#claims strong").first).to_contain_text("<script>window.pwned=1</script> held it")
        page.locator("#claims button").first.click()
        expect(page.locator("#plots img")).to_have_count(2)
        page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth)")
        expect(page.locator("#claims pre").first).to_contain_text("lantern went out")
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS, "judge-page.png"))
        expect(page.locator("#said")).to_have_text("12 answers wait for a verdict.")
        page.keyboard.press("r")
        expect(page.locator("#said")).to_have_text("11 answers wait for a verdict.")
        page.get_by_role("button", name="Wrong").click()
        expect(page.locator("#said")).to_have_text("10 answers wait for a verdict.")
        assert page.evaluate("window.pwned") is None
        assert faults == []
        browser.close()
    assert [each.is_right for each in SqliteVerdicts(location.settings.state).all()] == [True, False]
    (location.settings.state / "verdicts.sqlite").unlink()
    shutil.rmtree(fit.parent)
