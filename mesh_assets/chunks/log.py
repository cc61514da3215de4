"""Logs: windows of records with their time range. What a record is belongs to `log_records`.

Records are grouped while they fit; one that fits, stack trace included, is never split, and one that does not is a
chunk of its own, cut at lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh_assets.chunks.cutting import Cutter
from mesh_assets.chunks.log_records import SAMPLE, record_starts
from mesh_assets.chunks.protocol import Pieces, Source
from mesh_assets.chunks.timestamps import TimestampParser
from mesh_assets.chunks.units import Units, unit_pieces
from mesh_assets.chunks.windows import head_text, text_windows


class LogChunker:
    """Cuts logs of any format."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Pieces]:
        """Windows of records. A year that the log does not write is taken from the file's last modification.

        How the records begin is told by the head of the file, also for an extent that starts later.
        """
        parser: TimestampParser | None = None
        for window in text_windows(source):
            if window.byte_start == 0:
                sample = head_text(source) if source.start else window.text
                parser = TimestampParser.detect(sample[:SAMPLE].splitlines(), latest=source.modified)
            cutter = Cutter.of(window, "log")
            times = parser.moments(window.text, cutter.meter.codes) if parser else None
            ends = [*record_starts(window.text, times), len(window.text)]
            yield from unit_pieces(cutter, Units(ends, times=times), chunk_tokens, may_go_on=not window.final)
