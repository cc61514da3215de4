"""`mesh report`: the report of a dataset."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markdown import Markdown

from mesh_assets.cli.console import console, print_json
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.settings import load_settings
from mesh_assets.storage.lake import Lake


def report(
    dataset: Annotated[str, typer.Argument(help="Key of the dataset, as `mesh status` shows it.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the Markdown source.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what the mesh found in a dataset, and where its HTML report is."""
    settings = load_settings()
    lake = Lake(settings.state / "lake")
    row = lake.read("dataset_reports", known_dataset(lake, dataset)).rows()[0]
    html = settings.state / "reports" / row["html"]
    if json:
        print_json(row | {"html": str(html)})
    elif markdown:
        console.print(row["markdown"], markup=False, soft_wrap=True)
    else:
        console.print(Markdown(row["markdown"], hyperlinks=False))
        console.print(f"\nWith everything that it cites: {html}", soft_wrap=True)
