"""`mesh status`: how far each dataset is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mesh_assets.analyses.briefs import briefs_digest, read_briefs
from mesh_assets.analyses.stage import evidence_room, identity
from mesh_assets.chunks.protocol import LocalModels
from mesh_assets.chunks.registry import reading_settings
from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.cli.lending import limits_line
from mesh_assets.cli.run_states import datasets_asked_for, run_states
from mesh_assets.errors import ModelError, SettingsError
from mesh_assets.health.probe import up_since
from mesh_assets.insights.expected_time import Span
from mesh_assets.insights.wording import plural
from mesh_assets.intake.drop_area import WALKS, DropArea, DropWatch
from mesh_assets.machine import concurrent_runs
from mesh_assets.resources.caller import connect_caller
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.resources.labels import connect_labeller
from mesh_assets.settings import SHIPPED_BRIEFS, Settings, load_settings
from mesh_assets.storage.generations import Generations, moving, slices_by_model
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.pace import held
from mesh_assets.storage.run_times import pace_of
from mesh_assets.storage.status import DatasetStatus, statuses
from mesh_assets.wording import duration, size

_COLUMNS = (
    *("dataset", "files", "size", "slices done", "running", "queued", "failed"),
    *("chunks", "rejects", "rate", "left", "report"),
)
# Characters that all of these take; in fewer there are only some.
_WIDE = 120
_NARROW = ("dataset", "slices done", "running", "failed", "left", "report")


def status(
    about: Annotated[str, typer.Argument(help="A dataset, or what `mesh ingest` called its processing id.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show each dataset: its slices by state, chunks, rejects, and when it will be done."""
    settings = load_settings()
    area = DropArea.of(settings)
    lake = Lake(settings.state / "lake")
    changing = DropWatch(area, settings.state / WALKS).changing(area.folders())
    present = present_settings(settings)
    found = statuses(lake, area, present, changing)
    if about:
        found = _only(found, about)
    states = run_states(found)
    left = times_left(found, lake, settings)
    generations = slices_by_model(lake)[0] if len(Generations(settings.state).all()) > 1 else Counter[str]()
    if json:
        rows = [
            {name: value for name, value in asdict(s).items() if name != "left"}
            | {"done": s.done, "runs": states.counts[s.dataset], **_seconds(left[s.dataset])}
            for s in found
        ]
        places = {"drops": str(settings.drops), "state": str(settings.state), "held": held(settings)}
        told: dict[str, object] = {"datasets": rows, "failures": [asdict(failed) for failed in states.failed]}
        print_json(places | told | {"slices_by_model": generations})
        return
    console.print(limits_line(settings))
    if up_since(settings.state) is None:
        console.print("`mesh up` is not running: nothing is read until it is, or `dagster dev`.", style="yellow")
    if found:
        console.print(status_table(found, states.counts, left))
        _say_reading(found, settings)
        for failed in states.failed:
            where = f"{failed.slice}, {failed.step}" if failed.step else failed.slice
            console.print(f"[bold red]{escape(where)}[/]: {escape(safe(failed.why))}", soft_wrap=True)
        _say_stale(found, settings)
        if said := moving(generations, str(present.get("model", ""))):
            console.print(escape(safe(said)), soft_wrap=True)
    else:
        console.print(_empty(settings))


def _say_reading(found: list[DatasetStatus], settings: Settings) -> None:
    """Where datasets are read from, and what is not read yet because it still changes."""
    for dataset in found:
        if dataset.changing:
            rest = f"they are read once they did not for {settings.quiet_seconds:g} s"
            many = plural(dataset.changing, "file changes", "files change")
            console.print(f"[dim]{escape(dataset.dataset)}: {many} still: {rest}[/]", soft_wrap=True)
        if dataset.reference:
            place = escape(safe(f"{dataset.dataset} is by reference: {dataset.reference}"))
            console.print(f"[dim]{place}[/]", soft_wrap=True)


def _say_stale(found: list[DatasetStatus], settings: Settings) -> None:
    stale = [status for status in found if status.stale]
    asked = datasets_asked_for([status.dataset for status in stale], settings) if stale else set[str]()
    for status in stale:
        reasons = "; ".join(f"{number:,} × {why}" for why, number in status.stale.items())
        backfill = f"`mesh backfill {status.dataset} --stale` makes them again."
        text = f"{status.dataset}: {reasons}. {'A backfill is asked for.' if status.dataset in asked else backfill}"
        console.print(escape(safe(text)), soft_wrap=True)


def present_settings(settings: Settings) -> dict[str, object]:
    """What `storage.staleness` compares with the footers; without what cannot be found: the model, nodes, briefs."""
    # As if of a picture: slices without any do not have those in their footers.
    readings = reading_settings([("image", "png")], LocalModels.of(settings.model_dump()))
    present: dict[str, object] = {"chunk_tokens": settings.chunk_tokens, "ner_model": settings.ner_model, **readings}
    with suppress(ModelError):
        encoder = connect_encoder(settings)
        present["model"] = encoder.model
        with suppress(SettingsError):
            present["labels"] = connect_labeller(settings, encoder).fingerprint
    with suppress(SettingsError):
        means = connect_caller(settings).means
        present |= {"evidence_tokens": evidence_room(settings.evidence_tokens, means.nodes), **identity(means)}
        present["briefs"] = briefs_digest(read_briefs(SHIPPED_BRIEFS, settings.briefs))
    return present


def _empty(settings: Settings) -> str:
    return f"Nothing was read yet. Drop a folder into {escape(str(settings.drops))} and run `mesh up`."


def _only(found: list[DatasetStatus], about: str) -> list[DatasetStatus]:
    """The status of one dataset, by its key or a processing id."""
    key = about.partition("@")[0]
    chosen = [status for status in found if status.dataset == key]
    if not chosen:
        raise SettingsError(f"There is no dataset {key}.", remedy="`mesh status` lists them.")
    return chosen


def times_left(found: list[DatasetStatus], lake: Lake, settings: Settings) -> dict[str, Span | None]:
    """For each dataset the seconds until it is done; None where nothing is known yet."""
    pace = pace_of(lake)
    return {status.dataset: status.left.seconds(pace, concurrent_runs(settings)) for status in found}


def _seconds(left: Span | None) -> dict[str, float | None]:
    return {
        "seconds_left": left.likely if left else None,
        "seconds_left_low": left.low if left else None,
        "seconds_left_high": left.high if left else None,
    }


def time_left(left: Span, *, in_short: bool = False) -> str:
    """`about 20 min (15 min to 30 min)`, or without the span."""
    likely, low, high = (duration(timedelta(seconds=round(each))) for each in (left.likely, left.low, left.high))
    return f"about {likely}" + ("" if in_short else f" ({low} to {high})")


def run_counts(found: list[DatasetStatus]) -> dict[str, dict[str, int]]:
    """For each dataset the slices that are running, queued or failed, as Dagster's instance has them."""
    return run_states(found).counts


def status_table(
    found: list[DatasetStatus], runs: dict[str, dict[str, int]], times: Mapping[str, Span | None]
) -> Table:
    """The table that `mesh status` and `mesh demo` show; in a narrow terminal without what is a detail."""
    wide = console.width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS if wide else _NARROW:
        is_text = name in ("dataset", "report")
        table.add_column(name, justify="left" if is_text else "right", overflow="fold" if is_text else "ellipsis")
    for dataset in found:
        left = times[dataset.dataset]
        rate = dataset.bytes_per_second
        cells = {state: f"{number:,}" if number else "" for state, number in runs[dataset.dataset].items()}
        cells |= {
            "dataset": escape(dataset.dataset),
            "files": f"{dataset.files:,}",
            "size": size(dataset.bytes),
            "slices done": f"{dataset.finished:,} of {dataset.slices:,}",
            "chunks": f"{dataset.chunks:,}",
            "rejects": f"{dataset.rejects:,}",
            "rate": f"{size(rate)}/s" if rate else "",
            "left": time_left(left, in_short=not wide) if left and left.likely else "",
            "report": "ready" if dataset.done else escape(safe(dataset.problem)),
        }
        table.add_row(*(cells[name] for name in (_COLUMNS if wide else _NARROW)))
    return table
