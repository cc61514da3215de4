"""`mesh cost` and the table of receipts: what a person learns of the money that model nodes took."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mesh_assets.mesh.protocol import Reservation
from mesh_assets.mesh.sql_ledger import SqlLedger
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets_tests.cli.command import mesh
from mesh_assets_tests.flow.location import QUIET, Location
from mesh_assets_tests.mesh.money import billed, scopes

CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    """Two datasets: three calls for one, one of them without its usage, one for the other, and one that was cut off."""
    location = Location(tmp_path_factory.mktemp("cost"), {})
    ledger = connect_ledger(location.settings)
    _call(ledger, "notes", 10_000)
    _call(ledger, "notes", 20_000)
    _call(ledger, "notes", None, node="[red]near[/]")
    _call(ledger, "logs", 50_000)
    ledger.reserve(7 * CENT, scopes("dataset:notes", "run:r"), seconds=0, node="far")
    location.instance.add_dynamic_partitions("datasets", ["notes", "logs"])
    for dataset in ("notes", "logs"):
        _export(location, dataset)
    yield location
    location.instance.dispose()


def _call(ledger: SqlLedger, datasets: str, tokens: int | None, *, node: str = "far") -> None:
    counted = scopes("run:r", "case:c", *(f"dataset:{dataset}" for dataset in datasets.split()))
    reservation = ledger.reserve(4 * CENT, counted, seconds=60)
    ledger.settle(reservation, billed(tokens, node=node))


def _export(location: Location, dataset: str) -> None:
    key = dg.AssetKey("receipts")
    job = location.defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={key})
    job.execute_in_process(QUIET, partition_key=dataset, instance=location.instance)


def _told(location: Location, *arguments: str) -> dict[str, Any]:
    return json.loads(mesh(location, "cost", "--json", *arguments).stdout)


def test_costs_are_summed_by_node_unless_asked_otherwise(location: Location) -> None:
    costs = _told(location)["costs"]
    assert {(row["node"], row["calls"], row["usd"], row["tokens"]["input"]) for row in costs} == {
        ("far", 3, "0.08", 80_000),
        ("[red]near[/]", 1, "0.04", 0),
    }
    by = _told(location, "--by", "dataset", "--by", "depth")["costs"]
    assert {(row["dataset"], row["depth"], row["usd"]) for row in by} == {
        ("notes", "deep", "0.07"),
        ("logs", "deep", "0.05"),
    }
    [day] = _told(location, "--by", "day")["costs"]
    assert (day["calls"], day["usd"], day["usage_unknown"], day["above_reserved"]) == (4, "0.12", 1, 1)


def test_the_table_says_what_matters(location: Location) -> None:
    printed = mesh(location, "cost").stdout
    assert "[red]near[/]" in printed
    assert any(line.split()[:3] == ["all", "4", "0.12"] for line in printed.splitlines())
    assert "$0.12 of $20.00 is spent, $0.07 more is reserved" in printed
    assert "did not say their usage: 1;" in printed
    assert "cost more than was reserved for them: 1." in printed
    assert "were cut off: 1; they may have cost $0.07" in printed


def test_receipts_are_a_table_beside_all_others(location: Location) -> None:
    found = json.loads(
        mesh(location, "sql", "--json", "select dataset, sum(cost_usd) as usd from receipts group by all").stdout
    )
    assert {row["dataset"]: row["usd"] for row in found} == {"notes": 0.07, "logs": 0.05}
    rows = location.lake.read("receipts", "notes").rows()
    assert [row["cost_usd"] for row in rows] == [CENT, 2 * CENT, 4 * CENT]
    assert [row["input_tokens"] for row in rows] == [10_000, 20_000, None]
    assert {row["run"] for row in rows} == {"r"}
    assert json.loads(rows[0]["price"])["input"] == "1"


def test_the_ui_plots_spend_tokens_and_calls(location: Location) -> None:
    event = location.instance.get_latest_materialization_event(dg.AssetKey("receipts"))
    assert event is not None
    partition = event.asset_materialization.partition  # type: ignore[union-attr]
    shown = {name: each.value for name, each in event.asset_materialization.metadata.items()}  # type: ignore[union-attr]
    spend, calls, unsettled = {"notes": (0.07, 3, 0.07), "logs": (0.05, 1, 0.0)}[partition]
    assert (shown["spend_usd"], shown["calls"], shown["unsettled_usd"]) == (spend, calls, unsettled)
    assert shown["tokens_in"] == {"notes": 30_000, "logs": 50_000}[partition]
    assert (shown["month_spend_usd"], shown["month_left_usd"]) == (0.12, 19.81)
    assert "far" in shown["by_node"]


def test_a_second_export_is_the_same_table(location: Location) -> None:
    before = location.lake.read("receipts", "logs")
    rows = before.rows()
    _export(location, "logs")
    after = location.lake.read("receipts", "logs")
    assert after.rows() == rows
    assert after.footer.content_hash == before.footer.content_hash


def test_a_call_that_was_cut_off_is_given_back_on_the_owner_s_word(location: Location) -> None:
    assert "There is no unsettled" not in mesh(location, "cost", "--unsettled").stdout
    [waiting] = _told(location)["unsettled"]
    assert (waiting["node"], waiting["usd"], waiting["scopes"]["dataset"]) == ("far", "0.07", "notes")
    assert waiting["id"] in mesh(location, "cost", "--unsettled").stdout
    refused = mesh(location, "cost", "--not-billed", waiting["id"], "--not-billed", "nothing", expect=1)
    assert "nothing" in refused.stderr
    assert len(_told(location)["unsettled"]) == 1
    mesh(location, "cost", "--not-billed", waiting["id"])
    told = _told(location)
    assert told["unsettled"] == []
    assert {each["name"]: each["reserved"] for each in told["budgets"]}["notes"] == "0.00"
    assert "Every call is settled, or may still be answered." in mesh(location, "cost", "--unsettled").stdout
    # The word of the one who made the call counts more, however late.
    late = connect_ledger(location.settings).settle(Reservation(waiting["id"], CENT, 0), billed(1_000))
    assert late.cost == Decimal("0.001")


def test_before_anything_was_billed(tmp_path: Path) -> None:
    empty = Location(tmp_path)
    printed = mesh(empty, "cost").stdout
    assert "No call to a model node was billed yet." in printed
    assert "$0.00 of $20.00 is spent" in printed
    empty.instance.dispose()


def test_budgets_that_cannot_be_read_are_named(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_BUDGETS", "a lot")
    assert "MESH_BUDGETS" in mesh(location, "cost", expect=1).stderr


def test_datasets_together_cost_what_was_paid(location: Location) -> None:
    """A call over both is in neither twice: not in the sums, nor in the budgets, nor in the lake."""
    before = Decimal(_told(location, "--by", "day")["costs"][0]["usd"])
    _call(connect_ledger(location.settings), "notes logs", 30_001)
    total = before + Decimal("0.030001")
    told = _told(location, "--by", "dataset")
    assert sum(Decimal(row["usd"]) for row in told["costs"]) == total
    assert sum(Decimal(row["usd"]) for row in _told(location)["costs"]) == total
    by_kind = {kind: [each for each in told["budgets"] if each["kind"] == kind] for kind in ("dataset", "month")}
    assert sum(Decimal(each["spent"]) for each in by_kind["dataset"]) == Decimal(by_kind["month"][0]["spent"]) == total
    assert sum(row["calls"] for row in told["costs"]) == _told(location, "--by", "day")["costs"][0]["calls"]
    assert "is counted with the first" in mesh(location, "cost", "--by", "dataset").stdout
    for dataset in ("notes", "logs"):
        _export(location, dataset)
    query = "select cast(sum(cost_usd) as varchar) as usd, sum(input_tokens) as tokens from receipts"
    [found] = json.loads(mesh(location, "sql", "--json", query).stdout)
    assert Decimal(found["usd"]) == total
    assert found["tokens"] == sum(row["tokens"]["input"] for row in told["costs"])
