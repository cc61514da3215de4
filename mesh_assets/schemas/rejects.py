"""Rejects: what could not be processed, why, and what its owner can do. Every stage writes one table beside its own."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from mesh_assets.schemas.table import Column, Table

REJECTS = Table(
    name="rejects",
    grain="one thing that a stage could not process",
    key=("path", "byte_start", "reason"),
    columns=(
        Column("path", pa.string(), "Path of the file inside its dataset; bytes that are not UTF-8 as `\\xNN`."),
        Column("byte_start", pa.int64(), "Where the rejected part starts; null for the whole extent.", nullable=True),
        Column("byte_stop", pa.int64(), "Where it ends, exclusive.", nullable=True),
        Column("reason", pa.string(), "Short phrase: empty, symbolic link, no chunker for image ..."),
        Column("detail", pa.string(), "What exactly was met."),
        Column("remedy", pa.string(), "What the owner can do."),
    ),
)


# How the reasons of part rejects end whose bytes are chunks all the same.
CUT_ANYWAY = "cut by lines"


@dataclass(frozen=True, slots=True)
class Reject:
    """One row of the rejects table. Without bytes it stands for the whole extent, with bytes for a part of it."""

    path: str
    reason: str
    remedy: str
    detail: str = ""
    byte_start: int | None = None
    byte_stop: int | None = None

    @property
    def is_part(self) -> bool:
        """Whether only a part of an extent is rejected, so that the extent itself still counts as done."""
        return self.byte_start is not None

    @property
    def is_cut_anyway(self) -> bool:
        """Whether its bytes are chunks all the same, only cut without knowing what they mean."""
        return self.reason.endswith(CUT_ANYWAY)

    def row(self) -> dict[str, object]:
        """The reject as a row of `REJECTS`; text that Arrow cannot hold is escaped."""
        return {
            "path": printable(self.path),
            "byte_start": self.byte_start,
            "byte_stop": self.byte_stop,
            "reason": printable(self.reason),
            "detail": printable(self.detail),
            "remedy": self.remedy,
        }


def printable(text: str) -> str:
    """`text` with the surrogates of a name that is not UTF-8 written as `\\xNN`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def rejects_batch(rejects: list[Reject]) -> pa.RecordBatch:
    """`rejects` as one batch of the rejects table."""
    return REJECTS.batch([reject.row() for reject in rejects])
