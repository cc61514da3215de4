"""From drop to answers: cases of what was found, asked once, each claim open to its bytes, each cent on a receipt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mesh_assets.cli.samples import SAMPLES
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.mesh.nodes import NodeState
from mesh_assets.mesh.prompts import evidence_in
from mesh_assets.mesh.protocol import Client, Completion, Node, Request, Usage
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts
from mesh_assets.resources.caller import MeshCaller
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets.resources.nodes import connect_client, node_states
from mesh_assets.resources.recorded_node import RecordingNode
from mesh_assets.schemas.citations import Citation
from mesh_assets.settings import Settings
from mesh_assets.storage.opening import open_citation
from mesh_assets_tests.flow.location import Location
from mesh_assets_tests.mesh.parts import node

KEY = "shop-service.000000"
DEPTHS = ("surface", "deep", "expert", "research")
COUNTED, LEVELS = "SELECT count(DISTINCT level) FROM log_events", 3
NOTES = (
    "# Runbook\n\nWhen the database is locked, stop the nightly report first.\n\n"
    "## Alarms\n\nNobody watches the queue.\n"
)


@dataclass
class Quoting:
    """Answers with the first words of the first evidence; it is only sure of incidents. It finds no fault in drafts."""

    asked: list[Request] = field(default_factory=list[Request])

    async def complete(self, request: Request, *, seconds: float, attempt: str) -> Completion:
        self.asked.append(request)
        if "text" in str(request.schema["required"]):
            return Completion(json.dumps({"text": "None is broken."}), "stop", Usage(input=1000, output=5))
        label, text = evidence_in(request)[0]
        line = next(line for line in text.splitlines() if any(map(str.isalnum, line)))
        citations = [{"label": label, "quote": line.strip()}]
        claim: dict[str, object] = {"statement": f"It says: {line.strip()}", "citations": citations}
        if "What is this system" in request.asked:
            claim = {"statement": f"Its logs have {LEVELS} levels.", "citations": citations, "query": COUNTED}
        sure = 0.95 if "what happened" in request.asked else 0.1
        said = json.dumps({"answer": "As quoted.", "claims": [claim], "confidence": sure})
        return Completion(said, "stop", Usage(input=1000, output=50))

    async def check(self, *, seconds: float) -> str:
        return ""

    async def close(self) -> None:
        pass


@dataclass
class Shop:
    """A location with the shop's sample, a node that answers and a file of what it said."""

    location: Location
    client: Quoting

    def rows(self, asset: str) -> list[dict[str, Any]]:
        return self.location.lake.read(asset, KEY).rows()

    def all_rows(self) -> list[dict[str, Any]]:
        return [row for depth in DEPTHS for row in self.rows(f"{depth}_analyses")]

    def paid(self) -> Decimal:
        return sum((r.cost for r in connect_ledger(self.location.settings).receipts()), Decimal(0))

    def edit(self, path: str, before: str, after: str) -> None:
        """Change a file; what it means for the tables is seen once the location has settled."""
        file = self.location.settings.drops / "shop-service" / path
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after, 1))


def _states(recorded: Path) -> Any:
    answers = node(
        "recorded", name="answers", model="said", base_url=str(recorded), depths=("surface", "deep"), output_tokens=4000
    )
    return lambda settings: [NodeState(answers, ""), *node_states(settings)]


def _shop(folder: Path, recorded: Path, client: Quoting | None) -> Shop:
    def connect(asked: Node) -> Client:
        if asked.name != "answers" or client is None:
            return connect_client(asked)
        return RecordingNode(client, asked.model, recorded)

    settings = Settings(state=folder / "state", drops=folder / "drops", techniques="deep")
    caller = MeshCaller(settings, connect=connect, states=_states(recorded))
    location = Location(folder, {"encoder": FakeEncoder(), "caller": caller})
    shutil.copytree(SAMPLES / "shop-service", location.settings.drops / "shop-service")
    (location.settings.drops / "shop-service" / "runbook.md").write_text(NOTES)
    location.settle()
    return Shop(location, client or Quoting())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "answers.jsonl"
    path.touch()
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, recorded: Path) -> Iterator[Shop]:
    made = _shop(tmp_path_factory.mktemp("shop"), recorded, Quoting())
    yield made
    made.location.instance.dispose()


def test_the_planted_incident_is_the_first_case_and_is_answered_from_its_lines(shop: Shop) -> None:
    first = shop.rows("cases")[0]
    assert first["brief"] == "incidents"
    assert "order failed" in " ".join(each["text"] for each in first["evidence"])
    [row] = [row for row in shop.rows("surface_analyses") if row["case_id"] == first["case_id"]]
    assert (row["node"], row["state"]) == ("answers", "settled")


def test_every_claim_leads_to_bytes_that_hold_its_quote_or_to_a_query(shop: Shop) -> None:
    area = DropArea.of(shop.location.settings)
    claims = [claim for row in shop.all_rows() for claim in row["claims"]]
    assert claims
    for claim in claims:
        assert claim["citations"] or claim["queries"]
        for cited in (Citation(**each) for each in claim["citations"]):
            content = open_citation(cited, shop.location.lake, area).content.decode()
            assert cited.quote.rstrip("…") in " ".join(content.split())


def test_what_is_not_sure_goes_deeper_and_stops_where_no_node_is(shop: Shop) -> None:
    unsure = [row for row in shop.rows("surface_analyses") if row["state"] == "escalated"]
    deep = {row["case_id"]: row for row in shop.rows("deep_analyses")}
    assert unsure
    assert {row["case_id"] for row in unsure} == set(deep)
    assert all(row["state"] == "stopped" and row["next_usd"] is not None for row in deep.values())


def test_a_claim_is_put_to_the_data_by_its_own_query_and_that_is_a_verdict(shop: Shop) -> None:
    rows = [row for row in shop.all_rows() if row["brief"] == "system" and row["node"] == "answers"]
    assert rows
    for row in rows:
        [test] = row["tests"]
        assert (test["what"], test["holds"], test["result"]) == (COUNTED, True, f"It gives {LEVELS}.")
        assert json.loads(row["signals"])["verifier"] == 1.0
    verdicts = SqliteVerdicts(shop.location.settings.state).all()
    assert {(each.case_id, each.depth) for each in verdicts} == {(row["case_id"], row["depth"]) for row in rows}
    assert {(each.judge, each.is_right) for each in verdicts} == {("verifier", True)}
    report = (shop.location.settings.state / "reports" / "shop-service" / "index.md").read_text()
    assert "By a query of its own it holds" in report


def test_hard_cases_are_answered_by_techniques_whose_every_step_is_there_with_its_price(shop: Shop) -> None:
    deep = shop.rows("deep_analyses")
    assert {row["technique"] for row in deep} <= {"reflexion", "constitutional review", "self-consistency"}
    assert len(deep) < sum(len(row["trace"]) for row in deep)
    for row in deep:
        assert row["technique"] in row["why_node"]
        assert sum((step["cost_usd"] for step in row["trace"]), Decimal(0)) == row["cost_usd"]
    assert not any(row["trace"] for row in shop.rows("surface_analyses"))


def test_what_the_tables_say_was_spent_is_what_receipts_say(shop: Shop) -> None:
    assert sum((row["cost_usd"] for row in shop.all_rows()), Decimal(0)) == shop.paid() > 0
    receipts = [receipt for row in shop.all_rows() for receipt in row["receipts"]]
    assert len(receipts) == len(set(receipts)) == len(shop.client.asked)


def test_every_table_conserves_its_cases(shop: Shop) -> None:
    for depth in DEPTHS:
        footer = shop.location.lake.read(f"{depth}_analyses", KEY).footer
        assert footer.conserved
        assert footer.skipped == 0
        assert footer.rows == footer.rows_in


def test_a_run_that_is_forced_again_asks_nobody(shop: Shop) -> None:
    asked, paid = len(shop.client.asked), shop.paid()
    request = dg.RunRequest(partition_key=KEY, tags={"mesh/force": "true"})
    shop.location.run("analyses_job", request)
    assert (len(shop.client.asked), shop.paid()) == (asked, paid)
    assert all(row["is_cached"] for row in shop.all_rows() if row["node"] == "answers")


def test_another_lake_is_answered_by_what_was_recorded(shop: Shop, recorded: Path, tmp_path: Path) -> None:
    other = _shop(tmp_path, recorded, None)
    assert [row["case_id"] for row in other.rows("cases")] == [row["case_id"] for row in shop.rows("cases")]
    assert all(row["node"] == "answers" for row in other.all_rows())
    other.location.instance.dispose()


def test_a_line_at_the_top_of_a_file_reopens_no_case_and_an_edit_those_that_cite_it(shop: Shop) -> None:
    before = {row["case_id"]: row for row in shop.rows("cases")}
    asked = len(shop.client.asked)
    shop.edit("shop.py", '"""', '# A comment.\n"""')
    first = (SAMPLES / "shop-service" / "shop.log").read_text().partition("\n")[0]
    shop.edit("shop.log", first, f"{first}\n{first}")
    shop.edit("runbook.md", "# Runbook", "Read me first.\n\n# Runbook")
    shop.location.settle()
    moved = {row["case_id"]: row for row in shop.rows("cases")}
    assert set(moved) == set(before)
    assert len(shop.client.asked) == asked
    assert any(_starts(moved[key]) != _starts(before[key]) for key in moved)
    test_every_claim_leads_to_bytes_that_hold_its_quote_or_to_a_query(shop)

    about_notes = {key for key, row in moved.items() if "Nobody watches" in str(row["evidence"])}
    assert about_notes
    shop.edit("runbook.md", "Nobody watches", "Somebody watches")
    shop.location.settle()
    edited = {row["case_id"] for row in shop.rows("cases")}
    assert set(moved) - edited == about_notes
    assert 0 < len(shop.client.asked) - asked <= 4 * len(edited - set(moved))


def _starts(row: dict[str, Any]) -> list[int]:
    return [each["citation"]["byte_start"] for each in row["evidence"] if each["citation"]]
