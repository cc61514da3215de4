"""The ledger in SQL, in a file or on a server: what is reserved, what was spent, a receipt for each call.

Each verb is a transaction of its own (`sql_store`). Amounts are integers of 1e-12 USD. A call that shows several
datasets holds its worst case in the budget of each; what it cost is divided among them, so that sums over datasets are
what was paid.

What a call may cost belongs to `costs`; who reads the record, in what words, to `spending` and the command line.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from mesh_assets.budgets import Budgets, ScopeKind
from mesh_assets.errors import BudgetError, LedgerError
from mesh_assets.mesh.costs import UNIT, cost_of, is_possible, usd
from mesh_assets.mesh.protocol import Billed, Price, Receipt, Reservation, Scope, Usage
from mesh_assets.mesh.spending import Budget, Spending, Unsettled, part_of
from mesh_assets.mesh.sql_store import Connection, Dialect, SqlStore

# In the place of a dataset that was forgotten; no key of a dataset looks like it.
FORGOTTEN = "(forgotten)"
NO_CALLS = "Until then no node that costs money is called."
# A reader holds up writers for as long as it reads.
_RECEIPTS_AT_ONCE = 5_000
# USD, so that sums stay far within 64 bits.
_MOST = Decimal(1_000_000)
_TABLES = """
CREATE TABLE calls (
    number {0.number},
    id {0.text} NOT NULL UNIQUE,
    node {0.text} NOT NULL,
    reserved {0.integer} NOT NULL,
    made {0.real} NOT NULL,
    expires {0.real} NOT NULL,
    state {0.text} NOT NULL CHECK (state IN ('open', 'settled', 'released'))
) {0.table};
CREATE INDEX open_calls ON calls (expires) WHERE state = 'open';
CREATE TABLE receipts (
    call {0.integer} PRIMARY KEY REFERENCES calls,
    at {0.real} NOT NULL,
    cost {0.integer} NOT NULL,
    node {0.text} NOT NULL,
    model {0.text} NOT NULL,
    case_id {0.text} NOT NULL,
    depth {0.text} NOT NULL,
    usage {0.text},
    price {0.text} NOT NULL,
    is_batch {0.integer} NOT NULL,
    outcome {0.text} NOT NULL,
    request_id {0.text} NOT NULL
) {0.table};
CREATE TABLE counted (
    call {0.integer} NOT NULL REFERENCES calls,
    kind {0.text} NOT NULL,
    name {0.text} NOT NULL,
    PRIMARY KEY (call, kind, name)
) {0.keyed};
CREATE INDEX counted_in ON counted (kind, name);
CREATE TABLE totals (
    kind {0.text} NOT NULL,
    name {0.text} NOT NULL,
    spent {0.integer} NOT NULL,
    held {0.integer} NOT NULL,
    PRIMARY KEY (kind, name)
) {0.keyed};
"""
_RECEIPT = """
SELECT calls.number, calls.id, receipts.at, receipts.cost, calls.reserved, receipts.node, receipts.model,
    receipts.case_id, receipts.depth, receipts.usage, receipts.price, receipts.is_batch, receipts.outcome,
    receipts.request_id
FROM receipts JOIN calls ON calls.number = receipts.call
"""
_OF_DATASET = "SELECT call FROM counted WHERE kind = 'dataset' AND name = ?"
_NEXT_RECEIPTS = f"""
WHERE calls.number > ? AND (? OR calls.number IN ({_OF_DATASET}))
ORDER BY calls.number LIMIT ?
"""
# Of calls that count in datasets: each of these with how many they are and its place among them, from 0.
_SHARES = """
WITH shares AS (
    SELECT call, name, count(*) OVER (PARTITION BY call) AS many,
        row_number() OVER (PARTITION BY call ORDER BY name) - 1 AS place
    FROM counted WHERE kind = 'dataset'{0}
)
"""
# As `part_of` divides a number.
_PART = "{0} / coalesce(many, 1) + CASE WHEN place < {0} % many THEN 1 ELSE 0 END"
_TOKENS = ("input", "cached_input", "cache_write", "output", "reasoning")
_IS_FIRST = "coalesce(place, 0) = 0"
_TOTAL = f"""
{_SHARES.format(" AND call IN (SELECT call FROM counted WHERE kind = ? AND name = ?)")}
SELECT coalesce(sum({_PART.format("cost")}), 0), coalesce(sum(reserved) FILTER (WHERE state = 'open'), 0), count(*)
FROM counted JOIN calls ON number = counted.call LEFT JOIN receipts ON receipts.call = number
    LEFT JOIN shares ON kind = 'dataset' AND shares.call = number AND shares.name = counted.name
WHERE kind = ? AND counted.name = ?
"""  # noqa: S608  # our words
_UNSETTLED = f"""
SELECT number, id, node, reserved, made, expires FROM calls
WHERE state = 'open' AND expires <= ? AND (? OR number IN ({_OF_DATASET})) ORDER BY number
"""  # noqa: S608


def ledger_tables(dialect: Dialect) -> str:
    """The statements that make the ledger's tables."""
    return _TABLES.format(dialect)


def _spending_query(dialect: Dialect) -> str:
    tokens = (f"sum({_PART.format(dialect.count.format('usage', name))})" for name in _TOKENS)
    return f"""
    {_SHARES.format("")}
    SELECT receipts.node, coalesce(shares.name, ''), depth, {dialect.day.format("at")}, sum({_PART.format("cost")}),
        count(*) FILTER (WHERE {_IS_FIRST}), count(*) FILTER (WHERE NOT {_IS_FIRST}),
        count(*) FILTER (WHERE {_IS_FIRST} AND usage IS NULL), count(*) FILTER (WHERE {_IS_FIRST} AND cost > reserved),
        {", ".join(tokens)}
    FROM receipts JOIN calls ON calls.number = receipts.call LEFT JOIN shares ON shares.call = receipts.call
    WHERE ? OR shares.name = ?
    GROUP BY 1, 2, 3, 4 ORDER BY 4, 1, 2, 3
    """  # noqa: S608


class SqlLedger:
    """The `Ledger` in `store`. A verb blocks until it is durable.

    What a call costs when it is killed is not known. Its reservation stays counted, in every budget, until somebody
    settles or releases it: the sum of receipts and reservations is never below what was billed.
    """

    def __init__(self, store: SqlStore, budgets: Budgets, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._budgets = budgets
        self._clock = clock

    @property
    def name(self) -> str:
        """Where it is: a path, or the address of a database."""
        return self._store.name

    @property
    def exists(self) -> bool:
        """Whether any call was ever counted."""
        return self._store.exists

    def reserve(self, amount: Decimal, scopes: Sequence[Scope], *, seconds: float, node: str = "") -> Reservation:
        """See `Ledger.reserve`."""
        return self.reserve_all([(amount, scopes)], seconds=seconds, node=node)[0]

    def reserve_all(
        self, asked: Sequence[tuple[Decimal, Sequence[Scope]]], *, seconds: float, node: str = ""
    ) -> list[Reservation]:
        """See `Ledger.reserve_all`."""
        now = self._clock()
        made: list[Reservation] = []
        with self._store.transaction() as db:
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
                [number] = db.execute(
                    "INSERT INTO calls (id, node, reserved, made, expires, state) VALUES (?, ?, ?, ?, ?, 'open')"
                    " RETURNING number",
                    (reservation.id, node, units, now, reservation.expires),
                ).fetchone()
                db.executemany("INSERT INTO counted VALUES (?, ?, ?)", [(number, s.kind, s.name) for s in counted])
                _book(db, ((scope, 0, units) for scope in counted))
                made.append(reservation)
        return made

    def settle(self, reservation: Reservation, billed: Billed) -> Receipt:
        """See `Ledger.settle`. A usage that no call can have counts as not said."""
        cost = _cost(billed)
        if cost is None:
            billed = replace(billed, usage=None)
        with self._store.transaction() as db:
            number, reserved, state = self._find(db, reservation)
            before = _receipts(db, "WHERE calls.number = ?", number)[0] if state == "settled" else None
            if before is not None and (cost is None or before.billed.usage is not None):
                return before
            cost, at = reserved if cost is None else cost, self._clock()
            if before is not None:  # it did not know the usage
                db.execute("DELETE FROM receipts WHERE call = ?", (number,))
            _write_receipt(db, number, at, cost, billed)
            db.execute("UPDATE calls SET state = 'settled' WHERE number = ?", (number,))
            scopes = _scopes(db, [number])[number]
            booked = _parts(scopes, int(before.cost / UNIT) if before is not None else 0)
            held = -reserved if state == "open" else 0
            parts = zip(scopes, _parts(scopes, cost), booked, strict=True)
            _book(db, ((scope, part - was, held) for scope, part, was in parts))
            return Receipt(reservation.id, at, cost * UNIT, reserved * UNIT, scopes, billed)

    def release(self, reservation: Reservation) -> None:
        """See `Ledger.release`."""
        with self._store.transaction() as db:
            number, reserved, state = self._find(db, reservation)
            if state == "open":
                db.execute("UPDATE calls SET state = 'released' WHERE number = ?", (number,))
                _book(db, ((scope, 0, -reserved) for scope in _scopes(db, [number])[number]))

    def left(self, scopes: Sequence[Scope], *, for_one_call: bool = True) -> Decimal | None:
        """See `Ledger.left`."""
        with self._store.transaction("DEFERRED") as db:
            found = self._budgets_of(db, _with_month(scopes, self._clock()))
        limited = [b.left for b in found if b.left is not None]
        per_call = self._budgets.kinds.get("call") if for_one_call else None
        return min([*limited, *([per_call] if per_call is not None else [])], default=None)

    def budgets(self, *kinds: ScopeKind) -> list[Budget]:
        """The scopes of these kinds that money was spent or reserved in, by name, with their limits."""
        with self._store.transaction("DEFERRED") as db:
            query = "SELECT name, spent, held FROM totals WHERE kind = ? ORDER BY name"
            return [
                self._budget(Scope(kind, name), spent, held)
                for kind in kinds
                for name, spent, held in db.execute(query, (kind,)).fetchall()
            ]

    def month(self) -> Budget:
        """The budget of the present month."""
        with self._store.transaction("DEFERRED") as db:
            return self._budgets_of(db, [_month(self._clock())])[0]

    def receipts(self, dataset: str | None = None) -> Iterator[Receipt]:
        """Receipts in the order of their calls, all or of one dataset, read as they are asked for."""
        last = 0
        while True:
            with self._store.transaction("DEFERRED") as db:
                rows = _numbered(db, _NEXT_RECEIPTS, last, dataset is None, dataset, _RECEIPTS_AT_ONCE)
            if not rows:
                return
            yield from (receipt for _, receipt in rows)
            last = rows[-1][0]

    def case_receipts(self, case_id: str) -> list[Receipt]:
        """The receipts of a case at all depths, in the order of its calls."""
        with self._store.transaction("DEFERRED") as db:
            where = "WHERE calls.number IN (SELECT call FROM counted WHERE kind = 'case' AND name = ?) ORDER BY 1"
            return _receipts(db, where, case_id)

    def spending(self, dataset: str | None = None) -> list[Spending]:
        """What was spent, in all or for one dataset, summed by node, dataset, depth and day."""
        query = _spending_query(self._store.dialect)
        with self._store.transaction("DEFERRED") as db:
            return [_spending(*row) for row in db.execute(query, (dataset is None, dataset)).fetchall()]

    def unsettled(self, dataset: str | None = None) -> list[Unsettled]:
        """Reservations that nobody settled or released in time, all or of one dataset, the oldest first."""
        with self._store.transaction("DEFERRED") as db:
            rows = db.execute(_UNSETTLED, (self._clock(), dataset is None, dataset)).fetchall()
            scopes = _scopes(db, [row[0] for row in rows])
            return [
                Unsettled(Reservation(call, units * UNIT, expires), node, made, scopes[number])
                for number, call, node, units, made, expires in rows
            ]

    def forget(self, dataset: str) -> None:
        """Take out the name of a dataset, and those of its runs and cases. What was paid stays on the record."""
        if not self._store.exists:
            return
        with self._store.transaction() as db:
            touched = {Scope("dataset", dataset)}
            numbers = [number for (number,) in db.execute(_OF_DATASET, (dataset,)).fetchall()]
            for number, scopes in _scopes(db, numbers).items():
                gone = [s for s in scopes if s.kind in ("call", "case", "run") or s == Scope("dataset", dataset)]
                # Another dataset of the call may be forgotten already; its share stays one of its own.
                earlier = sum(s.kind == "dataset" and s.name.startswith(FORGOTTEN) for s in scopes)
                instead = Scope("dataset", f"{FORGOTTEN} {earlier + 1}" if earlier else FORGOTTEN)
                touched.update(gone, {instead}, (s for s in scopes if s.kind == "dataset"))
                db.executemany(
                    "DELETE FROM counted WHERE call = ? AND kind = ? AND name = ?",
                    [(number, scope.kind, scope.name) for scope in gone],
                )
                db.execute("INSERT INTO counted VALUES (?, ?, ?)", (number, instead.kind, instead.name))
                db.execute("UPDATE receipts SET case_id = '' WHERE call = ?", (number,))
            for scope in touched:
                _count_again(db, scope)
        self._store.compact()

    def _check(self, db: Connection, units: int, counted: Sequence[Scope]) -> None:
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
        for budget in self._budgets_of(db, counted):
            scope = budget.scope
            if budget.left is not None and units > _units(budget.left):
                raise BudgetError(
                    f"The budget of {scope.kind} {scope.name} is ${budget.limit}: ${usd(budget.spent)} is spent, "
                    f"${usd(budget.held)} reserved by other calls, and this one may cost ${usd(units * UNIT)}.",
                    remedy="Raise it in MESH_BUDGETS; `mesh cost --unsettled` shows what crashes left reserved.",
                    kind=scope.kind,
                )

    def _budgets_of(self, db: Connection, scopes: Sequence[Scope]) -> list[Budget]:
        """One for each, in their order."""
        marks = ", ".join(["(?, ?)"] * len(scopes))
        query = f"SELECT kind, name, spent, held FROM totals WHERE (kind, name) IN (VALUES {marks})"  # noqa: S608
        rows = db.execute(query, [word for scope in scopes for word in (scope.kind, scope.name)]).fetchall()
        found = {(kind, name): (spent, held) for kind, name, spent, held in rows}
        return [self._budget(scope, *found.get((scope.kind, scope.name), (0, 0))) for scope in scopes]

    def _budget(self, scope: Scope, spent: int, held: int) -> Budget:
        return Budget(scope, self._budgets.limit(scope.kind, scope.name), spent * UNIT, held * UNIT)

    def _find(self, db: Connection, reservation: Reservation) -> tuple[int, int, str]:
        row = db.execute("SELECT number, reserved, state FROM calls WHERE id = ?", (reservation.id,)).fetchone()
        if row is None:
            raise LedgerError(
                f"{self._store.name} has no reservation {reservation.id}.",
                remedy="`mesh cost --unsettled` lists those that wait. Was it replaced during a call?",
            )
        return row


def _parts(scopes: Sequence[Scope], cost: int) -> list[int]:
    """How much of `cost` counts in each: in a dataset its part, in all others the whole."""
    datasets = sorted(scope.name for scope in scopes if scope.kind == "dataset")
    return [
        part_of(cost, len(datasets), datasets.index(scope.name)) if scope.kind == "dataset" else cost
        for scope in scopes
    ]


def _book(db: Connection, amounts: Iterable[tuple[Scope, int, int]]) -> None:
    """Add to the totals of scopes what is spent and what is held."""
    db.executemany(
        "INSERT INTO totals VALUES (?, ?, ?, ?) ON CONFLICT (kind, name)"
        " DO UPDATE SET spent = totals.spent + excluded.spent, held = totals.held + excluded.held",
        [(scope.kind, scope.name, spent, held) for scope, spent, held in amounts],
    )


def _count_again(db: Connection, scope: Scope) -> None:
    """The total of a scope from what is counted in it; none where that is nothing."""
    key = (scope.kind, scope.name)
    spent, held, calls = db.execute(_TOTAL, (*key, *key)).fetchone()
    db.execute("DELETE FROM totals WHERE kind = ? AND name = ?", key)
    if calls:
        _book(db, [(scope, int(spent), int(held))])


def _write_receipt(db: Connection, number: int, at: float, cost: int, billed: Billed) -> None:
    usage = None if billed.usage is None else json.dumps(asdict(billed.usage))
    price = json.dumps({name: None if value is None else str(value) for name, value in asdict(billed.price).items()})
    what = (billed.node, billed.model, billed.case_id, billed.depth, usage, price)
    how = (int(billed.is_batch), billed.outcome, billed.request_id)
    receipt = (number, at, cost, *what, *how)
    db.execute("INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", receipt)


def _numbered(db: Connection, where: str, *parameters: object) -> list[tuple[int, Receipt]]:
    rows = db.execute(_RECEIPT + where, parameters).fetchall()
    scopes = _scopes(db, [row[0] for row in rows])
    found: list[tuple[int, Receipt]] = []
    for number, call, at, cost, reserved, node, model, case_id, depth, usage, price, *how in rows:
        is_batch, outcome, request_id = how
        tokens = None if usage is None else Usage(**json.loads(usage))
        billed = Billed(node, model, case_id, depth, tokens, _price(price), bool(is_batch), outcome, request_id)
        found.append((number, Receipt(call, at, cost * UNIT, reserved * UNIT, scopes[number], billed)))
    return found


def _cost(billed: Billed) -> int | None:
    """What a call cost, as integers; None where its usage is not said, or is none that a call can have."""
    if billed.usage is None or not is_possible(billed.usage):
        return None
    cost = cost_of(billed.usage, billed.price, is_batch=billed.is_batch)
    return _units(cost) if cost <= _MOST else None


def _receipts(db: Connection, where: str, *parameters: object) -> list[Receipt]:
    return [receipt for _, receipt in _numbered(db, where, *parameters)]


def _price(text: str) -> Price:
    stored: Mapping[str, Any] = json.loads(text)
    amounts: dict[str, Any] = {name: value and Decimal(value) for name, value in stored.items() if name != "source"}
    return Price(**amounts, source=stored["source"])


def _spending(node: str, name: str, depth: str, day: str, cost: int, *counts: int | None) -> Spending:
    calls, shared, unknown, over, *tokens = (int(count or 0) for count in counts)
    dataset = FORGOTTEN if name.startswith(FORGOTTEN) else name
    return Spending(node, dataset, depth, day, calls, shared, int(cost) * UNIT, Usage(*tokens), unknown, over)


def _scopes(db: Connection, numbers: Sequence[int]) -> dict[int, tuple[Scope, ...]]:
    """What each of these calls counts in, by kind and name."""
    found: dict[int, list[Scope]] = {number: [] for number in numbers}
    for start in range(0, len(numbers), _RECEIPTS_AT_ONCE):
        some = numbers[start : start + _RECEIPTS_AT_ONCE]
        marks = ", ".join("?" * len(some))
        query = f"SELECT call, kind, name FROM counted WHERE call IN ({marks}) ORDER BY kind, name"  # noqa: S608
        for number, kind, name in db.execute(query, some).fetchall():
            found[number].append(Scope(kind, name))
    return {number: tuple(scopes) for number, scopes in found.items()}


def _with_month(scopes: Sequence[Scope], now: float) -> tuple[Scope, ...]:
    return tuple(dict.fromkeys((*scopes, _month(now))))


def _month(now: float) -> Scope:
    return Scope("month", f"{datetime.fromtimestamp(now, UTC):%Y-%m}")


def _units(amount: Decimal) -> int:
    """`amount` USD as integers of 1e-12, a part of one counted whole."""
    if not amount.is_finite() or not 0 <= amount <= _MOST:
        raise BudgetError(f"${amount} is no amount that a call may cost.", remedy="Correct the price of the node.")
    return int((amount / UNIT).to_integral_value(ROUND_CEILING))
