"""What a stage did with its input: counted while its output streams, and checked afterwards.

Count conservation (decision 4): rows in = rows done + rejects + skipped. A part of an extent that is rejected (a bad
line of a table) is listed, but does not make the extent a reject.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from mesh_assets.schemas.rejects import Reject

PROGRESS_SECONDS = 5.0


def _nothing() -> None:
    pass


def _silent(message: str) -> None:
    del message


def _at_once() -> float:
    return 0.0


def _never() -> bool:
    return False


@dataclass(slots=True)
class Outcome:
    """Counts of one stage over one partition, filled in while its output is drained.

    `total` is what `done` counts towards, for the progress lines; `log` receives those, every few seconds.
    `give_way` is called at each advance and may wait there as long as the owner needs the machine; it returns the
    seconds that it waited, which are none of the stage's. `is_held` says whether it would wait.
    """

    unit: str = "rows"
    total: int = 0
    log: Callable[[str], None] = _silent
    give_way: Callable[[], float] = _at_once
    is_held: Callable[[], bool] = _never
    done: int = 0
    skipped: int = 0
    passing: int = 0
    bytes_in: int = 0
    rejects: list[Reject] = field(default_factory=list[Reject])
    _started: float = field(default_factory=time.monotonic)
    _logged: float = field(default_factory=time.monotonic)

    @property
    def rejected(self) -> int:
        """Rejects that stand for a whole row of the input."""
        return sum(not reject.is_part for reject in self.rejects)

    @property
    def seconds(self) -> float:
        """Wall time since the work began."""
        return time.monotonic() - self._started

    def reject(self, reject: Reject, *, passing: bool = False) -> None:
        """Record what could not be processed; `passing` where another try may succeed with the same input."""
        self.rejects.append(reject)
        self.passing += passing

    def advance(self, rows: int = 1, *, read: int = 0) -> None:
        """Count `rows` of the input as done, and `read` bytes; logs done, total, rate and ETA every few seconds."""
        self.done += rows
        self.bytes_in += read
        waited = self.give_way()
        self._started += waited
        self._logged += waited
        now = time.monotonic()
        if now - self._logged >= PROGRESS_SECONDS:
            self._logged = now
            rate = self.done / max(now - self._started, 1e-9)
            left = max(self.total - self.done, 0) / rate if rate else 0.0
            self.log(f"{self.done:,} of {self.total:,} {self.unit}, {rate:,.1f} a second, about {left:,.0f} s left")


class StageOutput:
    """What an asset returns: rows that it `Produced`, or the table that was there where nothing was to be done."""


@dataclass(slots=True)
class AttachedRows:
    """Rows of tables that a stage publishes beside its own, gathered while its stream is drained."""

    _batches: dict[str, list[pa.RecordBatch]] = field(default_factory=dict[str, list[pa.RecordBatch]])

    def add(self, table: str, batch: pa.RecordBatch) -> None:
        """More rows of a table of `ATTACHED`."""
        self._batches.setdefault(table, []).append(batch)

    def take(self, table: str) -> list[pa.RecordBatch]:
        """What came since the last time."""
        return self._batches.pop(table, [])


@dataclass(slots=True)
class Produced(StageOutput):
    """The rows as a stream, and the outcome that fills up while they are drained.

    `input_hash` identifies what the rows were made from. `extra` goes to the table's footer and `metadata` to the UI;
    both may be completed while the stream is drained. A `content_hash` in `extra` identifies the rows themselves.
    `published` is called once the table is there: what was only kept in case the work is cut off may go then.
    `attached` fills up with the stream.
    """

    batches: Iterable[pa.RecordBatch]
    outcome: Outcome
    input_hash: str
    extra: dict[str, object] = field(default_factory=dict[str, object])
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    published: Callable[[], None] = _nothing
    attached: AttachedRows = field(default_factory=AttachedRows)


def in_batches(rows: Iterable[dict[str, object]], size: int = 1024) -> Iterator[list[dict[str, object]]]:
    """`rows` in lists of at most `size`, lazily."""
    held: list[dict[str, object]] = []
    for row in rows:
        held.append(row)
        if len(held) >= size:
            yield held
            held = []
    if held:
        yield held
