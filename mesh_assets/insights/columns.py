"""Between columns of Arrow and arrays of numpy: the few conversions that whole-batch work needs, typed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

# The stubs of pyarrow know fewer types of arguments than its functions take.
_compute: Any = pyarrow.compute
T = TypeVar("T", bound="pa.RecordBatch | pa.Table | pa.Array[Any]")


def column_of(batch: pa.RecordBatch, name: str) -> pa.Array[Any]:
    """A column of a batch."""
    return cast("pa.Array[Any]", batch.column(name))


def integers(column: object) -> NDArray[np.int64]:
    """A column of whole numbers without nulls."""
    return np.asarray(cast(Any, column), dtype=np.int64)


def rows_of(table: T, places: NDArray[np.int64]) -> T:
    """Some rows, in the order of `places`."""
    return cast(T, cast(Any, table).take(pa.array(places)))


def rows_where(table: T, chosen: NDArray[np.bool_]) -> T:
    """The rows that are chosen."""
    return cast(T, cast(Any, table).filter(pa.array(chosen)))


def equals(column: object, value: object) -> NDArray[np.bool_]:
    """Which values of a column without nulls are `value`, or those of another column."""
    return np.asarray(_compute.equal(column, value), dtype=np.bool_)


def is_in(column: object, values: list[str]) -> NDArray[np.bool_]:
    """Which strings of a column are among `values`."""
    return np.asarray(_compute.is_in(column, pa.array(values, pa.string())), dtype=np.bool_)


def byte_lengths(column: object) -> NDArray[np.int64]:
    """The bytes of each string in UTF-8."""
    return np.asarray(_compute.binary_length(column), dtype=np.int64)


def joined(*columns: object, separator: str = "") -> pa.StringArray:
    """Strings joined row by row; a plain string stands in every row."""
    return cast("pa.StringArray", _compute.binary_join_element_wise(*columns, separator))


def content_of(strings: object) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The UTF-8 of a column of strings, one behind the other, and where each starts in it (and where all end)."""
    array = cast(Any, strings)
    _, places, content = array.buffers()
    offsets = np.frombuffer(places or b"\0\0\0\0", np.int32)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(content or b"", np.uint8)[offsets[0] : offsets[-1]]
    return data, offsets.astype(np.int64) - int(offsets[0])


def strings_of(content: NDArray[np.uint8], offsets: NDArray[np.int64]) -> pa.StringArray:
    """Strings without a copy: string `i` is `content[offsets[i]:offsets[i + 1]]`, UTF-8."""
    buffers = [None, pa.py_buffer(cast(Any, offsets.astype(np.int32))), pa.py_buffer(cast(Any, content))]
    return cast("pa.StringArray", pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers))


def lists_of(values: object, counts: NDArray[np.int64]) -> pa.Array[Any]:
    """Lists of `counts` values each, one behind the other."""
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    return cast("pa.Array[Any]", cast(Any, pa.ListArray).from_arrays(pa.array(offsets), values))


def flattened(column: object) -> tuple[NDArray[np.int64], Any]:
    """The values of a column of lists, one behind the other, and the row of each."""
    return np.asarray(_compute.list_parent_indices(column), np.int64), cast(Any, column).flatten()


def counted(column: object) -> list[tuple[str, int]]:
    """The distinct strings of a column and how often each occurs."""
    found = cast(Any, column).value_counts()
    return list(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))


def sums(names: object, sizes: NDArray[np.int64]) -> Iterator[tuple[str, int]]:
    """The sum of `sizes` for each of `names`, in the order of their first rows."""
    encoded = cast(Any, names).dictionary_encode()
    sums = np.bincount(np.asarray(encoded.indices), weights=sizes, minlength=len(encoded.dictionary))
    return zip(cast("list[str]", encoded.dictionary.to_pylist()), (int(size) for size in sums), strict=True)
