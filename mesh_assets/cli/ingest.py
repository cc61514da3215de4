"""`mesh ingest`: makes a file or folder a dataset, by copying it into the drop area or by reference."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from mesh_assets.cli.console import console, errors, print_json, safe
from mesh_assets.errors import SettingsError
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.intake.forgetting import Forgetting
from mesh_assets.intake.incoming import Copied, bring_in
from mesh_assets.intake.references import References
from mesh_assets.reports.prose import amount
from mesh_assets.settings import Settings, load_settings
from mesh_assets.slices import dataset_key
from mesh_assets.storage.lake import Lake
from mesh_assets.wording import size


def ingest(
    path: Annotated[Path, typer.Argument(help="File or folder to read.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset; by default that of the folder.")] = "",
    reference: Annotated[bool, typer.Option("--reference", help="Read the folder where it is; copy nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy a file or folder into the drop area, or read a folder where it is. Doing it twice changes nothing."""
    settings = load_settings()
    name = dataset or (path.resolve().name if path.is_dir() else path.resolve().stem)
    key = dataset_key(name)
    if key in Forgetting.of(settings).all():
        raise SettingsError(
            f"The dataset {key} is half forgotten.", remedy=f"Finish that first: mesh forget {key}; then ingest it."
        )
    if reference:
        _refer(settings, key, path, json=json)
    else:
        _copy(settings, key, path, json=json)


def _refer(settings: Settings, key: str, path: Path, *, json: bool) -> None:
    area = DropArea.of(settings)
    taken = {*area.dropped(), *Lake(settings.state / "lake").datasets("drop_manifests")}
    closed = {"the state folder": settings.state, "the drop area": settings.drops}
    registered = References.of(settings).register(key, path, closed=closed, taken=taken)
    if json:
        print_json({"dataset": key, "reference": str(registered.path)})
        return
    console.print(
        f"dataset [bold]{escape(key)}[/] is {escape(safe(str(registered.path)))}: read where it is, nothing is copied",
        soft_wrap=True,
    )
    console.print("`mesh up` reads it as long as it runs; `mesh status` shows how far it is.")


def _copy(settings: Settings, key: str, path: Path, *, json: bool) -> None:
    area = DropArea.of(settings)
    if key in area.references():
        raise SettingsError(
            f"The dataset {key} is by reference: nothing is copied into {area.references()[key].path}.",
            remedy="Put the files there yourself, or choose another name with --dataset.",
        )
    # A new folder is called like the key, so that a name with a slash or dots leads nowhere else.
    folder = area.dropped().get(key, key)
    with errors.status("Copying …") as shown:

        def progress(copied: Copied) -> None:
            shown.update(f"{amount(copied.copied, 'file')} copied, {size(copied.bytes)}")

        copied = bring_in(path, folder, settings.drops, progress=progress)
    if json:
        print_json({"dataset": key, **asdict(copied)})
        return
    console.print(
        f"{amount(copied.copied, 'file')} copied ({size(copied.bytes)}), {copied.present:,} there already: "
        f"dataset [bold]{escape(key)}[/]"
    )
    for left_out in copied.left_out[:5]:
        console.print(f"left out, unreadable or no regular file: {escape(safe(left_out))}")
    if len(copied.left_out) > 5:
        console.print(f"left out: {len(copied.left_out) - 5:,} more")
    console.print("`mesh up` reads it as long as it runs; `mesh status` shows how far it is.")
