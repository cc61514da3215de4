"""A file as the product takes it in: for benchmarks that begin behind intake."""

from __future__ import annotations

from io import BytesIO

from blake3 import blake3

from mesh_assets.chunks.protocol import Source
from mesh_assets.intake.kinds import SAMPLE_BYTES, detect


def source_of(path: str, content: bytes, *, mtime_ns: int = 0) -> Source:
    """The source with this `content`, its kind and format told from it and from its path. The language is not told."""
    found = detect(content[:SAMPLE_BYTES], path, whole=len(content) <= SAMPLE_BYTES)
    return Source(
        dataset="benchmark",
        path=path,
        kind=found.kind,
        format=found.format,
        encoding=found.encoding,
        language=None,
        start=0,
        stop=len(content),
        content_hash=blake3(content).hexdigest(length=16),
        mtime_ns=mtime_ns,
        open=lambda: BytesIO(content),
    )
