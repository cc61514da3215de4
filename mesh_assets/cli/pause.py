"""`mesh pause` and `mesh resume`: the machine is the owner's."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Annotated

import typer

from mesh_assets.cli.console import console
from mesh_assets.cli.lending import apply_limits
from mesh_assets.errors import SettingsError
from mesh_assets.settings import load_settings
from mesh_assets.storage import pace

_UNITS = {"d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1}
_LENGTH = re.compile(r"(?:\d+\s*(?:d|h|min|m|s)\s*)+")
_PART = re.compile(r"(\d+)\s*(d|h|min|m|s)")


def pause(
    until: Annotated[
        str, typer.Option(help="A time such as 18:00 or 2027-01-31 07:30; by default `mesh resume`.")
    ] = "",
    length: Annotated[str, typer.Option("--for", help="For how long, such as 2h, 90min or 1d12h.")] = "",
) -> None:
    """Hold everything: nothing new starts, and what runs stops using the machine within seconds and loses nothing."""
    settings = load_settings()
    pace.pause(settings, end_of_pause(until, length, datetime.now()))
    console.print(apply_limits(settings))
    console.print("Nothing new starts; what runs waits between two batches. `mesh resume` ends it.")


def resume() -> None:
    """End a pause: runs that waited go on where they were, and queued ones start."""
    settings = load_settings()
    if not pace.resume(settings):
        console.print("The mesh was not paused.")
    console.print(apply_limits(settings))


def end_of_pause(until: str, length: str, now: datetime) -> float | None:
    """When a pause ends, in seconds since 1970; None without an end. SettingsError where a text is no time to come."""
    if until and length:
        raise SettingsError("--until and --for say the same thing twice.", remedy="Give one of them.")
    if length:
        return time.time() + _seconds(length)
    if not until:
        return None
    moment = _moment(until, now)
    if moment <= now:
        raise SettingsError(f"{until!r} is over.", remedy="Give a time to come.")
    return moment.timestamp()


def _seconds(length: str) -> int:
    if not _LENGTH.fullmatch(length.strip()):
        raise SettingsError(f"{length!r} is no length of time.", remedy="Write it like 2h, 90min or 1d12h.")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(length))


def _moment(text: str, now: datetime) -> datetime:
    """A time of day is the next one to come."""
    try:
        time_of_day = datetime.strptime(text.strip(), "%H:%M").time()
    except ValueError:
        pass
    else:
        moment = datetime.combine(now.date(), time_of_day)
        return moment if moment > now else moment + timedelta(days=1)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise SettingsError(f"{text!r} is no time.", remedy="Write it like 18:00 or 2027-01-31 07:30.") from error
    return moment.astimezone().replace(tzinfo=None) if moment.tzinfo else moment
