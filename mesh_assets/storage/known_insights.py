"""Insights of chunks that were there before: those of the slice's present table, read while the next one is written.

They count only where the same version of the stage made them, of a chunk of the same id, kind and bytes. A file that is
damaged, or changes while it is read, is not there: what it held is found anew, the same.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mesh_assets.errors import CorruptTableError
from mesh_assets.insights.columns import rows_of, rows_where
from mesh_assets.insights.protocol import id_keys
from mesh_assets.schemas.insights import CHUNK_INSIGHTS
from mesh_assets.stages import ASSETS
from mesh_assets.storage.lake import Lake, opened

_ASSET = "chunk_insights"
# Row groups held decoded, 16 MB each. The order of chunks hardly changes between two versions of a slice, so that the
# next lookup is nearly always in one of the last groups.
_HELD_GROUPS = 3
_UNREADABLE = (OSError, ValueError, KeyError, IndexError, pa.ArrowException, CorruptTableError)


class StoredInsights:
    """KnownInsights of one slice. Nothing is read before the first look.

    Memory: 16 bytes a stored row and three decoded row groups.
    """

    def __init__(self, lake: Lake, slice_key: str) -> None:
        self._lake = lake
        self._slice = slice_key
        self._stored: _Stored | None = None
        self._is_open = False

    def find(self, ids: pa.StringArray, basis: pa.StringArray) -> tuple[NDArray[np.bool_], pa.Table]:
        """See the Protocol."""
        if not self._is_open:
            self._is_open = True
            self._stored = self._opened()
        if self._stored is not None:
            try:
                return self._stored.find(ids, basis)
            except _UNREADABLE:
                self._stored = None
        return np.zeros(len(ids), np.bool_), CHUNK_INSIGHTS.schema.empty_table()

    def _opened(self) -> _Stored | None:
        try:
            table = self._lake.find(_ASSET, self._slice)
            if table is None or table.footer.pipeline_version != ASSETS[_ASSET].version:
                return None
            return _Stored(opened(table.path))
        except _UNREADABLE:
            return None


class _Stored:
    """The rows of one file by their ids. The file stays open: what replaces it is another."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self._file = file
        parts = (
            file.read_row_group(number, columns=["chunk_id"], use_threads=False).column(0)
            for number in range(file.num_row_groups)
        )
        keys = [id_keys(cast("pa.StringArray", part.combine_chunks())) for part in parts]
        self._starts = np.cumsum([0, *(len(part) for part in keys)])
        joined = np.concatenate([np.zeros(0, np.uint64), *keys])
        self._order = np.argsort(joined, kind="stable")
        self._keys = joined[self._order]
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()

    def find(self, ids: pa.StringArray, basis: pa.StringArray) -> tuple[NDArray[np.bool_], pa.Table]:
        found = np.zeros(len(ids), np.bool_)
        tables = [CHUNK_INSIGHTS.schema.empty_table()]
        if not len(self._keys):
            return found, tables[0]
        keys = id_keys(ids)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        rows = np.flatnonzero(self._keys[at] == keys)
        places = self._order[at[rows]]
        groups = np.searchsorted(self._starts, places, side="right") - 1
        bounds: list[int] = np.flatnonzero(np.diff(groups, prepend=-1, append=-1)).tolist()
        for start, stop in pairwise(bounds):
            group = int(groups[start])
            table = rows_of(self._group(group), places[start:stop] - self._starts[group])
            wanted = rows[start:stop]
            same = _equal(table.column("chunk_id"), rows_of(ids, wanted)) & _equal(
                table.column("basis"), rows_of(basis, wanted)
            )
            found[rows[start:stop]] = same
            tables.append(rows_where(table, same))
        return found, pa.concat_tables(tables)

    def _group(self, number: int) -> pa.Table:
        table = self._groups.pop(number, None)
        if table is None:
            table = self._file.read_row_group(number, use_threads=False).cast(CHUNK_INSIGHTS.schema)
        self._groups[number] = table
        if len(self._groups) > _HELD_GROUPS:
            self._groups.popitem(last=False)
        return table


def _equal(stored: pa.ChunkedArray[Any], wanted: Any) -> NDArray[np.bool_]:  # noqa: ANN401
    return np.array([one == other for one, other in zip(stored.to_pylist(), wanted.to_pylist(), strict=True)], np.bool_)
