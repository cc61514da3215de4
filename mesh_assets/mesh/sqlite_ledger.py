"""The ledger in one SQLite file that all processes share: what is reserved, what was spent, a receipt for each call.

    <state>/ledger.sqlite

Each verb is a transaction of its own (`sqlite_file`). Amounts are integers of 1e-12 USD.

What a call may cost belongs to `costs`; who reads the record, in what words, to `spending` and the command line.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from mesh_assets.budgets import Budgets, ScopeKind
from mesh_assets.errors import BudgetError, LedgerError
from mesh_assets.mesh.costs import UNIT, cost_of, is_possible, usd
from mesh_assets.mesh.protocol import Billed, Price, Receipt, Reservation, Scope, Usage
from mesh_assets.mesh.spending import Budget, Spending, Unsettled
from mesh_assets.mesh.sqlite_file import SqliteFile

LEDGER = "ledger.sqlite"
# In the place of a dataset that was forgotten; no key of a dataset looks like it.
FORGOTTEN = "(forgotten)"
# A reader holds up writers for as long as it reads.
_RECEIPTS_AT_ONCE = 5_000
# USD, so that sums stay far within 64 bits.
_MOST = Decimal(1_000_000)
_REMEDY = (
    "Make room and allow writing there; where it is damaged, put a backup in its place. "
    "Until then no node that costs money is called."
)
_SCHEMA = """
CREATE TABLE calls (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    node TEXT NOT NULL,
    reserved INTEGER NOT NULL,
    made REAL NOT NULL,
    expires REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'settled', 'released'))
) STRICT;
CREATE INDEX open_calls ON calls (expires) WHERE state = 'open';
CREATE TABLE receipts (
    call INTEGER PRIMARY KEY REFERENCES calls,
    at REAL NOT NULL,
    cost INTEGER NOT NULL,
    node TEXT NOT NULL,
    model TEXT NOT NULL,
    case_id TEXT NOT NULL,
    depth TEXT NOT NULL,
    usage TEXT,
    price TEXT NOT NULL,
    is_batch INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    request_id TEXT NOT NULL
) STRICT;
CREATE TABLE counted (
    call INTEGER NOT NULL REFERENCES calls,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (call, kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX counted_in ON counted (kind, name);
CREATE TABLE totals (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    spent INTEGER NOT NULL,
    held INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
"""
_RECEIPT = """
SELECT calls.number, calls.id, receipts.at, receipts.cost, calls.reserved, receipts.node, receipts.model,
    receipts.case_id, receipts.depth, receipts.usage, receipts.price, receipts.is_batch, receipts.outcome,
    receipts.request_id
FROM receipts JOIN calls ON calls.number = receipts.call
"""
_NEXT_RECEIPTS = """
WHERE calls.number > ? AND (? IS NULL OR calls.number IN (SELECT call FROM counted WHERE kind = 'dataset' AND name = ?))
ORDER BY calls.number LIMIT ?
"""
_SPENDING = """
SELECT receipts.node,
    coalesce((SELECT min(name) FROM counted WHERE kind = 'dataset' AND counted.call = receipts.call), ''),
    depth, date(at, 'unixepoch'), count(*), sum(cost),
    sum(json_extract(usage, '$.input')), sum(json_extract(usage, '$.cached_input')),
    sum(json_extract(usage, '$.cache_write')), sum(json_extract(usage, '$.output')),
    sum(json_extract(usage, '$.reasoning')), sum(usage IS NULL), sum(cost > reserved)
FROM receipts JOIN calls ON calls.number = receipts.call
WHERE :dataset IS NULL OR receipts.call IN (SELECT call FROM counted WHERE kind = 'dataset' AND name = :dataset)
GROUP BY 1, 2, 3, 4 ORDER BY 4, 1, 2, 3
"""
_UNSETTLED = """
SELECT number, id, node, reserved, made, expires FROM calls
WHERE state = 'open' AND expires <= :now
    AND (:dataset IS NULL OR number IN (SELECT call FROM counted WHERE kind = 'dataset' AND name = :dataset))
ORDER BY number
"""


class SqliteLedger:
    """The `Ledger` of one file. A verb blocks until it is written, in milliseconds, or seconds while others write.

    What a call costs when it is killed is not known. Its reservation stays counted, in every budget, until somebody
    settles or releases it: the sum of receipts and reservations is never below what was billed.
    """

    def __init__(self, path: Path, budgets: Budgets, *, clock: Callable[[], float] = time.time) -> None:
        self._file = SqliteFile(path, _SCHEMA, error=LedgerError, remedy=_REMEDY)
        self._budgets = budgets
        self._clock = clock

    def reserve(self, amount: Decimal, scopes: Sequence[Scope], *, seconds: float, node: str = "") -> Reservation:
        """See `Ledger.reserve`."""
        return self.reserve_all([(amount, scopes)], seconds=seconds, node=node)[0]

    def reserve_all(
        self, asked: Sequence[tuple[Decimal, Sequence[Scope]]], *, seconds: float, node: str = ""
    ) -> list[Reservation]:
        """See `Ledger.reserve_all`."""
        now = self._clock()
        made: list[Reservation] = []
        with self._file.transaction() as db:
            for amount, scopes in asked:
                counted = _with_month(scopes, now)
                try:
                    units = _units(amount)
                    self._check(db, units, counted)
                except BudgetError:
                    if not made:
                        raise
                    break
                reservation = Reservation(uuid.uuid4().hex, units * UNIT, now + seconds)
                number = db.execute(
                    "INSERT INTO calls (id, node, reserved, made, expires, state) VALUES (?, ?, ?, ?, ?, 'open')",
                    (reservation.id, node, units, now, reservation.expires),
                ).lastrowid
                db.executemany("INSERT INTO counted VALUES (?, ?, ?)", ((number, s.kind, s.name) for s in counted))
                _book(db, counted, held=units)
                made.append(reservation)
        return made

    def settle(self, reservation: Reservation, billed: Billed) -> Receipt:
        """See `Ledger.settle`. A usage that no call can have counts as not said."""
        cost = _cost(billed)
        if cost is None:
            billed = replace(billed, usage=None)
        with self._file.transaction() as db:
            number, reserved, state = self._find(db, reservation)
            before = next(_receipts(db, "WHERE calls.number = ?", number), None)
            if before is not None and (cost is None or before.billed.usage is not None):
                return before
            cost = reserved if cost is None else cost
            _write_receipt(db, number, self._clock(), cost, billed)
            db.execute("UPDATE calls SET state = 'settled' WHERE number = ?", (number,))
            spent = cost - (int(before.cost / UNIT) if before is not None else 0)
            _book(db, _scopes(db, number), spent=spent, held=-reserved if state == "open" else 0)
            return next(_receipts(db, "WHERE calls.number = ?", number))

    def release(self, reservation: Reservation) -> None:
        """See `Ledger.release`."""
        with self._file.transaction() as db:
            number, reserved, state = self._find(db, reservation)
            if state == "open":
                db.execute("UPDATE calls SET state = 'released' WHERE number = ?", (number,))
                _book(db, _scopes(db, number), held=-reserved)

    def left(self, scopes: Sequence[Scope], *, for_one_call: bool = True) -> Decimal | None:
        """See `Ledger.left`."""
        with self._file.transaction("DEFERRED") as db:
            found = [self._budget(db, scope) for scope in _with_month(scopes, self._clock())]
        limited = [b.left for b in found if b.left is not None]
        per_call = self._budgets.kinds.get("call") if for_one_call else None
        return min([*limited, *([per_call] if per_call is not None else [])], default=None)

    def budgets(self, *kinds: ScopeKind) -> list[Budget]:
        """The scopes of these kinds that money was spent or reserved in, by name, with their limits."""
        with self._file.transaction("DEFERRED") as db:
            return [
                self._budget(db, Scope(kind, name))
                for kind in kinds
                for (name,) in db.execute("SELECT name FROM totals WHERE kind = ? ORDER BY name", (kind,)).fetchall()
            ]

    def month(self) -> Budget:
        """The budget of the present month."""
        with self._file.transaction("DEFERRED") as db:
            return self._budget(db, _month(self._clock()))

    def receipts(self, dataset: str | None = None) -> Iterator[Receipt]:
        """Receipts in the order of their calls, all or of one dataset, read as they are asked for."""
        last = 0
        while True:
            with self._file.transaction("DEFERRED") as db:
                rows = list(_numbered(db, _NEXT_RECEIPTS, last, dataset, dataset, _RECEIPTS_AT_ONCE))
            if not rows:
                return
            yield from (receipt for _, receipt in rows)
            last = rows[-1][0]

    def case_receipts(self, case_id: str) -> list[Receipt]:
        """The receipts of a case at all depths, in the order of its calls."""
        with self._file.transaction("DEFERRED") as db:
            where = "WHERE calls.number IN (SELECT call FROM counted WHERE kind = 'case' AND name = ?) ORDER BY 1"
            return list(_receipts(db, where, case_id))

    def spending(self, dataset: str | None = None) -> list[Spending]:
        """What was spent, in all or for one dataset, summed by node, dataset, depth and day."""
        with self._file.transaction("DEFERRED") as db:
            found = db.execute(_SPENDING, {"dataset": dataset}).fetchall()
            return [_spending(row) for row in found]

    def unsettled(self, dataset: str | None = None) -> list[Unsettled]:
        """Reservations that nobody settled or released in time, all or of one dataset, the oldest first."""
        with self._file.transaction("DEFERRED") as db:
            rows = db.execute(_UNSETTLED, {"now": self._clock(), "dataset": dataset}).fetchall()
            return [
                Unsettled(Reservation(call, units * UNIT, expires), node, made, _scopes(db, number))
                for number, call, node, units, made, expires in rows
            ]

    def forget(self, dataset: str) -> None:
        """Take out the name of a dataset, and those of its runs and cases. What was paid stays on the record."""
        with self._file.transaction() as db:
            calls = db.execute("SELECT call FROM counted WHERE kind = 'dataset' AND name = ?", (dataset,)).fetchall()
            scopes = {Scope("dataset", dataset), Scope("dataset", FORGOTTEN)}
            for (number,) in calls:
                inner = [scope for scope in _scopes(db, number) if scope.kind not in ("problem", "month")]
                scopes.update(inner)
                db.executemany(
                    "DELETE FROM counted WHERE call = ? AND kind = ? AND name = ?",
                    ((number, scope.kind, scope.name) for scope in inner),
                )
                db.execute("INSERT INTO counted VALUES (?, 'dataset', ?)", (number, FORGOTTEN))
                db.execute("UPDATE receipts SET case_id = '' WHERE call = ?", (number,))
            for scope in scopes:
                _count_again(db, scope)

    def _check(self, db: sqlite3.Connection, units: int, counted: Sequence[Scope]) -> None:
        """BudgetError where one of the budgets lacks the money."""
        if not units:
            return
        per_call = self._budgets.kinds.get("call")
        if per_call is not None and units > _units(per_call):
            raise BudgetError(
                f"One call may cost ${per_call}, and this one may cost ${usd(units * UNIT)}.",
                remedy="Raise `call` in MESH_BUDGETS, or ask with less evidence or a cheaper node.",
                kind="call",
            )
        for scope in counted:
            budget = self._budget(db, scope)
            if budget.left is not None and units > _units(budget.left):
                raise BudgetError(
                    f"The budget of {scope.kind} {scope.name} is ${budget.limit}: ${usd(budget.spent)} is spent, "
                    f"${usd(budget.held)} reserved by other calls, and this one may cost ${usd(units * UNIT)}.",
                    remedy="Raise it in MESH_BUDGETS; `mesh cost --unsettled` shows what crashes left reserved.",
                    kind=scope.kind,
                )

    def _budget(self, db: sqlite3.Connection, scope: Scope) -> Budget:
        row = db.execute(
            "SELECT spent, held FROM totals WHERE kind = ? AND name = ?", (scope.kind, scope.name)
        ).fetchone()
        spent, held = row or (0, 0)
        return Budget(scope, self._budgets.limit(scope.kind, scope.name), spent * UNIT, held * UNIT)

    def _find(self, db: sqlite3.Connection, reservation: Reservation) -> tuple[int, int, str]:
        row = db.execute("SELECT number, reserved, state FROM calls WHERE id = ?", (reservation.id,)).fetchone()
        if row is None:
            raise LedgerError(
                f"{self._file.path} has no reservation {reservation.id}.",
                remedy="`mesh cost --unsettled` lists those that wait. Was the file replaced during a call?",
            )
        return row


def _book(db: sqlite3.Connection, scopes: Sequence[Scope], *, spent: int = 0, held: int = 0) -> None:
    db.executemany(
        "INSERT INTO totals VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET spent = spent + excluded.spent, held = held + excluded.held",
        ((scope.kind, scope.name, spent, held) for scope in scopes),
    )


def _count_again(db: sqlite3.Connection, scope: Scope) -> None:
    """The total of a scope from what is counted in it; none where that is nothing."""
    spent, held, calls = db.execute(
        "SELECT coalesce(sum(cost), 0), coalesce(sum(reserved) FILTER (WHERE state = 'open'), 0), count(*) FROM counted"
        " JOIN calls ON number = counted.call LEFT JOIN receipts ON receipts.call = number"
        " WHERE kind = ? AND name = ?",
        (scope.kind, scope.name),
    ).fetchone()
    db.execute("DELETE FROM totals WHERE kind = ? AND name = ?", (scope.kind, scope.name))
    if calls:
        _book(db, [scope], spent=spent, held=held)


def _write_receipt(db: sqlite3.Connection, number: int, at: float, cost: int, billed: Billed) -> None:
    usage = None if billed.usage is None else json.dumps(asdict(billed.usage))
    price = json.dumps({name: None if value is None else str(value) for name, value in asdict(billed.price).items()})
    what = (billed.node, billed.model, billed.case_id, billed.depth, usage, price)
    how = (billed.is_batch, billed.outcome, billed.request_id)
    receipt = (number, at, cost, *what, *how)
    db.execute("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", receipt)


def _numbered(db: sqlite3.Connection, where: str, *parameters: object) -> Iterator[tuple[int, Receipt]]:
    for row in db.execute(_RECEIPT + where, parameters).fetchall():
        number, call, at, cost, reserved, node, model, case_id, depth, usage, price, *how = row
        is_batch, outcome, request_id = how
        tokens = None if usage is None else Usage(**json.loads(usage))
        billed = Billed(node, model, case_id, depth, tokens, _price(price), bool(is_batch), outcome, request_id)
        yield number, Receipt(call, at, cost * UNIT, reserved * UNIT, _scopes(db, number), billed)


def _cost(billed: Billed) -> int | None:
    """What a call cost, as integers; None where its usage is not said, or is none that a call can have."""
    if billed.usage is None or not is_possible(billed.usage):
        return None
    cost = cost_of(billed.usage, billed.price, is_batch=billed.is_batch)
    return _units(cost) if cost <= _MOST else None


def _receipts(db: sqlite3.Connection, where: str, *parameters: object) -> Iterator[Receipt]:
    return (receipt for _, receipt in _numbered(db, where, *parameters))


def _price(text: str) -> Price:
    stored: Mapping[str, Any] = json.loads(text)
    amounts: dict[str, Any] = {name: value and Decimal(value) for name, value in stored.items() if name != "source"}
    return Price(**amounts, source=stored["source"])


def _spending(row: tuple[Any, ...]) -> Spending:
    node, dataset, depth, day, calls, cost, *tokens, unknown, over = row
    usage = Usage(*(count or 0 for count in tokens))
    return Spending(node, dataset, depth, day, calls, cost * UNIT, usage, unknown, over)


def _scopes(db: sqlite3.Connection, number: int) -> tuple[Scope, ...]:
    rows = db.execute("SELECT kind, name FROM counted WHERE call = ? ORDER BY kind, name", (number,))
    return tuple(Scope(kind, name) for kind, name in rows)


def _with_month(scopes: Sequence[Scope], now: float) -> tuple[Scope, ...]:
    return tuple(dict.fromkeys((*scopes, _month(now))))


def _month(now: float) -> Scope:
    return Scope("month", f"{datetime.fromtimestamp(now, UTC):%Y-%m}")


def _units(amount: Decimal) -> int:
    """`amount` USD as integers of 1e-12, a part of one counted whole."""
    if not amount.is_finite() or not 0 <= amount <= _MOST:
        raise BudgetError(f"${amount} is no amount that a call may cost.", remedy="Correct the price of the node.")
    return int((amount / UNIT).to_integral_value(ROUND_CEILING))
