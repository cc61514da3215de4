"""Parquet and Arrow files (Feather, streams): tables that know the types of their columns, read batch by batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import IOBase
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.types
from numpy.typing import NDArray

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.tabular.grids import NO_TIME, Grid, Rows, binary_text, cell_text
from mesh_assets.chunks.tabular.opening import complaint, seekable
from mesh_assets.schemas.rejects import Reject

if TYPE_CHECKING:
    import pyarrow.parquet

# Text of the rows that are taken from a file at once; a row of more than that comes alone.
BATCH_BYTES = 2 << 20
MAX_BATCH_ROWS = 1 << 16
# Bytes of a column that are read at once: the whole of it need not fit in memory.
_BUFFER = 1 << 18
# 0001-01-01 and 9999-12-31 in days since 1970.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_STREAM_START = b"\xff\xff\xff\xff"
# What libraries say of broken pages, and Python of texts that are none.
_BROKEN = (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError)
_BREAKS = "[\r\n\v\f\x1c-\x1e\u0085\u2028\u2029\\x00]+"
# Their stubs know fewer types of arguments than these take.
_compute: Any = pyarrow.compute
pt: Any = pyarrow.types


def parquet_grids(source: Source) -> Iterator[Grid | Reject]:
    """The one table of a Parquet file. A row group that cannot be read is a reject; the others are used."""
    import pyarrow.parquet as pq

    with seekable(source) as stream:
        opened = cast("IO[bytes]", stream)
        file = pq.ParquetFile(opened, pre_buffer=False)
        schema = file.schema_arrow
        file = pq.ParquetFile(opened, buffer_size=_BUFFER, pre_buffer=False, read_dictionary=_repeated(file))
        yield _grid(schema, _row_groups(source, file), file.metadata.num_rows)


def _repeated(file: pyarrow.parquet.ParquetFile) -> list[str]:
    """Columns of texts that take fewer bytes than their lengths alone would: few texts, which stay few in memory."""
    found: set[str] = set()
    for group in range(file.metadata.num_row_groups):
        columns = file.metadata.row_group(group)
        for at in range(columns.num_columns):
            column = columns.column(at)
            if column.physical_type == "BYTE_ARRAY" and column.total_uncompressed_size < 4 * column.num_values:
                found.add(column.path_in_schema)
    return sorted(found)


def _row_groups(source: Source, file: pyarrow.parquet.ParquetFile) -> Iterator[Rows | Reject]:
    for group in range(file.metadata.num_row_groups):
        found = file.metadata.row_group(group)
        each = found.total_byte_size // max(found.num_rows, 1) + 1
        size = int(min(max(BATCH_BYTES // each, 1), MAX_BATCH_ROWS))
        try:
            for batch in file.iter_batches(size, row_groups=[group], use_threads=False):
                for part in _light(batch):
                    yield _rows(part)
        except _BROKEN as error:
            yield Reject(
                source.path,
                "broken row group",
                "Write the file again from where it came; the other row groups are used.",
                f"Row group {group + 1} of {file.metadata.num_row_groups}, {found.num_rows:,} rows: {complaint(error)}",
            )


def arrow_grids(source: Source) -> Iterator[Grid | Reject]:
    """The one table of an Arrow file or stream. What follows a batch that cannot be read is a reject."""
    with seekable(source) as stream:
        is_stream = stream.read(4) == _STREAM_START
        stream.seek(0)
        opened = cast("IOBase", stream)
        reader = pa.ipc.open_stream(opened) if is_stream else pa.ipc.open_file(opened)
        yield _grid(reader.schema, _batches(source, reader), None)


def _batches(source: Source, reader: pa.RecordBatchStreamReader | pa.RecordBatchFileReader) -> Iterator[Rows | Reject]:
    number = 0
    while True:
        try:
            if isinstance(reader, pa.RecordBatchFileReader):
                if number == reader.num_record_batches:
                    return
                batch = reader.get_batch(number)
            else:
                batch = reader.read_next_batch()
            batch.validate(full=True)  # offsets of a broken file may lead anywhere
            number += 1
            for start in range(0, batch.num_rows, MAX_BATCH_ROWS):
                for part in _light(batch.slice(start, MAX_BATCH_ROWS)):
                    yield _rows(part)
        except StopIteration:
            return
        except _BROKEN as error:
            yield Reject(
                source.path,
                "broken batch",
                "Write the file again from where it came; what is before this place is used.",
                f"Batch {number + 1}: {complaint(error)}",
            )
            return


def _grid(schema: pa.Schema, blocks: Iterator[Rows | Reject], rows: int | None) -> Grid:
    columns = [(name or f"column {at + 1}", _kind(kind)) for at, (name, kind) in enumerate(_fields(schema))]
    return Grid("table", None, tuple(columns) or (("(no columns)", "null"),), blocks, rows)


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pt.is_boolean, "boolean"),
    (pt.is_integer, "integer"),
    (pt.is_floating, "number"),
    (pt.is_decimal, "decimal"),
    (pt.is_timestamp, "timestamp"),
    (pt.is_date, "date"),
    (pt.is_time, "time"),
    (pt.is_duration, "duration"),
    (lambda kind: pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind), "text"),
    (lambda kind: pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind), "binary"),
    (pt.is_struct, "object"),
    (pt.is_map, "map"),
    (lambda kind: pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind), "list"),
)

_TEXTS: tuple[Callable[[pa.DataType], bool], ...] = (pt.is_string, pt.is_large_string, pt.is_string_view)


def _kind(kind: pa.DataType) -> str:
    """The type of a column in a word."""
    if pt.is_dictionary(kind):
        kind = cast("pa.DictionaryType[Any, Any]", kind).value_type
    return next((word for fits, word in _KINDS if fits(kind)), str(kind)[:40])


def _columns(batch: pa.RecordBatch) -> list[pa.Array[Any]]:
    return cast("list[pa.Array[Any]]", batch.columns)


def _fields(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    return list(zip(schema.names, schema.types, strict=True))


def _light(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """`batch` in parts whose texts are within `BATCH_BYTES` together; a row of more comes alone."""
    widths = np.zeros(batch.num_rows, np.int64)
    for column in _columns(batch):
        widths += _widths(column)
    ends = np.cumsum(widths)
    start = 0
    while start < batch.num_rows:
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + BATCH_BYTES, side="right")), start + 1)
        yield batch.slice(start, stop - start)
        start = stop


def _widths(column: pa.Array[Any]) -> NDArray[np.int64] | int:
    """About how many bytes the text of each cell has."""
    if pt.is_dictionary(column.type):
        coded = cast(Any, column)
        inner = _widths(coded.dictionary)
        if isinstance(inner, int):
            return inner
        return np.append(inner, 0)[np.asarray(coded.indices.fill_null(len(inner)), np.int64)]
    if any(fits(column.type) for fits in (pt.is_string, pt.is_large_string, pt.is_binary, pt.is_large_binary)):
        return np.asarray(_compute.fill_null(_compute.binary_length(column), 0), np.int64)
    if pt.is_nested(column.type) and len(column):
        return 4 * column.nbytes // len(column) + 16
    return 12


def _rows(batch: pa.RecordBatch) -> Rows:
    """A batch as lines of CSV, with the moments of its first column of such."""
    columns = [_texts(column).alias(f"{at}") for at, column in enumerate(_columns(batch))]
    frame = pl.DataFrame(columns)
    text = frame.write_csv(include_header=False, quote_style="necessary") if columns else "\n" * batch.num_rows
    return Rows(text, _times(batch))


def _texts(column: pa.Array[Any]) -> pl.Series:
    """A column as polars writes it; no value has a line break."""
    if pt.is_dictionary(column.type):
        coded = cast(Any, column)
        # Cells are made of the few values, not of each row.
        values = _texts(coded.dictionary).cast(pl.String)
        return values.gather(_series(coded.indices.cast(pa.int64())))
    kind = column.type
    if pt.is_boolean(kind) or pt.is_integer(kind) or pt.is_float32(kind) or pt.is_float64(kind):
        return _series(column)
    if pt.is_timestamp(kind):
        moments = column.cast(pa.timestamp("us"), safe=False)
        return _moments(moments, pl.Datetime("us"), f"%Y-%m-%dT%H:%M:%S%.f{'Z' if kind.tz else ''}", 86_400_000_000)
    if pt.is_date(kind):
        return _moments(column.cast(pa.date32(), safe=False), pl.Date(), "%Y-%m-%d", 1)
    if any(fits(kind) for fits in _TEXTS):
        try:
            column.validate(full=True)
            return _plain(_series(column))
        except pa.ArrowInvalid:  # no UTF-8, whatever the file says
            column = column.cast(pa.large_binary())
    return pl.Series([_each(scalar) for scalar in column], dtype=pl.String)


def _each(scalar: Any) -> str | None:  # noqa: ANN401  scalars of Arrow have no common type
    try:
        value = scalar.as_py()
    except (ValueError, OverflowError):  # no time of a day, or longer than any: the number that it is
        return cell_text(str(scalar.value))
    return None if value is None else _said(value)


def _moments(column: object, kind: pl.DataType, form: str, day: int) -> pl.Series:
    """Moments or dates as texts; `day` is how much a day counts. Those of no year of four digits are their numbers."""
    numbers = _series(cast(Any, column).view(pa.int32() if day == 1 else pa.int64()))
    fits = numbers.is_between(_FIRST_DAY * day, (_LAST_DAY + 1) * day - 1)
    texts = numbers.set(~fits, 0).cast(kind).dt.to_string(form)
    return texts.zip_with(fits | numbers.is_null(), numbers.cast(pl.String))


def _series(column: object) -> pl.Series:
    return cast("pl.Series", pl.from_arrow(cast(Any, column)))


def _plain(texts: pl.Series) -> pl.Series:
    """Texts on one line each; an empty one is none, which needs no quotes."""
    if texts.str.contains(_BREAKS).any():
        texts = texts.str.replace_all(_BREAKS, " ").str.strip_chars()
    if (texts == "").any():
        texts = texts.set(texts == "", None)
    return texts


def _said(value: object) -> str:
    """A value that is neither number, moment nor text: lists and objects as JSON."""
    if isinstance(value, list | dict | tuple):
        return cell_text(json.dumps(value, ensure_ascii=False, default=_said))
    return cell_text(binary_text(value) if isinstance(value, bytes) else str(value))


def _times(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """The moments of the first column of timestamps, else of dates; where there is neither, none."""
    for fits in (pt.is_timestamp, pt.is_date):
        for column in _columns(batch):
            if fits(column.type):
                # Days become milliseconds first: there is no other way.
                moments: Any = column.cast(pa.timestamp("ms"), safe=False) if pt.is_date(column.type) else column
                made = moments.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
                return np.asarray(_compute.fill_null(made, NO_TIME), np.int64)
    return np.full(batch.num_rows, NO_TIME)
