"""What the Dagster UI shows of money, and plots over time. Amounts are floats there: the ledger has them exactly."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import dagster as dg
from blake3 import blake3

from mesh_assets.mesh.costs import usd
from mesh_assets.mesh.spending import Budget, Spending, Unsettled, grouped
from mesh_assets.reports.markdown import escape_markdown


def identity(spending: Sequence[Spending]) -> str:
    """Changes with every receipt, and with one whose usage was not known at first."""
    return blake3(repr(spending).encode()).hexdigest(length=16)


def shown(spending: Sequence[Spending], unsettled: Sequence[Unsettled], month: Budget) -> dict[str, Any]:
    """Metadata of the receipts of a dataset: numbers to plot, and a table by node."""
    usages = [each.usage for each in spending]
    waiting = sum((each.reservation.amount for each in unsettled), Decimal(0))
    numbers: dict[str, Any] = {
        "spend_usd": float(sum(each.cost for each in spending)),
        "calls": sum(each.calls + each.shared for each in spending),
        "tokens_in": sum(usage.input + usage.cached_input + usage.cache_write for usage in usages),
        "tokens_cached": sum(usage.cached_input for usage in usages),
        "tokens_out": sum(usage.output for usage in usages),
        "unsettled_usd": float(waiting),
        "month_spend_usd": float(month.spent),
    }
    if month.left is not None:
        numbers["month_left_usd"] = float(month.left)
    if spending:
        numbers["by_node"] = dg.MetadataValue.md(_by_node(spending))
    return numbers


def _by_node(spending: Sequence[Spending]) -> str:
    lines = ["| node | depth | calls | USD | tokens in | tokens out |", "| --- | --- | --: | --: | --: | --: |"]
    for (node, depth), each in grouped(spending, lambda one: (one.node, one.depth)).items():
        read = each.usage.input + each.usage.cached_input + each.usage.cache_write
        numbers = f"{each.calls + each.shared:,} | {usd(each.cost)} | {read:,} | {each.usage.output:,}"
        lines.append(f"| {escape_markdown(node)} | {depth} | {numbers} |")
    return "\n".join(lines)
