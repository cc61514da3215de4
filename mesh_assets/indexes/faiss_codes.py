"""The embedded vector index: a file a slice, scanned as binary codes by FAISS, then scored exactly (decision 10).

Three steps, each over fewer entries: Hamming distances of all codes, products of the query itself with the nearest
codes, and products with the float16 vectors of the best of these.

A slice belongs to its file: replacing it is one rename, and a rebuild is the same bytes again. Files lie at
`<root>/<model>/<dataset>/<slice key>.vectors`; what is in them belongs to `vector_file`. A slice replaced under a new
model keeps its file under the old one until it is told to forget that.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.atomic import replacing
from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.protocol import Around, Filter, Hit, Stored
from mesh_assets.indexes.vector_file import (
    ID_BYTES,
    VectorFile,
    binary_codes,
    code_words,
    entry_bytes,
    map_vectors,
    write_vectors,
)
from mesh_assets.slices import SliceKey, check_dataset_key, dataset_key

# Entries scored exactly, the largest of these: recall@10 was .993 with 200 of 2,870 real MiniLM vectors; among 60
# copies of each, at a cosine of .8 (175,000), it took 1,000 to 2,000 for .98. Scoring 1,000 costs half a millisecond.
_CANDIDATES = 1000
_CANDIDATES_PER_HIT = 10
# Of a million, with 100 and 200 perturbed copies of each real one: .984 with one of 400, 16% cheaper than with one of
# 250, which has .985; .976 with one of 500 and eight scanned for each.
_ENTRIES_PER_CANDIDATE = 400
# Entries that the scan finds for each of these: the query's own numbers choose among them (see `_estimated`).
_SCANNED_PER_CANDIDATE = 10
# Asked again, one of so many candidates is scored: that is for what is there already, moved a little. Of a million, the
# ten best by exact cosine are found to .975 either way, at 3 ms instead of 4; a new search would have .997, at 20.
_AGAIN = 2
# Each mapped file holds a file descriptor, and a process has 256 (macOS) or 1,024 (Linux) of them by default.
_MAPPED_FILES = 128
# A thread is worth its start where it scans so many codes, which takes a millisecond.
_ROWS_A_THREAD = 100_000
# Rows whose codes are copied at a time where only some kinds are searched: 3 MiB at 384 dimensions.
_MASK_ROWS = 1 << 16
# Cosines of float16 vectors agree to three digits; rounding makes equal vectors tie whatever order BLAS sums in.
_DECIMALS = 6
_SUFFIX = ".vectors"
# Hamming distances and rows of the entries of a slice that are nearest to a query.
_Scan = tuple[NDArray[np.int32], NDArray[np.int64]]


class FaissVectorIndex:
    """A VectorIndex in the folder `root`. `run_id` names its temporary files and is unique to one writing process.

    A query scans slices on up to `threads` threads.
    """

    def __init__(self, root: Path, *, run_id: str = "", threads: int = 1) -> None:
        self._root = root
        self._threads = threads
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
        path = self._path(slice_key, model)
        try:
            with replacing(path, self._run_id) as temporary:
                entries = write_vectors(temporary, model, batches)
        except OSError as error:
            raise IndexDownError(
                f"The vector file {path} cannot be written: {error}.",
                remedy="Free space or permit writing there; the slice stays pending until then.",
            ) from error
        return Stored(entries=entries, location=path.relative_to(self._root).as_posix())

    def held(self, slice_key: str, model: str) -> int | None:
        """See the Protocol. Reads the file's footer; IndexDownError where the system refuses that."""
        path = self._path(slice_key, model)
        try:
            file = map_vectors(path)
        except (FileNotFoundError, IndexDownError):
            return None
        except OSError as error:
            raise _unreadable(path, error) from error
        return file.rows if file.model == model else None

    def models(self, dataset: str | None = None) -> frozenset[str]:
        """See the Protocol. The first sound file of each model's folder tells the name; damaged ones tell nothing."""
        names: set[str] = set()
        for folder in _listed(self._root):
            for path in _vector_files(folder, dataset):
                try:
                    names.add(map_vectors(path).model)
                except (OSError, IndexDownError):
                    continue
                break
        return frozenset(names)

    def forget_slices(self, slice_keys: Collection[str], *, but: str | None = None) -> None:
        """See the Protocol. A reader that has a file mapped goes on with it until it asks again."""
        keys = [SliceKey.parse(key) for key in slice_keys]
        kept = None if but is None else self._folder(but)
        for folder in (folder for folder in _listed(self._root) if folder != kept):
            for key in keys:
                path = folder / key.dataset / f"{key}{_SUFFIX}"
                try:
                    path.unlink(missing_ok=True)
                except NotADirectoryError:
                    continue
                except OSError as error:
                    raise _undeletable(path, error) from error
            _remove_if_empty([*(folder / key.dataset for key in keys), folder])

    def forget_dataset(self, dataset: str) -> None:
        """See the Protocol. What killed writers left of it goes too."""
        check_dataset_key(dataset)
        for folder in _listed(self._root):
            try:
                shutil.rmtree(folder / dataset)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise _undeletable(folder / dataset, error) from error

    def search(self, model: str, vector: NDArray[np.float32], *, limit: int, where: Filter | None = None) -> list[Hit]:
        """See the Protocol. IndexDownError names a file that is damaged or holds vectors of another length."""
        return self.around(model, vector, limit=limit, where=where).hits

    def around(self, model: str, vector: NDArray[np.float32], *, limit: int, where: Filter | None = None) -> Around:
        """See the Protocol. Asked again it chooses among the nearest codes, unless too many files hold them."""
        where = where or Filter()
        self._let_go()
        paths = [path for path in _vector_files(self._folder(model), where.dataset) if _is_within(path, where)]
        scored = max(_CANDIDATES, _CANDIDATES_PER_HIT * limit, _entries(paths, vector.size) // _ENTRIES_PER_CANDIDATE)
        nearest = _Nearest(vector, scored)
        held: list[_Near] = []
        for near in self._scans(paths, model, vector, _SCANNED_PER_CANDIDATE * scored, where.kind):
            nearest.add(near)
            if len(paths) <= _MAPPED_FILES:
                held.append(near)
            del near  # with its files, before the next ones are mapped

        def again(moved: NDArray[np.float32]) -> list[Hit]:
            if len(paths) > _MAPPED_FILES:
                return self.search(model, moved, limit=limit, where=where)
            second = _Nearest(moved, max(scored // _AGAIN, limit))
            for near in held:
                second.add(near)
            return second.best(limit)

        return Around(nearest.best(limit), again)

    def _scans(
        self, paths: Iterable[Path], model: str, vector: NDArray[np.float32], wanted: int, kind: str | None
    ) -> Iterator[_Near]:
        """What is nearest, of as many files at a time as may be mapped. IndexDownError where one is no such file."""
        files: dict[str, VectorFile] = {}
        for path in paths:
            file = self._open(path)
            if file is None or not file.rows:
                continue
            if file.dimension != vector.size or file.model != model:
                raise _of_another_model(path, file)
            files[path.name.removesuffix(_SUFFIX)] = file
            if len(files) == _MAPPED_FILES:
                yield _nearest(files, self._scanned(list(files.values()), vector, wanted, kind), wanted)
                files = {}
        if files:
            yield _nearest(files, self._scanned(list(files.values()), vector, wanted, kind), wanted)

    def _scanned(
        self, files: list[VectorFile], vector: NDArray[np.float32], wanted: int, kind: str | None
    ) -> list[_Scan]:
        query = binary_codes(vector.reshape(1, -1))
        if kind is not None and any(file.kinds != (kind,) for file in files):
            return self._each(files, partial(_nearest_of_kind, query=query, wanted=wanted, kind=kind))
        radius = _radius(files, query, wanted)
        while True:
            scans = self._each(files, partial(_within, query=query, radius=radius))
            if radius > 8 * query.size or sum(len(rows) for _, rows in scans) >= wanted:
                return scans
            radius += query.size  # the estimate was too low: an eighth of all bits more, until there are enough

    def _each(self, files: list[VectorFile], scan: Callable[[VectorFile], _Scan]) -> list[_Scan]:
        threads = min(self._threads, len(files), sum(file.rows for file in files) // _ROWS_A_THREAD)
        if threads < 2:
            return [scan(file) for file in files]
        with ThreadPoolExecutor(threads) as pool:  # of this query only: a pool does not outlive a fork
            return list(pool.map(scan, files))

    def vectors_of(self, model: str, hits: Sequence[Hit]) -> NDArray[np.float32]:
        """See the Protocol. Reads the ids of each slice of a hit once for each of its hits: for few hits only."""
        found: list[NDArray[np.float16]] = []
        for hit in hits:
            path = self._path(hit.slice, model)
            file = self._open(path)
            if file is None or not file.rows:
                continue
            if file.model != model:
                raise _of_another_model(path, file)
            found.append(file.vectors[_rows_of(file, hit.chunk_id)])
        return np.concatenate(found).astype(np.float32) if found else np.empty((0, 0), np.float32)

    def _folder(self, model: str) -> Path:
        # A model's name becomes a folder's by the rule for datasets: slugged with a hash where it does not fit.
        return self._root / dataset_key(model)

    def _path(self, slice_key: str, model: str) -> Path:
        return self._folder(model) / SliceKey.parse(slice_key).dataset / f"{slice_key}{_SUFFIX}"

    def _let_go(self) -> None:
        """Unmap files that were replaced or forgotten: what a long-lived reader maps stays on the disk."""
        for key in list(self._mapped):
            try:
                stat = Path(key[0]).stat()
            except OSError:
                self._mapped.pop(key, None)
                continue
            if key[1:] != (stat.st_ino, stat.st_mtime_ns, stat.st_size):
                self._mapped.pop(key, None)

    def _open(self, path: Path) -> VectorFile | None:
        """The mapped file, or None where it went away since it was listed."""
        try:
            stat = path.stat()
            key = (str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size)
            file = self._mapped.pop(key, None) or map_vectors(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(path, error) from error
        self._mapped[key] = file
        if len(self._mapped) > _MAPPED_FILES:
            self._mapped.popitem(last=False)
        return file


def _unreadable(path: Path, error: OSError) -> IndexDownError:
    remedy = "Permit reading it, or rebuild the slice."
    return IndexDownError(f"The vector file {path} cannot be read: {error}.", remedy=remedy)


def _of_another_model(path: Path, file: VectorFile) -> IndexDownError:
    return IndexDownError(
        f"The vector file {path} holds vectors of {file.model} with {file.dimension} dimensions.",
        remedy="Delete it and materialize `vector_index` for that slice.",
    )


def _undeletable(path: Path, error: OSError) -> IndexDownError:
    remedy = "Permit deleting there, then do the same again: it goes on where it stopped."
    return IndexDownError(f"{path} cannot be deleted: {error}.", remedy=remedy)


def _vector_files(of_model: Path, dataset: str | None) -> Iterator[Path]:
    folders = [of_model / dataset_key(dataset)] if dataset else sorted(_listed(of_model))
    for folder in folders:
        yield from sorted(path for path in _listed(folder) if path.suffix == _SUFFIX)


def _is_within(path: Path, where: Filter) -> bool:
    return where.slices is None or path.name.removesuffix(_SUFFIX) in where.slices


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove_if_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it holds something, or is gone
            folder.rmdir()


def _rows_of(file: VectorFile, chunk_id: str) -> NDArray[np.int64]:
    # Half of an id is looked for first, as one number: ids begin at a multiple of 64 bytes.
    halves = file.ids.view(np.uint64)
    first, second = np.frombuffer(bytes.fromhex(chunk_id), np.uint64)
    rows = np.flatnonzero(halves[:, 0] == first)
    return rows[halves[rows, 1] == second]


def _entries(paths: Sequence[Path], dimension: int) -> int:
    """About how many entries these files hold, by their sizes; one that went away meanwhile holds none."""
    held = 0
    for path in paths:
        with suppress(OSError):
            held += path.stat().st_size
    return held // entry_bytes(dimension)


def _radius(files: Sequence[VectorFile], query: NDArray[np.uint8], wanted: int) -> int:
    """A Hamming distance that most likely is beyond those of the nearest `wanted` entries, and of few more."""
    rows = sum(file.rows for file in files)
    if rows < 4 * wanted:
        return 8 * query.size + 1
    sample = np.concatenate([file.sampled for file in files])
    distances = np.bitwise_count(sample ^ code_words(query)).sum(axis=1, dtype=np.int32)
    # Three standard deviations more than are wanted: a quarter more where the sample holds the fewest of them.
    expected = wanted * len(sample) / rows
    place = min(int(expected + 3 * expected**0.5) + 2, len(sample) - 1)
    return int(np.partition(distances, place)[place]) + 1


def _within(file: VectorFile, query: NDArray[np.uint8], radius: int) -> _Scan:
    """Distances and rows of the codes nearer to the query's than `radius`; unlike a search for k, as fast for any."""
    import faiss

    # One query is scanned by one thread anyway; others would only spin, for seconds where the cores are busy.
    faiss.omp_set_num_threads(1)
    found = faiss.RangeSearchResult(1)
    scan = cast("Callable[..., None]", faiss.hamming_range_search)  # pyright: ignore[reportAttributeAccessIssue]
    scan(faiss.swig_ptr(query), faiss.swig_ptr(file.codes), 1, file.rows, radius, query.size, found)
    count = int(faiss.rev_swig_ptr(found.lims, 2)[1])
    if not count:
        return np.empty(0, np.int32), np.empty(0, np.int64)
    # Copies: what the result holds goes with it.
    return faiss.rev_swig_ptr(found.distances, count).astype(np.int32), faiss.rev_swig_ptr(found.labels, count).copy()


def _nearest_of_kind(file: VectorFile, query: NDArray[np.uint8], wanted: int, kind: str) -> _Scan:
    """Hamming distances and rows of the entries of `kind` whose codes are nearest to the query's, at least `wanted`."""
    distances, rows = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    code = file.kinds.index(kind) if kind in file.kinds else None
    for start in range(0, file.rows if code is not None else 0, _MASK_ROWS):
        chosen = np.flatnonzero(file.kind_codes[start : start + _MASK_ROWS] == code) + start
        if chosen.size:
            near, of_chosen = _scan(query, file.codes[chosen], wanted)
            distances.append(near)
            rows.append(chosen[of_chosen])
    return np.concatenate(distances), np.concatenate(rows)


def _scan(query: NDArray[np.uint8], codes: NDArray[np.uint8], wanted: int) -> _Scan:
    import faiss

    faiss.omp_set_num_threads(1)
    # Counting the distances, as there are few different ones, beats a heap.
    distances, rows = faiss.knn_hamming(query, codes, min(wanted, len(codes)), variant="mc")
    return distances[0], rows[0]


@lru_cache(maxsize=8)
def _sign_patterns(code_bytes: int) -> NDArray[np.float32]:
    """What each value of each byte of a code stands for, eight signs; as FAISS's product quantizer holds centroids."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    return np.tile(2 * bits.astype(np.float32) - 1, (code_bytes, 1)).ravel()


def _estimated(
    vector: NDArray[np.float32], codes: NDArray[np.uint8], wanted: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Products of `vector` itself with the signs in `codes`, the largest `wanted`, and their rows, in rows' order.

    Only one side is rounded to signs, so the error is half that of a Hamming distance (asymmetric distance, Jegou et
    al. 2011); bytes of a code are looked up in a table made for the query.
    """
    import faiss

    width = codes.shape[1]
    query = np.zeros((1, 8 * width), np.float32)
    query[0, : vector.size] = np.nan_to_num(vector)
    faiss.omp_set_num_threads(1)
    index: Any = faiss.IndexPQ(8 * width, width, 8, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(_sign_patterns(width), index.pq.centroids)
    index.is_trained = True
    faiss.copy_array_to_vector(codes.ravel(), index.codes)
    index.ntotal = len(codes)
    products, rows = index.search(query, min(wanted, len(codes)))
    order = np.argsort(rows[0])
    return products[0][order], rows[0][order]


@dataclass(frozen=True, slots=True)
class _Near:
    """What a scan of some slices found: rows of the file of each slice, and the codes of all of them in that order."""

    files: Mapping[str, VectorFile]
    rows: Sequence[NDArray[np.int64]]
    codes: NDArray[np.uint8]


def _nearest(files: Mapping[str, VectorFile], scans: Sequence[_Scan], wanted: int) -> _Near:
    """The `wanted` nearest entries of what the scans of `files` found."""
    # Distances fit 16 bits, which numpy sorts by digits.
    distances = np.concatenate([np.empty(0, np.uint16), *(near.astype(np.uint16) for near, _ in scans)])
    chosen = np.sort(np.argsort(distances, kind="stable")[:wanted])
    starts = np.cumsum([0, *(len(rows) for _, rows in scans)])
    bounds = np.searchsorted(chosen, starts)
    mine = [rows[chosen[bounds[i] : bounds[i + 1]] - starts[i]] for i, (_, rows) in enumerate(scans)]
    return _Near(
        files, mine, np.concatenate([file.codes[rows] for file, rows in zip(files.values(), mine, strict=True)])
    )


class _Nearest:
    """The `wanted` entries over all slices whose signs fit the query best, of those that scans found; scored exactly.

    Entries of as many slices as are mapped at once are compared before they are scored; what got in then needs no
    mapped file any more.
    """

    def __init__(self, vector: NDArray[np.float32], wanted: int) -> None:
        self._vector = vector
        self._wanted = wanted
        self._slices: list[str] = []
        self._estimates = np.empty(0, np.float32)
        self._of_slice = np.empty(0, np.int64)
        self._ids = np.empty((0, ID_BYTES), np.uint8)
        self._scores = np.empty(0, np.float32)

    def add(self, near: _Near) -> None:
        """Let in the best of what a scan found; the first come stays among equals."""
        if not len(near.codes):
            return
        products, kept = _estimated(self._vector, near.codes, self._wanted)
        held = len(self._estimates)
        estimates = np.concatenate([self._estimates, products])
        best = np.sort(np.argsort(-estimates, kind="stable")[: self._wanted])
        self._estimates = estimates[best]
        kept = kept[best[best >= held] - held]
        self._score(near.files, near.rows, best[best < held], kept)

    def _score(
        self,
        slices: Mapping[str, VectorFile],
        mine: Sequence[NDArray[np.int64]],
        stay: NDArray[np.int64],
        kept: NDArray[np.int64],
    ) -> None:
        """Keep the entries at the places `stay`, and score those that are at the places `kept` of all rows `mine`."""
        of_slice, ids, scores = [self._of_slice[stay]], [self._ids[stay]], [self._scores[stay]]
        starts = np.cumsum([0, *map(len, mine)])
        bounds = np.searchsorted(kept, starts)
        for i, (slice_key, file) in enumerate(slices.items()):
            rows = mine[i][kept[bounds[i] : bounds[i + 1]] - starts[i]]
            of_slice.append(np.full(len(rows), len(self._slices)))
            ids.append(file.ids[rows])
            scores.append(file.vectors[rows].astype(np.float32) @ self._vector)
            self._slices.append(slice_key)
        self._of_slice, self._ids, self._scores = np.concatenate(of_slice), np.concatenate(ids), np.concatenate(scores)

    def best(self, limit: int) -> list[Hit]:
        """The `limit` most similar ones, ties by chunk id."""
        # A vector that is no number is similar to nothing.
        scores = np.round(np.nan_to_num(self._scores, nan=-1.0), _DECIMALS)
        # Few are ordered by their ids: those that are as similar as the last one, or more.
        first = max(len(scores) - limit, 0)
        near = np.flatnonzero(scores >= np.partition(scores, first)[first]) if len(scores) else np.empty(0, np.int64)
        halves = self._ids[near].view(">u8")
        order = near[np.lexsort((halves[:, 1], halves[:, 0], -scores[near]))[:limit]]
        return [Hit(self._ids[i].tobytes().hex(), self._slices[self._of_slice[i]], float(scores[i])) for i in order]
