"""What happened when: records of logs and values of series by time. Engines come as a Protocol.

What moments there are belongs to `schemas.moments`, how they are stored to the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to `stop` (exclusive), UTC; None means without end.

    `dataset` is a key, `level` as logs write it.
    """

    start: datetime | None = None
    stop: datetime | None = None
    dataset: str | None = None
    level: str | None = None

    @classmethod
    def around(cls, moment: datetime, seconds: float, *, dataset: str | None = None) -> Window:
        """As many `seconds` before `moment` as behind it."""
        span = timedelta(seconds=seconds)
        return cls(moment - span, moment + span, dataset)


@dataclass(frozen=True, slots=True)
class Bucket:
    """What happened in one span of time from `start` on: events, those of them that are errors, and points."""

    start: datetime
    events: int
    errors: int
    points: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """A template and how often it occurs in a window."""

    template_id: str
    template: str
    log: str
    level: str | None
    events: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """One event or point, with the chunk that it can be read in. `said` is its template, or the name of its series."""

    time: datetime
    what: str
    dataset: str
    slice: str
    path: str
    chunk_id: str
    place: int
    said: str | None
    level: str | None
    source: str | None
    value: float | None


class Timeline(Protocol):
    """The moments of all slices."""

    def span(self, window: Window) -> tuple[datetime, datetime] | None:
        """The first and the last moment in `window`; None where there is none."""
        ...

    def buckets(self, window: Window, every: timedelta) -> list[Bucket]:
        """Spans of length `every` in order; those in which nothing happened are left out."""
        ...

    def templates(self, window: Window, *, limit: int = 10) -> list[Spoken]:
        """The templates of the most events in `window`, most frequent first."""
        ...

    def moments(self, window: Window, *, near: datetime | None = None, limit: int = 100) -> list[Moment]:
        """Events and points in order of time: the first ones of `window`, or those nearest to `near`."""
        ...
