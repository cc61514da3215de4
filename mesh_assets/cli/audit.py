"""`mesh audit`: every byte that left this machine for a model node, to whom, when and why."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mesh_assets.cli.console import console, print_json, safe, safe_lines
from mesh_assets.errors import SettingsError
from mesh_assets.resources.call_log import connect_call_log
from mesh_assets.resources.sent_log import Departure
from mesh_assets.settings import load_settings
from mesh_assets.slices import dataset_key

_ID_DIGITS = 12
_AGO = re.compile(r"([0-9]{1,6})([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}

audit = typer.Typer(invoke_without_command=True, no_args_is_help=False)


@audit.callback()
def listed(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="Only what left of this dataset.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only what left since then: a date or moment (UTC), or `90m`, `12h`, `7d` ago.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what left this machine for model nodes: to whom, when and why; `mesh audit show ID` prints the bytes."""
    if context.invoked_subcommand is not None:
        return
    key = None if dataset is None else dataset_key(dataset)
    moment = 0.0 if since is None else _moment(since)
    found = list(connect_call_log(load_settings()).departures.departures(dataset=key, since=moment))
    if json:
        print_json([_row(each) for each in found])
    elif not found:
        console.print("Nothing left this machine for a model node.")
    else:
        _print(found)


@audit.command()
def show(name: Annotated[str, typer.Argument(metavar="ID", help="Id of a request, or how it begins.")]) -> None:
    """Print the bytes of a request, as they went."""
    content = connect_call_log(load_settings()).departures.content(name)
    if content is None:
        raise SettingsError("Its bytes were forgotten with their dataset.", remedy="Nothing brings them back.")
    if sys.stdout.isatty():
        console.print(escape(safe_lines(content.decode("utf-8", "replace"))), soft_wrap=True)
    else:
        sys.stdout.buffer.write(content)


def _moment(text: str) -> float:
    """Seconds since 1970; SettingsError for what is no moment."""
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise SettingsError(
            f"{text!r} is no moment.", remedy="Give a date (2026-11-28), a moment (2026-11-28T12:30), or 7d, 12h, 90m."
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _row(each: Departure) -> dict[str, object]:
    return {
        "id": each.id,
        "at": datetime.fromtimestamp(each.at, UTC).isoformat(timespec="milliseconds"),
        "node": each.node,
        "model": each.model,
        "address": each.address,
        "dataset": each.dataset,
        "batch": each.batch,
        "bytes": each.size,
        "forgotten": each.is_forgotten,
        "cases": [asdict(reason) for reason in each.reasons],
    }


def _print(found: Sequence[Departure]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "left (UTC)", "to", "at", "bytes", "dataset", "for"):
        table.add_column(name, justify="right" if name == "bytes" else "left", overflow="fold")
    for each in found:
        table.add_row(
            each.id[:_ID_DIGITS],
            f"{datetime.fromtimestamp(each.at, UTC):%Y-%m-%d %H:%M:%S}",
            escape(safe(f"{each.node} ({each.model})")),
            escape(safe(each.address)),
            f"{each.size:,}",
            escape(safe(each.dataset or ("forgotten" if each.is_forgotten else "-"))),
            escape(safe(_why(each))),
        )
    console.print(table)
    total = sum(each.size for each in found)
    sent = Counter(each.node for each in found)
    to = ", ".join(f"{name} {count:,}" for name, count in sent.most_common())
    console.print(
        f"\n{len(found):,} requests, {total:,} bytes, redacted: {escape(safe(to))}. `mesh audit show ID` prints one.",
        soft_wrap=True,
    )


def _why(each: Departure) -> str:
    if len(each.reasons) > 1:
        return f"a batch of {len(each.reasons):,} cases"
    return "; ".join(
        f"case {reason.case_id[:_ID_DIGITS]}, {reason.depth}" + (f", brief {reason.brief}" if reason.brief else "")
        for reason in each.reasons
    )
