"""Tables: what each holds, column by column, and the values that stand apart from all others of their column."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.locators import ChunkText, chunk_texts
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.sampling import Reservoir
from mesh_assets.insights.secrets import mask
from mesh_assets.insights.table_rows import Row, TableReader, number
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
_MAX_OUTLIERS = 5


@dataclass(slots=True)
class _Column:
    """What is kept of one column: counts, a sample of its numbers, its extremes with their rows, its categories."""

    cells: int = 0
    missing: int = 0
    numbers: int = 0
    sample: Reservoir[float] = field(default_factory=lambda: Reservoir[float](_SAMPLE))
    extremes: list[tuple[float, Citation]] = field(default_factory=list[tuple[float, Citation]])
    categories: Counter[str] = field(default_factory=Counter[str])

    def add(self, cell: str, chunk: ChunkText, row: Row) -> None:
        """Take in one cell."""
        self.cells += 1
        text = cell.strip()
        if text.lower() in _MISSING:
            self.missing += 1
            return
        value = number(text)
        if value is None:
            if len(self.categories) < _MAX_CATEGORIES or text in self.categories:
                self.categories[text[:80]] += 1
            return
        self.numbers += 1
        at = self.sample.place()
        if at is not None:
            self.sample.put(at, value)
        held = self.extremes
        if len(held) < 4 or value < held[1][0] or value > held[-2][0]:
            held.append((value, chunk.cite(row.start, row.stop)))
            held.sort(key=lambda item: item[0])
            if len(held) > 4:
                del held[2]


@dataclass(slots=True)
class _Table:
    path: str
    kind: str
    reader: TableReader
    first: Citation
    rows: int = 0
    columns: dict[str, _Column] = field(default_factory=dict[str, _Column])


class TableInsight:
    """Profiles each table of the slice."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}

    def observe(self, batch: SliceBatch) -> None:
        """Read the rows of the chunks of tables."""
        chunks = batch.chunks
        formats = cast("list[str]", chunks.column("format").to_pylist())
        if FORMATS.isdisjoint(formats):
            return
        contexts = cast("list[str]", chunks.column("context").to_pylist())
        for chunk, form, context in zip(chunk_texts(chunks), formats, contexts, strict=True):
            if form not in FORMATS or chunk.kind not in ("structured", "metric"):
                continue
            table = self._tables.get(chunk.path)
            if table is None:
                if len(self._tables) >= MAX_TABLES:
                    continue
                table = _Table(chunk.path, chunk.kind, TableReader(form), chunk.cite_opening())
                self._tables[chunk.path] = table
            for row in table.reader.rows(chunk, context):
                table.rows += 1
                for name, cell in row.cells.items():
                    column = table.columns.get(name)
                    if column is None:
                        if len(table.columns) >= 64:
                            continue
                        column = table.columns[name] = _Column()
                    column.add(cell, chunk, row)

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
    if column.numbers >= 0.5 * max(column.cells - column.missing, 1) and column.sample.items:
        described |= {
            "min": column.extremes[0][0],
            "median": float(np.median(column.sample.items)),
            "max": column.extremes[-1][0],
        }
    elif column.categories:
        described["top"] = {mask(text): count for text, count in column.categories.most_common(5)}
    return described


def _outliers(table: _Table, name: str, column: _Column) -> Iterator[Insight]:
    """The lowest and the highest value, where they stand apart."""
    if column.numbers < max(_LEAST_NUMBERS, 0.9 * (column.cells - column.missing)):
        return
    values = np.array(column.sample.items)
    median = float(np.median(values))
    away = np.abs(values - median)
    spread = 1.4826 * float(np.median(away))
    usual = float(np.quantile(away, 0.99))
    if spread <= 0:
        return
    logs = np.log(np.maximum(values, 1e-300))  # sizes and prices have long tails that only logarithms make even
    shown = mask(name)
    for value, citation, word in (
        (*column.extremes[-1], "highest"),
        (*column.extremes[0], "lowest"),
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
