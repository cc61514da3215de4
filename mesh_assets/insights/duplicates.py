"""How much of the slice is said more than once, word for word."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights.byte_text import Places
from mesh_assets.insights.columns import rows_of
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
# Columns of a text's first place that a citation is made of.
_PLACE = ("dataset", "path", "byte_start", "byte_stop", "source_hash", "line_start", "place")


class DuplicateInsight:
    """Counts equal texts by hash, on a sample of the hashes where there are many.

    Texts are rows of arrays in the order of their hashes: how often each occurs, its bytes, and its number in the order
    in which they were met, which is its row in `_places`. Where one was met again is kept with what it says, which is
    what it says at the first place.
    """

    def __init__(self) -> None:
        self._hashes = np.zeros(0, np.uint64)
        self._counts, self._sizes, self._numbers = (np.zeros(0, np.int64) for _ in range(3))
        self._places: list[pa.Table] = []
        self._again: dict[int, Citation] = {}
        self._mask = 0

    def observe(self, batch: SliceBatch) -> None:
        """Hash the texts."""
        stripped = batch.texts.str.strip_chars()
        hashes = stripped.hash(_SEED).to_numpy()
        followed = (stripped.str.len_chars().to_numpy() >= _SHORTEST) & (hashes & np.uint64(self._mask) == 0)
        rows = np.flatnonzero(followed)
        if not len(rows):
            return
        distinct, first, counts = np.unique(hashes[rows], return_index=True, return_counts=True)
        at = np.searchsorted(self._hashes, distinct)
        is_known = np.zeros(len(distinct), np.bool_)
        is_known[at < len(self._hashes)] = self._hashes[at[at < len(self._hashes)]] == distinct[at < len(self._hashes)]
        self._counts[at[is_known]] += counts[is_known]
        for digest, known in zip(*(c[is_known | (counts > 1)].tolist() for c in (distinct, is_known)), strict=True):
            if digest not in self._again:
                row = rows[hashes[rows] == digest][0 if known else 1]
                self._again[digest] = batch.chunk(int(row)).cite_opening()
        self._add(batch, distinct[~is_known], rows[first[~is_known]], counts[~is_known], at[~is_known])
        while len(self._hashes) > _MAX_TEXTS:
            self._mask = self._mask * 2 + 1
            self._forget()

    def _add(
        self, batch: SliceBatch, hashes: NDArray[np.uint64], rows: Places, counts: Places, before: NDArray[np.intp]
    ) -> None:
        """New texts, which are first met in `rows` and stand before the texts `before`."""
        order = np.argsort(rows)
        numbers = np.empty(len(rows), np.int64)
        numbers[order] = len(self._hashes) + np.arange(len(rows))
        self._hashes = np.insert(self._hashes, before, hashes)
        self._counts = np.insert(self._counts, before, counts)
        self._sizes = np.insert(self._sizes, before, batch.sizes[rows])
        self._numbers = np.insert(self._numbers, before, numbers)
        self._places.append(rows_of(pa.Table.from_batches([batch.chunks.select(list(_PLACE))]), rows[order]))

    def _forget(self) -> None:
        """Follow half as many texts."""
        kept = np.flatnonzero(self._hashes & np.uint64(self._mask) == 0)
        order = np.argsort(self._numbers[kept])
        self._places = [rows_of(pa.concat_tables(self._places), self._numbers[kept][order]).combine_chunks()]
        self._hashes, self._counts, self._sizes = self._hashes[kept], self._counts[kept], self._sizes[kept]
        self._numbers = np.empty(len(kept), np.int64)
        self._numbers[order] = np.arange(len(kept))
        self._again = {digest: place for digest, place in self._again.items() if not digest & self._mask}

    def conclude(self) -> Iterable[Insight]:
        """One insight where anything is said twice."""
        repeated = np.flatnonzero(self._counts > 1)
        if not len(repeated):
            return
        scale = self._mask + 1
        counts, sizes = self._counts[repeated], self._sizes[repeated]
        extra = int((counts - 1).sum()) * scale
        wasted = int(((counts - 1) * sizes).sum())
        total = int((self._counts * self._sizes).sum())
        large = wasted >= _LARGE_SHARE * total and extra >= _LARGE_COUNT
        most = repeated[counts * sizes == (counts * sizes).max()]
        most = most[np.argsort(self._numbers[most])]
        places = rows_of(pa.concat_tables(self._places), self._numbers[most]).to_pylist()
        top = max(range(len(most)), key=lambda i: places[i]["path"])
        again = self._again[int(self._hashes[most[top]])]
        times, path = int(self._counts[most[top]]), places[top]["path"]
        yield Insight(
            kind="mixed",
            type="duplicates",
            title="Repeated content",
            statement=f"{share(wasted, total)} of the content repeats, word for word, what is said elsewhere "
            f"({plural(extra, 'chunk')}); one text occurs {amount(times)} times, first in {path}.",
            score=0.55 if large else 0.2,
            value={"repeated_chunks": extra, "repeated_bytes": wasted * scale, "share": wasted / total},
            evidence=(Citation(**places[top], quote=again.quote), again),
        )
