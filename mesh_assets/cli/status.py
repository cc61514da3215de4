"""`mesh status`: how far each dataset is."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.cli.home import use_dagster_home
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.settings import Settings, load_settings
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.status import DatasetStatus, statuses
from mesh_assets.wording import duration, size

# As `dagster.yaml` has it: this many slices are worked on side by side.
CONCURRENT_RUNS = 2


def status(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show each dataset: its slices by state, chunks, rejects, and when it will be done."""
    settings = load_settings()
    found = statuses(Lake(settings.state / "lake"), DropArea.of(settings))
    runs = run_counts(found)
    if json:
        rows = [asdict(s) | {"done": s.done, "runs": runs[s.dataset], "seconds_left": seconds_left(s)} for s in found]
        print_json({"drops": str(settings.drops), "state": str(settings.state), "datasets": rows})
    elif found:
        console.print(status_table(found, runs))
        for dataset in found:
            if dataset.reference:
                place = escape(safe(f"{dataset.dataset} is by reference: {dataset.reference}"))
                console.print(f"[dim]{place}[/]", soft_wrap=True)
    else:
        console.print(_empty(settings))


def _empty(settings: Settings) -> str:
    return f"Nothing was read yet. Drop a folder into {escape(str(settings.drops))} and run `mesh up`."


def seconds_left(dataset: DatasetStatus) -> float | None:
    """Estimate from the rate of the finished slices; None before the first of them."""
    if not dataset.bytes_left:
        return 0.0
    rate = dataset.bytes_per_second
    return dataset.bytes_left / rate / min(CONCURRENT_RUNS, len(dataset.unfinished) or 1) if rate else None


def run_counts(found: list[DatasetStatus]) -> dict[str, dict[str, int]]:
    """For each dataset the slices that are running, queued or failed, as Dagster's instance has them."""
    use_dagster_home()
    import dagster as dg

    counts: dict[str, dict[str, int]] = {}
    with dg.DagsterInstance.get() as instance:
        for dataset in found:
            latest: dict[str, str] = {}
            if dataset.unfinished:
                for run in instance.get_runs(dg.RunsFilter(tags={"mesh/dataset": dataset.dataset}), limit=1000):
                    latest.setdefault(run.tags.get("dagster/partition", ""), run.status.value)
            states = Counter(latest.get(key, "WAITING") for key in dataset.unfinished)
            counts[dataset.dataset] = {
                "running": states["STARTED"] + states["STARTING"],
                "queued": states["QUEUED"] + states["NOT_STARTED"] + states["WAITING"] + states["SUCCESS"],
                "failed": states["FAILURE"] + states["CANCELED"],
            }
    return counts


def status_table(found: list[DatasetStatus], runs: dict[str, dict[str, int]]) -> Table:
    """The table that `mesh status` and `mesh demo` show."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("dataset", "files", "size", "slices done", "running", "queued", "failed", "chunks", "rejects"):
        table.add_column(name, justify="left" if name == "dataset" else "right")
    table.add_column("rate", justify="right")
    table.add_column("left", justify="right")
    table.add_column("report")
    for dataset in found:
        left = seconds_left(dataset)
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
