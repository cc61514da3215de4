"""The embedded vector index: a file a slice, scanned as binary codes by FAISS, then scored exactly (decision 10).

A slice belongs to its file: replacing it is one rename, and a rebuild is the same bytes again. Files lie at
`<root>/<model>/<dataset>/<slice key>.vectors`; what is in them belongs to `vector_file`. A slice replaced under a new
model keeps its file under the old one, so that the old model can be searched until its folder is deleted.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.protocol import Filter, Hit, Stored
from mesh_assets.indexes.vector_file import VectorFile, binary_codes, map_vectors, write_vectors
from mesh_assets.slices import SliceKey, dataset_key

# Entries scored exactly: recall@10 was .997 with 200 on real MiniLM vectors; more where more are asked for.
_CANDIDATES = 200
_CANDIDATES_PER_HIT = 10
# Each mapped file holds a file descriptor, and a process has 1,024 by default.
_MAPPED_FILES = 256
# Rows whose codes are copied at a time where only some kinds are searched: 3 MiB at 384 dimensions.
_MASK_ROWS = 1 << 16
# Cosines of float16 vectors agree to three digits; rounding makes equal vectors tie whatever order BLAS sums in.
_DECIMALS = 6
# A temporary file this old was left by a process that was killed: no slice takes a day to write.
_STALE_SECONDS = 86_400.0
_SUFFIX = ".vectors"
_TEMPORARY = ".partial"


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Rows of one slice, with the Hamming distance of each to the query."""

    slice_key: str
    file: VectorFile
    rows: NDArray[np.int64]
    distances: NDArray[np.int32]


class FaissVectorIndex:
    """A VectorIndex in the folder `root`. `run_id` names its temporary files and is unique to one writing process."""

    def __init__(self, root: Path, *, run_id: str = "") -> None:
        self._root = root
        self._run_id = run_id or f"{os.getpid()}-{secrets.token_hex(4)}"
        self._mapped: OrderedDict[tuple[str, int, int, int], VectorFile] = OrderedDict()

    @property
    def engine(self) -> str:
        """`faiss`."""
        return "faiss"

    def replace_slice(
        self, slice_key: str, model: str, batches: Iterable[tuple[Sequence[str], Sequence[str], NDArray[np.float16]]]
    ) -> Stored:
        """See the Protocol. Nothing changes where `batches` raise; IndexDownError where the folder refuses writing."""
        folder = self._folder(model) / SliceKey.parse(slice_key).dataset
        path = folder / f"{slice_key}{_SUFFIX}"
        temporary = folder / f"{slice_key}.{self._run_id}{_TEMPORARY}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder, slice_key)
            entries = write_vectors(path, model, batches, temporary=temporary)
        except OSError as error:
            raise IndexDownError(
                f"The vector file {path} cannot be written: {error}.",
                remedy="Free space or permit writing there; the slice stays pending until then.",
            ) from error
        return Stored(entries=entries, location=path.relative_to(self._root).as_posix())

    def search(self, model: str, vector: NDArray[np.float32], *, limit: int, where: Filter | None = None) -> list[Hit]:
        """See the Protocol. IndexDownError names a file that is damaged or holds vectors of another length."""
        where = where or Filter()
        wanted = max(_CANDIDATES, _CANDIDATES_PER_HIT * limit)
        found: list[_Candidates] = []
        for path in self._paths(model, where):
            file = self._open(path)
            if file is None or not file.rows:
                continue
            if file.dimension != vector.size or file.model != model:
                raise IndexDownError(
                    f"The vector file {path} holds vectors of {file.model} with {file.dimension} dimensions.",
                    remedy="Delete it and materialize `vector_index` for that slice.",
                )
            candidates = _nearest_codes(path.name.removesuffix(_SUFFIX), file, vector, wanted, where.kind)
            if candidates is not None:
                found.append(candidates)
        return _scored(_best(found, wanted), vector, limit)

    def _folder(self, model: str) -> Path:
        # A model's name becomes a folder's by the rule for datasets: slugged with a hash where it does not fit.
        return self._root / dataset_key(model)

    def _paths(self, model: str, where: Filter) -> Iterator[Path]:
        root = self._folder(model)
        folders = [root / dataset_key(where.dataset)] if where.dataset else sorted(_listed(root))
        for folder in folders:
            yield from sorted(path for path in _listed(folder) if path.suffix == _SUFFIX)

    def _open(self, path: Path) -> VectorFile | None:
        """The mapped file, or None where it went away since it was listed."""
        try:
            stat = path.stat()
            key = (str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size)
            file = self._mapped.pop(key, None) or map_vectors(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise IndexDownError(
                f"The vector file {path} cannot be read: {error}.", remedy="Permit reading it, or rebuild the slice."
            ) from error
        self._mapped[key] = file
        if len(self._mapped) > _MAPPED_FILES:
            self._mapped.popitem(last=False)
        return file


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sweep(folder: Path, slice_key: str) -> None:
    for path in folder.glob(f"{slice_key}.*{_TEMPORARY}"):
        try:
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue


def _nearest_codes(
    slice_key: str, file: VectorFile, vector: NDArray[np.float32], wanted: int, kind: str | None
) -> _Candidates | None:
    """The `wanted` entries of `file` whose codes are nearest to the query's; None where none is of `kind`."""
    query = binary_codes(vector.reshape(1, -1))
    if kind is None or file.kinds == (kind,):
        distances, rows = _scan(query, file.codes, wanted)
        return _Candidates(slice_key, file, rows, distances)
    if kind not in file.kinds:
        return None
    code = file.kinds.index(kind)
    parts: list[_Candidates] = []
    for start in range(0, file.rows, _MASK_ROWS):
        chosen = np.flatnonzero(file.kind_codes[start : start + _MASK_ROWS] == code) + start
        if chosen.size:
            distances, rows = _scan(query, file.codes[chosen], wanted)
            parts.append(_Candidates(slice_key, file, chosen[rows], distances))
    rows = np.concatenate([part.rows for part in parts])
    return _Candidates(slice_key, file, rows, np.concatenate([part.distances for part in parts]))


def _scan(
    query: NDArray[np.uint8], codes: NDArray[np.uint8], wanted: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    import faiss

    # One query is scanned by one thread anyway; others would only spin, for seconds where the cores are busy.
    faiss.omp_set_num_threads(1)
    distances, rows = faiss.knn_hamming(query, codes, min(wanted, len(codes)))
    return distances[0], rows[0]


def _best(found: list[_Candidates], wanted: int) -> list[_Candidates]:
    """`found` reduced to the `wanted` smallest distances over all slices, first slice and row first among equals."""
    if not found:
        return []
    distances = np.concatenate([candidates.distances for candidates in found])
    keep = np.zeros(distances.size, np.bool_)
    keep[np.argsort(distances, kind="stable")[:wanted]] = True
    best: list[_Candidates] = []
    start = 0
    for candidates in found:
        mask = keep[start : start + candidates.rows.size]
        start += candidates.rows.size
        if mask.any():
            rows, near = candidates.rows[mask], candidates.distances[mask]
            best.append(_Candidates(candidates.slice_key, candidates.file, rows, near))
    return best


def _scored(candidates: list[_Candidates], vector: NDArray[np.float32], limit: int) -> list[Hit]:
    hits: list[Hit] = []
    for part in candidates:
        scores = part.file.vectors[part.rows].astype(np.float32) @ vector
        # A vector that is no number is similar to nothing.
        rounded = np.round(np.nan_to_num(scores, nan=-1.0), _DECIMALS)
        ids = part.file.ids[part.rows]
        hits += [Hit(i.tobytes().hex(), part.slice_key, float(s)) for i, s in zip(ids, rounded, strict=True)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:limit]
