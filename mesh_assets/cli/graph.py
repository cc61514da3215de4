"""`mesh graph`: what is around a file, a symbol, a host or a template, and how two of them hang together."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.errors import QueryError
from mesh_assets.reports.prose import amount, show_command
from mesh_assets.resources.graph_index import connect_graph
from mesh_assets.schemas.citations import Citation
from mesh_assets.search.graph import Graph, Step, Vertex, way
from mesh_assets.settings import load_settings
from mesh_assets.storage.duckdb_query import lake_connection
from mesh_assets.storage.lake import Lake
from mesh_assets.wording import shorten

_NAME, _MEMBER = 100, 40


class Edge(StrEnum):
    """Types of edges."""

    CONTAINS = "contains"
    DEFINES = "defines"
    CALLS = "calls"
    IMPORTS = "imports"
    MENTIONS = "mentions"
    FOLLOWS = "follows"
    RELATED = "related"


# An edge as it is met from its start and from its end.
_WORDS = {
    "contains": ("contains", "is in"),
    "defines": ("defines", "is defined by"),
    "calls": ("calls", "is called by"),
    "imports": ("imports", "is imported by"),
    "mentions": ("mentions", "is mentioned by"),
    "follows": ("is before", "is behind"),
    "related": ("is related to", "is related to"),
}


def graph(
    name: Annotated[str | None, typer.Argument(help="A path, a symbol, a host, a template, or a part of it.")] = None,
    to: Annotated[str | None, typer.Option(help="Show how it hangs together with this one.")] = None,
    edge: Annotated[list[Edge] | None, typer.Option(help="Only such edges; may be given several times.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    communities: Annotated[bool, typer.Option("--communities", help="Show what hangs together closely.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Neighbours or communities to show.")] = 40,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what calls, imports, mentions, contains something, or is related to it; and ways of up to four edges."""
    settings = load_settings()
    lake = Lake(settings.state / "lake")
    key = known_dataset(lake, dataset) if dataset else None
    if communities:
        _show_communities(lake, [key] if key else lake.datasets("communities"), limit, json=json)
        return
    if name is None:
        raise QueryError("Nothing is named.", remedy="Name a path, a symbol or a host; or give --communities.")
    types = [each.value for each in edge or Edge]
    with lake_connection(lake.root, uuid.uuid4().hex) as connection:
        found = connect_graph(settings, connection)
        start = _found(found, name, key)
        if to is None:
            _show(start[0], found.steps([start[0].vertex_id], types=types, limit=limit), start[1:], json=json)
        else:
            stop = _found(found, to, key)[0]
            steps = way(found, start[0], stop, types=types)
            if not steps and not json:
                console.print(f"No way of up to four edges leads from {named(start[0])} to {named(stop)}.")
                return
            _show(start[0], steps, [], json=json)


def _show_communities(lake: Lake, datasets: list[str], limit: int, *, json: bool) -> None:
    """Communities of some datasets, the largest first."""
    tables = (lake.find("communities", dataset) for dataset in datasets)
    rows = [row for table in tables if table is not None for row in table.rows()]
    rows = sorted(rows, key=lambda row: (-row["size"], row["community_id"]))[:limit]
    if json:
        print_json(rows)
        return
    if not rows:
        console.print(
            "No community yet: they are found with the report of a dataset. `mesh status` shows how far it is."
        )
    for row in rows:
        size = f"{amount(row['size'], 'member')}, {amount(row['files'], 'file')}, of {row['dataset']}"
        console.print(f"[bold]{escape(safe(shorten(row['name'], _NAME)))}[/] [dim]{escape(safe(size))}[/]")
        members = ", ".join(shorten(member, _MEMBER) for member in row["members"])
        console.print(f"   {escape(safe(members))}", soft_wrap=True)
        for citation in row["citations"][:1]:
            console.print(f"   [dim]{escape(show_command(Citation(**citation)))}[/]", soft_wrap=True)


def _found(graph: Graph, name: str, dataset: str | None) -> list[Vertex]:
    found = graph.find(name, dataset=dataset)
    if not found:
        raise QueryError(
            f"Nothing is called {name!r}.",
            remedy="Names are paths of files, symbols, hosts, addresses, templates, series, columns. `mesh search` "
            "finds words; `mesh status` shows what was read so far.",
        )
    return found


def _show(start: Vertex, steps: Iterable[Step], others: list[Vertex], *, json: bool) -> None:
    if json:
        print_json({"start": asdict(start), "steps": [asdict(step) for step in steps]})
        return
    console.print(f"[bold]{named(start)}[/]")
    chunks = 0
    for step in steps:
        if step.type == "contains" and step.is_outgoing and step.vertex.type == "chunk":
            chunks += 1  # their names say nothing that the file's does not
        else:
            console.print(f"  {worded(step)} {named(step.vertex)}", soft_wrap=True)
    if chunks:
        console.print(f"  contains {amount(chunks, 'chunk')}")
    if others:
        console.print(f"[dim]Also called so: {'; '.join(map(named, others[:5]))}.[/]", soft_wrap=True)


def worded(step: Step) -> str:
    """An edge in words, as it is met from the vertex that one comes from."""
    return _WORDS[step.type][not step.is_outgoing]


def named(vertex: Vertex) -> str:
    """A vertex in a line of the terminal."""
    what = vertex.detail if vertex.type in ("symbol", "entity") and vertex.detail else vertex.type
    where = f" in {vertex.path}" if vertex.path and vertex.path != vertex.name else ""
    return escape(safe(f"{what} {shorten(vertex.name, _NAME)}{where}"))
