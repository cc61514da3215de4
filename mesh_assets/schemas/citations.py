"""Citations: where a statement can be seen, as text that people can paste and as an Arrow struct.

Written `<dataset>/<path>:<start>-<stop>@<hash>`: bytes of a file and the first 12 hex digits of the content hash that
it had when it was read, so that whoever opens it learns whether it still says the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from mesh_assets.errors import CitationError
from mesh_assets.slices import check_dataset_key

CITATION = pa.struct(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("byte_start", pa.int64(), nullable=False),
        pa.field("byte_stop", pa.int64(), nullable=False),
        pa.field("line_start", pa.int64(), nullable=False),
        pa.field("source_hash", pa.string(), nullable=False),
        pa.field("quote", pa.string(), nullable=False),
        pa.field("place", pa.string()),
    ]
)
HASH_DIGITS = 12
_CITATION = re.compile(
    r"(?P<dataset>[^/]+)/(?P<path>.+):(?P<start>[0-9]{1,18})-(?P<stop>[0-9]{1,18})@(?P<hash>[0-9a-f]{12,64})",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Citation:
    """Bytes `byte_start` up to `byte_stop` (exclusive) of a file, or of its reading. `quote` is their text, perhaps
    shortened; `place` says where they are in a file that is no plain text, as `page 3`.
    """

    dataset: str
    path: str
    byte_start: int
    byte_stop: int
    source_hash: str
    line_start: int = 0
    quote: str = ""
    place: str | None = None

    def __str__(self) -> str:
        digest = self.source_hash[:HASH_DIGITS]
        return f"{self.dataset}/{self.path}:{self.byte_start}-{self.byte_stop}@{digest}"

    def row(self) -> dict[str, object]:
        """The citation as a value of the `CITATION` struct."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def parse(cls, text: str) -> Citation:
        """The citation written as `text`, without line and quote; CitationError where it is none."""
        match = _CITATION.fullmatch(text.strip())
        if match is None or int(match["stop"]) < int(match["start"]):
            raise CitationError(
                f"{text!r} is not a citation.",
                remedy="Citations look like `my-logs/app.log:120-340@0a1b2c3d4e5f`; `mesh search` prints them.",
            )
        return cls(
            dataset=check_dataset_key(match["dataset"]),
            path=match["path"],
            byte_start=int(match["start"]),
            byte_stop=int(match["stop"]),
            source_hash=match["hash"],
        )
