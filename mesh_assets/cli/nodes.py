"""`mesh nodes`: the models that may be asked, why the others may not, and how each has done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.errors import MeshError
from mesh_assets.mesh.costs import usd
from mesh_assets.mesh.nodes import NodeState
from mesh_assets.mesh.protocol import Price
from mesh_assets.mesh.spending import grouped
from mesh_assets.resources.call_log import Tally, connect_call_log
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets.resources.nodes import connect_client, node_states
from mesh_assets.settings import Settings, load_settings

# A server that lists its models does so at once, or is not well.
_CHECK_SECONDS = 15.0


def nodes(
    check: Annotated[bool, typer.Option("--check", help="Ask each server whether it is there; costs nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the model nodes: who serves each, whether it is on, its price, what it cost and how often it answered."""
    settings = load_settings()
    states = node_states(settings)
    health = asyncio.run(_health(states)) if check else {}
    tallies = connect_call_log(settings).tallies()
    spent = _spent(settings)
    if json:
        print_json([_row(state, health, tallies, spent) for state in states])
        return
    console.print(_table(states, health, tallies, spent, check=check))
    console.print(
        "\nPrices are USD for a million tokens, in and out. `mesh.yaml` changes nodes; .env holds their keys."
    )


def _spent(settings: Settings) -> dict[str, Decimal]:
    """USD by node."""
    return {
        name: each.cost for (name,), each in grouped(connect_ledger(settings).spending(), lambda s: (s.node,)).items()
    }


async def _health(states: list[NodeState]) -> dict[str, str]:
    """What each node that is on says of itself, empty where all is well; all are asked at once."""

    async def one(state: NodeState) -> str:
        client = connect_client(state.node)
        try:
            return await client.check(seconds=_CHECK_SECONDS)
        except MeshError as error:
            return str(error)
        finally:
            await client.close()

    on = [state for state in states if not state.off]
    said = await asyncio.gather(*(one(state) for state in on))
    return {state.node.name: words for state, words in zip(on, said, strict=True)}


def _row(
    state: NodeState, health: Mapping[str, str], tallies: Mapping[str, Tally], spent: Mapping[str, Decimal]
) -> dict[str, object]:
    node, tally = state.node, tallies.get(state.node.name, Tally())
    return {
        "node": node.name,
        "provider": node.provider,
        "model": node.model,
        "purpose": node.purpose,
        "specialities": node.specialities,
        "depths": node.depths,
        "policy": node.policy,
        "on": not state.off,
        "off": state.off,
        "healthy": None if node.name not in health else not health[node.name],
        "health": health.get(node.name, ""),
        "price_input_usd": None if node.price is None else str(node.price.input),
        "price_output_usd": None if node.price is None else str(node.price.output),
        "price_source": "" if node.price is None else node.price.source,
        "spent_usd": str(spent.get(node.name, Decimal(0))),
        "answered": tally.answered,
        "rejected": tally.rejected,
        "failed": tally.failed,
        "success": tally.success,
    }


def _table(
    states: list[NodeState],
    health: Mapping[str, str],
    tallies: Mapping[str, Tally],
    spent: Mapping[str, Decimal],
    *,
    check: bool,
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("node", "served by", "for", "data", "price", "spent", "answered"):
        table.add_column(name, justify="right" if name in ("price", "spent", "answered") else "left")
    table.add_column("health" if check else "state", overflow="fold")
    for state in states:
        node, tally = state.node, tallies.get(state.node.name, Tally())
        calls = tally.answered + tally.rejected + tally.failed
        words = (node.name, node.model, node.purpose, "stays here" if node.policy == "local" else "may leave")
        table.add_row(
            *(escape(safe(text)) for text in words),
            _priced(node.price),
            f"${usd(spent[node.name])}" if node.name in spent else "",
            f"{tally.answered} of {calls}" if calls else "",
            _state(state, health),
        )
    return table


def _priced(price: Price | None) -> str:
    if price is None:
        return "?"
    return f"{usd(price.input)} / {usd(price.output)}" if price.input or price.output else "free"


def _state(state: NodeState, health: Mapping[str, str]) -> str:
    if state.off:
        return f"[yellow]off[/]: {escape(safe(state.off))}"
    wrong = health.get(state.node.name)
    if wrong:
        return f"[red]ill[/]: {escape(safe(wrong))}"
    return "[green]on[/]" if wrong is None else "[green]well[/]"
