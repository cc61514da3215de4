"""Many processes, killed at any moment: together they pass no budget, and the ledger never knows less than they do."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest

from mesh_assets.budgets import Budgets
from mesh_assets.errors import BudgetError
from mesh_assets.mesh import sqlite_file, sqlite_ledger
from mesh_assets.mesh.sqlite_ledger import SqliteLedger
from mesh_assets_tests.mesh.money import billed, scopes

BUDGETS = Budgets.parse("dataset 0.60; month 0.80")
LARGE = Budgets.parse("dataset 60; month 80")
AMOUNT = Decimal("0.01")


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """A server that forks workers, so that each starts in milliseconds and without our threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def spend(path: Path, budgets: Budgets, notes: Path, seed: int) -> None:
    """Reserve and settle until the money of both datasets is gone; note each call before and after it is made."""
    # The disk survives a kill: waiting for it would only make the test slow.
    sqlite_file._PRAGMAS = tuple(text.replace("FULL", "OFF") for text in sqlite_file._PRAGMAS)
    ledger, chance = SqliteLedger(path, budgets), random.Random(seed)
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


def noted(folder: Path) -> dict[str, int]:
    """What the workers know of each call: its tokens, none where it was released."""
    lines = [line for path in folder.glob("*.notes") for line in path.read_text().splitlines()]
    return {call: int(tokens) for call, tokens in (line.split() for line in lines)}


def assert_nothing_is_lost(ledger: SqliteLedger, calls: dict[str, int]) -> None:
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


def test_eight_processes_never_pass_a_budget(
    tmp_path: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    path = tmp_path / "ledger.sqlite"
    workers = [processes.Process(target=spend, args=(path, BUDGETS, tmp_path / f"{n}.notes", n)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    calls = noted(tmp_path)
    assert len(calls) > 100
    ledger = SqliteLedger(path, BUDGETS)
    assert_nothing_is_lost(ledger, calls)
    assert ledger.unsettled() == []
    assert ledger.month().left < AMOUNT  # type: ignore[operator]  # all of it could be used


def test_kills_lose_no_call_and_no_money(tmp_path: Path, processes: multiprocessing.context.ForkServerContext) -> None:
    path, chance = tmp_path / "ledger.sqlite", random.Random(7)
    for number in range(24):
        pair = [
            processes.Process(target=spend, args=(path, LARGE, tmp_path / f"{number}{each}.notes", number))
            for each in "ab"
        ]
        for worker in pair:
            worker.start()
        time.sleep(chance.uniform(0.005, 0.06))
        for worker in pair:
            worker.kill()
            worker.join()
            assert worker.exitcode == -signal.SIGKILL
    calls = noted(tmp_path)
    assert len(calls) > 20
    assert_nothing_is_lost(SqliteLedger(path, LARGE), calls)


def die_within_a_transaction(path: Path) -> None:
    """Settle, and be killed when all was written, some of it into the file itself, and nothing committed."""
    book = sqlite_ledger._book

    def book_and_die(db: sqlite_ledger.sqlite3.Connection, *arguments: object, **amounts: int) -> None:
        book(db, *arguments, **amounts)  # type: ignore[arg-type]
        db.execute("PRAGMA cache_size = 1")
        db.executemany("INSERT INTO counted VALUES (1, 'run', ?)", ((f"{number:0500}",) for number in range(500)))
        os.kill(os.getpid(), signal.SIGKILL)

    sqlite_ledger._book = book_and_die
    ledger = SqliteLedger(path, BUDGETS)
    [waiting] = ledger.unsettled()
    ledger.settle(waiting.reservation, billed(5_000))


def test_a_kill_within_a_transaction_leaves_what_was_before_it(
    tmp_path: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger(path, BUDGETS)
    reservation = ledger.reserve(AMOUNT, scopes("dataset:a"), seconds=0)
    before = path.read_bytes()
    worker = processes.Process(target=die_within_a_transaction, args=(path,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    assert path.read_bytes() != before, "the kill came before anything was written"
    assert (ledger.month().spent, ledger.month().held) == (0, AMOUNT)
    assert path.read_bytes() == before
    assert ledger.settle(reservation, billed(5_000)).cost == Decimal("0.005")
    assert_nothing_is_lost(ledger, {reservation.id: 5_000})
