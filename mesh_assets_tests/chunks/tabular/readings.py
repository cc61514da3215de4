"""The promise of every chunker of tables that are no plain text: its pieces in order are a reading, always the same."""

from __future__ import annotations

import csv
import io

from mesh_assets.chunks.protocol import Piece, one_by_one
from mesh_assets.chunks.registry import direct_chunker
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.sources import source


def parts(data: bytes, form: str, *, tokens: int = 64) -> list[Piece | Reject]:
    """What comes of `data`, after checking that it is a reading that does not depend on the size of chunks."""
    found = cut(data, form, tokens)
    text = reading(found)
    assert reading(cut(data, form, 3 * tokens)) == text
    return found


def cut(data: bytes, form: str, tokens: int) -> list[Piece | Reject]:
    """The parts, after checking that each piece begins where the one before it ended, in bytes and in lines."""
    chunker = direct_chunker("structured", form)
    assert chunker is not None
    found = list(one_by_one(chunker.chunk(source(data, "structured", form), chunk_tokens=tokens)))
    at, lines = 0, 1
    for part in found:
        assert isinstance(part, Piece | Reject)
        if isinstance(part, Reject):
            assert part.byte_start == at and part.reason and part.remedy
            continue
        assert (part.byte_start, part.byte_stop) == (at, at + len(part.text.encode()))
        assert part.line_start == lines
        at, lines = part.byte_stop, lines + part.text.count("\n")
        assert part.text.count("\0") == 0
    return [part for part in found if isinstance(part, Piece | Reject)]


def reading(found: list[Piece | Reject]) -> str:
    """The reading that the pieces make."""
    return "".join(part.text for part in found if isinstance(part, Piece))


def pieces(found: list[Piece | Reject]) -> list[Piece]:
    """The pieces alone; there must be no reject."""
    assert all(isinstance(part, Piece) for part in found), found
    return [part for part in found if isinstance(part, Piece)]


def rows(found: list[Piece | Reject], symbol: str | None = None) -> list[list[str]]:
    """The cells of the rows of one table, its header first."""
    text = "".join(
        part.text for part in found if isinstance(part, Piece) and part.symbol == symbol and part.row_start is not None
    )
    return list(csv.reader(io.StringIO(text)))
