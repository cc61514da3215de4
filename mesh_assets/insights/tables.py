"""Tables: what each holds, column by column, and the values that stand apart from all others of their column."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mesh_assets.insights.columns import counted
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.sampling import NumberSample
from mesh_assets.insights.secrets import mask
from mesh_assets.insights.table_rows import MAX_COLUMNS, Cells, TableReader
from mesh_assets.insights.wording import amount, plural, share
from mesh_assets.schemas.citations import Citation

FORMATS = frozenset({"csv", "tsv", "jsonl"})
MAX_TABLES = 200
_SAMPLE = 1000  # numbers of a column: the median is then within two percentiles
_MAX_CATEGORIES = 200
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
# An outlier lies this many robust standard deviations from the median ...
_FAR = 10.0
# ... and this many times as far as 99 of 100 values do: long tails are no outliers.
_APART = 3.0
_LEAST_NUMBERS = 50
# Larger numbers are names of something, or faults.
_LARGEST = 1e300
_MAX_OUTLIERS = 5


@dataclass(slots=True)
class _Column:
    """What is kept of one column: counts, a sample of its numbers, its extremes with their rows, its categories."""

    cells: int = 0
    missing: int = 0
    numbers: int = 0
    sample: NumberSample = field(default_factory=lambda: NumberSample(_SAMPLE))
    lowest: tuple[float, Citation] | None = None
    highest: tuple[float, Citation] | None = None
    categories: Counter[str] = field(default_factory=Counter[str])

    def add_numbers(self, values: NDArray[np.float64], cite: Callable[[int], Citation]) -> None:
        """Take in the numbers of some rows, NaN where a cell is none; `cite` gives the citation of a row."""
        rows = np.flatnonzero(~np.isnan(values))
        if not len(rows):
            return
        self.numbers += len(rows)
        self.sample.add(values[rows])
        low, high = int(rows[np.argmin(values[rows])]), int(rows[np.argmax(values[rows])])
        if self.lowest is None or values[low] < self.lowest[0]:
            self.lowest = float(values[low]), cite(low)
        if self.highest is None or values[high] > self.highest[0]:
            self.highest = float(values[high]), cite(high)

    def add_words(self, words: pl.Series) -> None:
        """Count cells that are no numbers."""
        unnamed = words.alias("")  # a header may hold a zero byte, which no name of an Arrow column can
        for word, count in counted(cast(object, unnamed.to_arrow())):
            text = word[:80]
            if len(self.categories) < _MAX_CATEGORIES or text in self.categories:
                self.categories[text] += count


@dataclass(slots=True)
class _Table:
    path: str
    kind: str
    reader: TableReader
    first: Citation
    rows: int = 0
    columns: dict[str, _Column] = field(default_factory=dict[str, _Column])

    def add(self, cells: Cells, cite: Callable[[int], Citation]) -> None:
        """Take in rows; `cite` gives the citation of one."""
        self.rows += cells.frame.height
        known = [name for name in cells.frame.columns if name in self.columns]
        new = [name for name in cells.frame.columns if name not in self.columns]
        names = known + new[: max(MAX_COLUMNS - len(self.columns), 0)]
        if not names or not cells.frame.height:
            return
        text = cells.frame.select(pl.col(names).str.strip_chars())
        held = text.select(pl.all().is_not_null()).to_numpy()
        missing = text.select(pl.all().str.to_lowercase().is_in(sorted(_MISSING))).fill_null(value=False).to_numpy()
        numbers = text.select(pl.all().cast(pl.Float64, strict=False).fill_null(math.nan)).to_numpy()
        numbers = np.where(missing | ~(np.abs(numbers) < _LARGEST), math.nan, numbers)
        is_word = held & ~missing & np.isnan(numbers)
        for at, name in enumerate(names):
            column = self.columns.setdefault(name, _Column())
            column.cells += int(held[:, at].sum())
            column.missing += int(missing[:, at].sum())
            column.add_numbers(numbers[:, at], cite)
            if is_word[:, at].any():
                column.add_words(text.to_series(at).filter(pl.Series(is_word[:, at])))


def _cite(batch: SliceBatch, chunks: list[int], cells: Cells, row: int) -> Citation:
    start, stop = int(cells.starts[row]), int(cells.stops[row])
    return batch.chunk(chunks[int(cells.chunks[row])]).cite(start, stop)


class TableInsight:
    """Profiles each table of the slice."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}

    def observe(self, batch: SliceBatch) -> None:
        """Read the rows of the chunks of tables."""
        forms = batch.strings("format")
        rows = [row for row in batch.rows_of("structured", "metric") if forms[row] in FORMATS]
        paths = batch.strings("path")
        for path, group in groupby(rows, key=lambda row: paths[row]):
            chunks = list(group)
            table = self._tables.get(path)
            if table is None:
                if len(self._tables) >= MAX_TABLES:
                    continue
                first = batch.chunk(chunks[0])
                table = _Table(path, first.kind, TableReader(forms[chunks[0]]), first.cite_opening())
                self._tables[path] = table
            texts = batch.strings("text")
            cells = table.reader.cells([texts[row] for row in chunks], batch.strings("context")[chunks[0]])
            table.add(cells, lambda row, cells=cells, chunks=chunks: _cite(batch, chunks, cells, row))

    def conclude(self) -> Iterable[Insight]:
        """A profile of each table, and its outliers as findings, the most extreme of the slice only."""
        outliers: list[Insight] = []
        for table in self._tables.values():
            if table.rows:
                yield _profile(table)
                for name, column in table.columns.items():
                    outliers.extend(_outliers(table, name, column))
        outliers.sort(key=lambda insight: (-insight.score, insight.title))
        yield from outliers[:_MAX_OUTLIERS]


def _profile(table: _Table) -> Insight:
    columns = {mask(name): _described(column, table.rows) for name, column in table.columns.items()}
    numeric = [name for name, described in columns.items() if "median" in described]
    gaps = sorted(
        ((column.missing / column.cells, mask(name)) for name, column in table.columns.items() if column.missing),
        reverse=True,
    )
    listed = ", ".join(list(columns)[:10])
    said = [f"{table.path} has {plural(table.rows, 'row')} and {plural(len(columns), 'column')}: {listed}"]
    if numeric:
        name = numeric[0]
        low, middle, high = (amount(cast(float, columns[name][key])) for key in ("min", "median", "max"))
        said.append(f"{name} lies between {low} and {high}, with a median of {middle}")
    if gaps and gaps[0][0] >= 0.01:
        said.append(f"{gaps[0][1]} is missing in {share(gaps[0][0], 1)} of the rows")
    return Insight(
        kind=table.kind,
        type="table_profile",
        title=f"Columns of {table.path}",
        statement=". ".join(sentence[:1].upper() + sentence[1:] if i else sentence for i, sentence in enumerate(said))
        + ".",
        score=0.25,
        value={"rows": table.rows, "columns": columns},
        evidence=(table.first,),
    )


def _described(column: _Column, rows: int) -> dict[str, object]:
    described: dict[str, object] = {"missing": column.missing + max(rows - column.cells, 0)}
    if column.lowest and column.highest and column.numbers >= 0.5 * max(column.cells - column.missing, 1):
        described |= {
            "min": column.lowest[0],
            "median": float(np.median(column.sample.values)),
            "max": column.highest[0],
        }
    elif column.categories:
        described["top"] = {mask(text): count for text, count in column.categories.most_common(5)}
    return described


def _outliers(table: _Table, name: str, column: _Column) -> Iterator[Insight]:
    """The lowest and the highest value, where they stand apart."""
    if column.numbers < max(_LEAST_NUMBERS, 0.9 * (column.cells - column.missing)):
        return
    if column.lowest is None or column.highest is None:
        return
    values = column.sample.values
    median = float(np.median(values))
    away = np.abs(values - median)
    spread = 1.4826 * float(np.median(away))
    usual = float(np.quantile(away, 0.99))
    if spread <= 0:
        return
    logs = np.log(np.maximum(values, 1e-300))  # sizes and prices have long tails that only logarithms make even
    shown = mask(name)
    for value, citation, word in (
        (*column.highest, "highest"),
        (*column.lowest, "lowest"),
    ):
        far = abs(value - median)
        if _stands_apart(value, values) and (values.min() <= 0 or value <= 0 or _stands_apart(math.log(value), logs)):
            yield Insight(
                kind=table.kind,
                type="table_outlier",
                title=f"Outlier in {shown} of {table.path}, {word}",
                statement=f"In {table.path}, {shown} is {amount(value)} in one row, where {amount(median)} is usual "
                f"and 99% of the values lie within {amount(usual)} of that.",
                score=0.5 + 0.3 * (1 - 2.0 ** (1 - far / (_APART * max(usual, spread)))),
                value={"value": value, "median": median, "spread": spread},
                evidence=(citation,),
            )


def _stands_apart(value: float, values: NDArray[np.float64]) -> bool:
    away = np.abs(values - np.median(values))
    far = abs(value - float(np.median(values)))
    return far >= _FAR * 1.4826 * float(np.median(away)) and far >= _APART * float(np.quantile(away, 0.99))
