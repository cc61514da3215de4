"""The ledger: no call without money, a receipt for each that was billed, and nothing forgotten by a crash."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from mesh_assets.budgets import Budgets
from mesh_assets.errors import BudgetError, LedgerError
from mesh_assets.mesh.protocol import Ledger, Reservation, Usage
from mesh_assets.mesh.spending import grouped, share_of
from mesh_assets.mesh.sql_ledger import FORGOTTEN, SqlLedger
from mesh_assets.mesh.sqlite_ledger import SqliteLedger
from mesh_assets.resources.ledger import connect_ledger, postgres_ledger
from mesh_assets.settings import Settings
from mesh_assets_tests.mesh.money import PRICE, billed, scopes
from mesh_assets_tests.postgres import Server

CENT = Decimal("0.01")


class Clock:
    """Seconds since 1970 that a test moves."""

    now = 1_795_870_000.0  # 2026-11-28, 12:46 UTC

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


BUDGETS = Budgets.parse("call 0.50; case 1; dataset 2; dataset large 3; month 4")


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> SqlLedger:
    if request.param == "sqlite":
        return SqliteLedger(tmp_path / "ledger.sqlite", BUDGETS, clock=clock)
    server: Server = request.getfixturevalue("postgres")
    return postgres_ledger(server.url, BUDGETS, clock=clock, schema=server.schema())


@pytest.fixture
def in_file(tmp_path: Path, clock: Clock) -> SqliteLedger:
    return SqliteLedger(tmp_path / "ledger.sqlite", BUDGETS, clock=clock)


def left(ledger: Ledger, *names: str) -> Decimal | None:
    return ledger.left(scopes(*names))


def test_what_is_reserved_is_not_there_for_others_until_the_call_is_settled(ledger: SqlLedger) -> None:
    reservation = ledger.reserve(40 * CENT, scopes("case:1", "dataset:a"), seconds=60)
    [case] = ledger.budgets("case")
    assert (case.spent, case.held, case.left) == (0, 40 * CENT, 60 * CENT)
    receipt = ledger.settle(reservation, billed(20_000))
    assert (receipt.id, receipt.cost, receipt.reserved) == (reservation.id, 2 * CENT, 40 * CENT)
    [case] = ledger.budgets("case")
    assert (case.spent, case.held, case.left) == (2 * CENT, 0, 98 * CENT)
    assert ledger.month().spent == 2 * CENT


def test_a_receipt_says_all_of_its_call(ledger: SqlLedger, clock: Clock) -> None:
    call = replace(billed(7), is_batch=True, outcome="cut off", request_id="req-1")
    receipt = ledger.settle(ledger.reserve(CENT, scopes("case:1", "dataset:a"), seconds=60), call)
    assert receipt.billed == call
    assert receipt.at == clock.now
    assert receipt.scopes == tuple(scopes("case:1", "dataset:a", "month:2026-11"))
    assert list(ledger.receipts()) == list(ledger.receipts("a")) == [receipt]
    assert not list(ledger.receipts("b"))


@pytest.mark.parametrize(
    ("names", "kind"),
    [(["case:1", "dataset:a"], "case"), (["dataset:a"], "dataset"), (["dataset:large"], "dataset"), ([], "month")],
)
def test_the_innermost_budget_that_lacks_money_is_named_and_nothing_is_kept(
    ledger: SqlLedger, names: list[str], kind: str
) -> None:
    with pytest.raises(BudgetError, match=rf"budget of {kind} .*MESH_BUDGETS") as refused:
        for _ in range(20):
            ledger.reserve(30 * CENT, scopes(*names), seconds=60)
    assert refused.value.kind == kind
    held = ledger.month().held
    assert held == {"case": 90, "dataset": 180 if "dataset:a" in names else 300, "month": 390}[kind] * CENT
    for budget in ledger.budgets("case", "dataset"):
        assert budget.held == held


def test_many_are_reserved_at_once_up_to_the_first_that_lacks_money(ledger: SqlLedger) -> None:
    asked = [(40 * CENT, scopes(f"case:{number}", "dataset:a")) for number in range(8)]
    made = ledger.reserve_all(asked, seconds=60, node="far")
    assert [each.amount for each in made] == [40 * CENT] * 5
    assert len({each.id for each in made}) == 5
    assert left(ledger, "dataset:a") == 0
    assert [budget.held for budget in ledger.budgets("case")] == [40 * CENT] * 5
    with pytest.raises(BudgetError, match="dataset a"):
        ledger.reserve_all(asked, seconds=60)
    ledger.release(made[0])
    ledger.settle(made[1], billed(20_000))
    assert left(ledger, "case:0") == 50 * CENT and ledger.month().held == 120 * CENT
    assert ledger.reserve_all([], seconds=60) == []


def test_one_call_may_not_cost_more_than_its_limit(ledger: SqlLedger) -> None:
    with pytest.raises(BudgetError, match=r"One call may cost \$0.50, and this one may cost \$0.51") as refused:
        ledger.reserve(51 * CENT, [], seconds=60)
    assert refused.value.kind == "call"
    ledger.reserve(50 * CENT, [], seconds=60)


def test_all_attempts_of_a_call_share_its_budget(ledger: SqlLedger) -> None:
    ledger.settle(ledger.reserve(30 * CENT, scopes("call:1"), seconds=60), billed(300_000))
    with pytest.raises(BudgetError, match="budget of call 1"):
        ledger.reserve(30 * CENT, scopes("call:1"), seconds=60)


def test_what_is_left_is_the_least_of_all_budgets(ledger: SqlLedger) -> None:
    assert left(ledger, "case:1", "dataset:a") == 50 * CENT  # of one call
    for tokens in (450_000, 450_000):
        ledger.settle(ledger.reserve(45 * CENT, scopes("case:1", "dataset:a"), seconds=60), billed(tokens))
    assert left(ledger, "case:1", "dataset:a") == 10 * CENT
    assert left(ledger, "case:2", "dataset:a") == 50 * CENT


def test_without_limits_nothing_is_refused(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", Budgets())
    ledger.reserve(Decimal(1_000_000), scopes("case:1"), seconds=60)
    assert left(ledger, "case:1") is None


def test_what_costs_nothing_is_never_refused(ledger: SqlLedger) -> None:
    ledger.settle(ledger.reserve(50 * CENT, scopes("case:1"), seconds=60), billed(9_000_000))
    assert left(ledger, "case:1") == 0
    ledger.release(ledger.reserve(Decimal(0), scopes("case:1"), seconds=60))


def test_money_that_was_not_needed_comes_back(ledger: SqlLedger) -> None:
    reservation = ledger.reserve(50 * CENT, scopes("case:1"), seconds=60)
    ledger.release(reservation)
    ledger.release(reservation)
    assert ledger.month().held == 0
    assert not list(ledger.receipts())


def test_a_call_is_settled_once(ledger: SqlLedger, clock: Clock) -> None:
    reservation = ledger.reserve(50 * CENT, scopes("case:1"), seconds=60)
    first = ledger.settle(reservation, billed(10_000))
    clock.now += 5
    assert ledger.settle(reservation, billed(70_000)) == first
    ledger.release(reservation)
    assert ledger.month().spent == CENT
    assert list(ledger.receipts()) == [first]


def test_a_call_that_was_billed_after_all_is_booked(ledger: SqlLedger) -> None:
    reservation = ledger.reserve(50 * CENT, scopes("case:1"), seconds=60)
    ledger.release(reservation)
    ledger.settle(reservation, billed(10_000))
    assert (ledger.month().spent, ledger.month().held) == (CENT, 0)


def test_a_crash_leaves_its_money_counted_until_somebody_knows_better(ledger: SqlLedger, clock: Clock) -> None:
    lost = ledger.reserve(50 * CENT, scopes("case:1"), seconds=60, node="far")
    assert ledger.unsettled() == []
    clock.now += 61
    [found] = ledger.unsettled()
    assert (found.reservation, found.node, found.made) == (lost, "far", clock.now - 61)
    assert ledger.budgets("case")[0].left == 50 * CENT  # it may have been billed
    late = ledger.settle(Reservation(lost.id, Decimal(0), 0), billed(30_000))
    assert (late.cost, late.reserved) == (3 * CENT, 50 * CENT)
    assert ledger.unsettled() == []
    assert ledger.budgets("case")[0].left == 97 * CENT


def test_a_crash_before_the_call_can_be_released_late(ledger: SqlLedger, clock: Clock) -> None:
    lost = ledger.reserve(50 * CENT, scopes("case:1"), seconds=60)
    clock.now += 100
    ledger.release(lost)
    assert ledger.unsettled() == []
    assert ledger.month().held == 0


def test_more_than_was_reserved_is_booked_in_full_and_ends_what_it_breaks(ledger: SqlLedger) -> None:
    receipt = ledger.settle(ledger.reserve(CENT, scopes("case:1", "dataset:a"), seconds=60), billed(1_500_000))
    assert (receipt.cost, receipt.reserved) == (Decimal("1.5"), CENT)
    assert sum(each.over for each in ledger.spending()) == 1
    with pytest.raises(BudgetError, match=r"case 1 is \$1: \$1.50 is spent"):
        ledger.reserve(CENT, scopes("case:1", "dataset:a"), seconds=60)
    ledger.reserve(CENT, scopes("case:2", "dataset:a"), seconds=60)


@pytest.mark.parametrize("usage", [None, Usage(), Usage(input=-5), Usage(output=10**15)])
def test_where_the_usage_is_not_known_the_worst_is_booked_until_it_is(ledger: SqlLedger, usage: Usage | None) -> None:
    reservation = ledger.reserve(50 * CENT, scopes("case:1"), seconds=60)
    receipt = ledger.settle(reservation, replace(billed(1), usage=usage))
    assert (receipt.cost, receipt.billed.usage) == (50 * CENT, None)
    assert [each.unknown for each in ledger.spending()] == [1]
    assert ledger.settle(reservation, billed(None)) == receipt
    assert ledger.settle(reservation, billed(20_000)).cost == 2 * CENT  # the provider's own log, say
    assert (ledger.month().spent, ledger.month().held) == (2 * CENT, 0)
    assert ledger.settle(reservation, billed(30_000)).cost == 2 * CENT


def test_a_call_counts_in_the_month_in_which_it_began(ledger: SqlLedger, clock: Clock) -> None:
    reservation = ledger.reserve(50 * CENT, [], seconds=60)
    clock.now += 4 * 86_400
    assert ledger.month().left == 4
    ledger.settle(reservation, billed(10_000))
    assert [(b.scope.name, b.spent) for b in ledger.budgets("month")] == [("2026-11", CENT)]


def test_spending_is_summed_as_it_is_asked_for(ledger: SqlLedger, clock: Clock) -> None:
    for node, dataset in (("far", "a"), ("far", "b"), ("near", "a")):
        ledger.settle(ledger.reserve(CENT, scopes(f"dataset:{dataset}"), seconds=60), billed(1_000, node=node))
    clock.now += 86_400
    ledger.settle(ledger.reserve(CENT, [], seconds=60), billed(5_000))
    spending = ledger.spending()
    assert {(s.node, s.dataset, s.day): s.calls for s in spending} == {
        ("far", "a", "2026-11-28"): 1,
        ("far", "b", "2026-11-28"): 1,
        ("near", "a", "2026-11-28"): 1,
        ("far", "", "2026-11-29"): 1,
    }
    by_node = grouped(spending, lambda each: (each.node,))
    assert {name: (s.calls, s.cost, s.usage.input) for (name,), s in by_node.items()} == {
        "far": (3, Decimal("0.007"), 7_000),
        "near": (1, Decimal("0.001"), 1_000),
    }


def test_a_call_over_several_datasets_is_paid_by_all_together(ledger: SqlLedger) -> None:
    over = scopes("dataset:a", "dataset:b", "dataset:c")
    waiting = ledger.reserve(40 * CENT, over, seconds=60)
    assert {b.held for b in ledger.budgets("dataset")} == {40 * CENT}  # each could have to pay for it
    receipt = ledger.settle(waiting, replace(billed(1), usage=Usage(input=7, output=2)))
    ledger.settle(ledger.reserve(CENT, scopes("dataset:b"), seconds=60), billed(2))
    unknown = ledger.reserve(CENT, over, seconds=60)
    ledger.settle(unknown, billed(None))
    ledger.settle(unknown, billed(100))  # said later
    assert (ledger.month().spent, ledger.month().held) == (Decimal("0.000117"), 0)
    spent = {b.scope.name: b.spent for b in ledger.budgets("dataset")}
    assert spent == {
        "a": Decimal("0.000038333334"),
        "b": Decimal("0.000040333333"),
        "c": Decimal("0.000038333333"),
    }
    by = {name: each for (name,), each in grouped(ledger.spending(), lambda each: (each.dataset,)).items()}
    assert {name: each.cost for name, each in by.items()} == spent
    assert {name: (s.calls, s.shared, s.usage.input, s.usage.output) for name, s in by.items()} == {
        "a": (2, 0, 37, 1),
        "b": (1, 2, 37, 1),
        "c": (0, 2, 35, 0),
    }
    for name, cost in spent.items():
        assert [each.cost for each in ledger.spending(name)] == [cost]
        assert sum(share_of(each, name).cost for each in ledger.receipts(name)) == cost
    assert [share_of(receipt, name).billed.usage for name in "abc"] == [
        Usage(3, output=1),
        Usage(2, output=1),
        Usage(2),
    ]


def test_of_a_call_over_two_datasets_the_part_of_the_other_stays(ledger: SqlLedger) -> None:
    ledger.settle(ledger.reserve(CENT, scopes("dataset:a", "dataset:b", "dataset:c"), seconds=60), billed(900))
    for name, names in (("b", ["a", "c"]), ("a", ["c"])):
        ledger.forget(name)
        left = {b.scope.name: b.spent for b in ledger.budgets("dataset")}
        assert sum(left.values()) == ledger.month().spent == Decimal("0.0009")
        assert {each: left[each] for each in names} == dict.fromkeys(names, Decimal("0.0003"))
        assert {each.dataset for each in ledger.spending()} == {FORGOTTEN, *names}


def test_receipts_are_read_in_pages(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [ledger.settle(ledger.reserve(CENT, [], seconds=60), billed(tokens)) for tokens in range(1, 6)]
    monkeypatch.setattr("mesh_assets.mesh.sql_ledger._RECEIPTS_AT_ONCE", 2)
    assert list(ledger.receipts()) == made


def stored_bytes(request: pytest.FixtureRequest, folder: Path) -> bytes:
    """All that a ledger is stored in, and on the server every other database."""
    if "sqlite" not in request.node.name:
        server: Server = request.getfixturevalue("postgres")
        server.stop()  # what is in its memory only goes to the disk
        server.start()
        folder = server.folder / "cluster" / "base"
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_forgotten_dataset_leaves_its_money_and_no_name(
    ledger: SqlLedger, request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> None:
    mine = scopes("case:my-case", "run:my-run", "dataset:my-drop", "problem:p")
    ledger.settle(ledger.reserve(20 * CENT, mine, seconds=60), replace(billed(30_000), case_id="my-answer"))
    waiting = ledger.reserve(30 * CENT, mine, seconds=60)
    ledger.settle(ledger.reserve(CENT, scopes("dataset:other"), seconds=60), replace(billed(10_000), case_id="kept"))
    ledger.forget("my-drop")
    clock.now += 100
    assert not list(ledger.receipts("my-drop"))
    assert [(b.scope.name, b.spent, b.held) for b in ledger.budgets("dataset", "case", "run")] == [
        (FORGOTTEN, 3 * CENT, 30 * CENT),
        ("other", CENT, 0),
    ]
    assert (ledger.month().spent, ledger.month().held) == (4 * CENT, 30 * CENT)
    ledger.settle(waiting, replace(billed(10_000), case_id=""))
    assert {(b.scope.name, b.spent, b.held) for b in ledger.budgets("problem", "month")} == {
        ("p", 4 * CENT, 0),
        ("2026-11", 5 * CENT, 0),
    }
    stored = stored_bytes(request, tmp_path)
    assert not any(name in stored for name in (b"my-drop", b"my-case", b"my-run", b"my-answer"))
    assert b"kept" in stored


def test_amounts_that_are_none_are_refused(ledger: SqlLedger) -> None:
    for amount in (Decimal(-1), Decimal("NaN"), Decimal("Infinity"), Decimal(10) ** 9):
        with pytest.raises(BudgetError, match="no amount"):
            ledger.reserve(amount, [], seconds=60)


def test_what_the_ledger_does_not_know_is_an_error_and_no_receipt(ledger: SqlLedger) -> None:
    stranger = Reservation("0" * 32, CENT, 0)
    with pytest.raises(LedgerError, match="no reservation"):
        ledger.settle(stranger, billed(1))
    with pytest.raises(LedgerError, match="no reservation"):
        ledger.release(stranger)


def test_a_file_that_is_no_ledger_stops_calls_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"something else, quite long enough to be no header of SQLite" * 9)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"cannot be used.*Until then"):
        SqliteLedger(path, Budgets()).reserve(CENT, [], seconds=60)
    assert path.read_bytes() == before


def test_a_ledger_of_a_later_version_is_left_alone(in_file: SqliteLedger, tmp_path: Path) -> None:
    in_file.reserve(CENT, [], seconds=60)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="later version"):
        in_file.reserve(CENT, [], seconds=60)


def test_a_ledger_that_another_holds_too_long_is_an_error(
    in_file: SqliteLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_assets.mesh.sqlite_file._BUSY_SECONDS", 0.05)
    in_file.reserve(CENT, [], seconds=60)
    holder = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        in_file.reserve(CENT, [], seconds=60)
    holder.execute("ROLLBACK")
    holder.close()
    assert in_file.month().held == CENT


def test_prices_are_stamped_to_the_last_digit(ledger: SqlLedger) -> None:
    price = replace(PRICE, input=Decimal("0.123456"), reasoning=Decimal("0.000001"))
    call = replace(billed(1), price=price)
    ledger.settle(ledger.reserve(CENT, [], seconds=60), call)
    [receipt] = ledger.receipts()
    assert receipt.billed.price == price
    assert receipt.cost == Decimal("0.000000123456")


def test_the_settings_say_where_it_is_and_what_may_be_spent(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state=tmp_path, budgets="month 0.25")  # type: ignore[call-arg]
    ledger = connect_ledger(settings)
    assert ledger.left([]) == Decimal("0.25")
    ledger.reserve(20 * CENT, [], seconds=60)
    assert connect_ledger(settings).left([]) == 5 * CENT
    assert (tmp_path / "ledger.sqlite").exists()
