"""Where a file of records may be cut: only between two of them, found by reading a few KiB around each place.

Here it is known how logs, tables and JSON lines write their records, as their chunkers see them; when a file is cut,
and into how many extents, belongs to `intake.parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from mesh_assets.chunks.log_records import SAMPLE as LOG_SAMPLE
from mesh_assets.chunks.metrics import influx, prometheus
from mesh_assets.chunks.metrics.samples import LineKind
from mesh_assets.chunks.tables import SAMPLE as TABLE_SAMPLE
from mesh_assets.chunks.tables import Dialect, cells_of, row_ends
from mesh_assets.chunks.timestamps import TimestampParser
from mesh_assets.errors import SourceError
from mesh_assets.intake.extents import Extent
from mesh_assets.intake.kinds import SAMPLE_BYTES, detect, is_appendable
from mesh_assets.intake.parts import APPEND_SHARE
from mesh_assets.intake.sources import Identity, open_inside, probe, read_range

# Bytes that are read around a place where a file is to be cut: hundreds of records of most formats.
WINDOW = 64 << 10
# Bytes from the end in which the last complete record of a growing file is looked for.
MAX_TAIL = 4 << 20
# Bytes of a line of metrics that are looked at.
MAX_LINE = 4096
# The share of the rows of a window that have as many cells as the header, if it was read from the right state.
_ROW_SHARE = 0.9
# Fewer rows than this in a window show nothing.
_MIN_ROWS = 2


@dataclass(frozen=True, slots=True)
class Records:
    """How the records of one file begin: as the first bytes of it show. All offsets count bytes of a block."""

    form: str
    parser: TimestampParser | None = None
    delimiter: str = ","
    width: int = 0

    @classmethod
    def of(cls, head: bytes, path: str, *, whole: bool, latest: datetime) -> Records | None:
        """The records of the file that begins with `head`; None where it has none that end with a line."""
        found = detect(head, path, whole=whole)
        if not is_appendable(found) or b"\n" not in head:
            return None
        # One character a byte: what records are told by is ASCII in all these encodings.
        text = head.decode("latin-1")
        if found.format == "log":
            sample = head.decode(found.encoding or "utf-8", "replace")[:LOG_SAMPLE].splitlines()
            parser = TimestampParser.detect(sample, latest=latest)
            return None if parser is None else cls("log", parser=parser)
        if found.format in ("csv", "tsv"):
            dialect = Dialect.of(text[:TABLE_SAMPLE], found.format, latest=latest)
            return cls(found.format, delimiter=dialect.delimiter, width=dialect.width) if dialect.width else None
        return cls(found.format)

    def starts(self, block: bytes, *, is_first: bool) -> list[int]:
        """Where records begin in `block`, ascending; its end counts where a complete record ends there.

        `is_first` says that the block itself begins with a record; otherwise it begins anywhere in one.
        """
        if self.form in ("csv", "tsv"):
            return self._rows(block.decode("latin-1"), is_first=is_first)
        lines = [0] if is_first else []
        lines += [at + 1 for at in _finds(block, b"\n")]
        if self.form == "jsonl":
            return [at for at in lines if at == len(block) or block[at : at + 1] == b"{"]
        if self.form in ("plain", "prometheus"):
            return lines
        if self.form == "influx":
            return _points(block.decode("latin-1"), lines)
        text = block.decode("latin-1")
        assert self.parser is not None
        skipped = lines[0] if lines else len(block)
        return [skipped + stamp.line for stamp in self.parser.stamps(text[skipped:])]

    def best(self, block: bytes, starts: list[int]) -> list[int]:
        """Those of `starts` at which a file is rather cut: of plain text, those of paragraphs where there are some.

        Of metrics, where lines begin that describe one.
        """
        if self.form == "prometheus":
            kinds = [prometheus.is_description(block[at : at + MAX_LINE].decode("latin-1")) for at in starts]
            return [at for at, before, own in zip(starts[1:], kinds, kinds[1:], strict=False) if own > before] or starts
        if self.form != "plain":
            return starts
        return [at for at in starts if block[:at].endswith((b"\n\n", b"\n\r\n"))] or starts

    def _rows(self, text: str, *, is_first: bool) -> list[int]:
        """Starts of rows, read from the state (within quotes, or not) in which most rows have all their cells."""
        outside = self._read(text, is_first=is_first, quoted=False)
        return outside if is_first else max(outside, self._read(text, is_first=False, quoted=True), key=len)

    def _read(self, text: str, *, is_first: bool, quoted: bool) -> list[int]:
        shown = f'"{text}' if quoted else text
        # What is behind the text belongs to its last row where that is not complete.
        ends = row_ends(f"{shown}-", self.delimiter, final=False)[:-1]
        starts = [0, *ends] if is_first else ends
        widths = [len(cells_of(shown[start:stop], self.delimiter)) for start, stop in pairwise(starts)]
        fitting = sum(width == self.width for width in widths)
        if not is_first and (len(widths) < _MIN_ROWS or fitting < _ROW_SHARE * len(widths)):
            return []
        return [start - quoted for start in starts]


def _points(text: str, lines: list[int]) -> list[int]:
    """Starts of points of line protocol, of which `lines` are those of all lines: within quotes a line may be none."""
    first = next((at for at in lines if _is_point(text[at : at + MAX_LINE])), len(text))
    starts: set[int] = set()
    at = first
    for line in influx.lines(text[first:]):
        stop = first + line.stop
        if line.kind is LineKind.SAMPLE:
            starts |= {at, stop} if text[stop - 1] == "\n" else {at}
        at = stop
    return sorted(starts)


def _is_point(line: str) -> bool:
    return bool(line) and next(influx.lines(line)).kind is LineKind.SAMPLE


def _finds(block: bytes, what: bytes) -> Iterator[int]:
    at = block.find(what)
    while at >= 0:
        yield at
        at = block.find(what, at + 1)


class FileSplitter:
    """The `Splitter` of the files below `root`. `known_probe` is what `raw_partitions` said of an extent, or None.

    `root` is asked for when the first file is opened: a dataset may have none.
    """

    def __init__(self, root: Callable[[], Path], known_probe: Callable[[Extent], str | None]) -> None:
        self._root = root
        self._known_probe = known_probe

    def cuts(self, path: str, found: Identity, *, start: int, target: int, growing: bool) -> list[int] | None:
        """As `Splitter.cuts`. A file that cannot be read now is one extent: its reader says why."""
        try:
            with open_inside(self._root(), path) as file:
                records = self._records(file, path, found)
                if records is None:
                    return None
                stop = _last_record(file, path, records, start, found.size) if growing else found.size
                if stop <= start:
                    return []
                return [*_inner_cuts(file, path, records, (start, stop), target), stop]
        except (SourceError, OSError):
            return None

    def staying(self, extents: Sequence[Extent], found: Identity) -> int:
        """As `Splitter.staying`: the first and the last extent that were read must be what they were."""
        probes = {extent: self._known_probe(extent) for extent in extents}
        read = [extent for extent, known in probes.items() if known is not None]
        path, last = extents[0].path, extents[-1]
        try:
            with open_inside(self._root(), path) as file:
                if not read or any(
                    probe(file, path, e.start, e.stop) != probes[e] for e in dict.fromkeys((read[0], read[-1]))
                ):
                    return 0
                records = self._records(file, path, found)
                if records is None:
                    return 0
                first = max(0, last.stop - WINDOW)
                stop = min(last.stop + WINDOW, found.size)
                block = b"".join(read_range(file, path, first, stop))
                is_end = last.stop - first in records.starts(block, is_first=first == 0)
                return len(extents) if is_end else len(extents) - 1
        except (SourceError, OSError):
            return 0

    def _records(self, file: BinaryIO, path: str, found: Identity) -> Records | None:
        head = b"".join(read_range(file, path, 0, min(SAMPLE_BYTES, found.size)))
        latest = datetime.fromtimestamp(found.mtime_ns / 1e9, UTC)
        return Records.of(head, path, whole=len(head) == found.size, latest=latest)


def _inner_cuts(file: BinaryIO, path: str, records: Records, span: tuple[int, int], target: int) -> Iterator[int]:
    """The start of a record next to each multiple of `target` from the start of the span on, where there is one."""
    start, stop = span
    cut = start
    for place in range(start + target, stop - target // APPEND_SHARE, target):
        first = max(cut, place - WINDOW // 2)
        block = b"".join(read_range(file, path, first, min(first + WINDOW, stop)))
        found = [at for at in records.starts(block, is_first=first == cut) if cut < first + at < stop]
        starts = [first + at for at in records.best(block, found)]
        before = [at for at in starts if at <= place]
        if starts:
            cut = before[-1] if before else starts[0]
            yield cut


def _last_record(file: BinaryIO, path: str, records: Records, start: int, size: int) -> int:
    """Where the last complete record before `size` ends: a log's may go on, until the next one begins."""
    length = WINDOW
    while True:
        first = max(start, size - length)
        block = b"".join(read_range(file, path, first, size))
        starts = [first + at for at in records.starts(block, is_first=first == start)]
        if starts and starts[-1] > start:
            return starts[-1]
        if first == start or length >= MAX_TAIL:
            return start
        length *= 4
