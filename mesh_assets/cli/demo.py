"""`mesh demo`: the main job on real input, without keys, servers or questions."""

from __future__ import annotations

import time
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from mesh_assets.cli.console import console
from mesh_assets.cli.lending import apply_limits, keep_to_cores
from mesh_assets.cli.samples import SAMPLE_DATASETS, SEARCHES, drop_samples
from mesh_assets.cli.services import Services, dagster_services
from mesh_assets.cli.status import run_counts, status_table, times_left
from mesh_assets.cli.up import serve
from mesh_assets.errors import ServiceError
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.settings import Settings, load_settings
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.status import DatasetStatus, statuses
from mesh_assets.wording import duration

# On two cores it takes about three minutes; beyond this something is wrong and waiting would not mend it.
GIVE_UP_SECONDS = 900
POLL_SECONDS = 2


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the report instead of serving on.")] = False,
) -> None:
    """Drop the samples, let the sensors find them, wait until everything is made, and show where it is."""
    settings = load_settings()
    started = time.monotonic()
    console.print("Starting Dagster …")
    keep_to_cores(settings)
    limits = apply_limits(settings)
    with dagster_services(settings) as services:
        console.print(f"Dagster is up: {services.url}")
        console.print(limits)
        copied = drop_samples(settings)
        console.print(f"{copied} sample files dropped into {settings.drops}; the sensor looks every ten seconds.")
        wait_until_done(settings, services, SAMPLE_DATASETS)
        console.print(f"\nDone after {duration(timedelta(seconds=round(time.monotonic() - started)))}.")
        _say_where(settings, None if once else services)
        if not once:
            console.print("\nThe UI keeps running. Ctrl-C ends it.")
            serve(services)


def wait_until_done(settings: Settings, services: Services, datasets: tuple[str, ...]) -> None:
    """Show progress until each dataset has its report; ServiceError where a slice failed for good or time is out."""
    lake = Lake(settings.state / "lake")
    area = DropArea.of(settings)
    end = time.monotonic() + GIVE_UP_SECONDS
    shown = ""
    with Live(console=console, refresh_per_second=4) if console.is_terminal else nullcontext() as live:
        while time.monotonic() < end:
            services.check()
            found = statuses(lake, area)
            counts = run_counts(found)
            if live is not None:
                live.update(status_table(found, counts, times_left(found, lake, settings)))
            elif (line := _line(found)) != shown:
                shown = line
                console.print(line)
            of_samples = [status for status in found if status.dataset in datasets]
            done = {status.dataset for status in of_samples if status.done and _is_seen(lake, area, status.dataset)}
            if done == set(datasets):
                return
            _check_failures(of_samples, counts, services)
            time.sleep(POLL_SECONDS)
    raise ServiceError(
        f"The demo was not done after {duration(timedelta(seconds=GIVE_UP_SECONDS))}.",
        remedy=f"See {services.log}, then run it again.",
    )


def _is_seen(lake: Lake, area: DropArea, dataset: str) -> bool:
    """Whether the manifest is of the files as they are now: before the sensor's next tick a new drop is not in it."""
    listing = area.listing(dataset)
    return not listing.growing and lake.read("drop_manifests", dataset).footer.extra["digest"] == listing.digest


def _line(found: list[DatasetStatus]) -> str:
    """The progress for a log: only what changed since the line before makes a new one."""
    return ", ".join(f"{status.dataset}: {status.finished} of {status.slices} slices" for status in found)


def _check_failures(found: list[DatasetStatus], counts: dict[str, dict[str, int]], services: Services) -> None:
    failed = [status.dataset for status in found if counts[status.dataset]["failed"]]
    at_work = any(counts[status.dataset][state] for status in found for state in ("running", "queued"))
    if failed and not at_work:
        raise ServiceError(
            f"Slices of {', '.join(failed)} failed.",
            remedy=f"The reasons are in the runs ({services.url}/runs) and in {services.log}.",
        )


def _say_where(settings: Settings, services: Services | None) -> None:
    if services is None:
        console.print("`mesh up` opens the UI and the search page.")
    else:
        console.print(f"UI        {services.url}/asset-groups")
    if services is not None and services.search_url:
        console.print(f"search    {services.search_url}")
    for dataset in SAMPLE_DATASETS:
        path = Path(settings.state, "reports", dataset, "index.html")
        console.print(f"report    {path}", soft_wrap=True)
    console.print("searches to try:")
    for query in SEARCHES:
        console.print(f"  .venv/bin/mesh search {query!r}", soft_wrap=True)
