"""What a ledger says of money: budgets with what is left, sums of receipts, calls that nobody settled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

from mesh_assets.mesh.costs import UNIT
from mesh_assets.mesh.protocol import Receipt, Reservation, Scope, Usage


@dataclass(frozen=True, slots=True)
class Budget:
    """A scope with its limit in USD, if it has one, what was `spent` in it and what calls without a receipt hold."""

    scope: Scope
    limit: Decimal | None
    spent: Decimal
    held: Decimal

    @property
    def left(self) -> Decimal | None:
        """USD that may still be reserved; None without a limit."""
        return None if self.limit is None else max(self.limit - self.spent - self.held, Decimal(0))


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A reservation that nobody settled or released in time, `made` in seconds since 1970: it may have been billed."""

    reservation: Reservation
    node: str
    made: float
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class Spending:
    """Receipts of one node, dataset, depth and day (UTC, as 2026-11-28), summed.

    A call that shows several datasets is among the `calls` of the first, by name, and `shared` with each of the others;
    its cost and tokens are divided among all. `unknown` of the calls did not say their usage and count with what was
    reserved; `over` cost more than that.
    """

    node: str
    dataset: str
    depth: str
    day: str
    calls: int
    shared: int
    cost: Decimal
    usage: Usage
    unknown: int
    over: int

    def __add__(self, other: Spending) -> Spending:
        """Both together; what they do not have in common is empty."""
        return Spending(
            self.node if self.node == other.node else "",
            self.dataset if self.dataset == other.dataset else "",
            self.depth if self.depth == other.depth else "",
            self.day if self.day == other.day else "",
            self.calls + other.calls,
            self.shared + other.shared,
            self.cost + other.cost,
            _sum(self.usage, other.usage),
            self.unknown + other.unknown,
            self.over + other.over,
        )


def part_of(amount: int, many: int, place: int) -> int:
    """The part of `amount` that falls to `place` (from 0) of `many`: they differ by 1 at most, and add up to it."""
    return amount // many + (place < amount % many)


def share_of(receipt: Receipt, dataset: str) -> Receipt:
    """What of a receipt counts in `dataset`: the whole, unless its call shows several datasets."""
    datasets = sorted(scope.name for scope in receipt.scopes if scope.kind == "dataset")
    if len(datasets) < 2:
        return receipt
    many, place, usage = len(datasets), datasets.index(dataset), receipt.billed.usage

    def usd(amount: Decimal) -> Decimal:
        return part_of(int(amount / UNIT), many, place) * UNIT

    part = usage and Usage(*(part_of(count, many, place) for count in asdict(usage).values()))
    billed = replace(receipt.billed, usage=part)
    return replace(receipt, cost=usd(receipt.cost), reserved=usd(receipt.reserved), billed=billed)


def grouped(
    spendings: Iterable[Spending], key: Callable[[Spending], tuple[str, ...]]
) -> dict[tuple[str, ...], Spending]:
    """Sums by `key`, in the order in which the keys come first."""
    sums: dict[tuple[str, ...], Spending] = {}
    for each in spendings:
        found = key(each)
        sums[found] = sums[found] + each if found in sums else each
    return sums


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.input + other.input,
        one.cached_input + other.cached_input,
        one.cache_write + other.cache_write,
        one.output + other.output,
        one.reasoning + other.reasoning,
    )
