"""Tables: what each holds, column by column, what tells its rows apart, and the values that stand apart.

Files of tables that are no text come as CSV lines or JSON lines too (see `chunks.tabular`), so all are read here alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mesh_assets.insights.locators import shorten
from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.secrets import mask
from mesh_assets.insights.table_columns import Column
from mesh_assets.insights.table_faults import MAX_CELLS as MAX_HELD
from mesh_assets.insights.table_faults import HeldRows, Spans, faults_of
from mesh_assets.insights.table_keys import (
    LEAST_ROWS,
    MAX_CELLS,
    MAX_JOINS,
    Join,
    Named,
    RowHashes,
    joins,
    single_keys,
)
from mesh_assets.insights.table_rows import MAX_COLUMNS, TABLE_FORMS, Cells, TableReader, comma_numbers, tables_of
from mesh_assets.insights.wording import amount, plural, share
from mesh_assets.schemas.citations import Citation

MAX_TABLES = 200
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
# An outlier lies this many robust standard deviations from the median ...
_FAR = 10.0
# ... and this many times as far as 99 of 100 values do: long tails are no outliers.
_APART = 3.0
# ... and this many times as far as the third of its side: a value that others lead up to ends a tail.
_ALONE = 1.5
_LEAST_NUMBERS = 50
# Larger numbers are names of something, or faults.
_LARGEST = 1e300
_MAX_OUTLIERS = 5
# What looks wrong in rows: so many of all tables are said.
_MAX_FAULTS = 20
# Keys of one table that are said.
_MAX_KEYS = 4


@dataclass(slots=True)
class _Table:
    """One table as its rows stream by. `title` is its path, with the name of the table or sheet in it."""

    path: str
    title: str
    kind: str
    reader: TableReader
    first: Citation
    rows: int = 0
    columns: dict[str, Column] = field(default_factory=dict[str, Column])
    hashes: RowHashes = field(default_factory=RowHashes)
    held: HeldRows = field(default_factory=HeldRows)

    def add(
        self, cells: Cells, cite: Callable[[int], Citation], spans: Callable[[int], Spans], *, room: int, place: int
    ) -> None:
        """Take in rows; `cite` gives the citation of one, `spans` where so many of the first stand.

        `room` and `place` say how many hashes and how many cells may be held of all tables.
        """
        self.rows += cells.frame.height
        known = [name for name in cells.frame.columns if name in self.columns]
        new = [name for name in cells.frame.columns if name not in self.columns]
        names = known + new[: max(MAX_COLUMNS - len(self.columns), 0)]
        if not names or not cells.frame.height:
            return
        text = cells.frame.select(pl.col(names).str.strip_chars())
        held = text.select(pl.all().is_not_null()).to_numpy()
        missing = text.select(pl.all().str.to_lowercase().is_in(sorted(_MISSING))).fill_null(value=False).to_numpy()
        numbers = self._numbers(text)
        numbers = np.where(missing | ~(np.abs(numbers) < _LARGEST), math.nan, numbers)
        is_word = held & ~missing & np.isnan(numbers)
        for at, name in enumerate(names):
            column = self.columns.setdefault(name, Column())
            column.cells += int(held[:, at].sum())
            column.missing += int(missing[:, at].sum())
            is_said = held[:, at] & ~missing[:, at]
            said = text.to_series(at)
            column.distinct.add_texts(said if is_said.all() else said.filter(pl.Series(is_said)))
            column.add_numbers(numbers[:, at], cite)
            if is_word[:, at].any():
                column.add_words(said if is_word[:, at].all() else said.filter(pl.Series(is_word[:, at])))
        self.hashes.add(text, room=room)
        self.held.add(text, spans, room=place)

    def _numbers(self, text: pl.DataFrame) -> NDArray[np.float64]:
        if self.reader.may_have_comma_numbers:
            text = text.select(comma_numbers(pl.all()))
        return text.select(pl.all().cast(pl.Float64, strict=False).fill_null(math.nan)).to_numpy()


def _cite(batch: SliceBatch, chunks: list[int], cells: Cells, row: int) -> Citation:
    start, stop = int(cells.starts[row]), int(cells.stops[row])
    return batch.chunk(chunks[int(cells.chunks[row])]).cite(start, stop)


def _spans(batch: SliceBatch, chunks: list[int], cells: Cells, count: int) -> Spans:
    starts, stops, lines = (np.empty(count, np.int64) for _ in range(3))
    for row in range(count):
        chunk, start = batch.chunk(chunks[int(cells.chunks[row])]), int(cells.starts[row])
        starts[row], stops[row] = chunk.byte_span(start, int(cells.stops[row]))
        lines[row] = chunk.line_start + chunk.text.count("\n", 0, start)
    return Spans(starts, stops, lines)


class TableInsight:
    """Profiles each table of the slice."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, str], _Table] = {}
        self._room, self._place = MAX_CELLS, MAX_HELD

    def observe(self, batch: SliceBatch) -> None:
        """Read the rows of the chunks of tables."""
        for key, chunks in tables_of(batch, "structured", "metric"):
            table = self._tables.get(key)
            if table is None:
                if len(self._tables) >= MAX_TABLES:
                    continue
                first = batch.chunk(chunks[0])
                title = f"{key[0]}, {key[1]}" if key[1] else key[0]
                reader = TableReader(TABLE_FORMS[batch.strings("format")[chunks[0]]])
                table = _Table(key[0], title, first.kind, reader, first.cite_opening())
                self._tables[key] = table
            texts = batch.strings("text")
            cells = table.reader.cells([texts[row] for row in chunks], batch.strings("context")[chunks[0]])
            before, held = table.hashes.cells, table.held.cells
            table.add(
                cells,
                lambda row, cells=cells, chunks=chunks: _cite(batch, chunks, cells, row),
                lambda count, cells=cells, chunks=chunks: _spans(batch, chunks, cells, count),
                room=self._room,
                place=self._place,
            )
            self._room -= table.hashes.cells - before
            self._place -= table.held.cells - held

    def conclude(self) -> Iterable[Insight]:
        """A profile of each table and its keys, columns that join, and the most striking of outliers and faults."""
        outliers: list[Insight] = []
        faults: list[Insight] = []
        tables = [table for table in self._tables.values() if table.rows]
        for table in tables:
            yield _profile(table)
            yield from _keys(table)
            for name, column in table.columns.items():
                outliers.extend(_outliers(table, name, column))
            faults.extend(_faults(table))
        yield from _joins(tables)
        for found, most in ((outliers, _MAX_OUTLIERS), (faults, _MAX_FAULTS)):
            found.sort(key=lambda insight: (-insight.score, insight.title))
            yield from found[:most]


def _profile(table: _Table) -> Insight:
    columns = [column.described(name, table.rows) for name, column in table.columns.items()]
    numeric = [column for column in columns if "median" in column]
    gaps = sorted(
        ((column.missing / column.cells, mask(name)) for name, column in table.columns.items() if column.missing),
        reverse=True,
    )
    listed = ", ".join(str(column["name"]) for column in columns[:10])
    said = [f"{table.title} has {plural(table.rows, 'row')} and {plural(len(columns), 'column')}: {listed}"]
    if numeric:
        low, middle, high = (amount(cast(float, numeric[0][key])) for key in ("min", "median", "max"))
        said.append(f"{numeric[0]['name']} lies between {low} and {high}, with a median of {middle}")
    if gaps and gaps[0][0] >= 0.01:
        said.append(f"{gaps[0][1]} is missing in {share(gaps[0][0], 1)} of the rows")
    return Insight(
        kind=table.kind,
        type="table_profile",
        title=f"Columns of {table.title}",
        statement=". ".join(sentence[:1].upper() + sentence[1:] if i else sentence for i, sentence in enumerate(said))
        + ".",
        score=0.25,
        value={"rows": table.rows, "columns": columns},
        evidence=(table.first,),
    )


def _faults(table: _Table) -> Iterator[Insight]:
    """What looks wrong in the rows that are held, each with the rows that show it."""
    frame = table.held.frame()
    part = f" (the first {amount(table.held.rows)} rows were looked at)" if table.held.rows < table.rows else ""
    for fault in faults_of(frame):
        yield Insight(
            kind=table.kind,
            type=f"table_{fault.type}",
            title=f"{fault.title} of {table.title}",
            statement=f"In {table.title}, {fault.said}{part}.",
            score=fault.score,
            value=fault.value,
            evidence=tuple(_cited(table, frame, row) for row in fault.rows),
        )


def _cited(table: _Table, frame: pl.DataFrame, row: int) -> Citation:
    start, stop, line = table.held.span(row)
    quote = shorten(mask(", ".join(str(value) for value in frame.row(row) if value)))
    return replace(table.first, byte_start=start, byte_stop=stop, line_start=line, quote=quote)


def _keys(table: _Table) -> Iterator[Insight]:
    """What tells the rows apart: columns, else pairs of them."""
    single = list(islice(single_keys(table.columns, table.rows, table.hashes), _MAX_KEYS))
    is_sampled = not all(is_certain for _, is_certain in single)
    keys: list[tuple[str, ...]] = [(name,) for name, _ in single]
    if not keys and table.rows >= LEAST_ROWS:
        pairing = [name for name, column in table.columns.items() if column.kind not in ("number", "empty")]
        keys = list(table.hashes.pairs(pairing))[:_MAX_KEYS]
    if not keys:
        return
    shown = [" with ".join(mask(name) for name in key) for key in keys]
    said = f"{shown[0]} alone tells" if len(keys[0]) == 1 else f"the pair {shown[0]} tells"
    also = f", and so does {' or '.join(shown[1:])}" if len(shown) > 1 else ""
    told = " (as far as a sample of its values shows)" if is_sampled else ""
    yield Insight(
        kind=table.kind,
        type="table_key",
        title=f"Keys of {table.title}",
        statement=f"In {table.title}, {said} all {plural(table.rows, 'row')} apart{told}{also}.",
        score=0.2,
        value={"keys": shown, "rows": table.rows},
        evidence=(table.first,),
    )


def _joins(tables: list[_Table]) -> Iterator[Insight]:
    named = [Named(table.title, name, column, table.rows) for table in tables for name, column in table.columns.items()]
    first = {table.title: table for table in tables}
    for join in joins(named)[:MAX_JOINS]:
        yield _join(join, first[join.one.table], first[join.other.table])


def _join(join: Join, one: _Table, other: _Table) -> Insight:
    own, others = mask(join.one.name), mask(join.other.name)
    held = join.one.column.distinct
    about = "" if held.is_exact else "about "
    what = "all" if join.share == 1 and held.is_exact else share(join.share, 1)
    return Insight(
        kind=one.kind,
        type="table_join",
        title=f"{own} of {one.title} joins {others} of {other.title}",
        statement=f"Of {about}{plural(held.distinct, 'distinct value')} of {own} in {one.title}, {what} "
        f"occur as {others} in {other.title}, where each is one row.",
        score=0.4 if join.alike else 0.3,
        value={"share": round(join.share, 4), "distinct": held.distinct, "names alike": "yes" if join.alike else "no"},
        evidence=(one.first, other.first),
    )


def _outliers(table: _Table, name: str, column: Column) -> Iterator[Insight]:
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
    for value, citation, word, ends in (
        (*column.highest, "highest", column.upper),
        (*column.lowest, "lowest", column.lower),
    ):
        far = abs(value - median)
        if far < _ALONE * abs(float(ends[-1]) - median):
            continue
        if _stands_apart(value, values) and (values.min() <= 0 or value <= 0 or _stands_apart(math.log(value), logs)):
            yield Insight(
                kind=table.kind,
                type="table_outlier",
                title=f"Outlier in {shown} of {table.title}, {word}",
                statement=f"In {table.title}, {shown} is {amount(value)} in one row, where {amount(median)} is usual "
                f"and 99% of the values lie within {amount(usual)} of that.",
                score=0.5 + 0.3 * (1 - 2.0 ** (1 - far / (_APART * max(usual, spread)))),
                value={"value": value, "median": median, "spread": spread},
                evidence=(citation,),
            )


def _stands_apart(value: float, values: NDArray[np.float64]) -> bool:
    away = np.abs(values - np.median(values))
    far = abs(value - float(np.median(values)))
    return far >= _FAR * 1.4826 * float(np.median(away)) and far >= _APART * float(np.quantile(away, 0.99))
