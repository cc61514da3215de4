"""`mesh show`: opens the bytes that a citation leads to."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from mesh_assets.cli.console import console, errors, safe
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.schemas.citations import Citation
from mesh_assets.settings import load_settings
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.opening import open_citation


def show(
    citation: Annotated[str, typer.Argument(help="As search and reports print it: DATASET/PATH:START-STOP@HASH")],
    raw: Annotated[bool, typer.Option("--raw", help="Write exactly the bytes, nothing else.")] = False,
) -> None:
    """Open the cited bytes in their file; says so where the file has changed since it was read."""
    settings = load_settings()
    cited = Citation.parse(citation)
    lake = Lake(settings.state / "lake")
    known_dataset(lake, cited.dataset)
    opened = open_citation(cited, lake, DropArea.of(settings))
    if opened.changed:
        errors.print("The file has changed since it was read: this is what stands at that place now.", style="yellow")
    if raw:
        sys.stdout.buffer.write(opened.content)
        return
    place = f"{opened.place}, as text" if opened.place else f"line {opened.line_start:,}"
    console.print(f"[bold]{escape(safe(f'{cited.dataset}/{cited.path}'))}[/], {escape(safe(place))}")
    text = opened.content.decode(opened.encoding or "latin-1", "replace")
    for number, line in enumerate(text.splitlines(), opened.line_start):
        console.print(f"[dim]{number:>7}[/]  {escape(safe(line))}", soft_wrap=True)
