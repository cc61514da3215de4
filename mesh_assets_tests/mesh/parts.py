"""What tests of calls share: nodes, questions, a caller over real files and a clock that does not wait."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from mesh_assets.budgets import Budgets
from mesh_assets.mesh.calls import Called, Caller, Clock, Policy, Question
from mesh_assets.mesh.prompts import ANSWER_SCHEMA, request_of
from mesh_assets.mesh.protocol import Client, Leaving, Limits, Node, Price, Provider, Request, Scope
from mesh_assets.mesh.shapes import Case, Evidence
from mesh_assets.mesh.sqlite_ledger import SqliteLedger
from mesh_assets.resources.call_log import SqliteCallLog
from mesh_assets.resources.nodes import connect_client
from mesh_assets.resources.pace import SqlPace, sqlite_pace
from mesh_assets_tests.mesh.loopback import Loopback

PRICE = Price(Decimal(2), Decimal(8), Decimal("0.5"), Decimal("2.5"), Decimal("0.5"), source="test")
CASE = Case("shop", "What held the database?", (Evidence("E1", "The database was locked by a report."),), ANSWER_SCHEMA)


def node(provider: Provider, server: Loopback | None = None, **changes: object) -> Node:
    base = "" if server is None else f"{server.url}/v1" if provider == "openai" else server.url
    made = Node(
        name=f"{provider}-test",
        provider=provider,
        model="m",
        purpose="tests",
        specialities=("general",),
        depths=("surface",),
        policy="local",
        context_tokens=100_000,
        output_tokens=1000,
        base_url=base,
        price=PRICE,
        limits=Limits(parallel=20, seconds=5.0),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def question(case: Case = CASE, *, private: bool = False) -> Question:
    request = request_of(case, max_tokens=500)
    return Question(case.id, "surface", request, (Scope("case", case.id), Scope("run", "r")), private=private)


@dataclass
class FakeTime:
    """Sleeps take no time but count."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now, self.sleep, lambda: 0.5)


@dataclass
class Bench:
    """A caller on files of its own."""

    caller: Caller
    ledger: SqliteLedger
    log: SqliteCallLog
    pace: SqlPace
    time: FakeTime
    folder: Path

    def ask(self, node: Node, asked: Question | None = None, client: Client | None = None) -> Called:
        async def run() -> Called:
            speaks = client or connect_client(node)
            try:
                return await self.caller.call(node, speaks, asked or question())
            finally:
                await speaks.close()

        return asyncio.run(run())

    def spent(self) -> Decimal:
        return sum((receipt.cost for receipt in self.ledger.receipts()), Decimal(0))

    def unknown(self) -> Decimal:
        """What stays reserved for calls that may have been billed, once nobody can be at work on them."""
        self.time.now += 10_000
        return sum((each.reservation.amount for each in self.ledger.unsettled()), Decimal(0))

    def failures(self) -> list[tuple[str, str]]:
        """Kind and attempt of each call that gave nothing."""
        with sqlite3.connect(self.folder / "calls.sqlite") as connection:
            return connection.execute("SELECT failure, attempt FROM failures ORDER BY rowid").fetchall()

    def outcomes(self) -> list[str]:
        return [receipt.billed.outcome for receipt in self.ledger.receipts()]


def unchanged(request: Request) -> Leaving:
    return Leaving(request, lambda text: text)


def bench(folder: Path, *, policy: Policy | None = None, budgets: str = "call 1; case 5", **changes: object) -> Bench:
    time = FakeTime()
    ledger = SqliteLedger(folder / "ledger.sqlite", Budgets.parse(budgets), clock=lambda: time.now)
    log = SqliteCallLog(folder / "calls.sqlite", clock=lambda: time.now)
    pace = sqlite_pace(folder / "pace.sqlite", clock=lambda: time.now)
    caller = Caller(ledger, pace, log, redact=unchanged, policy=policy or Policy(), clock=time.clock())
    return Bench(replace(caller, **changes), ledger, log, pace, time, folder)  # type: ignore[arg-type]


def server_cost(server: Loopback) -> Decimal:
    """What the server's own count costs at `PRICE`."""
    tokens = sum(bill.input * PRICE.input + bill.output * PRICE.output for bill in server.billed)
    return Decimal(tokens) / 1_000_000
