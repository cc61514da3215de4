"""From characters of a chunk's text to bytes of its file, and citations of them.

The text of a chunk does not say how its file was encoded. What can be told from the number of bytes and characters is
used; where that does not fit (an encoding of several bytes, a text that was extracted), the whole chunk is cited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights.columns import byte_lengths, column_of, integers
from mesh_assets.insights.secrets import mask
from mesh_assets.schemas.citations import Citation

# Enough to recognise a line in a report, without turning the report into the log.
QUOTE_CHARACTERS = 240
_BAD_BYTE = "\ufffd"


@dataclass(frozen=True, slots=True)
class ChunkText:
    """The text of one chunk with where it lies: what an insight needs to cite a part of it."""

    dataset: str
    path: str
    kind: str
    text: str
    byte_start: int
    byte_stop: int
    line_start: int
    source_hash: str
    place: str | None

    def byte_span(self, start: int, stop: int) -> tuple[int, int]:
        """The bytes in the file of the characters `start` up to `stop`; the whole chunk where they cannot be told."""
        return byte_span(self.text, start, stop, self.byte_start, self.byte_stop)

    def cite(self, start: int, stop: int) -> Citation:
        """A citation of the characters `start` up to `stop`, secrets in its quote masked."""
        byte_start, byte_stop = self.byte_span(start, stop)
        return Citation(
            dataset=self.dataset,
            path=self.path,
            byte_start=byte_start,
            byte_stop=byte_stop,
            source_hash=self.source_hash,
            line_start=self.line_start + self.text.count("\n", 0, start),
            quote=self.quote(start, stop),
            place=self.place,
        )

    def quote(self, start: int, stop: int) -> str:
        """The characters as one line of a report, secrets masked."""
        return shorten(mask(self.text, start, min(stop, start + 4 * QUOTE_CHARACTERS)))

    def cite_opening(self) -> Citation:
        """A citation of the whole chunk that quotes how it begins."""
        return self.cite(0, len(self.text))


# Columns of `CHUNKS` in the order of the fields of `ChunkText`.
CHUNK_COLUMNS = ("dataset", "path", "kind", "text", "byte_start", "byte_stop", "line_start", "source_hash", "place")


def chunk_texts(chunks: pa.RecordBatch) -> list[ChunkText]:
    """The rows of a batch of `CHUNKS`."""
    columns = [cast("list[object]", column_of(chunks, name).to_pylist()) for name in CHUNK_COLUMNS]
    return [ChunkText(*row) for row in zip(*columns, strict=True)]  # type: ignore[arg-type]


def byte_span(text: str, start: int, stop: int, byte_start: int, byte_stop: int) -> tuple[int, int]:
    """Bytes of the characters `start` up to `stop` of a text that occupies `byte_start` up to `byte_stop`.

    UTF-8, single-byte encodings and UTF-16 and -32 are recognised by their lengths, each undecodable byte as one.
    """
    size = byte_stop - byte_start
    if len(text) == size:  # ASCII, or any encoding of one byte a character
        return byte_start + start, byte_start + stop
    for width in (_utf8_bytes, _utf8_bytes_with_bad_bytes, _utf16_bytes, _utf32_bytes):
        if width(text) == size:
            first = byte_start + width(text[:start])
            return first, first + width(text[start:stop])
    return byte_start, byte_stop


def relative_spans(
    chunks: pa.RecordBatch, counts: NDArray[np.int64], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bytes in the encoding of the file, from the start of the chunk, of spans that are bytes of UTF-8 there.

    `counts` says how many of the spans each row of `chunks` (`text`, `byte_start`, `byte_stop`) has.
    """
    sizes = integers(column_of(chunks, "byte_stop")) - integers(column_of(chunks, "byte_start"))
    others = np.flatnonzero((sizes != byte_lengths(column_of(chunks, "text"))) & (counts > 0))
    if not len(others):
        return starts, stops
    starts, stops, begins = starts.copy(), stops.copy(), np.cumsum(counts) - counts
    for row in others.tolist():
        text = cast(str, cast(Any, column_of(chunks, "text"))[row].as_py())
        content = text.encode()
        for at in range(int(begins[row]), int(begins[row] + counts[row])):
            first = len(content[: starts[at]].decode())
            last = first + len(content[starts[at] : stops[at]].decode())
            starts[at], stops[at] = byte_span(text, first, last, 0, int(sizes[row]))
    return starts, stops


def _utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _utf8_bytes_with_bad_bytes(text: str) -> int:
    return _utf8_bytes(text) - 2 * text.count(_BAD_BYTE)


def _utf16_bytes(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass"))


def _utf32_bytes(text: str) -> int:
    return 4 * len(text)


def shorten(text: str, characters: int = QUOTE_CHARACTERS) -> str:
    """`text` on one line, cut at a word with an ellipsis where it is longer than `characters`."""
    line = " ".join(text[: 4 * characters].split())
    if len(line) <= characters:
        return line
    head = line[: characters - 1]
    return f"{head[: head.rfind(' ')] if head.rfind(' ') > characters // 2 else head}…"
