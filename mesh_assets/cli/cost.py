"""`mesh cost`: what model nodes cost, what may still be spent, and what crashes left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.errors import SettingsError
from mesh_assets.mesh.costs import usd
from mesh_assets.mesh.spending import Budget, Spending, Unsettled, grouped
from mesh_assets.mesh.sql_ledger import SqlLedger
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets.settings import load_settings


class By(StrEnum):
    """What costs are summed by."""

    NODE = "node"
    DATASET = "dataset"
    DEPTH = "depth"
    DAY = "day"


def cost(
    by: Annotated[
        list[By] | None, typer.Option("--by", help="Sum by this; may be repeated. By node, if not given.")
    ] = None,
    unsettled: Annotated[
        bool,
        typer.Option("--unsettled", help="List calls of which a crash or a deadline hid whether they were billed."),
    ] = False,
    not_billed: Annotated[
        list[str] | None,
        typer.Option(help="Such a call, by its id, that your provider's log does not have: its money comes back."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what model nodes cost, in USD: each call that was billed has a receipt."""
    ledger = connect_ledger(load_settings())
    _release(ledger, not_billed or [])
    waiting = ledger.unsettled()
    keys = list(dict.fromkeys(by or [By.NODE]))
    rows = list(grouped(ledger.spending(), lambda each: tuple(getattr(each, key) for key in keys)).values())
    if json:
        budgets = ledger.budgets("month", "dataset", "problem")
        _print_json(keys, rows, budgets, waiting)
    elif unsettled:
        _print_unsettled(waiting)
    else:
        _print_costs(keys, rows, ledger.month(), waiting)


def _release(ledger: SqlLedger, ids: Sequence[str]) -> None:
    """Give back what these calls hold; SettingsError names one that is not unsettled, before anything is done."""
    waiting = {each.reservation.id: each.reservation for each in ledger.unsettled()}
    for unknown in (each for each in ids if each not in waiting):
        raise SettingsError(
            f"No unsettled call is called {unknown!r}.", remedy="`mesh cost --unsettled` lists those that there are."
        )
    for each in ids:
        ledger.release(waiting[each])


def _print_costs(keys: Sequence[By], rows: Sequence[Spending], month: Budget, waiting: Sequence[Unsettled]) -> None:
    if rows:
        console.print(_table(keys, rows))
    else:
        console.print("No call to a model node was billed yet.")
    of = "" if month.limit is None else f" of ${usd(month.limit)}"
    held = f", ${usd(month.held)} more is reserved" if month.held else ""
    console.print(f"\n{month.scope.name} (UTC): ${usd(month.spent)}{of} is spent{held}.", soft_wrap=True)
    unknown, over = sum(each.unknown for each in rows), sum(each.over for each in rows)
    if By.DATASET in keys and any(each.shared for each in rows):
        why = "A call over several datasets is counted with the first; its tokens and money are divided among all."
        console.print(why, soft_wrap=True)
    if unknown:
        console.print(f"Calls that did not say their usage: {unknown:,}; they count with what was reserved.")
    if over:
        console.print(f"[bold red]Calls that cost more than was reserved for them: {over:,}.[/]")
    if waiting:
        held = usd(sum((each.reservation.amount for each in waiting), Decimal(0)))
        which = f"Calls that were cut off: {len(waiting):,}; they may have cost ${held}."
        console.print(f"{which} `mesh cost --unsettled` lists them.", soft_wrap=True)


def _table(keys: Sequence[By], rows: Sequence[Spending]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=len(rows) > 1)
    total = sum(rows[1:], rows[0])
    for number, key in enumerate(keys):
        table.add_column(key.value, "" if number else "all")
    for name, value in zip(("calls", "USD", "read", "cached", "written", "reasoning"), _numbers(total), strict=True):
        table.add_column(name, value, justify="right")
    for row in rows:
        names = (escape(safe(getattr(row, key) or "-")) for key in keys)
        table.add_row(*names, *_numbers(row))
    return table


def _numbers(row: Spending) -> tuple[str, ...]:
    usage = row.usage
    read = usage.input + usage.cached_input + usage.cache_write
    counts = (read, usage.cached_input, usage.output, usage.reasoning)
    return (f"{row.calls:,}", usd(row.cost), *(f"{count:,}" for count in counts))


def _print_unsettled(waiting: Sequence[Unsettled]) -> None:
    if not waiting:
        console.print("Every call is settled, or may still be answered.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "begun (UTC)", "node", "at most, USD", "counted in"):
        table.add_column(name, justify="right" if "USD" in name else "left", overflow="fold")
    for each in waiting:
        scopes = ", ".join(f"{scope.kind} {scope.name}" for scope in each.scopes)
        begun = f"{datetime.fromtimestamp(each.made, UTC):%Y-%m-%d %H:%M:%S}"
        amount = usd(each.reservation.amount)
        table.add_row(each.reservation.id, begun, escape(safe(each.node or "-")), amount, escape(safe(scopes)))
    console.print(table)
    console.print(
        "\nThey count as spent, because they may have been billed. Where your provider's log has no request with "
        "such an id (X-Client-Request-Id), `mesh cost --not-billed ID` gives its money back.",
        soft_wrap=True,
    )


def _print_json(
    keys: Sequence[By], rows: Sequence[Spending], budgets: Sequence[Budget], waiting: Sequence[Unsettled]
) -> None:
    """Amounts are texts, because JSON's numbers are no decimals."""
    print_json(
        {
            "costs": [
                {key.value: getattr(row, key) for key in keys}
                | {"calls": row.calls, "calls_shared": row.shared, "usd": usd(row.cost), "tokens": asdict(row.usage)}
                | {"usage_unknown": row.unknown, "above_reserved": row.over}
                for row in rows
            ],
            "budgets": [
                {"kind": each.scope.kind, "name": each.scope.name, "spent": usd(each.spent), "reserved": usd(each.held)}
                | {"limit": None if each.limit is None else usd(each.limit)}
                for each in budgets
            ],
            "unsettled": [
                {"id": each.reservation.id, "node": each.node, "at": each.made, "usd": usd(each.reservation.amount)}
                | {"scopes": {scope.kind: scope.name for scope in each.scopes}}
                for each in waiting
            ],
        }
    )
