"""What looks wrong in the rows of a table: rules that nearly all rows keep and few break, and values that cannot be.

Told from the first rows, which are held; what all rows say of a column is in `table_columns`, outliers in `tables`.
A rule is said only where the rows that break it are few and would be many if the rule were none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import permutations
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mesh_assets.insights.secrets import mask
from mesh_assets.insights.wording import amount, plural

# Rows and columns that are held of a table, and cells of all tables together: about 60 MB.
MAX_ROWS, MAX_COLUMNS, MAX_CELLS = 20_000, 24, 2_000_000
# Smaller tables keep rules by chance.
LEAST_ROWS = 100
# The share of the rows that may break a rule, and how many at most.
_FEW, _MOST_BREAKS = 0.005, 30
# Pairs of columns of which one may follow from the other, of a table.
_MAX_DEPENDENT = 12
_SHOWN = 4
_NO_VALUE = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?", "unknown", "unspecified", "other", "various"})
# Categories: so many values that each fill this share of the rows, and at most so many others, which look like slips.
_MOST_CATEGORIES, _CATEGORY_SHARE, _MOST_STRAYS = 8, 0.05, 2
_NAMED_KEY = re.compile(r"(?i)(?:^|[^a-z])(?:id|key|uuid|guid|isbn|sku|serial)$|[a-z]Id$")
_YEAR = r"\b(1[5-9]\d{2}|2\d{3})\b"
# What a column of such a name may hold, lowest and highest.
_LIMITS: tuple[tuple[re.Pattern[str], float, float, str], ...] = (
    (re.compile(r"(?i)^lat(?:itude)?$|[ _.]lat(?:itude)?$"), -90, 90, "a latitude"),
    (re.compile(r"(?i)^(?:lon|lng|long|longitude)$|[ _.](?:lon|lng|longitude)$"), -180, 180, "a longitude"),
    (re.compile(r"(?i)^month$|[ _.]month$"), 1, 12, "a month"),
    (re.compile(r"(?i)^hour$|[ _.]hour$"), 0, 24, "an hour of the day"),
    (re.compile(r"(?i)^age$|[ _.]age$|[ _.]?humidity$"), 0, 150, "an age or a humidity"),
    (
        re.compile(r"(?i)(?:^|[ _.])(?:count|qty|quantity|height|weight|length|distance|duration)$"),
        0,
        1e300,
        "an amount",
    ),
)
_DATED = re.compile(r"(?i)(?:^|[^a-z])(?:date|year|day|released?|born|birth|created|updated)(?:$|[^a-z])")


@dataclass(frozen=True, slots=True)
class Spans:
    """Where rows stand in their file: first and last byte, and line."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    lines: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fault:
    """`said` follows `In TABLE, `; `rows` are numbers of held rows that show it, `score` lies in 0..1."""

    type: str
    title: str
    said: str
    score: float
    rows: tuple[int, ...]
    value: dict[str, object]


@dataclass(slots=True)
class HeldRows:
    """The first rows of a table as texts by column, trimmed, with their places."""

    _frames: list[pl.DataFrame] = field(default_factory=list[pl.DataFrame])
    _spans: list[Spans] = field(default_factory=list[Spans])
    rows: int = 0
    cells: int = 0

    def add(self, text: pl.DataFrame, spans: Callable[[int], Spans], *, room: int) -> None:
        """More rows, as far as there is room for cells; `spans` gives the places of so many first rows."""
        width = min(text.width, MAX_COLUMNS)
        count = min(text.height, MAX_ROWS - self.rows, room // max(width, 1))
        if count > 0:
            self._frames.append(text[:count, :width])
            self._spans.append(spans(count))
            self.rows += count
            self.cells += count * width

    def frame(self) -> pl.DataFrame:
        """All that is held; null where a row has no such cell."""
        return pl.concat(self._frames, how="diagonal") if self._frames else pl.DataFrame()

    def span(self, row: int) -> tuple[int, int, int]:
        """First and last byte, and line, of a row."""
        for spans in self._spans:
            if row < len(spans.starts):
                return int(spans.starts[row]), int(spans.stops[row]), int(spans.lines[row])
            row -= len(spans.starts)
        raise IndexError(row)


def faults_of(frame: pl.DataFrame, today: datetime | None = None) -> Iterator[Fault]:
    """What looks wrong in rows of texts."""
    if frame.height < LEAST_ROWS:
        return
    columns = [_Held.of(frame, name) for name in frame.columns]
    year = (today or datetime.now(UTC)).year
    # Rows that hold words in several columns of numbers are none of the table: one column of them says so.
    yield from {fault.rows: fault for column in reversed(columns) for fault in _mixed(column)}.values()
    for column in columns:
        yield from _nearly_constant(column)
        yield from _stray(column)
        yield from _repeated_key(column)
        yield from _impossible(column)
        yield from _future(column, year)
    yield from _repeated_rows(frame)
    yield from _dependent([column for column in columns if column.is_rule_worthy][:_MAX_DEPENDENT])


@dataclass(frozen=True, slots=True)
class _Held:
    """One column: its texts, which say something, their numbers (NaN), and a whole number for each distinct text."""

    name: str
    texts: list[str]
    said: NDArray[np.bool_]
    numbers: NDArray[np.float64]
    codes: NDArray[np.int64]
    distinct: int

    @classmethod
    def of(cls, frame: pl.DataFrame, name: str) -> _Held:
        series = frame[name].fill_null("")
        said = ~series.str.to_lowercase().is_in(sorted(_NO_VALUE)).to_numpy()
        numbers = series.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
        _, codes = np.unique(series.to_numpy(), return_inverse=True)
        return cls(name, series.to_list(), said, numbers, codes, len(np.unique(codes[said])))

    @property
    def filled(self) -> int:
        return int(self.said.sum())

    @property
    def is_rule_worthy(self) -> bool:
        """Whether its values repeat and none stands nearly everywhere: only then a rule about it says something."""
        most = int(np.bincount(self.codes[self.said]).max()) if self.filled else 0
        return self.filled >= 0.5 * len(self.texts) and self.distinct >= 3 and most <= 0.8 * self.filled

    def shown(self, row: int) -> str:
        """One value as a sentence quotes it."""
        text = mask(self.texts[row])
        return f"`{text if len(text) <= 60 else text[:59] + '…'}`"


def _few(count: int, rows: int) -> bool:
    return 0 < count <= min(max(_FEW * rows, 1), _MOST_BREAKS)


def _listed(column: _Held, rows: NDArray[np.int64]) -> str:
    values = list(dict.fromkeys(column.shown(int(row)) for row in rows.tolist()))
    return ", ".join(values[:_SHOWN]) + (" ..." if len(values) > _SHOWN else "")


def _fault(type_: str, column: _Held, said: str, score: float, at: NDArray[np.int64], **value: object) -> Fault:
    shown = tuple(int(row) for row in at[:_SHOWN])
    return Fault(type_, mask(column.name), said, score, shown, {"column": mask(column.name), **value})


def _mixed(column: _Held) -> Iterator[Fault]:
    """Words among numbers. One word that stands often is a mark for a missing value, and said in the profile."""
    words = np.flatnonzero(column.said & np.isnan(column.numbers))
    if column.filled >= LEAST_ROWS and _few(len(words), column.filled):
        said = f"{plural(len(words), 'value')} of {mask(column.name)} {'is' if len(words) == 1 else 'are'} no number, "
        said += f"where {amount(column.filled - len(words))} others are: {_listed(column, words)}"
        yield _fault("mixed", column, said, 0.62, words, words=len(words), numbers=column.filled - len(words))


def _nearly_constant(column: _Held) -> Iterator[Fault]:
    if column.filled < LEAST_ROWS or column.distinct < 2:
        return
    counts = np.bincount(column.codes[column.said])
    most = int(counts.argmax())
    others = np.flatnonzero(column.said & (column.codes != most))
    if _few(len(others), column.filled) and len(others) <= 5:
        usual = column.shown(int(np.flatnonzero(column.codes == most)[0]))
        said = f"{mask(column.name)} is {usual} in all but {plural(len(others), 'row')}, which have "
        yield _fault("constant", column, said + _listed(column, others), 0.52, others, others=len(others))


def _stray(column: _Held) -> Iterator[Fault]:
    """Values beside the few categories that all other rows have."""
    counts = np.bincount(column.codes[column.said], minlength=1)
    usual = np.flatnonzero(counts >= max(_CATEGORY_SHARE * column.filled, 1))
    others = np.flatnonzero(column.said & ~np.isin(column.codes, usual))
    is_category = 2 <= len(usual) <= _MOST_CATEGORIES and column.distinct - len(usual) <= _MOST_STRAYS
    is_worded = bool(np.isnan(column.numbers[np.isin(column.codes, usual)]).all())
    if column.filled >= LEAST_ROWS and is_category and is_worded and _few(len(others), column.filled):
        firsts = np.array([int(np.flatnonzero(column.codes == code)[0]) for code in usual])
        said = f"{mask(column.name)} is {_listed(column, others)} in {plural(len(others), 'row')}, "
        said += f"where all others have one of {plural(len(usual), 'value')}: {_listed(column, firsts)}"
        yield _fault("stray", column, said, 0.64, others, rows=len(others))


def _repeated_key(column: _Held) -> Iterator[Fault]:
    """A column that would tell rows apart but for a few. Measured numbers are distinct by chance."""
    is_named = _NAMED_KEY.search(column.name) is not None
    is_fraction = bool((column.numbers != np.floor(column.numbers))[~np.isnan(column.numbers)].any())
    mostly_numbers = np.isnan(column.numbers).sum() < 0.5 * len(column.numbers)
    repeats = column.filled - column.distinct
    if column.filled < 0.95 * len(column.texts) or is_fraction or (mostly_numbers and not is_named):
        return
    if not _few(repeats, column.filled):
        return
    held = np.flatnonzero(column.said)
    counts = np.bincount(column.codes[held])
    again = held[counts[column.codes[held]] > 1]
    again = again[np.argsort(column.codes[again], kind="stable")]
    said = f"{mask(column.name)} tells all rows apart but {amount(len(again))}: {_listed(column, again)} "
    said += "stands in two or more rows" if repeats == 1 else "stand in two or more rows each"
    yield _fault("key", column, said, 0.7 if is_named else 0.6, again, rows=len(again))


def _impossible(column: _Held) -> Iterator[Fault]:
    for pattern, low, high, what in _LIMITS:
        if not pattern.search(column.name):
            continue
        beyond = np.flatnonzero(column.said & ((column.numbers < low) | (column.numbers > high)))
        if 0 < len(beyond) <= 0.05 * column.filled:
            said = f"{mask(column.name)} is {_listed(column, beyond)} in {plural(len(beyond), 'row')}, "
            said += f"which {what} cannot be"
            yield _fault("impossible", column, said, 0.75, beyond, rows=len(beyond), low=low, high=high)


def _future(column: _Held, year: int) -> Iterator[Fault]:
    """Years to come among years that were."""
    if not _DATED.search(column.name.replace("_", " ")):
        return
    years = pl.Series(column.texts).str.extract(_YEAR, 1).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    later = np.flatnonzero(years > year + 1)
    past = int((years <= year).sum())
    if past >= LEAST_ROWS and 0 < len(later) <= 0.05 * past:
        said = f"{mask(column.name)} lies in the future in {plural(len(later), 'row')}, as {_listed(column, later)}"
        yield _fault("future", column, said, 0.75, later, rows=len(later))


def _repeated_rows(frame: pl.DataFrame) -> Iterator[Fault]:
    """Rows that are equal, or equal but for case, spaces and signs."""
    if frame.width < 3:
        return
    plain = frame.select(pl.all().fill_null("").str.to_lowercase().str.replace_all(r"[\s\p{P}]+", " "))
    _, codes, counts = np.unique(plain.hash_rows(seed=0).to_numpy(), return_inverse=True, return_counts=True)
    again = np.flatnonzero(counts[codes] > 1)
    again = again[np.argsort(codes[again], kind="stable")]
    extra = int((counts - 1).sum())
    if not 0 < extra <= 0.02 * frame.height:
        return
    exact = len(frame) - frame.n_unique()
    how = "" if exact == extra else f" ({amount(extra - exact)} of them but for case, spaces and signs)"
    said = f"{plural(extra, 'row')} {'repeats' if extra == 1 else 'repeat'} another row in all columns{how}"
    shown = tuple(int(row) for row in again[:_SHOWN])
    yield Fault("rows", "Repeated rows", said, 0.66, shown, {"rows": extra, "exact": exact})


def _dependent(columns: list[_Held]) -> Iterator[Fault]:
    """Columns that follow from another but in a few rows."""
    found: list[tuple[_Held, _Held, NDArray[np.int64], NDArray[np.int64]]] = []
    for one, other in permutations(columns, 2):
        broken = _breaks(one, other)
        if broken is not None:
            found.append((one, other, *broken))
    # A row that breaks one rule breaks others for the same reason: the rule that fewest break stands for them.
    found.sort(key=lambda rule: (len(rule[2]), -rule[0].distinct))
    told: set[int] = set()
    for one, other, rows, usual in found:
        if told & set(rows.tolist()):
            continue
        told |= set(rows.tolist())
        count = len(rows)
        row = int(rows[0])
        said = f"{mask(other.name)} follows from {mask(one.name)} in all but {plural(count, 'row')}: where "
        said += f"{mask(one.name)} is {one.shown(row)}, {mask(other.name)} is {other.shown(int(usual[0]))} else, "
        said += f"but {other.shown(row)} there"
        yield Fault(
            "rule",
            f"{mask(other.name)} by {mask(one.name)}",
            said,
            0.68,
            (row, int(usual[0]), *(int(each) for each in rows[1 : _SHOWN - 1])),
            {"from": mask(one.name), "to": mask(other.name), "rows": count},
        )


def _breaks(one: _Held, other: _Held) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Rows in which `other` has not the value that it has for the same value of `one`, and for each a row that has."""
    held = np.flatnonzero(one.said & other.said)
    if len(held) < LEAST_ROWS:
        return None
    pairs, first, places, counts = np.unique(
        one.codes[held] * (other.codes.max() + 1) + other.codes[held],
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    groups = cast("NDArray[np.int64]", pairs // (other.codes.max() + 1))
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    most = np.maximum.reduceat(counts, starts)
    total = np.add.reduceat(counts, starts)
    group = np.cumsum(np.append(True, groups[1:] != groups[:-1])) - 1
    breaking = counts < most[group]
    # A rule is seen where a group has five rows, four fifths of them alike, and such groups are most of the table.
    is_firm = (total >= 5) & (most >= 0.8 * total)
    if total[total >= 5].sum() < 0.5 * len(held) or (~is_firm & (total >= 3) & (most < total)).any():
        return None
    rows = held[breaking[places] & is_firm[group[places]]]
    if not _few(len(rows), len(held)):
        return None
    tops = {int(group[at]): int(held[first[at]]) for at in range(len(pairs)) if counts[at] == most[group[at]]}
    return rows, np.array([tops[int(group[at])] for at in places[np.searchsorted(held, rows)]], np.int64)
