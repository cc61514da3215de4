"""One column of a table, as its cells stream by: type, what is missing, distinct values, range, distribution.

Memory is bounded: a sample of the numbers, a sketch of the distinct values, counts of the first categories. Which
columns are keys or belong together is in `table_keys`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mesh_assets.insights.columns import counted
from mesh_assets.insights.sampling import NumberSample
from mesh_assets.insights.secrets import mask
from mesh_assets.insights.sketches import DistinctSketch
from mesh_assets.schemas.citations import Citation

# Numbers of a column that are kept: the median is then within two percentiles.
_SAMPLE = 1000
_MAX_CATEGORIES = 200
# Entries and bars that a person takes in at a glance.
TOP, BARS = 5, 12
# Numbers at each end that show whether the outermost stands alone or ends a tail.
ENDS = 3
# A type is said where so much of the cells is of it.
_MOST = 0.95
_LOOKED_AT = 50
_BOOLEANS = frozenset({"true", "false", "yes", "no", "t", "f", "y", "n"})
_DATE = r"^(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{4}|\d{4}/\d{1,2}/\d{1,2})"
_MOMENT = _DATE + r"[T ]\d{1,2}:\d{2}"


@dataclass(slots=True)
class Column:
    """What is kept of one column. `lowest` and `highest` are numbers with the citation of their row.

    `lower` and `upper` are the `ENDS` lowest and highest numbers, outermost first.
    """

    cells: int = 0
    missing: int = 0
    numbers: int = 0
    integers: int = 0
    dates: int = 0
    moments: int = 0
    distinct: DistinctSketch = field(default_factory=DistinctSketch)
    sample: NumberSample = field(default_factory=lambda: NumberSample(_SAMPLE))
    lowest: tuple[float, Citation] | None = None
    highest: tuple[float, Citation] | None = None
    lower: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    upper: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    earliest: str = ""
    latest: str = ""
    categories: Counter[str] = field(default_factory=Counter[str])

    def add_numbers(self, values: NDArray[np.float64], cite: Callable[[int], Citation]) -> None:
        """Take in the numbers of some rows, NaN where a cell is none; `cite` gives the citation of a row."""
        rows = np.flatnonzero(~np.isnan(values))
        if not len(rows):
            return
        found = values[rows]
        self.numbers += len(rows)
        self.integers += int((found == np.floor(found)).sum())
        self.sample.add(found)
        self.lower = np.sort(np.append(self.lower, np.partition(found, min(ENDS, len(found)) - 1)[:ENDS]))[:ENDS]
        self.upper = -np.sort(-np.append(self.upper, -np.partition(-found, min(ENDS, len(found)) - 1)[:ENDS]))[:ENDS]
        low, high = int(rows[np.argmin(found)]), int(rows[np.argmax(found)])
        if self.lowest is None or values[low] < self.lowest[0]:
            self.lowest = float(values[low]), cite(low)
        if self.highest is None or values[high] > self.highest[0]:
            self.highest = float(values[high]), cite(high)

    def add_words(self, words: pl.Series) -> None:
        """Count cells that are no numbers."""
        # A column of dates begins with some: of others not every cell need be looked at.
        if words.head(_LOOKED_AT).str.contains(_DATE).any():
            dates = words.filter(words.str.contains(_DATE))
            self.dates += len(dates)
            self.moments += len(dates) if dates.head(_LOOKED_AT).str.contains(_MOMENT).mean() == 1 else 0
            # Dates that begin with the year sort as texts; of others neither end is said.
            low, high = cast(str, dates.min()), cast(str, dates.max())
            self.earliest = min(self.earliest or low, low)
            self.latest = max(self.latest, high)
        if len(self.categories) == _MAX_CATEGORIES and self.distinct.is_many:
            return  # values that hardly repeat: those counted so far are as good as others
        unnamed = words.alias("")  # a header may hold a zero byte, which no name of an Arrow column can
        for word, count in counted(cast(object, unnamed.to_arrow())):
            text = word[:80]
            if len(self.categories) < _MAX_CATEGORIES or text in self.categories:
                self.categories[text] += count

    @property
    def filled(self) -> int:
        """Cells that say something."""
        return self.cells - self.missing

    @property
    def kind(self) -> str:
        """Its type in a word: integer, number, boolean, date, timestamp, text or empty."""
        if not self.filled:
            return "empty"
        if self.numbers >= _MOST * self.filled:
            return "integer" if self.integers == self.numbers else "number"
        if self.dates >= _MOST * self.filled:
            return "timestamp" if 2 * self.moments > self.dates else "date"
        if {text.lower() for text in self.categories} <= _BOOLEANS:
            return "boolean"
        return "text"

    def described(self, name: str, rows: int) -> dict[str, object]:
        """The column as JSON for the profile of a table of `rows` rows; secrets are masked."""
        missing = self.missing + max(rows - self.cells, 0)
        found: dict[str, object] = {
            "name": mask(name),
            "type": self.kind,
            "missing": missing,
            "filled": round(1 - missing / rows, 4) if rows else 0.0,
            "distinct": min(self.distinct.distinct, self.filled),
            "exact": self.distinct.is_exact,
        }
        if self.lowest and self.highest and 2 * self.numbers >= max(self.filled, 1):
            values = self.sample.values
            quartiles = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
            found |= {"min": self.lowest[0], "max": self.highest[0], "median": quartiles[1], "quartiles": quartiles}
            found["bars"] = _bars(values)
        elif self.categories:
            if self.kind in ("date", "timestamp") and self.earliest[:4].isdigit():
                found |= {"first": self.earliest[:40], "last": self.latest[:40]}
            top = self.categories.most_common(TOP)
            if self.distinct.repeated or len(self.categories) <= TOP:
                found["top"] = {mask(text): count for text, count in top}
        return found


def _bars(values: NDArray[np.float64]) -> list[int]:
    """How many of the values lie in each of some equal intervals; the outermost percent of them at the ends."""
    low, high = np.quantile(values, (0.01, 0.99)).tolist()
    if low == high:
        return []
    return np.histogram(np.clip(values, low, high), BARS)[0].tolist()
