"""When the mesh may work: the owner's pause and working hours, and how a run that is at work gives way to them.

`mesh pause` writes one file below the state folder. Runs look at it between two batches; the queue of runs is held by
the pool limits, which `defs.pace` and the commands set from what is told here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mesh_assets.settings import Settings
from mesh_assets.storage.files import publish_text

# How often a run at work looks; and how long a run that is held sleeps before it looks again.
LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pause:
    """The owner's word that nothing is to be done, `until` a time in seconds since 1970 or without an end."""

    until: float | None


def pause(settings: Settings, until: float | None) -> None:
    """From now on nothing new starts and runs at work wait."""
    publish_text(_path(settings), json.dumps({"until": until}), "pause")


def resume(settings: Settings) -> bool:
    """End the pause; whether there was one."""
    was = paused(settings, time.time()) is not None
    _path(settings).unlink(missing_ok=True)
    return was


def paused(settings: Settings, now: float) -> Pause | None:
    """The pause in force at `now`, seconds since 1970. A file that cannot be read is one without an end."""
    try:
        text = _path(settings).read_text()
    except FileNotFoundError:
        return None
    try:
        until = json.loads(text)["until"]
        found = Pause(None if until is None else float(until))
    except (ValueError, KeyError, TypeError):
        return Pause(None)
    return None if found.until is not None and found.until <= now else found


def held(settings: Settings, now: float | None = None) -> str | None:
    """Why the mesh may not work at `now` (seconds since 1970; by default the present), as a sentence; None if it may.

    The pause goes before the working hours.
    """
    now = time.time() if now is None else now
    stop = paused(settings, now)
    if stop is not None:
        until = f"until {_clock(stop.until, now)}" if stop.until is not None else "until `mesh resume`"
        return f"Paused by `mesh pause` {until}."
    moment = datetime.fromtimestamp(now)
    start = settings.working_hours.next_start(moment)
    if start is not None:
        return f"Out of the working hours ({settings.hours}): it goes on at {_clock(start.timestamp(), now)}."
    return None


def _clock(moment: float, now: float) -> str:
    """A local time: `19:00`, or with its day where that is not today."""
    at, today = datetime.fromtimestamp(moment), datetime.fromtimestamp(now).date()
    return f"{at:%H:%M}" if at.date() == today else f"{at:%a %Y-%m-%d %H:%M}"


def _path(settings: Settings) -> Path:
    return settings.state / "pause.json"


@dataclass(slots=True)
class GiveWay:
    """Called between two batches of a run's work: returns at once, or waits as long as the mesh is held.

    Looks at most once a second. `log` receives one line when it begins to wait and one when it goes on.
    """

    settings: Settings
    log: Callable[[str], None]
    _looked: float = 0.0
    _why: str | None = None

    def is_held(self) -> bool:
        """Whether it would wait, for work that first has to end what it began."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._why, self._looked = held(self.settings), now
        return self._why is not None

    def __call__(self) -> float:
        """Seconds that it waited."""
        if not self.is_held():
            return 0.0
        began = time.monotonic()
        self.log(f"{self._why} This run waits here and loses nothing.")
        while held(self.settings) is not None:
            time.sleep(LOOK_SECONDS)
        self.log("The mesh may work again: this run goes on.")
        self._why, self._looked = None, time.monotonic()
        return self._looked - began
