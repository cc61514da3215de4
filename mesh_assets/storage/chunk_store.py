"""Chunks by id, for search: the indexes know ids, the lake knows the texts.

A slice's table is opened once and its ids are remembered as numbers, so that a query reads the row groups of its hits
and nothing else. An open table stays what it was: one that is replaced meanwhile is opened anew by the next query.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mesh_assets.errors import CorruptTableError
from mesh_assets.search.protocol import ChunkRow
from mesh_assets.slices import SliceKey
from mesh_assets.storage.lake import Lake, LakeTable, opened

# Each column costs some 30 microseconds of a hit; what the key of the slice says is not read.
_TOLD_BY_KEY = ("dataset", "slice")
_COLUMNS = [field.name for field in fields(ChunkRow) if field.name not in _TOLD_BY_KEY]
# Often the same, or nothing, in a whole row group: its statistics say so in a tenth of the time of reading.
_OFTEN_SAME = ("kind", "symbol", "context", "source_hash", "place", "time_start", "time_stop")
# Each holds a descriptor, its footer (about 1 MB for 50,000 chunks) and 12 bytes a chunk; a process may have 256
# descriptors (macOS) by default, and the vector index holds up to half of these.
_OPEN_TABLES = 64
_CHUNK_ID = re.compile(r"[0-9a-f]{32}")


class LakeChunks:
    """Fetches rows of `chunk_sets` from the lake, for any number of threads."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = Lock()
        self._tables: OrderedDict[Path, _Table] = OrderedDict()

    def fetch(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, ChunkRow]:
        """Rows by chunk id, for slice keys with their ids. An id that the lake no longer has is left out.

        CorruptTableError where a table cannot be read.
        """
        found: dict[str, ChunkRow] = {}
        with self._lock:
            self._let_go()
            for slice_key, ids in wanted.items():
                path = self._lake.path("chunk_sets", slice_key)
                try:
                    table = self._table(path)
                    if table is not None:
                        told = dict(zip(_TOLD_BY_KEY, (SliceKey.parse(slice_key).dataset, slice_key), strict=True))
                        found |= {row["chunk_id"]: ChunkRow(**row, **told) for row in table.rows(ids)}
                except (OSError, ValueError, pa.ArrowException) as error:
                    self._tables.pop(path, None)
                    raise CorruptTableError(
                        f"{path} cannot be read: {error}", remedy="Delete it and materialize its partition again."
                    ) from error
        return found

    def _let_go(self) -> None:
        """Close tables that were replaced or deleted: what is open stays on the disk."""
        for path, table in list(self._tables.items()):
            if table.identity is None or _identity(path) != table.identity:
                self._tables.pop(path).file.close()

    def _table(self, path: Path) -> _Table | None:
        table = self._tables.pop(path, None) or _open(path)
        if table is not None:
            self._tables[path] = table
            if len(self._tables) > _OPEN_TABLES:
                self._tables.popitem(last=False)[1].file.close()
        return table


@dataclass(frozen=True, slots=True)
class _Table:
    """An open table: `halves` are the first halves of its ids, sorted, `order` their rows, `starts` of row groups.

    `often_same` are the places of those columns.
    """

    file: pq.ParquetFile
    identity: tuple[int, int, int] | None
    halves: NDArray[np.uint64]
    order: NDArray[np.int32]
    starts: list[int]
    often_same: dict[str, int]

    def rows(self, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows of those `ids` that are here, with `_COLUMNS`."""
        # A few ids of a slice at a time: plain loops cost a third of arrays of one or two numbers.
        asked = {chunk_id for chunk_id in ids if _CHUNK_ID.fullmatch(chunk_id)}
        rows: set[int] = set()
        for half in _halves("".join(asked)):
            at = bisect_left(self.halves, half)
            while at < len(self.halves) and self.halves[at] == half:
                rows.add(self.order.item(at))
                at += 1
        by_group: dict[int, list[int]] = {}
        for row in sorted(rows):
            by_group.setdefault(bisect_right(self.starts, row) - 1, []).append(row)
        for group, held in by_group.items():
            same = self._same(group)
            names = [name for name in _COLUMNS if name not in same]
            columns = self.file.read_row_group(group, columns=names, use_threads=False).columns
            for row in held:
                values = (column[row - self.starts[group]].as_py() for column in columns)
                found = same | dict(zip(names, values, strict=True))
                if found["chunk_id"] in asked:
                    yield found

    def _same(self, group: int) -> dict[str, Any]:
        """Columns that have one value in all rows of a row group, with it."""
        metadata = self.file.metadata.row_group(group)
        same: dict[str, Any] = {}
        for name, index in self.often_same.items():
            told = metadata.column(index).statistics
            if told is None or told.null_count is None:
                continue
            if told.null_count == metadata.num_rows:
                same[name] = None
            elif not told.null_count and told.has_min_max and isinstance(told.min, str) and told.min == told.max:
                same[name] = told.min
        return same


def _open(path: Path) -> _Table | None:
    """The table at `path`, or None where there is none."""
    try:
        identity = _identity(path)
        file = opened(path)
    except FileNotFoundError:
        return None
    if identity != _identity(path):
        # Replaced between the two: the identity of neither is known, so it is not kept beyond this query.
        identity = None
    metadata = file.metadata
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    ids = file.read(["chunk_id"], use_threads=False).column("chunk_id").combine_chunks()
    halves = _halves("".join(cast("list[str]", ids.to_pylist())))
    order = np.argsort(halves).astype(np.int32)
    starts = [0, *accumulate(sizes[:-1])] if sizes else []
    often_same = {name: metadata.schema.names.index(name) for name in _OFTEN_SAME}
    return _Table(file, identity, halves[order], order, starts, often_same)


def _halves(ids: str) -> NDArray[np.uint64]:
    # Half of an id hardly ever stands for two; which of them it is, the row itself says.
    return np.frombuffer(bytes.fromhex(ids), np.uint64)[::2]


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def formats_of(sources: LakeTable) -> set[tuple[str, str]]:
    """The kinds and formats of the files in a table of sources."""
    return {(row["kind"], row["format"]) for batch in sources.batches(["kind", "format"]) for row in batch.to_pylist()}
