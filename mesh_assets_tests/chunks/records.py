"""The records of a text, one by one: what reading many at once must come to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from mesh_assets.chunks.log_records import SAMPLE, LogRecord, level_of, record_stamps
from mesh_assets.chunks.timestamps import TimestampParser


class Read(NamedTuple):
    """A record with its time (None before the first stamp), its level, and its first byte and line in the text."""

    record: LogRecord
    time: datetime | None
    level: str | None
    byte_start: int
    line_start: int

    @property
    def text(self) -> str:
        return self.record.text


def records_of(text: str, parser: TimestampParser | None = None) -> Iterator[Read]:
    """The records of `text`, in order; the parser is that of the text where none is given."""
    parser = parser or TimestampParser.detect(text[:SAMPLE].splitlines())
    stamps = record_stamps(text, parser)
    for number, (start, stamp) in enumerate(stamps, 1):
        stop = stamps[number][0] if number < len(stamps) else len(text)
        span = (stamp.start - start, stamp.stop - start) if stamp else (0, 0)
        record = LogRecord(text[start:stop], *span)
        before = text[:start]
        yield Read(
            record,
            stamp.time if stamp else None,
            level_of(record.text, span[1]),
            len(before.encode()),
            before.count("\n") + 1,
        )
