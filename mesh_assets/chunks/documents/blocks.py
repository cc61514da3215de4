"""What a document consists of, whatever its format: the words that readers and the chunker share.

How blocks are found belongs to the reader of each format, how they are written and cut to `reading` and `chunker`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from mesh_assets.chunks.protocol import Source
from mesh_assets.schemas.rejects import Reject


class Heading(NamedTuple):
    """A title; `level` 1 is the highest."""

    text: str
    level: int


class Paragraph(NamedTuple):
    """Running text; line breaks in it are the author's. One that `goes_on` ends what the block before it began."""

    text: str
    goes_on: bool = False


class Item(NamedTuple):
    """An item of a list, `depth` lists deep from 0, with its bullet or number."""

    text: str
    depth: int = 0
    mark: str = "-"


class Table(NamedTuple):
    """Rows of cells; the first `header` rows name the columns."""

    rows: list[list[str]]
    header: int = 1


class Code(NamedTuple):
    """Text whose lines and spaces count."""

    text: str


class Picture(NamedTuple):
    """A picture of which only its description is known."""

    alt: str


class Break(NamedTuple):
    """What follows lies on this page, slide or part, counted from 1."""

    unit: str
    number: int


class Letterhead(NamedTuple):
    """What every chunk behind the first should know: the sender of a mail. `moment` is when it was written, UTC."""

    text: str
    moment: datetime | None = None


class Attachment(NamedTuple):
    """A file in the document, to be chunked as one of its own. Comes last."""

    name: str
    data: bytes


Block = Heading | Paragraph | Item | Table | Code | Picture | Break | Letterhead | Attachment
# What a reader is: the blocks of a document in the order of reading, and rejects of parts that cannot be used. It
# raises SourceError where the document cannot be used at all; any other exception says that the document is broken.
Reader = Callable[[Source], Iterator[Block | Reject]]


def part_reject(source: Source, reason: str, detail: str, remedy: str) -> Reject:
    """A reject of a part of a document that has no bytes of its own in the file; the rest of it is used."""
    return Reject(source.path, reason, remedy, detail, byte_start=0, byte_stop=0)
