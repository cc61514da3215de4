"""Vectors of texts that were embedded before: those of the slice's present table, and parts that a cut-off run left.

    <state>/lake/chunk_embeddings/<dataset>/<slice>.parquet            read while the next one is written beside it
    <state>/lake/chunk_embeddings/<dataset>/<slice>.parts/<name>.part  what a run has embedded so far

Parts are Parquet files too, with the two columns `text_hash` and `vector`. They go when the slice's table is published.
Vectors count only where the same model and the same version of the stage made them; a file that is damaged, or changes
while it is read, is not there.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mesh_assets.embeddings.protocol import HASH_BYTES, NOTHING_KNOWN, KnownVectors, Vector
from mesh_assets.errors import CorruptTableError, LakeError
from mesh_assets.schemas.embeddings import EMBEDDINGS
from mesh_assets.stages import ASSETS
from mesh_assets.storage.files import publishing
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.vectors import vectors_of

_ASSET = "chunk_embeddings"
# What a kill costs at most: half a minute, or this many vectors (3 MB at 384 dimensions) on a machine with a GPU.
_PART_SECONDS = 30.0
_PART_ROWS = 4096
# Parts that nobody went on with for so long are of a slice that was given up.
LEFT_OVER_SECONDS = 86_400
# Row groups held decoded, 15 MB each. The order of chunks hardly changes between two versions of a slice, so that the
# next lookup is nearly always in one of the last groups.
_HELD_GROUPS = 4
_COLUMNS = ("text_hash", "vector")
_PART_SCHEMA = pa.schema([(c.name, c.type) for c in EMBEDDINGS.columns if c.name in _COLUMNS])
_MADE_BY = b"mesh"
_UNREADABLE = (OSError, ValueError, KeyError, IndexError, pa.ArrowException)

# A text's hash as two numbers, shape (rows, 2).
_Hashes = NDArray[np.uint64]


class StoredVectors:
    """KnownVectors of one slice, for the model called `model`. Nothing is read before the first look.

    What the slice itself does not have is asked of `shared`, which is told what the slice embeds.
    Memory: 24 bytes a stored vector, four decoded row groups, and the vectors that wait for their part.
    """

    def __init__(
        self,
        lake: Lake,
        slice_key: str,
        *,
        model: str,
        run_id: str,
        log: Callable[[str], None],
        shared: KnownVectors = NOTHING_KNOWN,
    ) -> None:
        self._lake = lake
        self._slice = slice_key
        self._made_by = {"model": model, "version": ASSETS[_ASSET].version}
        self._run_id = run_id
        self._log = log
        self._shared = shared
        self._stored: _Stored | None = None
        self._waiting: dict[bytes, Vector] = {}
        self._kept_at = time.monotonic()

    @property
    def folder(self) -> Path:
        """Where the slice's parts lie."""
        return self._lake.path(_ASSET, self._slice).with_suffix(".parts")

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, Vector]:
        """See the Protocol. Each row group is read once a call at most."""
        if self._stored is None:
            self._stored = _Stored(self._row_groups())
        found = self._stored.find(hashes)
        return found | self._shared.find([digest for digest in hashes if digest not in found])

    def keep(self, vectors: Mapping[bytes, Vector]) -> None:
        """See the Protocol. A part is written every half a minute."""
        self._shared.keep(vectors)
        self._waiting.update(vectors)
        if len(self._waiting) >= _PART_ROWS or time.monotonic() - self._kept_at >= _PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """See the Protocol. A part that cannot be written is missed by nobody but the run after a kill."""
        self._shared.flush()
        if not self._waiting:
            return
        try:
            self._write_part()
        except (OSError, LakeError, pa.ArrowException) as error:
            self._log(f"what was embedded so far could not be kept for a run after this one: {error}")
        self._waiting = {}
        self._kept_at = time.monotonic()

    def forget_parts(self) -> None:
        """Remove the slice's parts, and those of others of its dataset that nobody went on with for a day."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in self.folder.parent.glob("*.parts"):
            try:
                if time.time() - folder.stat().st_mtime > LEFT_OVER_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:  # another run may be as tidy
                continue

    def _write_part(self) -> None:
        vectors = np.stack(list(self._waiting.values()))
        columns: list[pa.Array[Any]] = [
            pa.array([digest.hex() for digest in self._waiting]),
            cast("pa.Array[Any]", pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])),
        ]
        part = pa.Table.from_arrays(columns, names=list(_COLUMNS)).cast(_PART_SCHEMA)
        made_by = part.replace_schema_metadata({_MADE_BY: json.dumps(self._made_by)})
        with publishing(self.folder / f"{secrets.token_hex(8)}.part", self._run_id) as temporary:
            pq.write_table(made_by, temporary, compression="zstd", write_page_checksum=True)

    def _row_groups(self) -> Iterator[tuple[_RowGroup, _Hashes]]:
        for path in [self._lake.path(_ASSET, self._slice), *sorted(self.folder.glob("*.part"))]:
            try:
                # All of a file or nothing: one that is damaged somewhere is not trusted elsewhere.
                groups = list(self._row_groups_of(path))
            except (*_UNREADABLE, CorruptTableError):
                continue
            yield from groups

    def _row_groups_of(self, path: Path) -> Iterator[tuple[_RowGroup, _Hashes]]:
        if self._maker(path) != self._made_by:
            return
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for number in range(file.num_row_groups):
                yield _RowGroup(path, number), _hashes(file.read_row_group(number, columns=["text_hash"]))

    def _maker(self, path: Path) -> dict[str, str] | None:
        if path.suffix == ".part":
            return json.loads((pq.read_schema(path).metadata or {})[_MADE_BY])
        table = self._lake.find(_ASSET, self._slice)
        if table is None:
            return None
        return {"model": table.footer.extra["settings"]["model"], "version": table.footer.pipeline_version}


@dataclass(frozen=True, slots=True)
class _RowGroup:
    """One row group of one file."""

    path: Path
    number: int

    def read(self) -> tuple[_Hashes, Vector] | None:
        """Its hashes and its vectors, shape (rows, dimension); None where it cannot be read any more."""
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                rows = file.read_row_group(self.number, columns=list(_COLUMNS))
            return _hashes(rows), vectors_of(rows.combine_chunks().to_batches()[0])
        except _UNREADABLE:
            return None


class _Stored:
    """The vectors of row groups by hash: a sorted index of all hashes, and the groups that were read last."""

    def __init__(self, found: Iterable[tuple[_RowGroup, _Hashes]]) -> None:
        groups = [(group, hashes) for group, hashes in found if len(hashes)]
        self._groups = [group for group, _ in groups]
        self._starts = np.array([0, *accumulate(len(hashes) for _, hashes in groups)])
        hashes = np.concatenate([np.empty((0, 2), np.uint64), *(hashes for _, hashes in groups)])
        # The first of equal texts. Where two texts agree in half of their hash, the second is embedded again.
        self._first, self._rows = np.unique(hashes[:, 0], return_index=True)
        self._second = hashes[self._rows, 1]
        self._held: OrderedDict[int, tuple[_Hashes, Vector] | None] = OrderedDict()

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, Vector]:
        """The vectors of those `hashes` that are there."""
        if not hashes or not len(self._rows):
            return {}
        wanted = np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, 2)
        at = np.minimum(np.searchsorted(self._first, wanted[:, 0]), len(self._rows) - 1)
        there = np.flatnonzero((self._first[at] == wanted[:, 0]) & (self._second[at] == wanted[:, 1]))
        rows = self._rows[at[there]]
        group_of = np.searchsorted(self._starts, rows, side="right") - 1
        found: dict[bytes, Vector] = {}
        for group in cast("list[int]", np.unique(group_of).tolist()):
            here = there[group_of == group]
            vectors = self._vectors(group, rows[group_of == group] - self._starts[group], wanted[here])
            if vectors is not None:
                found.update(zip((hashes[i] for i in cast("list[int]", here.tolist())), vectors, strict=True))
        return found

    def _vectors(self, group: int, rows: NDArray[np.intp], wanted: _Hashes) -> Vector | None:
        """A copy of the vectors in `rows` of a group; None where those are not of the texts `wanted` any more."""
        held = self._read(group)
        if held is None or (rows >= len(held[0])).any() or not np.array_equal(held[0][rows], wanted):
            return None  # another run has published meanwhile
        return held[1][rows]

    def _read(self, group: int) -> tuple[_Hashes, Vector] | None:
        if group not in self._held:
            self._held[group] = self._groups[group].read()
            if len(self._held) > _HELD_GROUPS:
                self._held.popitem(last=False)
        self._held.move_to_end(group)
        return self._held[group]


def _hashes(rows: pa.Table) -> _Hashes:
    """The column `text_hash` as numbers, shape (rows, 2); ArrowInvalid where one is no 32 hex digits."""
    fixed = rows.column("text_hash").cast(pa.binary()).cast(pa.binary(2 * HASH_BYTES))
    if fixed.null_count:
        raise pa.ArrowInvalid("a hash is missing")
    digits = b"".join(cast("list[bytes]", fixed.to_pylist())).decode("ascii")
    return np.frombuffer(bytes.fromhex(digits), np.uint64).reshape(-1, 2)
