"""Which columns tell the rows of a table apart, and which columns of two tables say the same things.

A key is a column, or a pair of them, whose values never repeat. Columns join where nearly all distinct values of one
are among those of the other. Both are told from sketches, so they are candidates: a person knows what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mesh_assets.insights.sketches import hashes_of
from mesh_assets.insights.table_columns import Column

# A table of fewer rows has keys by chance.
LEAST_ROWS = 10
# Rows of which pairs of columns are compared, for so many columns, and all cells that are held for it together.
MAX_ROWS, MAX_COLUMNS, MAX_CELLS = 20_000, 10, 4_000_000
# Types whose values name things; a measured number may be unique and is no key.
_NAMING = frozenset({"integer", "text", "date", "timestamp"})
# Distinct values that a column must have, and the share of them that the other must have, to join.
LEAST_DISTINCT = 10
LEAST_SHARE = 0.9
MAX_JOINS = 20
# Names that columns of any two tables may have.
_GENERIC = frozenset({"column", "id", "index", "key", "name", "no", "number", "row"})
_WORD = re.compile(r"[^\W_]+")


class RowHashes:
    """Hashes of the cells of a table's first columns, for as long as it has few rows."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.uint64]] = []
        self.rows = 0
        self.is_complete = True
        self.names: list[str] = []

    @property
    def cells(self) -> int:
        """How many hashes are held."""
        return sum(part.size for part in self._parts)

    def add(self, text: pl.DataFrame, *, room: int) -> None:
        """More rows. All are let go where there is no room for so many hashes, or a column came late."""
        if not self.is_complete:
            return
        names = text.columns[:MAX_COLUMNS]
        if not self._parts:
            self.names = names
        self.rows += text.height
        if names != self.names or self.rows > MAX_ROWS or text.height * len(names) > room:
            self.is_complete, self._parts = False, []
        else:
            self._parts.append(np.column_stack([hashes_of(text.to_series(at)) for at in range(len(names))]))

    def is_unique(self, name: str) -> bool | None:
        """Whether no value of a column repeats; None where not all rows are held."""
        if not self.is_complete or not self._parts or name not in self.names:
            return None
        at = self.names.index(name)
        values = np.concatenate([part[:, at] for part in self._parts])
        return len(np.unique(values)) == len(values)

    def pairs(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Pairs of these columns that tell all rows apart."""
        if not self.is_complete or not self._parts:
            return
        table = np.concatenate(self._parts)
        at = [self.names.index(name) for name in names if name in self.names]
        for one, other in combinations(at, 2):
            joined = table[:, one] * np.uint64(0x9E3779B97F4A7C15) ^ table[:, other]
            if len(np.unique(joined)) == len(table):
                yield self.names[one], self.names[other]


@dataclass(frozen=True, slots=True)
class Named:
    """A column with its table's title and number of rows."""

    table: str
    name: str
    column: Column
    rows: int


@dataclass(frozen=True, slots=True)
class Join:
    """`share` of the distinct values of `one` are values of `other`, which is a key; `alike` says that so are names."""

    one: Named
    other: Named
    share: float
    alike: bool


def single_keys(columns: dict[str, Column], rows: int, hashes: RowHashes) -> Iterator[tuple[str, bool]]:
    """Columns whose values never repeat, and whether that is certain: of many rows only a sketch tells it."""
    for name, column in columns.items():
        if rows >= LEAST_ROWS and is_key(column, rows):
            known = hashes.is_unique(name)
            if known is not False:
                yield name, known is True or column.distinct.is_exact


def is_key(column: Column, rows: int) -> bool:
    """Whether every row has another value, of a type that names things."""
    held = column.distinct
    if column.filled < rows or column.kind not in _NAMING or held.repeated > 0:
        return False
    return held.distinct == rows if held.is_exact else held.distinct > 0.8 * rows


def joins(columns: Sequence[Named]) -> list[Join]:
    """Columns of different tables that join, names that are alike first, then by the share."""
    usable = [
        named
        for named in columns
        if named.column.kind in ("integer", "text") and named.column.distinct.distinct >= LEAST_DISTINCT
    ]
    keys = {id(named) for named in usable if is_key(named.column, named.rows)}
    found: dict[frozenset[tuple[str, str]], Join] = {}
    for one, other in permutations(usable, 2):
        if one.table == other.table or id(other) not in keys or one.column.kind != other.column.kind:
            continue
        alike = are_alike(one, other)
        if one.column.kind == "integer" and not alike:
            continue  # numbers that count things are among each other by chance
        share = one.column.distinct.contained_in(other.column.distinct)
        if share is not None and share >= LEAST_SHARE:
            pair = frozenset({(one.table, one.name), (other.table, other.name)})
            if pair not in found or found[pair].share < share:
                found[pair] = Join(one, other, share, alike)
    return sorted(found.values(), key=lambda join: (not join.alike, -join.share, join.one.table, join.one.name))


def are_alike(one: Named, other: Named) -> bool:
    """Whether the names of two columns suggest the same: `customer_id` and `id` of `customers`, or equal names."""
    own, others, table = _words(one.name), _words(other.name), _words(other.table)
    if own == others:
        return not own <= _GENERIC
    return bool(own & table) and bool(own & others or "id" in others)


def _words(name: str) -> set[str]:
    """The words of a name, in lower case and in the singular; `customerId` has two."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return {word.lower().removesuffix("s") for word in _WORD.findall(spaced)}
