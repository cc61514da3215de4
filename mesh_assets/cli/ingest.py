"""`mesh ingest`: copies a file or folder into the drop area as a dataset."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from mesh_assets.cli.console import console, errors, print_json, safe
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.intake.incoming import Copied, bring_in
from mesh_assets.settings import load_settings
from mesh_assets.slices import dataset_key
from mesh_assets.wording import size


def ingest(
    path: Annotated[Path, typer.Argument(help="File or folder to read.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset; by default that of the folder.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy a file or folder into the drop area, where the sensor finds it. Doing it twice copies nothing."""
    settings = load_settings()
    name = dataset or (path.resolve().name if path.is_dir() else path.resolve().stem)
    key = dataset_key(name)
    # A new folder is called like the key, so that a name with a slash or dots leads nowhere else.
    folder = DropArea(settings.drops, settings.quiet_seconds).folders().get(key, key)
    with errors.status("Copying …") as shown:

        def progress(copied: Copied) -> None:
            shown.update(f"{copied.copied:,} files copied, {size(copied.bytes)}")

        copied = bring_in(path, folder, settings.drops, progress=progress)
    if json:
        print_json({"dataset": key, **asdict(copied)})
        return
    console.print(
        f"{copied.copied:,} files copied ({size(copied.bytes)}), {copied.present:,} were there already: "
        f"dataset [bold]{escape(key)}[/]"
    )
    for left_out in copied.left_out[:5]:
        console.print(f"left out, unreadable or no regular file: {escape(safe(left_out))}")
    if len(copied.left_out) > 5:
        console.print(f"left out: {len(copied.left_out) - 5:,} more")
    console.print("`mesh up` reads it as long as it runs; `mesh status` shows how far it is.")
