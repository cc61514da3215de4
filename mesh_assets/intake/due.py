"""Which slices are asked for now: new ones at once, and one that keeps changing only now and then. Pure.

A dataset that arrives as a thousand tiny drops changes its open slice a thousand times; each time everything about the
slice would be done again. What is remembered of a dataset does not grow with its slices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from typing import Any, cast

from mesh_assets.slices import SliceKey

# A slice that keeps changing is asked for after this time at the latest, and is calm again when it has not been.
LONGEST_WAIT_SECONDS = 600.0
# By how much a slice must have grown since it was last asked for, to be asked for before it settles.
GROWN_SHARE = 0.5
# Slices of one dataset that are remembered besides the last version asked for. More that change at once are one large
# edit, not one that goes on.
MAX_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice as the manifest has it: `size` is what it costs, in bytes; it is `open` while new files fill it."""

    key: str
    version: int
    size: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Due:
    """A slice to be asked for."""

    slice: Slice
    is_new: bool


@dataclass(frozen=True, slots=True)
class Remembered:
    """A slice that was asked for not long ago: when, at which size, and since when it waits again.

    `seen` is the version that it was last seen at, and `changed` when that was first seen; times in seconds since 1970.
    """

    asked_at: float
    size: int
    is_open: bool
    seen: int
    changed: float
    since: float | None = None

    def is_due(self, found: Slice, now: float, settle: float) -> bool:
        """Whether the slice, which has changed since it was asked for, is to be asked for again."""
        waited = now - (self.since if self.since is not None else now)
        calm = now - self.changed
        # A time that lies ahead (the clock jumped back) tells nothing, so it holds up nothing.
        if not (0 <= waited < LONGEST_WAIT_SECONDS and 0 <= calm < settle):
            return True
        if self.is_open and not found.is_open:
            return True  # it is full: no new file will change it
        rested = not 0 <= now - self.asked_at < settle
        return rested and found.size >= self.size * (1 + GROWN_SHARE)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for of one dataset: all slices up to (`version`, `key`), but for those that wait in `remembered`.

    `top` is the highest number of a slice asked for, -1 for none.
    """

    version: int = 0
    key: str = ""
    top: int = -1
    remembered: Mapping[str, Remembered] = field(default_factory=dict[str, Remembered])

    @classmethod
    def of(cls, stored: object, slices: Mapping[str, int]) -> Asked:
        """As `stored` has it, also by the version of this code that kept version and key alone."""
        values = cast("list[Any]", stored) if isinstance(stored, list) else []
        if len(values) == 2:
            version, key = values
            known = [name for name, at in slices.items() if (at, name) <= (version, key)]
            return cls(version, key, max((SliceKey.parse(name).number for name in known), default=-1))
        if len(values) == 4:
            version, key, top, remembered = values
            return cls(version, key, top, {name: Remembered(*facts) for name, facts in remembered.items()})
        return cls()

    @property
    def waiting(self) -> int:
        """How many slices have changed and wait."""
        return sum(r.since is not None for r in self.remembered.values())

    def stored(self) -> list[object]:
        """As plain values, for JSON."""
        return [self.version, self.key, self.top, {key: astuple(r) for key, r in self.remembered.items()}]


def slices_of(extra: Mapping[str, Any]) -> list[Slice]:
    """The slices in the footer of a manifest."""
    versions: dict[str, int] = extra["slices"]
    sizes: dict[str, int] = extra.get("sizes", {})
    last = max((SliceKey.parse(key).number for key in versions), default=-1)
    return [
        Slice(key, version, sizes.get(key, 0), SliceKey.parse(key).number == last) for key, version in versions.items()
    ]


def due_slices(asked: Asked, slices: list[Slice], *, now: float, settle: float, limit: int) -> tuple[list[Due], Asked]:
    """The slices to be asked for at `now` (seconds since 1970), at most `limit`, and what to remember.

    A slice that was never asked for, or has been calm since it was, is due at once. One that was asked for within ten
    minutes and has changed waits until it has not changed for `settle` seconds, is full, has grown by half, or has
    waited for ten minutes.
    """
    if slices and max(found.version for found in slices) < asked.version:
        asked = Asked()  # the manifest was made anew, by a clock that is behind: nothing of it was asked for
    queue = _Queue(asked, {found.key: found for found in slices}, now, settle, limit)
    version, key, top = asked.version, asked.key, asked.top
    newer = (found for found in slices if (found.version, found.key) > (version, key))
    for found in sorted(newer, key=lambda found: (found.version, found.key)):
        number = SliceKey.parse(found.key).number
        if not queue.take(found, is_new=number > top):
            break  # asked for in the next tick
        version, key, top = found.version, found.key, max(top, number)
    queue.take_waiting()
    return queue.due, Asked(version, key, top, queue.remembered)


class _Queue:
    """Gathers what is due in one tick."""

    def __init__(self, asked: Asked, present: Mapping[str, Slice], now: float, settle: float, limit: int) -> None:
        self._present, self._now, self._settle, self._limit = present, now, settle, limit
        self.due: list[Due] = []
        self.remembered = {key: r for key, r in asked.remembered.items() if key in present and not _is_calm(r, now)}

    def take(self, found: Slice, *, is_new: bool) -> bool:
        """Ask for a slice that has a new version, or let it wait; False where nothing more can be asked for."""
        before = self.remembered.get(found.key)
        if before is not None:
            since = self._now if before.since is None else before.since
            waiting = replace(before, seen=found.version, changed=self._now, since=since)
            self.remembered[found.key] = waiting
            if not waiting.is_due(found, self._now, self._settle):
                return True
        return self._ask(found, is_new=is_new, keeps_changing=not is_new or found.is_open)

    def take_waiting(self) -> None:
        """Ask for those slices that have waited enough."""
        for key, waiting in list(self.remembered.items()):
            found = self._present[key]
            is_waiting = waiting.since is not None and waiting.seen == found.version
            if is_waiting and waiting.is_due(found, self._now, self._settle):
                self._ask(found, is_new=False, keeps_changing=True)

    def _ask(self, found: Slice, *, is_new: bool, keeps_changing: bool) -> bool:
        if len(self.due) >= self._limit:
            return False
        self.due.append(Due(found, is_new))
        self.remembered.pop(found.key, None)
        if keeps_changing:
            self._remember(found)
        return True

    def _remember(self, found: Slice) -> None:
        if len(self.remembered) >= MAX_REMEMBERED:
            settled = [key for key, r in self.remembered.items() if r.since is None]
            if not settled:
                return
            del self.remembered[settled[0]]
        self.remembered[found.key] = Remembered(self._now, found.size, found.is_open, found.version, self._now)


def _is_calm(remembered: Remembered, now: float) -> bool:
    """Whether a slice has not changed for so long since it was asked for that its next change is like its first."""
    return remembered.since is None and not 0 <= now - remembered.asked_at < LONGEST_WAIT_SECONDS
