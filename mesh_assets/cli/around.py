"""`mesh around`: what stands around a citation: before and after it, its callers and mentions, the same time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.cli.graph import named, worded
from mesh_assets.schemas.citations import Citation
from mesh_assets.search.hits import citation_of
from mesh_assets.search.protocol import ChunkRow
from mesh_assets.serving.one_query import OneQuery
from mesh_assets.settings import load_settings
from mesh_assets.storage.surroundings import Surroundings
from mesh_assets.wording import shorten

_TEXT, _SAID = 300, 100


def around(
    citation: Annotated[str, typer.Argument(help="As search and reports print it: DATASET/PATH:START-STOP@HASH")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what stands just before and after a hit, who calls it, what mentions it, and what happened at that time."""
    mesh = OneQuery(load_settings())
    known_dataset(mesh.lake, Citation.parse(citation).dataset)
    found = mesh.around(citation)
    if json:
        print_json(asdict(found))
    else:
        _show(found)


def _show(found: Surroundings) -> None:
    for title, row in (("Just before", found.before), ("This", found.row), ("Just after", found.behind)):
        if row is not None:
            _show_row(title, row)
    names = {vertex.vertex_id: vertex for vertex in found.vertices}
    for step in found.steps:
        source = named(names[step.from_id]) if step.from_id in names else "this"
        console.print(f"  {source} {worded(step)} {named(step.vertex)}", soft_wrap=True)
    if found.moments:
        console.print("[bold]At the same time[/]")
    for moment in found.moments:
        said = shorten(" ".join(filter(None, (moment.level, moment.source, moment.said))), _SAID)
        value = f" = {moment.value:g}" if moment.value is not None else ""
        where = f"{moment.dataset}/{moment.path}"
        line = f"{escape(safe(said + value))} [dim]{escape(safe(where))}[/]"
        console.print(f"  {moment.time:%Y-%m-%d %H:%M:%S}  {line}", soft_wrap=True)


def _show_row(title: str, row: ChunkRow) -> None:
    console.print(f"[bold]{title}[/] [dim]{escape(safe(str(citation_of(row))))}[/]", soft_wrap=True)
    console.print(f"   {escape(safe(shorten(' '.join(row.text.split()), _TEXT)))}", soft_wrap=True)
