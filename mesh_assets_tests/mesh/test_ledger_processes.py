"""Many processes, killed at any moment: together they pass no budget, and the ledger never knows less than they do."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psycopg  # noqa: F401  # once for all workers, which are forked
import pytest

from mesh_assets.budgets import Budgets
from mesh_assets.errors import BudgetError, LedgerError
from mesh_assets.mesh import sql_ledger, sqlite_file
from mesh_assets.mesh.sql_ledger import SqlLedger
from mesh_assets_tests import postgres as postgresql
from mesh_assets_tests.mesh.ledgers import BOTH, Place
from mesh_assets_tests.mesh.money import billed, scopes

BUDGETS = Budgets.parse("dataset 0.30; month 0.40")
LARGE = Budgets.parse("dataset 60; month 80")
AMOUNT = Decimal("0.01")


def spend(place: Place, budgets: Budgets, notes: Path, seed: int) -> None:
    """Reserve and settle until the money of both datasets is gone; note each call before and after it is made."""
    # The disk survives a kill: waiting for it would only make the test slow.
    sqlite_file._PRAGMAS = tuple(text.replace("FULL", "OFF") for text in sqlite_file._PRAGMAS)
    ledger, chance = place.ledger(budgets), random.Random(seed)
    datasets = ["a", "b"]
    with notes.open("a") as file:
        while datasets:
            dataset = chance.choice(datasets)
            try:
                reservation = ledger.reserve(AMOUNT, scopes(f"dataset:{dataset}"), seconds=0)
            except BudgetError:
                datasets.remove(dataset)
                continue
            tokens = chance.randint(1_000, 10_000)
            print(reservation.id, tokens, file=file, flush=True)
            if chance.random() < 0.1:
                print(reservation.id, 0, file=file, flush=True)  # first: a kill behind the release would lose it
                ledger.release(reservation)
            else:
                ledger.settle(reservation, billed(tokens))
                print(reservation.id, "settled", file=file, flush=True)


def spend_until_it_stops(place: Place, notes: Path, seed: int) -> None:
    """Spend until the server is stopped."""
    with suppress(LedgerError):
        spend(place, LARGE, notes, seed)


def noted(folder: Path) -> dict[str, int]:
    """What the workers know of each call: its tokens, none where it was released."""
    return {call: int(said) for call, said in _lines(folder) if said != "settled"}


def settled(folder: Path) -> set[str]:
    """The calls that the workers were told to be settled."""
    return {call for call, said in _lines(folder) if said == "settled"}


def _lines(folder: Path) -> list[list[str]]:
    return [line.split() for path in folder.glob("*.notes") for line in path.read_text().splitlines()]


def assert_nothing_is_lost(ledger: SqlLedger, calls: dict[str, int]) -> None:
    receipts = {receipt.id: receipt for receipt in ledger.receipts()}
    waiting = {each.reservation.id: each.reservation.amount for each in ledger.unsettled()}
    for call, tokens in calls.items():
        if call in receipts:
            assert receipts[call].cost == tokens * Decimal("0.000001")
        else:
            assert call in waiting or tokens == 0, "a call that was made is not in the ledger"
    spent, held = sum(receipt.cost for receipt in receipts.values()), sum(waiting.values())
    assert (ledger.month().spent, ledger.month().held) == (spent, held)
    for budget in ledger.budgets("dataset", "month"):
        assert budget.limit is not None
        assert budget.spent + budget.held <= budget.limit


@BOTH
def test_many_processes_never_pass_a_budget(place: Place, tmp_path: Path, processes: ForkServerContext) -> None:
    workers = [processes.Process(target=spend, args=(place, BUDGETS, tmp_path / f"{n}.notes", n)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    calls = noted(tmp_path)
    assert len(calls) > 50
    ledger = place.ledger(BUDGETS)
    assert_nothing_is_lost(ledger, calls)
    assert ledger.unsettled() == []
    assert ledger.month().left < AMOUNT  # type: ignore[operator]  # all of it could be used


@BOTH
def test_kills_lose_no_call_and_no_money(place: Place, tmp_path: Path, processes: ForkServerContext) -> None:
    chance = random.Random(7)
    place.ledger(LARGE).month()
    rounds, longest = (10, 0.4) if place.url else (24, 0.06)
    for number in range(rounds):
        pair = [
            processes.Process(target=spend, args=(place, LARGE, tmp_path / f"{number}{each}.notes", number))
            for each in "ab"
        ]
        for worker in pair:
            worker.start()
        time.sleep(chance.uniform(longest / 10, longest))
        for worker in pair:
            worker.kill()
            worker.join()
            assert worker.exitcode == -signal.SIGKILL
    calls = noted(tmp_path)
    assert len(calls) > 20
    ledger = place.ledger(LARGE)
    ledger.reserve_all([], seconds=0)  # comes behind all that a server may still be doing for the dead
    assert_nothing_is_lost(ledger, calls)


def test_a_crash_of_the_server_loses_nothing_that_it_said_was_written(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    """With the settings that a server has, and one more that makes it careless: it does not wait for its disk."""
    if postgresql.programs() is None:
        pytest.skip("PostgreSQL is not installed: sudo apt-get install -y postgresql")
    with postgresql.server("-c synchronous_commit=off -c wal_writer_delay=10s") as server:
        place = Place(tmp_path, server.url, "mesh_ledger")
        notes = [tmp_path / f"{number}.notes" for number in range(2)]
        workers = [processes.Process(target=spend_until_it_stops, args=(place, note, 1)) for note in notes]
        for worker in workers:
            worker.start()
        deadline = time.monotonic() + 30
        while len(settled(tmp_path)) < 10 and time.monotonic() < deadline:
            time.sleep(0.02)
        server.stop("immediate")
        for worker in workers:
            worker.join(60)
            assert worker.exitcode == 0
        server.start()
        ledger = place.ledger(LARGE)
        assert_nothing_is_lost(ledger, noted(tmp_path))
        assert settled(tmp_path) <= {receipt.id for receipt in ledger.receipts()}
        assert len(settled(tmp_path)) >= 10


def die_within_a_transaction(place: Place) -> None:
    """Settle, and be killed when all was written, some of it into the file itself, and nothing committed."""
    book: Callable[..., None] = sql_ledger._book

    def book_and_die(db: sql_ledger.Connection, amounts: object) -> None:
        book(db, amounts)
        if not place.url:
            db.execute("PRAGMA cache_size = 1")
        db.executemany("INSERT INTO counted VALUES (1, 'run', ?)", [(f"{number:0500}",) for number in range(500)])
        os.kill(os.getpid(), signal.SIGKILL)

    sql_ledger._book = book_and_die
    ledger = place.ledger(BUDGETS)
    [waiting] = ledger.unsettled()
    ledger.settle(waiting.reservation, billed(5_000))


@BOTH
def test_a_kill_within_a_transaction_leaves_what_was_before_it(
    place: Place, tmp_path: Path, processes: ForkServerContext
) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = place.ledger(BUDGETS)
    reservation = ledger.reserve(AMOUNT, scopes("dataset:a"), seconds=0)
    before = None if place.url else path.read_bytes()
    worker = processes.Process(target=die_within_a_transaction, args=(place,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    assert before is None or path.read_bytes() != before, "the kill came before anything was written"
    assert (ledger.month().spent, ledger.month().held) == (0, AMOUNT)
    assert before is None or path.read_bytes() == before
    assert ledger.settle(reservation, billed(5_000)).cost == Decimal("0.005")
    assert_nothing_is_lost(ledger, {reservation.id: 5_000})
