"""`mesh status`: how far each dataset is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mesh_assets.chunks.protocol import LocalModels
from mesh_assets.chunks.registry import reading_settings
from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.cli.lending import limits_line
from mesh_assets.cli.run_states import datasets_asked_for, run_states
from mesh_assets.errors import ModelError
from mesh_assets.health.probe import up_since
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.machine import concurrent_runs
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.settings import Settings, load_settings
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.pace import held
from mesh_assets.storage.status import DatasetStatus, statuses
from mesh_assets.wording import duration, size


def status(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show each dataset: its slices by state, chunks, rejects, and when it will be done."""
    settings = load_settings()
    area = DropArea.of(settings)
    found = statuses(Lake(settings.state / "lake"), area, present_settings(settings))
    states = run_states(found)
    side_by_side = concurrent_runs(settings)
    if json:
        rows = [
            asdict(s)
            | {"done": s.done, "runs": states.counts[s.dataset], "seconds_left": seconds_left(s, side_by_side)}
            for s in found
        ]
        places = {"drops": str(settings.drops), "state": str(settings.state), "held": held(settings)}
        print_json(places | {"datasets": rows, "failures": [asdict(failed) for failed in states.failed]})
        return
    console.print(limits_line(settings))
    if up_since(settings.state) is None:
        console.print("`mesh up` is not running: nothing is read until it is, or `dagster dev`.", style="yellow")
    if found:
        console.print(status_table(found, states.counts, side_by_side))
        for dataset in found:
            if dataset.reference:
                place = escape(safe(f"{dataset.dataset} is by reference: {dataset.reference}"))
                console.print(f"[dim]{place}[/]", soft_wrap=True)
        for failed in states.failed:
            where = f"{failed.slice}, {failed.step}" if failed.step else failed.slice
            console.print(f"[bold red]{escape(where)}[/]: {escape(safe(failed.why))}", soft_wrap=True)
        _say_stale(found, settings)
    else:
        console.print(_empty(settings))


def _say_stale(found: list[DatasetStatus], settings: Settings) -> None:
    stale = [status for status in found if status.stale]
    asked = datasets_asked_for([status.dataset for status in stale], settings) if stale else set[str]()
    for status in stale:
        reasons = "; ".join(f"{number:,} × {why}" for why, number in status.stale.items())
        backfill = f"`mesh backfill {status.dataset} --stale` makes them again."
        text = f"{status.dataset}: {reasons}. {'A backfill is asked for.' if status.dataset in asked else backfill}"
        console.print(escape(safe(text)), soft_wrap=True)


def present_settings(settings: Settings) -> dict[str, object]:
    """What `storage.staleness` compares with the footers; without the model where it cannot be found."""
    # As if of a picture: slices without any do not have those in their footers.
    readings = reading_settings([("image", "png")], LocalModels.of(settings.model_dump()))
    present: dict[str, object] = {"chunk_tokens": settings.chunk_tokens, **readings}
    with suppress(ModelError):
        present["model"] = connect_encoder(settings).model
    return present


def _empty(settings: Settings) -> str:
    return f"Nothing was read yet. Drop a folder into {escape(str(settings.drops))} and run `mesh up`."


def seconds_left(dataset: DatasetStatus, side_by_side: int) -> float | None:
    """Estimate from the rate of the finished slices; None before the first of them."""
    if not dataset.bytes_left:
        return 0.0
    rate = dataset.bytes_per_second
    return dataset.bytes_left / rate / min(side_by_side, len(dataset.unfinished) or 1) if rate else None


def run_counts(found: list[DatasetStatus]) -> dict[str, dict[str, int]]:
    """For each dataset the slices that are running, queued or failed, as Dagster's instance has them."""
    return run_states(found).counts


def status_table(found: list[DatasetStatus], runs: dict[str, dict[str, int]], side_by_side: int) -> Table:
    """The table that `mesh status` and `mesh demo` show."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("dataset", "files", "size", "slices done", "running", "queued", "failed", "chunks", "rejects"):
        table.add_column(name, justify="left" if name == "dataset" else "right")
    table.add_column("rate", justify="right")
    table.add_column("left", justify="right")
    table.add_column("report")
    for dataset in found:
        left = seconds_left(dataset, side_by_side)
        rate = dataset.bytes_per_second
        counts = runs[dataset.dataset]
        table.add_row(
            escape(dataset.dataset),
            f"{dataset.files:,}",
            size(dataset.bytes),
            f"{dataset.finished:,} of {dataset.slices:,}",
            *(f"{counts[state]:,}" if counts[state] else "" for state in ("running", "queued", "failed")),
            f"{dataset.chunks:,}",
            f"{dataset.rejects:,}",
            f"{size(rate)}/s" if rate else "",
            duration(timedelta(seconds=round(left))) if left else "",
            "ready" if dataset.done else escape(safe(dataset.problem)),
        )
    return table
