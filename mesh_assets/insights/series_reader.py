"""The points of time series that chunks hold: rows of tables, and samples of metrics.

Which columns of a table are series is told once for each table, from its first rows: the moments of the rows, what
tells series apart, and the values. What is said of series belongs to `series_insight`, the tables of them to
`series_tables`, how samples are written to `chunks.metrics`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.chunks.metrics import influx, prometheus
from mesh_assets.chunks.metrics.samples import LineKind, Sample
from mesh_assets.insights.columns import column_of
from mesh_assets.insights.protocol import SliceBatch
from mesh_assets.insights.table_rows import TABLE_FORMS, TableReader, comma_numbers, tables_of

# Tables of a slice that are looked at, metrics of other formats, and series of one table or metric: more of them are
# names of something else.
MAX_TABLES, MAX_METRICS, MAX_SERIES = 500, 10_000, 2000
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
    """Moments (us since 1970 UTC) and values of shape (points, names); NaN where there is none.

    `series` numbers the combinations of labels in `labels`. A point stands in the row `chunks` of its batch, in the
    characters from `starts` to `stops` of its text, which are row `rows` of the file.
    """

    path: str
    names: tuple[str, ...]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    series: NDArray[np.int64]
    labels: list[dict[str, str]]
    chunks: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass(slots=True)
class SeriesReader:
    """Reads the batches of one slice in order: the same points each time that it is done."""

    _tables: dict[tuple[str, str], _Table] = field(default_factory=dict[tuple[str, str], "_Table"])
    _metrics: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def points(self, batch: SliceBatch) -> Iterator[Points]:
        """The points of each table and each metric in `batch`; none of those with too many series."""
        for points in self._found(batch):
            if len(points.times) and len(points.labels) <= MAX_SERIES:
                yield points

    def _found(self, batch: SliceBatch) -> Iterator[Points]:
        for key, chunks in tables_of(batch, "metric", "structured"):
            if key not in self._tables:
                if len(self._tables) >= MAX_TABLES:
                    continue
                self._tables[key] = _Table(batch.strings("format")[chunks[0]], batch.strings("kind")[chunks[0]])
            points = self._tables[key].points(batch, chunks, key)
            if points is not None:
                yield points
        forms, paths = batch.strings("format"), batch.strings("path")
        rows = [row for row in batch.rows_of("metric") if forms[row] in _SAMPLES]
        for path, chunks in groupby(rows, key=lambda row: paths[row]):
            for name, samples in _by_name(batch, chunks).items():
                if (path, name) in self._metrics or len(self._metrics) < MAX_METRICS:
                    self._metrics.add((path, name))
                    yield _sampled(batch, path, name, samples)


class _Table:
    """One table as its chunks stream by."""

    def __init__(self, form: str, kind: str) -> None:
        self._reader = TableReader(TABLE_FORMS[form])
        self._kind = kind
        self._layout: Layout | None = None
        self._is_known = False

    def points(self, batch: SliceBatch, chunks: list[int], key: tuple[str, str]) -> Points | None:
        """What neighbouring chunks of the table `key` say; None where the table has no series."""
        if self._is_known and self._layout is None:
            return None
        texts, contexts = batch.strings("text"), batch.strings("context")
        cells = self._reader.cells([texts[row] for row in chunks], contexts[chunks[0]])
        frame = cells.frame.select(pl.all().str.strip_chars())
        if self._reader.may_have_comma_numbers:
            frame = frame.select(comma_numbers(pl.all()))
        if not self._is_known and frame.height >= _LEAST_ROWS:
            self._is_known = True
            self._layout = layout_of(frame.head(_SHOWN_ROWS), is_metric=self._kind == "metric")
        layout = self._layout
        if layout is None or layout.time not in frame.columns:
            return None
        times = moments(frame[layout.time], layout.form)
        rows = np.flatnonzero(times.is_not_null().to_numpy())
        frame = frame.with_columns(
            [pl.lit(None, pl.String).alias(name) for name in layout.labels + layout.values if name not in frame.columns]
        )[rows]
        values = frame.select([_numbers(frame[name]).alias(str(i)) for i, name in enumerate(layout.values)]).to_numpy()
        series, keys = _keys(frame, layout.labels)
        held = np.array(chunks, np.int64)[cells.chunks]
        return Points(
            path=key[0],
            # Where the file has several tables, a column is called with the name of its own.
            names=tuple(f"{key[1]}.{column}" if key[1] else column for column in layout.values),
            times=times.to_numpy()[rows].astype(np.int64),
            values=values,
            series=series,
            labels=[dict(zip(layout.labels, each, strict=True)) for each in keys],
            chunks=held[rows],
            starts=cells.starts[rows],
            stops=cells.stops[rows],
            # Rows of a chunk that could not be read, which are rare, are not counted.
            rows=(_first_rows(batch)[held] + _rank(cells.chunks))[rows],
        )


# How lines of metrics are told, and what they say. The reading of OpenTelemetry's is written as Prometheus writes.
_SAMPLES = {
    "prometheus": (prometheus.lines, prometheus.samples),
    "otlp": (prometheus.lines, prometheus.samples),
    "influx": (influx.lines, influx.samples),
}


class _Placed(NamedTuple):
    """A sample with its moment, the row of its chunk, and where its line is in that one's text."""

    sample: Sample
    time: int
    chunk: int
    start: int
    stop: int


def _by_name(batch: SliceBatch, chunks: Iterable[int]) -> dict[str, list[_Placed]]:
    """The samples of neighbouring chunks of a file that have a moment, by metric."""
    found: dict[str, list[_Placed]] = defaultdict(list)
    texts, forms = batch.strings("text"), batch.strings("format")
    for chunk in chunks:
        lines, samples = _SAMPLES[forms[chunk]]
        places: list[tuple[int, int]] = []
        start = 0
        for line in lines(texts[chunk]):
            if line.kind is LineKind.SAMPLE:
                places.append((start, line.stop))
            start = line.stop
        for sample in samples(texts[chunk]):
            if sample.time is not None:
                found[sample.name].append(_Placed(sample, sample.time, chunk, *places[sample.row]))
    return found


def _sampled(batch: SliceBatch, path: str, name: str, samples: list[_Placed]) -> Points:
    numbers: dict[tuple[tuple[str, str], ...], int] = {}
    series = [numbers.setdefault(tuple(sorted(each.sample.labels.items())), len(numbers)) for each in samples]
    chunks = np.array([each.chunk for each in samples], np.int64)
    return Points(
        path=path,
        names=(name,),
        times=np.array([each.time for each in samples], np.int64),
        values=np.array([[each.sample.value] for each in samples]),
        series=np.array(series, np.int64),
        labels=[dict(key) for key in numbers],
        chunks=chunks,
        starts=np.array([each.start for each in samples], np.int64),
        stops=np.array([each.stop for each in samples], np.int64),
        rows=_first_rows(batch)[chunks] + np.array([each.sample.row for each in samples], np.int64),
    )


def _first_rows(batch: SliceBatch) -> NDArray[np.int64]:
    """The number of the first row of each chunk."""
    return np.asarray(cast(Any, column_of(batch.chunks, "row_start")).fill_null(0), np.int64)


def _rank(chunks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each row in its chunk; `chunks` ascend."""
    return np.arange(len(chunks)) - np.searchsorted(chunks, chunks)


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


def moment_of(time: int) -> datetime:
    """What `time`, in us since 1970 UTC, says."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)


def series_id(dataset: str, path: str, name: str, labels: dict[str, str]) -> str:
    """32 hex digits that are the same in every slice."""
    identity = "\x1f".join((dataset, path, name, *(f"{key}={value}" for key, value in sorted(labels.items()))))
    return blake3(identity.encode("utf-8", "surrogatepass")).hexdigest(length=16)
