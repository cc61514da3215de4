"""How much of the slice is said more than once, word for word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np

from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.wording import amount, plural, share
from mesh_assets.schemas.citations import Citation

# Shorter texts (a bracket, a heading) are equal by chance.
_SHORTEST = 60
# Texts followed at once. Past it, only every second one (by hash) is, then every fourth ..., and counts are scaled.
_MAX_TEXTS = 50_000
# Above this share of the bytes, cleaning up is worth a person's time: a third, as in system documentation.
_LARGE_SHARE = 0.3
_LARGE_COUNT = 20


# Hashes are compared within one run only.
_SEED = 5

_Place = tuple[str, str, int, int, int, str]  # dataset, path, first byte, last byte, line, source hash


@dataclass(slots=True)
class _Text:
    """How often a text occurs, its bytes, where it was met first, and the second time."""

    count: int
    size: int
    place: _Place
    second: Citation | None = None

    def citations(self) -> tuple[Citation, ...]:
        """Both places. The text itself is kept only where it is met again: it says the same at the first place."""
        if self.second is None:
            return ()
        dataset, path, byte_start, byte_stop, line, source_hash = self.place
        first = Citation(dataset, path, byte_start, byte_stop, source_hash, line, self.second.quote)
        return first, self.second


class DuplicateInsight:
    """Counts equal texts by hash, on a sample of the hashes where there are many."""

    def __init__(self) -> None:
        self._texts: dict[int, _Text] = {}
        self._mask = 0

    def observe(self, batch: SliceBatch) -> None:
        """Hash the texts."""
        stripped = batch.texts.str.strip_chars()
        hashes = stripped.hash(_SEED).to_numpy()
        followed = (stripped.str.len_chars().to_numpy() >= _SHORTEST) & (hashes & np.uint64(self._mask) == 0)
        rows = np.flatnonzero(followed)
        sizes = batch.sizes
        names = ("dataset", "path", "byte_start", "byte_stop", "line_start", "source_hash")
        columns = [batch.column(name) for name in names]
        for row, digest in zip(rows.tolist(), hashes[rows].tolist(), strict=True):
            known = self._texts.get(digest)
            if known is None:
                place = tuple(column[row] for column in columns)
                self._texts[digest] = _Text(1, int(sizes[row]), cast(_Place, place))
            else:
                known.count += 1
                known.second = known.second or batch.chunk(row).cite_opening()
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
        top = max(repeated, key=lambda text: (text.count * text.size, text.place[1]))
        yield Insight(
            kind="mixed",
            type="duplicates",
            title="Repeated content",
            statement=f"{share(wasted, total)} of the content repeats, word for word, what is said elsewhere "
            f"({plural(extra, 'chunk')}); one text occurs {amount(top.count)} times, first in {top.place[1]}.",
            score=0.55 if large else 0.2,
            value={"repeated_chunks": extra, "repeated_bytes": wasted * scale, "share": wasted / total},
            evidence=top.citations(),
        )
