"""`mesh time`: what happened when, over all logs and series."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.errors import QueryError, SettingsError
from mesh_assets.search.timeline import Moment, Timeline, Window
from mesh_assets.settings import load_settings
from mesh_assets.storage.duckdb_query import lake_connection
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.timeline_queries import LakeTimeline
from mesh_assets.wording import shorten

# Spans of time that an overview is cut into, in seconds, and how many of them it has at most.
_SPANS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400)
_BUCKETS = 30
_SAID, _BAR = 100, 40


def timeline(
    around: Annotated[str | None, typer.Option(help="A moment, as 2015-10-18T18:01:47: what is near it.")] = None,
    seconds: Annotated[float, typer.Option(min=0.001, help="How far around that moment.")] = 300.0,
    start: Annotated[str | None, typer.Option("--from", help="From this moment on, UTC.")] = None,
    stop: Annotated[str | None, typer.Option("--to", help="Up to this moment.")] = None,
    level: Annotated[str | None, typer.Option(help="Only events of this level, as ERROR.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Moments or templates to show.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how much happened when, and what was said most; or everything around one moment."""
    lake = Lake(load_settings().state / "lake")
    key = known_dataset(lake, dataset) if dataset else None
    middle = _moment("--around", around)
    if middle is not None and (start or stop):
        raise SettingsError("--around says the whole window.", remedy="Leave --from and --to out.")
    window = Window(_moment("--from", start), _moment("--to", stop), key, level.upper() if level else None)
    if middle is not None:
        near = Window.around(middle, seconds, dataset=key)
        window = Window(near.start, near.stop, key, window.level)
    with lake_connection(lake.root, uuid.uuid4().hex) as connection:
        found = LakeTimeline(connection)
        if middle is not None:
            _show_moments(found.moments(window, near=middle, limit=limit), json=json)
        else:
            _show_overview(found, window, limit, json=json)


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise QueryError(
            f"{option} {text!r} is no moment.", remedy="Write it as 2015-10-18, or 2015-10-18T18:01:47."
        ) from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show_overview(timeline: Timeline, window: Window, limit: int, *, json: bool) -> None:
    span = timeline.span(window)
    every = timedelta(seconds=1)
    if span is not None:
        length = (span[1] - span[0]).total_seconds()
        every = timedelta(seconds=next((each for each in _SPANS if length / each <= _BUCKETS), _SPANS[-1]))
    buckets = timeline.buckets(window, every) if span else []
    templates = timeline.templates(window, limit=limit) if span else []
    if json:
        print_json(
            {
                "every_seconds": every.total_seconds(),
                "buckets": list(map(asdict, buckets)),
                "templates": list(map(asdict, templates)),
            }
        )
        return
    if span is None:
        console.print("Nothing has a time there. `mesh status` shows what was read so far.")
        return
    most = max(bucket.events + bucket.points for bucket in buckets)
    shown = Table("from (UTC)", "events", "errors", "points", "")
    for bucket in buckets:
        bar = "█" * max(1, round(_BAR * (bucket.events + bucket.points) / most))
        counts = (f"{count:,}" for count in (bucket.events, bucket.errors, bucket.points))
        shown.add_row(f"{bucket.start:%Y-%m-%d %H:%M:%S}", *counts, bar)
    console.print(shown)
    for spoken in templates:
        said = escape(safe(f"{spoken.level or ''} {shorten(spoken.template, _SAID)}".strip()))
        console.print(f"{spoken.events:>9,}  {said} [dim]{escape(safe(spoken.log))}[/]", soft_wrap=True)


def _show_moments(moments: list[Moment], *, json: bool) -> None:
    if json:
        print_json([asdict(moment) for moment in moments])
        return
    if not moments:
        console.print("Nothing happened then. Without --around, `mesh time` shows when something did.")
    for moment in moments:
        said = f"{moment.said} = {moment.value:g}" if moment.value is not None else moment.said or ""
        line = " ".join(filter(None, (moment.level, moment.source, shorten(said, _SAID))))
        where = escape(safe(f"{moment.dataset}/{moment.path}"))
        console.print(f"{moment.time:%Y-%m-%d %H:%M:%S.%f}  {escape(safe(line))} [dim]{where}[/]", soft_wrap=True)
