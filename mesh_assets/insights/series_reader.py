"""Which columns of a table are time series: the moments of its rows, what tells series apart, and their values.

Told once for each table, from its first rows. What is said of series belongs to `series_insight`, the tables of them
to `series_tables`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.insights.protocol import SliceBatch
from mesh_assets.insights.table_rows import TABLE_FORMS, Cells, TableReader, comma_numbers

# Tables of a slice that are looked at, and series of one table: more of them are names of something else.
MAX_TABLES, MAX_SERIES = 500, 2000
# The share of the cells that must be a moment, or a number.
_MOST = 0.95
# Values of a column that tells series apart, in the first rows.
_MAX_LABELS = 200
# A column of words with more of them in a table that is not called a metric makes it a table of records.
_FEW_WORDS = 24
# Rows that show what a table is.
_LEAST_ROWS, _SHOWN_ROWS = 3, 5000
_MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "?")

# The notations of moments that are tried, those that say more first.
_FORMATS = (
    *("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d %H:%M:%S%.fZ"),
    *("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z"),
    *("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%MZ", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M"),
    *("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M"),
    *("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d-%b-%Y %H:%M:%S"),
    *("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%b %d %Y", "%d %b %Y", "%d-%b-%Y"),
)
# Seconds since 1970 of 1990 and of 2100, and how much more a number of them counts in ms, us and ns.
_FIRST_SECOND, _LAST_SECOND = 631_152_000.0, 4_102_444_800.0
_EPOCH_UNITS = (1.0, 1e3, 1e6, 1e9)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table: its moments and how they are written, what tells series apart, the values."""

    time: str
    form: str | float
    labels: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Points:
    """Rows of a table as moments (us since 1970 UTC) and values of shape (rows, columns); NaN where a cell says none.

    `series` numbers the combinations of labels in `keys`; `rows` are numbers of `Cells`, whose chunks hold them.
    """

    layout: Layout
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    series: NDArray[np.int64]
    keys: list[tuple[str, ...]]
    rows: NDArray[np.int64]
    cells: Cells


class SeriesTable:
    """One table as its chunks stream by."""

    def __init__(self, form: str, kind: str) -> None:
        self._reader = TableReader(TABLE_FORMS[form])
        self._kind = kind
        self.layout: Layout | None = None
        self._is_known = False

    def points(self, batch: SliceBatch, chunks: list[int]) -> Points | None:
        """What neighbouring chunks say; None where the table has no series."""
        if self._is_known and self.layout is None:
            return None
        texts, contexts = batch.strings("text"), batch.strings("context")
        cells = self._reader.cells([texts[row] for row in chunks], contexts[chunks[0]])
        frame = cells.frame.select(pl.all().str.strip_chars())
        if self._reader.may_have_comma_numbers:
            frame = frame.select(comma_numbers(pl.all()))
        if not self._is_known and frame.height >= _LEAST_ROWS:
            self._is_known = True
            self.layout = layout_of(frame.head(_SHOWN_ROWS), is_metric=self._kind == "metric")
        layout = self.layout
        if layout is None or layout.time not in frame.columns:
            return None
        times = moments(frame[layout.time], layout.form)
        rows = np.flatnonzero(times.is_not_null().to_numpy())
        frame = frame.with_columns(
            [pl.lit(None, pl.String).alias(name) for name in layout.labels + layout.values if name not in frame.columns]
        )[rows]
        values = frame.select([_numbers(frame[name]).alias(str(i)) for i, name in enumerate(layout.values)]).to_numpy()
        series, keys = _keys(frame, layout.labels)
        return Points(layout, times.to_numpy()[rows].astype(np.int64), values, series, keys, rows, cells)


def layout_of(frame: pl.DataFrame, *, is_metric: bool) -> Layout | None:
    """The series that a table has by these rows of it; None for a table of records.

    Its first column is its moments. Where several rows have one moment, columns of words, else of whole numbers with
    few values, tell series apart.
    """
    time = frame.columns[0] if frame.width > 1 else None
    form = None if time is None else form_of(frame[time])
    if time is None or form is None:
        return None
    rest = frame.columns[1:]
    numeric = [name for name in rest if _is_numeric(frame[name])]
    words = [name for name in rest if name not in numeric and not _is_blank(frame[name])]
    if not is_metric and any(frame[name].n_unique() > _FEW_WORDS for name in words):
        return None
    labels = _labels(frame, time, words, numeric)
    if labels is None:
        return None
    values = tuple(name for name in numeric if name not in labels)
    return Layout(time, form, tuple(labels), values) if values else None


def _labels(frame: pl.DataFrame, time: str, words: list[str], numeric: list[str]) -> list[str] | None:
    """The columns that tell series apart, none where every moment has one row; None where no columns do."""
    few = [name for name in words if frame[name].n_unique() <= _MAX_LABELS]
    whole = [name for name in numeric if _is_whole(frame[name]) and 5 * frame[name].n_unique() <= frame.height]
    chosen: list[str] = []
    for name in [*few, *whole]:
        if _is_apart(frame, [time, *chosen]):
            break
        chosen.append(name)
    return chosen if _is_apart(frame, [time, *chosen]) else None


def _is_apart(frame: pl.DataFrame, names: list[str]) -> bool:
    return frame.select(names).n_unique() >= _MOST * frame.height


def form_of(texts: pl.Series) -> str | float | None:
    """How the moments of a column are written: a format, or how often a number of them counts a second."""
    held = texts.drop_nulls().filter(~texts.drop_nulls().str.to_lowercase().is_in(_MISSING))
    if not len(held):
        return None
    numbers = held.cast(pl.Float64, strict=False)
    if numbers.null_count() <= (1 - _MOST) * len(held):
        middle = cast(float, numbers.drop_nulls().median())
        return next((unit for unit in _EPOCH_UNITS if _FIRST_SECOND <= middle / unit <= _LAST_SECOND), None)
    best = max(_FORMATS, key=lambda form: len(held) - moments(held, form).null_count())
    return best if moments(held, best).null_count() <= (1 - _MOST) * len(held) else None


def moments(texts: pl.Series, form: str | float) -> pl.Series:
    """The moments of a column in us since 1970 UTC; null where a cell is none."""
    if not isinstance(form, str):
        scaled = texts.cast(pl.Float64, strict=False) * (1e6 / form)
        return scaled.set(~scaled.is_between(0.0, 1e6 * _LAST_SECOND), None).round().cast(pl.Int64, strict=False)
    if "%H" in form:
        return texts.str.to_datetime(form, strict=False, time_unit="us").dt.epoch("us")
    return texts.str.to_date(form, strict=False).cast(pl.Datetime("us")).dt.epoch("us")


def _numbers(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.Float64, strict=False).fill_null(float("nan"))


def _is_numeric(texts: pl.Series) -> bool:
    held = texts.drop_nulls().filter(~texts.drop_nulls().str.to_lowercase().is_in(_MISSING))
    return len(held) > 0 and held.cast(pl.Float64, strict=False).null_count() <= (1 - _MOST) * len(held)


def _is_whole(texts: pl.Series) -> bool:
    return bool(texts.drop_nulls().str.contains(r"^\d+$").all())


def _is_blank(texts: pl.Series) -> bool:
    return bool(texts.fill_null("").str.to_lowercase().is_in(_MISSING).all())


def _keys(frame: pl.DataFrame, labels: tuple[str, ...]) -> tuple[NDArray[np.int64], list[tuple[str, ...]]]:
    """The combination of labels of each row, as a number into the list of them."""
    if not labels:
        return np.zeros(frame.height, np.int64), [()]
    filled = frame.select(labels).fill_null("")
    distinct = filled.unique(maintain_order=True).with_row_index("_number")
    numbers = filled.join(distinct, on=filled.columns, how="left", maintain_order="left")["_number"]
    keys = [tuple(map(str, row)) for row in distinct.drop("_number").rows()]
    return numbers.to_numpy().astype(np.int64), keys


def series_name(table: str, column: str) -> str:
    """What is measured: the column, behind the table or sheet where the file has several."""
    return f"{table}.{column}" if table else column


def series_id(dataset: str, path: str, name: str, labels: dict[str, str]) -> str:
    """32 hex digits that are the same in every slice."""
    identity = "\x1f".join((dataset, path, name, *(f"{key}={value}" for key, value in sorted(labels.items()))))
    return blake3(identity.encode("utf-8", "surrogatepass")).hexdigest(length=16)
