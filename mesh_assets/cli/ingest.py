"""`mesh ingest`: makes a file or folder a dataset, by copying it into the drop area or by reference."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from mesh_assets.cli.console import console, errors, print_json, safe
from mesh_assets.cli.status import time_left
from mesh_assets.errors import SettingsError
from mesh_assets.insights.expected_time import Span, expected
from mesh_assets.insights.immediate import WALK_SECONDS, Immediate, told
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.intake.forgetting import Forgetting
from mesh_assets.intake.incoming import Copied, bring_in
from mesh_assets.intake.left_out import LeftOut
from mesh_assets.intake.references import References
from mesh_assets.intake.walk import list_dataset
from mesh_assets.machine import concurrent_runs, slice_bytes
from mesh_assets.reports.prose import amount
from mesh_assets.settings import Settings, load_settings
from mesh_assets.slices import dataset_key
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.run_times import pace_of
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


@dataclass(frozen=True, slots=True)
class _Look:
    """What a first look told, the likely time, and by which name the processing is asked for."""

    processing_id: str
    found: Immediate
    span: Span

    def as_json(self) -> dict[str, object]:
        """Processing id, immediate insights and estimated completion."""
        done = {name: round(time.time() + seconds) for name, seconds in asdict(self.span).items()}
        estimate = {"seconds": asdict(self.span), "done_at": done, "interval": 0.9}
        insights = {**asdict(self.found), "statements": list(self.found.statements())}
        return {"processing_id": self.processing_id, "immediate_insights": insights, "estimated_completion": estimate}

    def say(self) -> None:
        """The same for a person."""
        for statement in self.found.statements():
            console.print(escape(safe(statement)), soft_wrap=True)
        console.print(f"Reading all of it takes {time_left(self.span)} from when it begins.")


def _look(folder: Path, settings: Settings, key: str) -> _Look:
    """A look of seconds into the folder of a dataset. Its processing id is of what is there: the same for the same."""
    with errors.status("Looking into it …"):
        until, left_out = time.monotonic() + WALK_SECONDS, LeftOut.of(settings.left_out)
        listing = list_dataset(folder, quiet_seconds=0, left_out=left_out, until=until)
        found = told(folder, listing)
    slices = max(1, round(found.bytes / slice_bytes(settings)))
    span = expected(found.bytes_by_kind, slices, pace_of(Lake(settings.state / "lake")), concurrent_runs(settings))
    return _Look(f"{key}@{listing.digest[:12]}", found, span)


def _refer(settings: Settings, key: str, path: Path, *, json: bool) -> None:
    area = DropArea.of(settings)
    taken = {*area.dropped(), *Lake(settings.state / "lake").datasets("drop_manifests")}
    closed = {"the state folder": settings.state, "the drop area": settings.drops}
    registered = References.of(settings).register(key, path, closed=closed, taken=taken)
    look = _look(registered.path, settings, key)
    if json:
        print_json({"dataset": key, "reference": str(registered.path), **look.as_json()})
        return
    console.print(
        f"dataset [bold]{escape(key)}[/] is {escape(safe(str(registered.path)))}: read where it is, nothing is copied",
        soft_wrap=True,
    )
    look.say()
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
    look = _look(settings.drops / folder, settings, key)
    if json:
        print_json({"dataset": key, **asdict(copied), **look.as_json()})
        return
    console.print(
        f"{amount(copied.copied, 'file')} copied ({size(copied.bytes)}), {copied.present:,} there already: "
        f"dataset [bold]{escape(key)}[/]"
    )
    for left_out in copied.left_out[:5]:
        console.print(f"left out, unreadable or no regular file: {escape(safe(left_out))}")
    if len(copied.left_out) > 5:
        console.print(f"left out: {len(copied.left_out) - 5:,} more")
    look.say()
    console.print("`mesh up` reads it as long as it runs; `mesh status` shows how far it is.")
