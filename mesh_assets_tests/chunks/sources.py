"""Sources over bytes in memory, and the promise that every chunker makes: each byte once, in order, and openable."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

from mesh_assets.chunks.protocol import Piece, Source, one_by_one
from mesh_assets.chunks.registry import chunker_for
from mesh_assets.chunks.windows import codec_for
from mesh_assets.schemas.rejects import Reject


def source(
    data: str | bytes,
    kind: str = "text",
    form: str = "plain",
    *,
    encoding: str = "utf-8",
    path: str = "a/file",
    start: int = 0,
    modified: datetime = datetime(2026, 12, 1, tzinfo=UTC),
) -> Source:
    content = data.encode() if isinstance(data, str) else data
    return Source(
        dataset="set",
        path=path,
        kind=kind,
        format=form,
        encoding=encoding,
        language=None,
        start=start,
        stop=start + len(content),
        content_hash="c0ffee",
        mtime_ns=int(modified.timestamp()) * 10**9,
        open=lambda: BytesIO(content),
    )


def cut(data: str | bytes, kind: str = "text", form: str = "plain", *, tokens: int = 64) -> list[Piece]:
    """The pieces of `data`, after checking the promise; there must be no reject."""
    parts = checked(source(data, kind, form), tokens)
    assert all(isinstance(part, Piece) for part in parts)
    return [part for part in parts if isinstance(part, Piece)]


def checked(given: Source, tokens: int) -> list[Piece | Reject]:
    """What the chunker of `given` yields, after checking that it covers every byte once and opens as its text."""
    chunker = chunker_for(given.kind, given.format)
    assert chunker is not None
    with given.open() as stream:
        data = stream.read()
    codec = codec_for(given.encoding, data[:4])
    parts = [p for p in one_by_one(chunker.chunk(given, chunk_tokens=tokens)) if isinstance(p, Piece | Reject)]
    at = line = 0
    for part in parts:
        if isinstance(part, Reject) and part.is_cut_anyway:
            assert 0 <= (part.byte_start or 0) < (part.byte_stop or 0) <= len(data)
            continue
        assert part.byte_start == at
        assert part.byte_stop is not None and part.byte_stop > at
        at = part.byte_stop
        if isinstance(part, Piece):
            assert codec.decode(data[part.byte_start : part.byte_stop]) == part.text
            assert 1 <= part.line_start <= part.line_stop
            assert part.line_start >= line
            line = part.line_start
    assert at == len(data)
    return parts
