"""Logs: windows of records with their time range. What a record is belongs to `log_records`.

Records are grouped while they fit; one that fits, stack trace included, is never split, and one that does not is a
chunk of its own, cut at lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh_assets.chunks.cutting import Cutter, grouped, line_cuts
from mesh_assets.chunks.log_records import SAMPLE, record_stamps
from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.chunks.timestamps import TimestampParser
from mesh_assets.chunks.windows import head_text, text_windows


class LogChunker:
    """Cuts logs of any format."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Piece]:
        """Windows of records. A year that the log does not write is taken from the file's last modification.

        How the records begin is told by the head of the file, also for an extent that starts later.
        """
        parser: TimestampParser | None = None
        for window in text_windows(source):
            if window.byte_start == 0:
                sample = head_text(source) if source.start else window.text
                parser = TimestampParser.detect(sample[:SAMPLE].splitlines(), latest=source.modified)
            found = record_stamps(window.text, parser)
            ends = [start for start, _ in found[1:]] + [len(window.text)]
            cutter = Cutter.of(window, "log")
            for first, stop in grouped(window.text, ends, 0, cutter.meter, chunk_tokens):
                if stop == len(ends) and first > 0 and not window.final:
                    # The last record may go on in the next window.
                    window.held = len(window.text) - cutter.start
                    break
                moments = [stamp.time for _, stamp in found[first:stop] if stamp is not None]
                times = (min(moments), max(moments)) if moments else None
                for cut in line_cuts(window.text, cutter.meter, cutter.start, ends[stop - 1], chunk_tokens):
                    yield cutter.cut(cut, times=times)
