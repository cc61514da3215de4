"""The file that holds the vectors of one slice under one model: its layout, how it is written and mapped.

    magic | float16 vectors | chunk ids (16 bytes) | codes (a bit a dimension) | JSON footer | its length | magic

Each array starts at a multiple of 64 bytes and lies as FAISS and numpy read it, so that a reader maps the file. Entries
of one kind lie together: what is asked of one kind reads that and no more. The footer comes last because only then are
the counts known: a writer streams the vectors of the first kind, and spools the ids and those of other kinds. What is
searched, and how, belongs to `faiss_codes`.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate, pairwise
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.sign_codes import BLOCK, PIECE, code_bytes, packed

# The digit is the version of the layout: another one is another magic, and the slice is written anew.
MAGIC = b"MESHVEC2"
ID_BYTES = 16
_ALIGNMENT = 64
_TAIL = struct.Struct("<I8s")  # length of the footer, magic
_COPY_BYTES = 1 << 20

Batch = tuple[Sequence[str], Sequence[str], NDArray[np.float16]]


@dataclass(frozen=True)
class VectorFile:
    """A mapped file of `rows` entries. Its arrays are views of the file; a replaced file stays readable.

    Entries of one kind lie together: `kinds` tells where those of each begin and end. `vectors` has shape (rows,
    dimension), `ids` (rows, 16); `codes` (blocks, bytes of a block) are those of `sign_codes`.
    """

    model: str
    rows: int
    dimension: int
    kinds: dict[str, tuple[int, int]]
    vectors: NDArray[np.float16]
    ids: NDArray[np.uint8]
    codes: NDArray[np.uint8]


class _OtherLayoutError(Exception):
    """The file is whole, and of another version of the layout."""


def entry_bytes(dimension: int) -> int:
    """Bytes of a file for each of its entries."""
    return 2 * dimension + ID_BYTES + code_bytes(dimension)


def write_vectors(path: Path, model: str, batches: Iterable[Batch]) -> int:
    """Write `batches` to the new file `path`; the number of entries. Whoever calls makes it durable and visible."""
    with path.open("w+b") as file:
        return _write(file, model, batches)


def _write(file: BinaryIO, model: str, batches: Iterable[Batch]) -> int:
    dimension, rows = 0, dict[str, int]()
    with ExitStack() as stack:
        folder = Path(file.name).parent
        # Of each kind: its vectors, those of the first one where they are to stay, and its ids.
        spools: dict[str, tuple[BinaryIO, BinaryIO]] = {}
        file.write(MAGIC)
        start = _align(file)
        for chunk_ids, kinds, vectors in batches:
            if dimension and len(chunk_ids) and vectors.shape[1] != dimension:
                raise ValueError(f"vectors of {dimension} and of {vectors.shape[1]} dimensions in one slice")
            dimension = vectors.shape[1] if len(chunk_ids) else dimension
            for kind, chosen in _by_kind(kinds).items():
                if kind not in spools:
                    ids = stack.enter_context(tempfile.TemporaryFile(dir=folder))
                    apart = stack.enter_context(tempfile.TemporaryFile(dir=folder)) if spools else file
                    spools[kind] = (apart, ids)
                of_kind, ids = spools[kind]
                of_kind.write(np.ascontiguousarray(vectors[chosen], np.float16).data)
                ids.write(bytes.fromhex("".join(chunk_ids[row] for row in chosen)))
                rows[kind] = rows.get(kind, 0) + len(chosen)
        for apart, _ in list(spools.values())[1:]:
            _append(file, apart)
        offsets = [start, _align(file)]
        for _, ids in spools.values():
            _append(file, ids)
        offsets.append(_align(file))
    _append_codes(file, start, sum(rows.values()), dimension)
    footer = json.dumps({"model": model, "dimension": dimension, "kinds": rows, "offsets": offsets}).encode()
    file.write(footer + _TAIL.pack(len(footer), MAGIC))
    return sum(rows.values())


def _by_kind(kinds: Sequence[str]) -> dict[str, list[int]]:
    """The rows of each kind, kinds in the order of their first row."""
    found: dict[str, list[int]] = {}
    for row, kind in enumerate(kinds):
        found.setdefault(kind, []).append(row)
    return found


def _append(file: BinaryIO, spool: BinaryIO) -> None:
    spool.seek(0)
    shutil.copyfileobj(spool, file, _COPY_BYTES)


def _append_codes(file: BinaryIO, start: int, rows: int, dimension: int) -> None:
    """Append the codes of the vectors that are in the file from `start` on."""
    for first in range(0, rows, PIECE):
        count = min(PIECE, rows - first)
        file.seek(start + first * 2 * dimension)
        vectors = np.frombuffer(file.read(count * 2 * dimension), np.float16).reshape(count, dimension)
        file.seek(0, SEEK_END)
        file.write(packed(vectors).data)


def _align(file: BinaryIO) -> int:
    file.write(b"\0" * (-file.tell() % _ALIGNMENT))
    return file.tell()


def map_vectors(path: Path) -> VectorFile:
    """The file at `path`, mapped. FileNotFoundError where there is none, IndexDownError where it is damaged."""
    try:
        with path.open("rb") as file:
            # Plain arrays: each view of numpy's own class costs some twenty times as much.
            mapped = np.memmap(file, np.uint8, mode="r").view(np.ndarray)
        return _parsed(mapped)
    except _OtherLayoutError:
        raise IndexDownError(
            f"The vector file {path} was written by another version of the mesh.",
            remedy=f"`mesh backfill {path.parent.name} --stale` makes this one and others like it again.",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise IndexDownError(
            f"The vector file {path} is damaged: {error}.",
            remedy="Delete it and materialize `vector_index` for that slice: it is rebuilt from the lake.",
        ) from error


def _parsed(mapped: NDArray[np.uint8]) -> VectorFile:
    length, magic = _TAIL.unpack(mapped[-_TAIL.size :].tobytes())
    stop = mapped.size - _TAIL.size - length
    if magic != MAGIC and magic[:-1] == MAGIC[:-1]:
        raise _OtherLayoutError
    if magic != MAGIC or mapped[: len(MAGIC)].tobytes() != MAGIC or stop < 0:
        raise ValueError("it does not start and end as a vector file of this version")
    footer = cast("dict[str, object]", json.loads(mapped[stop : stop + length].tobytes()))
    dimension, of_kind = cast("int", footer["dimension"]), cast("dict[str, int]", footer["kinds"])
    ends = [0, *accumulate(of_kind.values())]
    rows = ends[-1]
    shapes = ((rows, 2 * dimension), (rows, ID_BYTES), (-(-rows // BLOCK), BLOCK * code_bytes(dimension)))
    arrays: list[NDArray[np.uint8]] = []
    for offset, shape in zip(cast("list[int]", footer["offsets"]), shapes, strict=True):
        if offset + shape[0] * shape[1] > stop:
            raise ValueError("it is shorter than its footer says")
        arrays.append(mapped[offset : offset + shape[0] * shape[1]].reshape(shape))
    return VectorFile(
        model=cast("str", footer["model"]),
        rows=rows,
        dimension=dimension,
        kinds=dict(zip(of_kind, pairwise(ends), strict=True)),
        vectors=arrays[0].view(np.float16),
        ids=arrays[1],
        codes=arrays[2],
    )
