"""Whatever happens to calls, in any order, the ledger says what a plain model of it says, to the last digit."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from mesh_assets.budgets import Budgets
from mesh_assets.errors import BudgetError
from mesh_assets.mesh import sqlite_file
from mesh_assets.mesh.costs import UNIT
from mesh_assets.mesh.protocol import Reservation, Scope
from mesh_assets.mesh.sqlite_ledger import FORGOTTEN, SqliteLedger
from mesh_assets_tests.mesh.money import billed

# In millionths of a USD, as a token costs one.
LIMITS = {"call": 1_000_000, "case": 1_500_000, "run": 2_500_000, "dataset": 4_000_000, "month": 6_000_000}
TOKEN = 1_000_000  # units of the ledger


@dataclass
class Call:
    """What the model knows of a call; `cost` is None until it is settled."""

    scopes: set[tuple[str, str]]
    reserved: int
    expires: float
    is_open: bool = True
    cost: int | None = None
    is_known: bool = False


class Machine(RuleBasedStateMachine):
    """Calls are reserved, settled, released, forgotten and left behind by crashes; time passes."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1_798_750_000.0  # the last day of 2026: a month ends while it runs
        self.model: dict[str, Call] = {}
        self.exceeded = False
        self.start()

    @rule()
    def start(self) -> None:
        """A process starts, or starts again after a crash: nothing of it is in memory."""
        text = "; ".join(f"{kind} {limit / 1e6}" for kind, limit in LIMITS.items())
        budgets = Budgets.parse(text + "; dataset b 1")
        self.ledger = SqliteLedger(Path(self.folder.name, "ledger.sqlite"), budgets, clock=lambda: self.now)

    @rule(
        target=calls,
        tokens=st.integers(0, 1_100_000),
        case=st.integers(1, 3),
        run=st.sampled_from(["", "r1", "r2"]),
        dataset=st.sampled_from(["a", "b"]),
        seconds=st.integers(1, 5_000),
    )
    def reserve(self, tokens: int, case: int, run: str, dataset: str, seconds: int) -> object:
        month = f"{datetime.fromtimestamp(self.now, UTC):%Y-%m}"
        wanted = [("case", f"{dataset}{case}"), ("dataset", dataset), *([("run", run)] if run else [])]
        counted = {*wanted, ("month", month)}
        fits = all(sum(self.totals(scope)) + tokens * TOKEN <= self.limit(*scope) for scope in counted)
        fits = (fits and tokens <= LIMITS["call"]) or tokens == 0
        scopes = [Scope(kind, name) for kind, name in wanted]  # type: ignore[arg-type]
        try:
            made = self.ledger.reserve(tokens * TOKEN * UNIT, scopes, seconds=seconds)
        except BudgetError:
            assert not fits
            return multiple()
        assert fits
        self.model[made.id] = Call(counted, tokens * TOKEN, made.expires)
        return made

    @rule(reservation=calls, tokens=st.none() | st.integers(1, 1_100_000))
    def settle(self, reservation: Reservation, tokens: int | None) -> None:
        call = self.model[reservation.id]
        if call.cost is None or (tokens is not None and not call.is_known):
            call.cost = call.reserved if tokens is None else tokens * TOKEN
            call.is_known = tokens is not None
            # A late word after a release, or a cost above what was reserved, may pass what there was.
            self.exceeded |= call.cost > call.reserved or not call.is_open
        call.is_open = False
        assert self.ledger.settle(reservation, billed(tokens)).cost == call.cost * UNIT

    @rule(reservation=calls)
    def release(self, reservation: Reservation) -> None:
        self.ledger.release(reservation)
        self.model[reservation.id].is_open = False

    @rule(seconds=st.sampled_from([1, 1_000, 30_000, 90_000]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(dataset=st.sampled_from(["a", "b"]))
    def forget(self, dataset: str) -> None:
        self.ledger.forget(dataset)
        for call in self.model.values():
            if ("dataset", dataset) in call.scopes:
                call.scopes = {s for s in call.scopes if s[0] == "month"} | {("dataset", FORGOTTEN)}

    @invariant()
    def sums_are_exact(self) -> None:
        kinds = ("case", "run", "dataset", "month")
        found = {(b.scope.kind, b.scope.name): (b.spent, b.held) for b in self.ledger.budgets(*kinds)}
        scopes = {scope for call in self.model.values() for scope in call.scopes}
        assert found == {scope: tuple(each * UNIT for each in self.totals(scope)) for scope in scopes}

    @invariant()
    def receipts_are_those_of_the_calls_that_were_settled(self) -> None:
        found = {receipt.id: receipt for receipt in self.ledger.receipts()}
        assert {key: r.cost for key, r in found.items()} == {
            key: call.cost * UNIT for key, call in self.model.items() if call.cost is not None
        }
        assert sum(each.cost for each in self.ledger.spending()) == sum(r.cost for r in found.values())

    @invariant()
    def what_nobody_settled_in_time_is_listed(self) -> None:
        expected = {key for key, call in self.model.items() if call.is_open and call.expires <= self.now}
        assert {each.reservation.id for each in self.ledger.unsettled()} == expected

    @invariant()
    def no_budget_is_passed(self) -> None:
        if not self.exceeded:
            for budget in self.ledger.budgets("case", "run", "month"):
                assert budget.limit is not None
                assert budget.spent + budget.held <= budget.limit

    def totals(self, scope: tuple[str, str]) -> tuple[int, int]:
        mine = [call for call in self.model.values() if scope in call.scopes]
        return sum(call.cost or 0 for call in mine), sum(call.reserved for call in mine if call.is_open)

    @staticmethod
    def limit(kind: str, name: str) -> int:
        return (1_000_000 if name == "b" else LIMITS[kind]) * TOKEN

    def teardown(self) -> None:
        self.folder.cleanup()


def test_the_ledger_is_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not a power failure but the sums are tried here: waiting for the disk would be all of the time.
    pragmas = [text.replace("FULL", "OFF") for text in sqlite_file._PRAGMAS]
    monkeypatch.setattr(sqlite_file, "_PRAGMAS", pragmas)
    few = settings(max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Machine, settings=few)
