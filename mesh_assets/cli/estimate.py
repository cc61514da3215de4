"""`mesh estimate`: what the answers to a dataset's questions would cost, before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mesh_assets.analyses import estimate as estimates
from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.posed import Posed
from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.errors import MissingUpstreamError
from mesh_assets.insights.wording import plural
from mesh_assets.mesh.costs import usd
from mesh_assets.mesh.nodes import EXTRACTIVE, NodeState
from mesh_assets.mesh.protocol import Node, Scope
from mesh_assets.mesh.shapes import DEPTHS
from mesh_assets.resources.caller import connect_techniques
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets.resources.nodes import node_states
from mesh_assets.settings import load_settings
from mesh_assets.storage.lake import Lake


@dataclass(frozen=True, slots=True)
class _Posed:
    """The cases of a dataset, their answers, and of how many of its slices they are."""

    cases: list[Posed]
    answers: list[Analysis]
    slices: int
    posed_slices: int


def estimate(
    dataset: Annotated[str, typer.Argument(help="Key of the dataset, as `mesh status` shows it.")],
    all_nodes: Annotated[
        bool, typer.Option("--all-nodes", help="As if every node of mesh.yaml that has a price were on.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what the questions about a dataset would cost: cases by depth, USD and hours at least, likely, at most."""
    settings = load_settings()
    lake = Lake(settings.state / "lake")
    key = known_dataset(lake, dataset)
    found = _read(lake, key)
    states = node_states(settings)
    is_as_if = all_nodes or not any(not state.off and state.node.model != EXTRACTIVE for state in states)
    nodes = [state.node for state in states if is_as_if or not state.off]
    made = estimates.estimate(
        found.cases,
        nodes,
        found.answers,
        techniques=connect_techniques(settings),
        case_usd=settings.limits.kinds.get("case"),
        scale=found.slices / found.posed_slices,
    )
    left = connect_ledger(settings).left([Scope("dataset", key)], for_one_call=False)
    if json:
        _print_json(found, made, left, is_as_if=is_as_if)
    else:
        _print(found, made, left, _missing(states, nodes) if is_as_if else "")


def _read(lake: Lake, dataset: str) -> _Posed:
    """What is posed so far; MissingUpstreamError where no slice has its cases yet."""
    slices = lake.read("drop_manifests", dataset).footer.extra["slices"]
    cases: list[Posed] = []
    answers: list[Analysis] = []
    posed_slices = 0
    for key in sorted(slices):
        table = lake.find("cases", key)
        if table is None:
            continue
        posed_slices += 1
        cases += [Posed.of(row) for row in table.rows()]
        for depth in DEPTHS:
            rows = lake.find(f"{depth}_analyses", key)
            answers += [Analysis.of(row) for row in rows.rows()] if rows is not None else []
    if not posed_slices:
        raise MissingUpstreamError(
            f"No slice of {dataset} has its cases yet, so there is nothing to estimate.",
            remedy="`mesh status` shows how far it is; cases are posed once a slice's insights are there.",
        )
    return _Posed(cases, answers, len(slices), posed_slices)


def _missing(states: Sequence[NodeState], nodes: Sequence[Node]) -> str:
    names = {node.name for node in nodes}
    lacks = sorted({state.off for state in states if state.off and state.node.name in names})
    return f"As if every node of mesh.yaml were on; for now: {'; '.join(lacks)}." if lacks else ""


def _print(found: _Posed, made: estimates.Estimate, left: Decimal | None, as_if: str) -> None:
    of = "" if found.posed_slices == found.slices else f", scaled up from {found.posed_slices:,} of them"
    posed = f"{plural(made.cases, 'case')} in {plural(found.slices, 'slice')}{of}"
    console.print(f"{posed}; {made.settled:,} settled: they cost nothing again.\n", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True)
    table.add_column("depth", "all")
    table.add_column("asked first")
    for name, total in (("cases", None), ("USD", made.usd), ("hours", made.hours)):
        for which in ("low", "likely", "high"):
            shown = "" if total is None else _figure(name, getattr(total, which))
            table.add_column(f"{name} {which}", shown, justify="right")
    for level in made.levels:
        figures = (("cases", level.cases), ("USD", level.usd), ("hours", level.hours))
        cells = [_figure(name, value) for name, each in figures for value in (each.low, each.likely, each.high)]
        table.add_row(level.depth, escape(safe(level.node)), *cells)
    console.print(table)
    if left is not None:
        console.print(f"\nOf the budgets of the dataset and the month ${usd(left)} is left; no more is spent.")
    if as_if:
        console.print(f"\n{escape(safe(as_if))}", soft_wrap=True)


def _figure(name: str, value: float) -> str:
    return f"{value:,.0f}" if name == "cases" else f"{value:,.4f}" if name == "USD" else f"{value:,.2f}"


def _print_json(found: _Posed, made: estimates.Estimate, left: Decimal | None, *, is_as_if: bool) -> None:
    print_json(
        {
            "cases": made.cases,
            "settled": made.settled,
            "slices": found.slices,
            "slices_with_cases": found.posed_slices,
            "as_if_all_nodes_were_on": is_as_if,
            "levels": [asdict(level) for level in made.levels],
            "usd": asdict(made.usd),
            "hours": asdict(made.hours),
            "usd_left": None if left is None else usd(left),
        }
    )
