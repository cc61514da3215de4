"""Whatever happens to calls, in any order, the ledger says what a plain model of it says, to the last digit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from mesh_assets.budgets import Budgets
from mesh_assets.errors import BudgetError
from mesh_assets.mesh import sqlite_file
from mesh_assets.mesh.costs import UNIT
from mesh_assets.mesh.protocol import Reservation, Scope
from mesh_assets.mesh.sql_ledger import FORGOTTEN
from mesh_assets_tests.mesh.ledgers import BOTH, Place
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

    def spent_in(self, scope: tuple[str, str]) -> int:
        """Of several datasets each pays the same, and the first ones of what is left over one unit each."""
        names = sorted(name for kind, name in self.scopes if kind == "dataset")
        if scope[0] != "dataset" or self.cost is None:
            return self.cost or 0
        each, over = divmod(self.cost, len(names))
        return each + (scope[1] in names[:over])


class Machine(RuleBasedStateMachine):
    """Calls are reserved, settled, released, forgotten and left behind by crashes; time passes."""

    calls = Bundle("calls")
    # Where each ledger is made: of another name than all before.
    place: ClassVar[Place]
    made: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        Machine.made += 1
        self.own = self.place.another(Machine.made)
        self.now = 1_798_750_000.0  # the last day of 2026: a month ends while it runs
        self.model: dict[str, Call] = {}
        self.exceeded = False
        self.start()

    @rule()
    def start(self) -> None:
        """A process starts, or starts again after a crash: nothing of it is in memory."""
        text = "; ".join(f"{kind} {limit / 1e6}" for kind, limit in LIMITS.items())
        budgets = Budgets.parse(text + "; dataset b 1")
        self.ledger = self.own.ledger(budgets, clock=lambda: self.now)

    @rule(
        target=calls,
        tokens=st.integers(0, 1_100_000),
        case=st.integers(1, 3),
        run=st.sampled_from(["", "r1", "r2"]),
        datasets=st.sampled_from(["a", "b", "ab", "abc"]),
        seconds=st.integers(1, 5_000),
    )
    def reserve(self, tokens: int, case: int, run: str, datasets: str, seconds: int) -> object:
        month = f"{datetime.fromtimestamp(self.now, UTC):%Y-%m}"
        wanted = [("case", f"{datasets}{case}"), *(("dataset", each) for each in datasets)]
        wanted += [("run", run)] if run else []
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
                earlier = sum(name.startswith(FORGOTTEN) for _, name in call.scopes)
                call.scopes = {s for s in call.scopes if s[0] in ("dataset", "month")} - {("dataset", dataset)}
                call.scopes.add(("dataset", f"{FORGOTTEN} {earlier + 1}" if earlier else FORGOTTEN))

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
        spending = self.ledger.spending()
        assert sum(each.cost for each in spending) == sum(r.cost for r in found.values())
        assert sum(each.calls for each in spending) == len(found)
        tokens = sum(r.billed.usage.input for r in found.values() if r.billed.usage is not None)
        assert sum(each.usage.input for each in spending) == tokens

    @invariant()
    def datasets_pay_together_what_was_paid(self) -> None:
        assert sum(b.spent for b in self.ledger.budgets("dataset")) == sum(
            call.cost * UNIT for call in self.model.values() if call.cost is not None
        )

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
        return sum(call.spent_in(scope) for call in mine), sum(call.reserved for call in mine if call.is_open)

    @staticmethod
    def limit(kind: str, name: str) -> int:
        return (1_000_000 if name == "b" else LIMITS[kind]) * TOKEN


@BOTH
def test_the_ledger_is_its_model(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not a power failure but the sums are tried here: waiting for the disk would be all of the time.
    pragmas = [text.replace("FULL", "OFF") for text in sqlite_file._PRAGMAS]
    monkeypatch.setattr(sqlite_file, "_PRAGMAS", pragmas)
    monkeypatch.setattr(Machine, "place", place, raising=False)
    examples, steps = (5, 15) if place.url else (20, 30)  # the rules are the same: here it is the other database's SQL
    few = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Machine, settings=few)
