"""`mesh backfill`: asks for the slices of a dataset again, and for its report after them."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape

from mesh_assets.cli.backfill_requests import address_of_running, start_backfill
from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.cli.status import present_settings
from mesh_assets.insights.wording import plural
from mesh_assets.settings import load_settings
from mesh_assets.storage.backfills import Backfill, record
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.staleness import stale_slices


def backfill(
    dataset: Annotated[str, typer.Argument(help="Key of the dataset, as `mesh status` shows it.")],
    stale: Annotated[bool, typer.Option("--stale", help="Only slices that are stale, failed or missing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Make again also what is up to date.")] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Its questions may wait in batches of nodes that take them: half the price.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask for all slices of a dataset again: each file is read, and whatever is no longer up to date is made again."""
    settings = load_settings()
    lake = Lake(settings.state / "lake")
    key = known_dataset(lake, dataset)
    versions: dict[str, int] = lake.read("drop_manifests", key).footer.extra["slices"]
    reasons = stale_slices(lake, versions, present_settings(settings)) if stale else {}
    slices = tuple(sorted(reasons if stale else versions))
    started: str | None = None
    url = address_of_running(settings)
    if slices:
        wanted = Backfill(key, slices, force, can_wait=batch)
        started = start_backfill(url, wanted) if url else None
        if started is None:
            record(settings.state / "backfills", wanted)
    if json:
        page = f"{url}/runs/b/{started}" if started else None
        print_json({"dataset": key, "slices": slices, "reasons": reasons, "backfill": started, "url": page})
        return
    asked = f"{plural(len(slices), 'slice')} and the report are asked for"
    for why, number in Counter(reasons.values()).most_common():
        console.print(f"{number:,} × {escape(safe(why))}")
    if not slices:
        console.print(f"Every slice of {escape(key)} is up to date: there is nothing to do.")
    elif started:
        console.print(f"{asked}: {url}/runs/b/{started}", soft_wrap=True)
    else:
        console.print(f"{asked} at the next `mesh up`: it is down now.")
