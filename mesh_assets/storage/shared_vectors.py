"""Vectors that slices share: a text that any slice had embedded is not embedded again for another one.

    <state>/embedded/<model>-<version of the stage>.slots    a header, then slots of one size, in buckets of eight

A text's hash tells its bucket. The file never grows beyond its slots: a new vector takes an empty one, or that of a
text that did not come back since it was stored, so that headers, licences and templates stay (second chance, Corbató
1968).
Any number of processes read and write without locks: a slot is written by one call and carries a checksum, so that a
half-written one is not there, whoever was killed. A slot names the dataset whose run embedded its text, by which
`forget` finds it. What a slice itself had is looked up in its own table first, see `known_vectors`.

Looking a text up among the lake's own tables instead needs no file, and reads the hashes of every table for each slice.
"""

from __future__ import annotations

import os
import secrets
import shutil
import struct
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from mesh_assets.atomic import replacing
from mesh_assets.embeddings.protocol import Vector
from mesh_assets.slices import check_dataset_key, dataset_key
from mesh_assets.stages import ASSETS
from mesh_assets.storage.files import undeletable

# 524,288 slots: 420 MB at 384 dimensions once all are taken, nothing on the disk before. A slice of 10 MiB has 20,000
# distinct texts, so a text that comes back within the next 25 slices is found, and one that did so once stays longer.
SLOTS = 1 << 19
_WAYS = 8
_FOLDER = "embedded"
_HEADER = struct.Struct("<8sQQ")
_MAGIC = b"MESHVEC1"
_SUFFIX = ".slots"
# Slots whose dataset is compared at a time: 13 MB at 384 dimensions.
_SWEPT = 1 << 14


class SharedVectors:
    """KnownVectors of all slices below the folder `state`, for the model called `model`.

    `dataset` is the key of whose texts are kept, empty for texts of nobody's data (descriptions of labels). What cannot
    be read or written costs embedding again, and `log` says so once. Nothing is kept while less than `keep_free` bytes
    are free.
    """

    def __init__(
        self,
        state: Path,
        model: str,
        *,
        dataset: str = "",
        log: Callable[[str], None],
        keep_free: int = 0,
        slots: int = SLOTS,
    ) -> None:
        self._path = state / _FOLDER / _file_name(model)
        self._tag = _tag(dataset)
        self._log = log
        self._keep_free = keep_free
        self._slots = slots
        self._table: _Table | None = None
        self._is_broken = False

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, Vector]:
        """See the Protocol."""
        table = self._opened()
        try:
            return table.find(hashes) if table is not None and not self._is_broken else {}
        except OSError as error:
            self._give_up(error)
            return {}

    def keep(self, vectors: Mapping[bytes, Vector]) -> None:
        """See the Protocol. They are written at once."""
        if self._is_broken or not vectors:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self._path.parent).free < self._keep_free:
                return  # the disk is for what cannot be made again; other slices embed these texts again
            table = self._opened() or self._made(len(next(iter(vectors.values()))))
            table.keep(vectors, self._tag)
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        """Nothing waits."""

    def _give_up(self, error: OSError) -> None:
        self._is_broken = True
        self._log(f"vectors are not shared with other slices: {self._path} does not serve: {error}")

    def _opened(self) -> _Table | None:
        if self._table is None:
            self._table = _open(self._path)
        return self._table

    def _made(self, dimension: int) -> _Table:
        """An empty file in the place of none, or of a damaged one. Where two processes make it, one writes in vain."""
        with replacing(self._path, f"{os.getpid()}-{secrets.token_hex(4)}") as temporary, temporary.open("wb") as file:
            file.write(_HEADER.pack(_MAGIC, dimension, self._slots))
            file.truncate(_HEADER.size + self._slots * _slot(dimension).itemsize)
        self._table = _open(self._path)
        if self._table is None:
            raise OSError("it is not what was written")
        return self._table


def forget_shared(state: Path, dataset: str) -> int:
    """Overwrite every vector that a run of `dataset` embedded, under every model; how many. No run of it is at work.

    A damaged file goes. LakeError where the disk refuses.
    """
    tag, forgotten = _tag(check_dataset_key(dataset)), 0
    for path in sorted((state / _FOLDER).glob(f"*{_SUFFIX}")):
        try:
            table = _open(path)
            if table is None:
                path.unlink(missing_ok=True)
            else:
                forgotten += table.forget(tag)
        except OSError as error:
            raise undeletable(path, error) from error
    return forgotten


def keep_models(state: Path, models: Collection[str]) -> None:
    """Delete the vectors of every model but those called `models`. OSError where the disk refuses."""
    kept = {_file_name(model) for model in models}
    for path in (state / _FOLDER).glob(f"*{_SUFFIX}"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def _file_name(model: str) -> str:
    return f"{dataset_key(model)}-{ASSETS['chunk_embeddings'].version}{_SUFFIX}"


def _tag(dataset: str) -> int:
    """A dataset in a slot, never 0."""
    return int.from_bytes(blake3(dataset.encode()).digest(length=8), "little") | 1


def _slot(dimension: int) -> np.dtype[Any]:
    return np.dtype(
        [
            ("hash", "<u8", (2,)),
            ("dataset", "<u8"),
            ("vector", "<f2", (dimension,)),
            ("checksum", "<u4"),  # of all that stands before it
            ("came_back", "<u4"),
        ]
    )


def _open(path: Path) -> _Table | None:
    """The table at `path`, None where there is none that is whole."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        head = os.pread(descriptor, _HEADER.size, 0)
        magic, dimension, slots = _HEADER.unpack(head) if len(head) == _HEADER.size else (b"", 0, 0)
        size = os.fstat(descriptor).st_size
        if (
            magic != _MAGIC
            or not dimension
            or slots % _WAYS
            or size != _HEADER.size + slots * _slot(dimension).itemsize
        ):
            os.close(descriptor)
            return None
        return _Table(descriptor, dimension, slots)
    except OSError:
        os.close(descriptor)
        return None


class _Table:
    """One open file, read and written by single calls. It is not mapped: a map of a file with holes on a full disk in
    memory would end the process."""

    def __init__(self, descriptor: int, dimension: int, slots: int) -> None:
        self._descriptor = descriptor
        self._type = _slot(dimension)
        self._dimension = dimension
        self._slots = slots

    def __del__(self) -> None:
        os.close(self._descriptor)

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, Vector]:
        """The vectors of those of `hashes` that are there; they are marked as having come back. OSError where the disk
        fails."""
        found: dict[bytes, Vector] = {}
        size = self._type.itemsize
        for digest in hashes:
            start = self._bucket(digest)
            content = self._read(start, _WAYS)
            at = content.find(digest)
            if at < 0 or at % size:
                continue
            slot = np.frombuffer(content, self._type, 1, at)[0]
            if slot["checksum"] == _checksum(slot):
                found[digest] = slot["vector"].copy()
                if not slot["came_back"]:
                    self._mark(start + at // size, 1)
        return found

    def keep(self, vectors: Mapping[bytes, Vector], tag: int) -> None:
        """Store vectors that are not there. OSError where the disk refuses."""
        for digest, vector in vectors.items():
            if len(vector) == self._dimension:
                row = self._place(digest)
                slot = np.zeros((), self._type)
                slot["hash"] = np.frombuffer(digest, np.uint64)
                slot["dataset"], slot["vector"] = tag, vector
                slot["checksum"] = _checksum(slot)
                os.pwrite(self._descriptor, slot.tobytes(), self._offset(row))

    def forget(self, tag: int) -> int:
        """Overwrite the slots of one dataset, on the disk itself; how many."""
        forgotten = 0
        for start in range(0, self._slots, _SWEPT):
            rows = np.frombuffer(self._read(start, min(_SWEPT, self._slots - start)), self._type)
            for row in (np.flatnonzero(rows["dataset"] == tag) + start).tolist():
                os.pwrite(self._descriptor, bytes(self._type.itemsize), self._offset(row))
                forgotten += 1
        os.fsync(self._descriptor)
        return forgotten

    def _place(self, digest: bytes) -> int:
        """The slot for a text: its own, else an empty one, else one whose text did not come back."""
        start = self._bucket(digest)
        bucket = np.frombuffer(self._read(start, _WAYS), self._type)
        for usable in ((bucket["hash"] == np.frombuffer(digest, np.uint64)).all(axis=1), bucket["dataset"] == 0):
            if usable.any():
                return start + int(usable.argmax())
        once = np.flatnonzero(bucket["came_back"] == 0)
        if not len(once):  # all did: each has to come back once more to stay
            for way in range(_WAYS):
                self._mark(start + way, 0)
            once = np.arange(_WAYS)
        return start + int(once[digest[-1] % len(once)])

    def _bucket(self, digest: bytes) -> int:
        """The first slot of the bucket of a text."""
        return int.from_bytes(digest[:8], "little") % (self._slots // _WAYS) * _WAYS

    def _read(self, row: int, count: int) -> bytes:
        return os.pread(self._descriptor, count * self._type.itemsize, self._offset(row))

    def _mark(self, row: int, came_back: int) -> None:
        with_flag = came_back.to_bytes(4, "little")
        os.pwrite(self._descriptor, with_flag, self._offset(row) + self._type.itemsize - len(with_flag))

    def _offset(self, row: int) -> int:
        return _HEADER.size + row * self._type.itemsize


def _checksum(slot: np.ndarray[Any, np.dtype[np.void]] | np.void) -> int:
    return zlib.crc32(slot.tobytes()[: -2 * 4])
