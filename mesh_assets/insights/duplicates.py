"""How much of the slice is said more than once, word for word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.insights.locators import ChunkText, chunk_texts
from mesh_assets.insights.protocol import Insight
from mesh_assets.insights.wording import amount, plural, share
from mesh_assets.schemas.citations import Citation

# Shorter texts (a bracket, a heading) are equal by chance.
_SHORTEST = 60
# Texts followed at once. Past it, only every second one (by hash) is, then every fourth ..., and counts are scaled.
_MAX_TEXTS = 50_000
# Above this share of the bytes, cleaning up is worth a person's time: a third, as in system documentation.
_LARGE_SHARE = 0.3
_LARGE_COUNT = 20


@dataclass(slots=True)
class _Text:
    count: int
    size: int
    first: Citation
    second: Citation | None = None


class DuplicateInsight:
    """Counts equal texts by hash, on a sample of the hashes where there are many."""

    def __init__(self) -> None:
        self._texts: dict[int, _Text] = {}
        self._mask = 0

    def observe(self, chunks: pa.RecordBatch, insights: pa.RecordBatch, vectors: NDArray[np.float32]) -> None:
        """Hash the texts."""
        for chunk in chunk_texts(chunks):
            text = chunk.text.strip()
            if len(text) >= _SHORTEST:
                digest = int.from_bytes(blake3(text.encode("utf-8", "surrogatepass")).digest(length=8), "big")
                if not digest & self._mask:
                    self._count(digest, chunk)

    def _count(self, digest: int, chunk: ChunkText) -> None:
        known = self._texts.get(digest)
        if known is not None:
            known.count += 1
            known.second = known.second or chunk.cite_opening()
            return
        self._texts[digest] = _Text(1, chunk.byte_stop - chunk.byte_start, chunk.cite_opening())
        while len(self._texts) > _MAX_TEXTS:
            self._mask = self._mask * 2 + 1
            self._texts = {d: text for d, text in self._texts.items() if not d & self._mask}

    def conclude(self) -> Iterable[Insight]:
        """One insight where anything is said twice."""
        repeated = [text for text in self._texts.values() if text.count > 1]
        if not repeated:
            return
        scale = self._mask + 1
        extra = sum(text.count - 1 for text in repeated) * scale
        wasted = sum((text.count - 1) * text.size for text in repeated)
        total = sum(text.count * text.size for text in self._texts.values())
        large = wasted >= _LARGE_SHARE * total and extra >= _LARGE_COUNT
        top = max(repeated, key=lambda text: (text.count * text.size, text.first.path))
        shown = (top.first,) if top.second is None else (top.first, top.second)
        yield Insight(
            kind="mixed",
            type="duplicates",
            title="Repeated content",
            statement=f"{share(wasted, total)} of the content repeats, word for word, what is said elsewhere "
            f"({plural(extra, 'chunk')}); one text occurs {amount(top.count)} times, first in {top.first.path}.",
            score=0.55 if large else 0.2,
            value={"repeated_chunks": extra, "repeated_bytes": wasted * scale, "share": wasted / total},
            evidence=shown,
        )
