"""When a file that never becomes quiet is looked at: a log that is written all day is taken in parts, not never.

Whether it can be taken at all (text with a record a line) is told by its content, later and elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# A file that was taken while it grew is taken again at once when it has grown by this much.
GROWN_BYTES = 1 << 20
# Files that may be watched while they grow. More at a time is a copy at work, which will end.
MAX_GROWING = 10_000


@dataclass(frozen=True, slots=True)
class Growth:
    """What is known of the growing files of one dataset; times in seconds since 1970.

    `taken`: when each was last looked at while it grew, and up to which byte it was taken. `seen`: since when each is
    growing. Both are empty for what was quiet at the last walk.
    """

    minutes: float = 10.0
    taken: Mapping[str, tuple[float, int]] = field(default_factory=dict[str, tuple[float, int]])
    seen: Mapping[str, float] = field(default_factory=dict[str, float])

    def since(self, path: str, now: float) -> float:
        """Since when the file is growing; from now on where that was not known, or the clock jumped back."""
        return min(self.seen.get(path, now), now)

    def is_due(self, path: str, size: int, now: float) -> bool:
        """Whether it is to be taken up to its last complete record now."""
        last = self.taken.get(path)
        if last is None:
            return now - self.since(path, now) >= self.minutes * 60
        at, stop = last
        return not 0 <= now - at < self.minutes * 60 or size - stop >= GROWN_BYTES

    def mark(self, path: str, size: int, now: float) -> str | None:
        """What the file adds to the digest of a walk: it changes when the file is due, and by taking it no more."""
        if self.is_due(path, size, now):
            return str(now)
        last = self.taken.get(path)
        return None if last is None else str(last[0])
