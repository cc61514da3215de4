"""The file that holds the vectors of one slice under one model: its layout, how it is written and mapped.

    magic | float16 vectors | chunk ids (16 bytes) | kind codes (1) | binary codes | JSON footer | its length | magic

Each array starts at a multiple of 64 bytes and lies as FAISS and numpy read it, so that a reader maps the file and
copies nothing. The footer comes last because only then are the counts known: a writer streams the vectors and spools
the small arrays (8% of the bytes). What is searched, and how, belongs to `faiss_codes`.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.errors import IndexDownError

# The digit is the version of the layout: another one is another magic, and the slice is written anew.
MAGIC = b"MESHVEC1"
ID_BYTES = 16
_ALIGNMENT = 64
_TAIL = struct.Struct("<I8s")  # length of the footer, magic
_COPY_BYTES = 1 << 20
# How far the nearest codes are is estimated from these: as little as they are, they are read for each query.
SAMPLED_ONE_OF = 50

Batch = tuple[Sequence[str], Sequence[str], NDArray[np.float16]]


@dataclass(frozen=True)
class VectorFile:
    """A mapped file of `rows` entries. Its arrays are views of the file; a replaced file stays readable.

    `vectors` has shape (rows, dimension), `codes` (rows, bytes of a code), `ids` (rows, 16), `kind_codes` (rows,);
    `kinds` names the kinds by code.
    """

    model: str
    rows: int
    dimension: int
    kinds: tuple[str, ...]
    vectors: NDArray[np.float16]
    ids: NDArray[np.uint8]
    kind_codes: NDArray[np.uint8]
    codes: NDArray[np.uint8]

    @cached_property
    def sampled(self) -> NDArray[np.uint64]:
        """Every fiftieth code, as `code_words`. A copy: far apart in the file they take a page each to read."""
        return code_words(self.codes[::SAMPLED_ONE_OF])


def code_words(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """`codes` as numbers of 64 bits, shape (rows, numbers), the last one filled up with zeros."""
    return np.pad(codes, ((0, 0), (0, -codes.shape[1] % 8))).view(np.uint64)


def binary_codes(vectors: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The signs of `vectors` as bits, shape (rows, bytes): their Hamming distance follows the angle.

    Random-hyperplane hashing with the axes as hyperplanes (Charikar 2002).
    """
    return np.packbits(vectors > 0, axis=1)


def _widths(dimension: int) -> tuple[int, int, int, int]:
    """Bytes of an entry in each array: its vector, id, kind and code."""
    return 2 * dimension, ID_BYTES, 1, -(-dimension // 8)


def entry_bytes(dimension: int) -> int:
    """Bytes of a file for each of its entries."""
    return sum(_widths(dimension))


def write_vectors(path: Path, model: str, batches: Iterable[Batch]) -> int:
    """Write `batches` to the new file `path`; the number of entries. Whoever calls makes it durable and visible."""
    with path.open("wb") as file:
        return _write(file, model, batches)


def _write(file: BinaryIO, model: str, batches: Iterable[Batch]) -> int:
    rows, dimension = 0, 0
    kinds: dict[str, int] = {}
    with ExitStack() as stack:
        folder = Path(file.name).parent
        ids, kind_codes, codes = (stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in range(3))
        file.write(MAGIC)
        offsets = [_align(file)]
        for chunk_ids, names, vectors in batches:
            if not len(chunk_ids):
                continue
            dimension = vectors.shape[1]
            file.write(np.ascontiguousarray(vectors, np.float16).data)
            ids.write(bytes.fromhex("".join(chunk_ids)))
            kind_codes.write(bytes(kinds.setdefault(name, len(kinds)) for name in names))
            codes.write(binary_codes(vectors).data)
            rows += len(chunk_ids)
        for spool in (ids, kind_codes, codes):
            offsets.append(_align(file))
            spool.seek(0)
            shutil.copyfileobj(spool, file, _COPY_BYTES)
    footer = json.dumps(
        {"model": model, "rows": rows, "dimension": dimension, "kinds": list(kinds), "offsets": offsets}
    ).encode()
    file.write(footer + _TAIL.pack(len(footer), MAGIC))
    return rows


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
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise IndexDownError(
            f"The vector file {path} is damaged: {error}.",
            remedy="Delete it and materialize `vector_index` for that slice: it is rebuilt from the lake.",
        ) from error


def _parsed(mapped: NDArray[np.uint8]) -> VectorFile:
    length, magic = _TAIL.unpack(mapped[-_TAIL.size :].tobytes())
    stop = mapped.size - _TAIL.size - length
    if magic != MAGIC or mapped[: len(MAGIC)].tobytes() != MAGIC or stop < 0:
        raise ValueError("it does not start and end as a vector file of this version")
    footer = cast("dict[str, object]", json.loads(mapped[stop : stop + length].tobytes()))
    rows, dimension = cast("int", footer["rows"]), cast("int", footer["dimension"])
    widths = _widths(dimension)
    arrays: list[NDArray[np.uint8]] = []
    for offset, width in zip(cast("list[int]", footer["offsets"]), widths, strict=True):
        if offset + rows * width > stop:
            raise ValueError("it is shorter than its footer says")
        arrays.append(mapped[offset : offset + rows * width].reshape(rows, width))
    return VectorFile(
        model=cast("str", footer["model"]),
        rows=rows,
        dimension=dimension,
        kinds=tuple(cast("list[str]", footer["kinds"])),
        vectors=arrays[0].view(np.float16),
        ids=arrays[1],
        kind_codes=arrays[2].reshape(-1),
        codes=arrays[3],
    )
