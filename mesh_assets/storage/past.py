"""The past of datasets as their logs and series tell it, for predictions: when what they go by was seen.

The queries here are ours, and what a prediction names is a value in them or is compared in Python: nothing that a model
wrote is run. Its own queries are `claim_queries`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np

from mesh_assets.analyses.back_tests import Floats, Times
from mesh_assets.analyses.checkable import Sign
from mesh_assets.indexes.lake_sql import connected
from mesh_assets.insights.wording import plural
from mesh_assets.storage.claim_queries import ClaimQueries
from mesh_assets.storage.lake import Lake

# The newest so many times of a sign; messages that chance is told by, and moments of each.
_MOST_TIMES, _OTHERS = 2_000_000, 200
# What varies in a template; in the words of a model also what has a digit. Templates have lost the signs between words.
_ANY, _VARIES = re.compile(r"<[*a-z]+>|…"), re.compile(r"<[*a-z]+>|…|\S*\d\S*")
_BETWEEN = re.compile(r"""[\s=,;:()\[\]{}<>"'|]+""")
_TEMPLATES = "SELECT template_id, log, template, time_start, time_stop FROM log_templates WHERE time_start IS NOT NULL"
_SEEN = """
SELECT epoch_us(time) / 1e6 AS seconds FROM log_events
WHERE time IS NOT NULL AND template_id IN (SELECT unnest($ids)) ORDER BY seconds DESC LIMIT $most
"""
_OF_SERIES = "SELECT series_id, name, time_start, time_stop FROM series WHERE lower(name) = lower($name)"
_POINTS = """
SELECT seconds FROM (
    SELECT epoch_us(time) / 1e6 AS seconds, value,
           value - lag(value) OVER (PARTITION BY series_id ORDER BY time, "row") AS step
    FROM series_points WHERE value IS NOT NULL AND series_id IN (SELECT unnest($ids))
) WHERE CASE $change WHEN 'above' THEN value > $value WHEN 'below' THEN value < $value
        WHEN 'rises' THEN step >= $value ELSE -step >= $value END
ORDER BY seconds DESC LIMIT $most
"""
_EPISODES = """
SELECT template_id, seconds FROM (
    SELECT template_id, epoch_us(time) / 1e6 AS seconds,
           seconds - lag(seconds) OVER (PARTITION BY template_id ORDER BY time) AS gap
    FROM log_events WHERE time IS NOT NULL AND template_id IN (SELECT unnest($ids))
) WHERE gap IS NULL OR gap > $within
QUALIFY row_number() OVER (PARTITION BY template_id ORDER BY hash(seconds), seconds) <= $most
"""


@dataclass(frozen=True, slots=True)
class _Template:
    id: str
    log: str
    text: str
    start: datetime
    stop: datetime


class LakeSimulator:
    """The `Simulator` over the lake of one state folder. Close it: it has a process once a query was run."""

    def __init__(self, lake: Lake) -> None:
        self._queries = ClaimQueries(lake)
        self.run = self._queries.run
        self.close = self._queries.close

    def times(self, sign: Sign, datasets: Collection[str]) -> Times | str:
        """See the Protocol."""
        try:
            with self._connected(datasets) as connection:
                return _message(connection, sign) if sign.message else _series(connection, sign)
        except duckdb.Error as error:
            return f"the tables cannot be read now: {str(error).partition(chr(10))[0]}"

    def others(self, signs: Sequence[Sign], datasets: Collection[str], within: float) -> list[Floats]:
        """See the Protocol."""
        with suppress(duckdb.Error), self._connected(datasets) as connection:  # told by `times`, which reads them too
            every = _templates(connection)
            named = {each.id for sign in signs if sign.message for each in _named(sign.message, every)}
            logs = {each.log for each in every if each.id in named}
            ids = sorted({each.id for each in every if each.log in logs} - named)[:_OTHERS]
            if ids:
                asked = {"ids": ids, "within": within, "most": _OTHERS}
                found: dict[str, list[float]] = {}
                for template, seconds in connection.execute(_EPISODES, asked).fetchall():
                    found.setdefault(template, []).append(seconds)
                return [np.sort(np.array(each, np.float64)) for each in found.values()]
        return []

    @contextmanager
    def _connected(self, datasets: Collection[str]) -> Generator[duckdb.DuckDBPyConnection]:
        with connected(self._queries.tables(datasets)) as connection:
            yield connection


def _message(connection: duckdb.DuckDBPyConnection, sign: Sign) -> Times | str:
    every = _templates(connection)
    found = _named(sign.message, every)
    if not found:
        return f"no log has a message {sign}."
    seen = _numbers(connection, _SEEN, {"ids": sorted({each.id for each in found}), "most": _MOST_TIMES})
    logs = sorted({each.log for each in found})
    of_logs = [each for each in every if each.log in logs]
    start, stop = min(each.start for each in of_logs), max(each.stop for each in of_logs)
    kinds = len({each.id for each in found})
    what = f"{plural(kinds, 'message')} in {', '.join(logs[:3])}{' ...' if len(logs) > 3 else ''}"
    return _times(seen, start, stop, what)


def _series(connection: duckdb.DuckDBPyConnection, sign: Sign) -> Times | str:
    found = connection.execute(_OF_SERIES, {"name": sign.series}).fetchall() if _has(connection, "series") else []
    if not found or not _has(connection, "series_points"):
        return f"there is no series of the name in {sign}."
    asked = {"ids": sorted({row[0] for row in found}), "change": sign.change, "value": sign.value, "most": _MOST_TIMES}
    seen = _numbers(connection, _POINTS, asked)
    start, stop = min(row[2] for row in found), max(row[3] for row in found)
    return _times(seen, start, stop, f"{len({row[0] for row in found})} series {found[0][1]}")


def _times(newest_first: Floats, start: datetime, stop: datetime, what: str) -> Times:
    ascending = newest_first[::-1]
    begin = start.timestamp() if len(ascending) < _MOST_TIMES else float(ascending[0])
    return Times(ascending, begin, stop.timestamp(), f"{what}, {start:%Y-%m-%d %H:%M} to {stop:%Y-%m-%d %H:%M} UTC")


def _templates(connection: duckdb.DuckDBPyConnection) -> list[_Template]:
    if not _has(connection, "log_templates") or not _has(connection, "log_events"):
        return []
    return [_Template(*row) for row in connection.execute(_TEMPLATES).fetchall()]


def _named(message: str, templates: Sequence[_Template]) -> list[_Template]:
    """The templates that a message is of: those that it has most of, where that is half of it at least; else those
    that have its words in their order.
    """
    asked, said = _parts(message, _VARIES), _padded(message)
    sizes = {each: sum(map(len, parts)) for each in templates if _in_order(said, parts := _parts(each.text, _ANY))}
    most = max(sizes.values(), default=0)
    if most * 2 >= sum(map(len, asked)) > 0:
        return [each for each, size in sizes.items() if size == most]
    return [each for each in templates if _in_order(_padded(each.text), asked)]


def _padded(text: str) -> str:
    return f" {' '.join(_BETWEEN.sub(' ', text.lower()).split())} "


def _parts(text: str, varies: re.Pattern[str]) -> list[str]:
    """What is fixed of a message; nothing where no letter is."""
    parts = [padded for part in varies.split(text) if (padded := _padded(part)).strip()]
    return parts if any(character.isalpha() for part in parts for character in part) else []


def _in_order(text: str, parts: Sequence[str]) -> bool:
    """Whether all parts stand in the text, each after the one before; both padded, so that words are whole."""
    at = 0
    for part in parts:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part) - 1
    return bool(parts)


def _has(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM duckdb_views() WHERE view_name = ?", [table]).fetchall())


def _numbers(connection: duckdb.DuckDBPyConnection, query: str, asked: Mapping[str, object]) -> Floats:
    return np.asarray(connection.execute(query, dict(asked)).fetchnumpy()["seconds"], np.float64)
