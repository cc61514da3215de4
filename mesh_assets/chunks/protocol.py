"""What a chunker is. Adding a kind of data means one more file beside this one and one line in `registry`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mesh_assets.schemas.rejects import Reject

# Instead of a moment, which is in microseconds since 1970 UTC: there is none.
NO_MOMENT = -(1 << 62)
# Instead of the number of a row.
NO_ROW = -1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What a setting says that names no model.
OFF = "off"


@dataclass(slots=True)
class Room:
    """Bytes that may still be unpacked from one file, counted down by all that is in it, however deep."""

    left: int


@dataclass(frozen=True, slots=True)
class LocalModels:
    """Names or folders of the models that put sound and pictures into words; empty where there is none.

    A reading made with a model is another than one made without.
    """

    speech: str = ""
    caption: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> LocalModels:
        """Those that `speech_model` and `caption_model` of settings, or of a footer, name: `off` is none."""
        named = (str(settings.get(name) or OFF) for name in ("speech_model", "caption_model"))
        return cls(*("" if name == OFF else name for name in named))

    @property
    def named(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(filter(None, (self.speech, self.caption)))


@dataclass(frozen=True, slots=True)
class Source:
    """One extent to be chunked. `open` gives its bytes from `start` to `stop`, nothing before or after.

    The caller has compared the bytes with what intake read; a chunker trusts `kind`, `format` and `encoding`.
    `mtime_ns` is when intake found the file last modified, in ns since 1970 UTC. An extent that starts later in its
    file begins with a record; `head` gives the first bytes of the file (64 KiB), which hold the header of a table and
    show how records begin. It raises SourceChangedError where they are not what intake read. A file inside another
    has the `room` of that one, and its `content_hash`.
    """

    dataset: str
    path: str
    kind: str
    format: str
    encoding: str | None
    language: str | None
    start: int
    stop: int
    content_hash: str
    mtime_ns: int
    open: Callable[[], BinaryIO]
    head: Callable[[], bytes] = bytes
    room: Room | None = None
    models: LocalModels = LocalModels()

    @property
    def modified(self) -> datetime:
        """When the file was last modified, UTC: no stamp in it that lacks its year is later."""
        # 64 bits of ns reach from 1677 to 2262: always a moment.
        return datetime.fromtimestamp(self.mtime_ns / 1e9, UTC)


class Piece(NamedTuple):
    """What a chunker cuts: content with its locator. Bytes and lines count from the start of the *extent*.

    `byte_stop` is exclusive, `line_start` counts from 1, `line_stop` is inclusive. `text` is exactly the decoded
    bytes of the locator (undecodable ones as surrogates or U+FFFD; the stage replaces surrogates). Rows of a table
    count from the start of the extent too.

    A format that is no plain text has a *reading*: the text that its chunker makes of it, the same each time and for
    any `chunk_tokens`. Its pieces in order are the reading, and bytes (of UTF-8) and lines count in that; `place` says
    in the format's own terms where that is, as `page 3`, `slide 2`, `sheet Q1, rows 5 to 20`, `0:12 to 0:31`.
    """

    text: str
    byte_start: int
    byte_stop: int
    line_start: int
    line_stop: int
    tokens: int
    context: str = ""
    symbol: str | None = None
    row_start: int | None = None
    row_stop: int | None = None
    time_start: datetime | None = None
    time_stop: datetime | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces that follow each other, as columns: where there are thousands of small ones, a tenth of the time of each.

    The fields are those of `Piece`. Rows may be `NO_ROW`, and moments, in us since 1970 UTC, `NO_MOMENT`.
    """

    text: list[str]
    byte_start: NDArray[np.int64]
    byte_stop: NDArray[np.int64]
    line_start: NDArray[np.int64]
    line_stop: NDArray[np.int64]
    tokens: NDArray[np.int64]
    context: list[str]
    symbol: list[str | None]
    row_start: NDArray[np.int64]
    row_stop: NDArray[np.int64]
    time_start: NDArray[np.int64]
    time_stop: NDArray[np.int64]
    place: list[str | None]

    def __len__(self) -> int:
        return len(self.text)

    def __iter__(self) -> Iterator[Piece]:
        """Each of them."""
        rows = (_row_numbers(column) for column in (self.row_start, self.row_stop))
        times = (map(moment, column.tolist()) for column in (self.time_start, self.time_stop))
        numbers = (self.byte_start, self.byte_stop, self.line_start, self.line_stop, self.tokens)
        columns = (
            self.text,
            *(each.tolist() for each in numbers),
            self.context,
            self.symbol,
            *rows,
            *times,
            self.place,
        )
        return map(Piece._make, zip(*columns, strict=True))


def moment(time: int) -> datetime | None:
    """What `time`, in us since 1970 UTC, says; None for `NO_MOMENT`."""
    return None if time == NO_MOMENT else _EPOCH + timedelta(microseconds=time)


def _row_numbers(column: NDArray[np.int64]) -> list[int | None]:
    return [None if row == NO_ROW else row for row in column.tolist()]


class Attached(NamedTuple):
    """A row of another table (`schemas.ATTACHED`) that belongs to the piece before it: a symbol, a picture.

    The stage adds `chunk_id`, `dataset`, `slice` and `path`.
    """

    table: str
    row: dict[str, object]


# What comes of a source: what follows a `Source` is of that one, a file inside the one that is being chunked.
Part = Piece | Reject | Attached | Source


def one_by_one(parts: Iterable[Part | Pieces]) -> Iterator[Part]:
    """`parts` with each piece by itself."""
    for part in parts:
        if isinstance(part, Pieces):
            yield from part
        else:
            yield part


class Chunker(Protocol):
    """Cuts one kind of file into pieces.

    For plain-text formats the pieces and the part rejects together cover every byte of the extent exactly once, in
    order. (Rejects that say `cut by lines` stand beside pieces of the same bytes.) Memory is bounded: a chunker of
    formats that grow without limit (logs, tables) reads line by line.
    """

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part | Pieces]:
        """The pieces of `source`, each of at most about `chunk_tokens` (estimated) with its context.

        A unit that fits is never split. A part that cannot be used (a bad row) comes as a Reject with its bytes.
        Raises SourceError where the whole extent cannot be chunked.
        """
        ...
