"""The embedded vector index: a file a slice, scanned as binary codes by FAISS, then scored exactly (decision 10).

Two steps: products of the query with the signs of all entries (see `sign_codes`), then with the float16 vectors of the
best of these.

A slice belongs to its file: replacing it is one rename, and a rebuild is the same bytes again. Files lie at
`<root>/<model>/<dataset>/<slice key>.vectors`; what is in them belongs to `vector_file`. A slice replaced under a new
model keeps its file under the old one until it is told to forget that.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesh_assets.atomic import replacing
from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.protocol import Around, Filter, Hit, Stored
from mesh_assets.indexes.sign_codes import BLOCK, PIECE, SignScan
from mesh_assets.indexes.vector_file import ID_BYTES, VectorFile, entry_bytes, map_vectors, write_vectors
from mesh_assets.slices import SliceKey, check_dataset_key, dataset_key

# Entries scored exactly, the largest of these. Of a million, 100 copies around each of 10,000 real ones at a cosine of
# .8, one of 400 has .994 of the ten nearest and one of 800 .985. When asked again with a vector that moved towards the
# first five, these hold .973 and .95 of its ten nearest: what is scored is chosen for both.
_CANDIDATES = 1000
_CANDIDATES_PER_HIT = 10
_ENTRIES_PER_CANDIDATE = 400
# How many times its share of the candidates a piece of the codes is asked for, and at least how many: where the nearest
# ones lie together, that piece is asked again for all.
_SHARES, _LEAST = 2, 64
# Each mapped file holds a file descriptor, and a process has 256 (macOS) or 1,024 (Linux) of them by default.
_MAPPED_FILES = 128
# A thread is worth its start where it scans so many codes, which takes a millisecond.
_ROWS_A_THREAD = 100_000
# Cosines of float16 vectors agree to three digits; rounding makes equal vectors tie, whatever order sums are in.
_DECIMALS = 6
_SUFFIX = ".vectors"


# Products of a query with the signs of entries, and their rows.
_Found = tuple[NDArray[np.float32], NDArray[np.int64]]


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
        """See the Protocol. Asked again it chooses among what was scored."""
        where = where or Filter()
        self._let_go()
        paths = [path for path in _vector_files(self._folder(model), where.dataset) if _is_within(path, where)]
        entries = _entries(paths, vector.size)
        wanted = max(_CANDIDATES, _CANDIDATES_PER_HIT * limit, entries // _ENTRIES_PER_CANDIDATE)
        nearest = _Nearest(wanted)
        for files in self._mapped_files(paths, model, vector.size):
            asked = [
                (0, file.rows) if where.kind is None else file.kinds.get(where.kind, (0, 0)) for file in files.values()
            ]
            is_many = entries > wanted
            nearest.add(files, self._scanned(files, asked, vector, wanted) if is_many else map(_all, asked))
            del files  # before the next ones are mapped
        return Around(nearest.best(vector, limit), lambda moved: nearest.best(moved, limit))

    def _mapped_files(self, paths: Iterable[Path], model: str, dimension: int) -> Iterator[dict[str, VectorFile]]:
        """Files by slice, as many at a time as may be mapped. IndexDownError where one is none of this model."""
        files: dict[str, VectorFile] = {}
        for path in paths:
            file = self._open(path)
            if file is None or not file.rows:
                continue
            if file.dimension != dimension or file.model != model:
                raise _of_another_model(path, file)
            files[path.name.removesuffix(_SUFFIX)] = file
            if len(files) == _MAPPED_FILES:
                yield files
                files = {}
        if files:
            yield files

    def _scanned(
        self,
        files: Mapping[str, VectorFile],
        asked: Sequence[tuple[int, int]],
        vector: NDArray[np.float32],
        wanted: int,
    ) -> list[_Found]:
        """Of each file, in the rows that are asked for, entries among which are the `wanted` of all files whose signs
        fit `vector` best."""
        entries = sum(stop - start for start, stop in asked)
        if not entries or not np.nan_to_num(vector).any():
            # A query that says nothing is as near to one as to another.
            return [_all((start, min(stop, start + wanted))) for start, stop in asked]
        pieces = [
            _Piece(at, file.codes, first, min(first + PIECE - BLOCK, stop))
            for at, (file, (start, stop)) in enumerate(zip(files.values(), asked, strict=True))
            for first in range(start, stop, PIECE - BLOCK)
        ]
        sizes = [piece.stop - piece.start for piece in pieces]
        counts = [max(_SHARES * wanted * size // entries, _LEAST) for size in sizes]
        found = self._best_of(list(zip(pieces, counts, strict=True)), vector)
        # Where even the last one is within the bound, there may be more; first for all that are wanted, and where so
        # many are equal, for all there are.
        while more := _unfinished(found, counts, sizes, wanted):
            for i in more:
                counts[i] = wanted if counts[i] < wanted else sizes[i]
            for i, again in zip(more, self._best_of([(pieces[i], counts[i]) for i in more], vector), strict=True):
                found[i] = again
        of_file: list[list[_Found]] = [[] for _ in files]
        for piece, each in zip(pieces, found, strict=True):
            of_file[piece.file].append(each)
        return [_joined(each) for each in of_file]

    def _best_of(self, asked: Sequence[tuple[_Piece, int]], vector: NDArray[np.float32]) -> list[_Found]:
        """The best entries of each piece, as many as are asked for."""
        rows = sum(piece.stop - piece.start for piece, _ in asked)
        threads = min(self._threads, len(asked), rows // _ROWS_A_THREAD)
        if threads < 2:
            return _scan(asked, vector)
        size = -(-len(asked) // threads)
        parts = [asked[first : first + size] for first in range(0, len(asked), size)]
        with ThreadPoolExecutor(threads) as pool:  # of this query only: a pool does not outlive a fork
            return list(chain.from_iterable(pool.map(partial(_scan, vector=vector), parts)))

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


@dataclass(frozen=True, slots=True)
class _Piece:
    """Entries of the file that is the `file`th of those that are searched."""

    file: int
    codes: NDArray[np.uint8]
    start: int
    stop: int


def _scan(asked: Sequence[tuple[_Piece, int]], vector: NDArray[np.float32]) -> list[_Found]:
    scan = SignScan(vector)
    return [scan.best(piece.codes, piece.start, piece.stop, wanted) for piece, wanted in asked]


def _all(rows: tuple[int, int]) -> _Found:
    """These entries as they are, where they are few, or a query says nothing of them."""
    return np.zeros(rows[1] - rows[0], np.float32), np.arange(*rows)


def _unfinished(found: Sequence[_Found], counts: Sequence[int], sizes: Sequence[int], wanted: int) -> list[int]:
    """The places of pieces that may hold more of the `wanted` best than the `counts` that they were asked for."""
    products = np.concatenate([products for products, _ in found])
    bound = np.partition(products, -wanted)[-wanted] if len(products) > wanted else -np.inf
    return [
        i for i, (products, _) in enumerate(found) if len(products) == counts[i] < sizes[i] and products.min() >= bound
    ]


def _joined(found: Sequence[_Found]) -> _Found:
    """Entries of the pieces of one file, in the order of its rows."""
    products = np.concatenate([np.empty(0, np.float32), *(products for products, _ in found)])
    rows = np.concatenate([np.empty(0, np.int64), *(rows for _, rows in found)])
    order = np.argsort(rows)
    return products[order], rows[order]


class _Nearest:
    """The `wanted` entries over all slices whose signs fit the query best, with their vectors.

    Entries of as many slices as are mapped at once are compared before their vectors are read; what got in then needs
    no mapped file any more.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._slices: list[str] = []
        self._products = np.empty(0, np.float32)
        self._of_slice = np.empty(0, np.int64)
        self._ids = np.empty((0, ID_BYTES), np.uint8)
        self._vectors: NDArray[np.float16] | None = None

    def add(self, files: Mapping[str, VectorFile], chosen: Iterable[_Found]) -> None:
        """Let in the best of what was chosen of each of `files`, of equal ones those of the least ids."""
        found = list(chosen)
        products = np.concatenate([self._products, *(products for products, _ in found)])
        counts = [len(rows) for _, rows in found]
        numbers = np.arange(len(self._slices), len(self._slices) + len(files))
        of_slice = np.concatenate([self._of_slice, np.repeat(numbers, counts)])
        new = [file.ids[rows] for file, (_, rows) in zip(files.values(), found, strict=True)]
        ids = np.concatenate([self._ids, *new])
        best = self._best(products, ids)
        starts = np.cumsum([len(self._products), *counts])
        bounds = np.searchsorted(best, starts)
        vectors = [] if self._vectors is None else [self._vectors[best[: bounds[0]]]]
        for i, (file, (_, rows)) in enumerate(zip(files.values(), found, strict=True)):
            vectors.append(file.vectors[rows[best[bounds[i] : bounds[i + 1]] - starts[i]]])
        self._slices += files
        self._products, self._of_slice, self._ids = products[best], of_slice[best], ids[best]
        self._vectors = np.concatenate(vectors)

    def _best(self, products: NDArray[np.float32], ids: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The places of the `wanted` largest products, in order."""
        if len(products) <= self._wanted:
            return np.arange(len(products))
        near = np.flatnonzero(products >= np.partition(products, -self._wanted)[-self._wanted])
        halves = ids[near].view(">u8")
        return np.sort(near[np.lexsort((halves[:, 1], halves[:, 0], -products[near]))[: self._wanted]])

    def best(self, vector: NDArray[np.float32], limit: int) -> list[Hit]:
        """The `limit` most similar ones to a vector, ties by chunk id."""
        if limit < 1 or not len(self._products):
            return []
        scores = self._scores(vector)
        # Few are ordered by their ids: those that are as similar as the last one, or more.
        first = max(len(scores) - limit, 0)
        near = np.flatnonzero(scores >= np.partition(scores, first)[first])
        halves = self._ids[near].view(">u8")
        order = near[np.lexsort((halves[:, 1], halves[:, 0], -scores[near]))[:limit]]
        return [Hit(self._ids[i].tobytes().hex(), self._slices[self._of_slice[i]], float(scores[i])) for i in order]

    def _scores(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Products of a vector with all, rounded; numpy would take twice as long to make float32 of them first."""
        import faiss

        scores = np.full(len(self._products), -1.0, np.float32)
        if self._vectors is not None and len(scores):
            faiss.omp_set_num_threads(1)
            exact: Any = faiss.IndexScalarQuantizer(
                vector.size, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
            )
            faiss.copy_array_to_vector(self._vectors.view(np.uint8).ravel(), exact.codes)
            exact.is_trained, exact.ntotal = True, len(scores)
            found: tuple[NDArray[np.float32], NDArray[np.int64]] = exact.search(vector[None], len(scores))
            products, rows = found[0][0], found[1][0]
            # What is no number is similar to nothing, and is not among the found.
            scores[rows[rows >= 0]] = products[rows >= 0]
        return np.round(scores, _DECIMALS)
