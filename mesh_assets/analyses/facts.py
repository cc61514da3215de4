"""Computed facts: what tables of the lake say of a slice or a moment, each with the SQL that gives it again.

A fact is evidence of a case, so it must not change where nothing that it is about did: it counts files, definitions and
messages, never lines, chunks or bytes, which every edit moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mesh_assets.errors import QueryError
from mesh_assets.mesh.validation import Query

# A fact is read by a model beside other evidence: a table of this many rows says what stands out.
_ROWS = 12
_CELL_CHARACTERS, _STATEMENT_CHARACTERS = 160, 2000


@dataclass(frozen=True, slots=True)
class Fact:
    """`words` say what the rows of `sql` are. `{slice}`, `{start}` and `{stop}` in it are quoted literals.

    A fact of a moment (`is_of_moment`) is asked only about what has one.
    """

    words: str
    sql: str
    is_of_moment: bool = False


@dataclass(frozen=True, slots=True)
class Computed:
    """A fact with its rows as text, and the query that gives them."""

    text: str
    query: str


FACTS: dict[str, Fact] = {
    "definitions": Fact(
        "Definitions in the code (language | type | how many)",
        "SELECT language, type, count(*) AS definitions FROM symbols "
        "WHERE slice = {slice} AND symbol != '' GROUP BY ALL ORDER BY definitions DESC, language, type",
    ),
    "imports": Fact(
        "Modules that most files import (module | files)",
        "SELECT module, count(DISTINCT path) AS files FROM (SELECT path, unnest(imports) AS module FROM symbols "
        "WHERE slice = {slice}) GROUP BY module ORDER BY files DESC, module",
    ),
    "entry_points": Fact(
        "Definitions that most others call (name | files that call it)",
        "SELECT called, count(DISTINCT path) AS files FROM "
        "(SELECT path, regexp_extract(unnest(calls), '[^.]+$') AS called FROM symbols WHERE slice = {slice}) "
        "WHERE called IN (SELECT regexp_extract(symbol, '[^.]+$') FROM symbols WHERE slice = {slice} "
        "AND type IN ('function', 'method', 'class')) GROUP BY called ORDER BY files DESC, called",
    ),
    "never_called": Fact(
        "Functions that no code of this slice calls by name; it may be called from elsewhere (path | function)",
        "SELECT path, symbol FROM symbols WHERE slice = {slice} AND type = 'function' AND symbol NOT LIKE '%.%' "
        "AND symbol NOT LIKE '\\_\\_%' ESCAPE '\\' AND symbol NOT LIKE 'test%' AND symbol != 'main' AND symbol NOT IN "
        "(SELECT regexp_extract(unnest(calls), '[^.]+$') FROM symbols WHERE slice = {slice}) ORDER BY path, symbol",
    ),
    "longest_definitions": Fact(
        "The longest functions (path | function | lines)",
        "SELECT path, symbol, line_stop - line_start + 1 AS lines FROM symbols WHERE slice = {slice} "
        "AND type IN ('function', 'method') ORDER BY lines DESC, path, symbol",
    ),
    "copied_code": Fact(
        "Code that stands in several places word for word (first path | symbol | places)",
        "SELECT min(path) AS path, min(symbol) AS symbol, count(*) AS places FROM chunks WHERE slice = {slice} "
        "AND kind = 'code' AND tokens >= 40 GROUP BY hash(text) HAVING count(*) > 1 ORDER BY places DESC, path",
    ),
    "levels_then": Fact(
        "Records of the logs from {start} to {stop} (log | level | records)",
        "SELECT path, coalesce(level, 'none') AS level, count(*) AS records FROM log_events WHERE slice = {slice} "
        "AND time BETWEEN TIMESTAMPTZ {start} AND TIMESTAMPTZ {stop} GROUP BY ALL ORDER BY records DESC, path, level",
        is_of_moment=True,
    ),
    "messages_then": Fact(
        "Messages of the logs from {start} to {stop} (message | level | records)",
        "SELECT t.template, any_value(t.level) AS level, count(*) AS records FROM log_events e JOIN log_templates t "
        "ON t.template_id = e.template_id AND t.slice = e.slice WHERE e.slice = {slice} AND e.time BETWEEN "
        "TIMESTAMPTZ {start} AND TIMESTAMPTZ {stop} GROUP BY t.template ORDER BY records DESC, t.template",
        is_of_moment=True,
    ),
}


def computed(
    name: str, slice_key: str, *, query: Query, start: datetime | None = None, stop: datetime | None = None
) -> Computed | None:
    """The fact `name` about a slice or a moment of it; None where its tables say nothing, or it needs a moment.

    QueryError where the lake cannot be asked.
    """
    fact = FACTS[name]
    if fact.is_of_moment and (start is None or stop is None):
        return None
    moments = {"start": _moment(start), "stop": _moment(stop)}
    literals = {key: f"'{value}'" for key, value in moments.items()}
    sql = f"{fact.sql.format(slice=_literal(slice_key), **literals)} LIMIT {_ROWS}"
    rows = query.rows(sql, limit=_ROWS)
    if not rows:
        return None
    return Computed(f"{fact.words.format(**moments)}:\n{_table(rows)}", sql)


def statement_of(insight_id: str, *, query: Query) -> Computed:
    """What an insight states, with the query that reads it; QueryError where it is not there."""
    sql = f"SELECT statement FROM insights WHERE insight_id = {_literal(insight_id)}"  # noqa: S608  # quoted
    rows = query.rows(sql, limit=1)
    if not rows:
        raise QueryError(f"There is no insight {insight_id}.", remedy="Make slice_insights of the slice again.")
    return Computed(_cell(rows[0][0], _STATEMENT_CHARACTERS), sql)


def holds(fact: Computed, query: Query) -> bool:
    """Whether the query of a fact still gives what it says; also not where it cannot be run any more."""
    try:
        rows = query.rows(fact.query, limit=_ROWS)
    except QueryError:
        return False
    if len(rows) == 1 and len(rows[0]) == 1 and fact.text == _cell(rows[0][0], _STATEMENT_CHARACTERS):
        return True
    return bool(rows) and fact.text.endswith(f":\n{_table(rows)}")


def _table(rows: Sequence[Sequence[object]]) -> str:
    return "\n".join(" | ".join(_cell(value) for value in row) for row in rows)


def _moment(value: datetime | None) -> str:
    return "" if value is None else value.strftime("%Y-%m-%d %H:%M:%S+00")


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _cell(value: object, characters: int = _CELL_CHARACTERS) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
