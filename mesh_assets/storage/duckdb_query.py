"""Queries over the lake for people: read only, and of nothing but the lake, whoever wrote the query.

A query that somebody copied from a page is hostile too. It is one SELECT; the database is opened read-only; DuckDB may
open files of the lake and no others, load no extension and change no setting. Since DuckDB lets a SELECT begin with
`WITH x AS (COPY ... TO ...)`, but only at the top, each query runs as a subquery.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb

from mesh_assets.errors import LakeError, QueryError
from mesh_assets.storage.duckdb_files import views_database
from mesh_assets.storage.duckdb_types import name, text
from mesh_assets.storage.duckdb_views import IDENTITY, escape, is_current, publish_views

# One thread at a time sets a database up: it finds it as another one made it, or not yet made.
_CONFIGURING = Lock()
# Rows that are held at once while a result is printed.
_BATCH = 1024
AT_OPEN: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}


@dataclass(frozen=True, slots=True)
class TableSummary:
    """A table or view of `lake.duckdb` as a list of them shows it. `columns` are names with their types."""

    name: str
    comment: str
    rows: int
    columns: dict[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """What a query gives: names of columns, and rows that are fetched while they are read."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[object, ...]]


@contextmanager
def lake_connection(lake_root: Path, run_id: str) -> Generator[duckdb.DuckDBPyConnection]:
    """`lake.duckdb`, made where it is not there or not of now, opened to read the lake and nothing else.

    LakeError where it must be made and the disk refuses.
    """
    with closing(_open(lake_root, run_id)) as connection:
        with _CONFIGURING:
            _confine(connection, lake_root)
        yield connection


def _confine(connection: duckdb.DuckDBPyConnection, lake_root: Path) -> None:
    """Let a connection read the lake and nothing else.

    Another thread of this process may have the file open: to DuckDB that is one database with one configuration.
    """
    if not connection.execute("SELECT current_setting('lock_configuration')").fetchall()[0][0]:
        # As files are called, and as the views' patterns have it.
        roots = {str(lake_root.absolute()), escape(str(lake_root.absolute()))}
        connection.execute(f"SET allowed_directories = [{', '.join(text(f'{root}/') for root in roots)}]")
        close_world(connection)


def close_world(connection: duckdb.DuckDBPyConnection) -> None:
    """From now on the connection opens no file but those that it was allowed before, and no setting can be changed."""
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def run_query(connection: duckdb.DuckDBPyConnection, query: str, *, limit: int | None = None) -> Result:
    """The result of one SELECT, or its first `limit` rows.

    QueryError where it is none or DuckDB refuses it, also while rows are fetched.
    """
    try:
        statements = connection.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise QueryError(
                "Only a single SELECT is run: nothing in the lake is changed by SQL.",
                remedy="DESCRIBE, SHOW TABLES and SUMMARIZE are fine too; for more, open the file with DuckDB itself.",
            )
        inner = statements[0].query.rstrip().rstrip(";")
        # Whatever it is, as a subquery it can only read. A comment at its end ends with the line.
        connection.execute(f"SELECT * FROM ({inner}\n) {f'LIMIT {limit}' if limit is not None else ''}")  # noqa: S608
    except duckdb.Error as error:
        raise _refused(connection, error) from error
    return Result(tuple(column[0] for column in connection.description or ()), _rows(connection))


@dataclass(frozen=True, slots=True)
class LakeQuery:
    """SQL over the lake on an open `connection`, for whoever computes facts again."""

    connection: duckdb.DuckDBPyConnection

    def rows(self, query: str, *, limit: int) -> list[tuple[object, ...]]:
        """The first `limit` rows of one SELECT; QueryError where it cannot be run."""
        return list(islice(run_query(self.connection, query).rows, limit))


def table_summaries(connection: duckdb.DuckDBPyConnection) -> list[TableSummary]:
    """The tables and views with what they hold, by name."""
    comments = connection.execute(
        "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal "
        "UNION ALL SELECT table_name, comment FROM duckdb_tables() WHERE table_name != ? ORDER BY 1",
        [IDENTITY],
    ).fetchall()
    found: list[TableSummary] = []
    for called, comment in comments:
        described = connection.execute(f"DESCRIBE {name(called)}").fetchall()
        count = connection.execute(f"SELECT count(*) FROM {name(called)}").fetchall()[0][0]  # noqa: S608  # quoted
        found.append(TableSummary(called, comment or "", count, {row[0]: row[1] for row in described}))
    return found


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[object, ...]]:
    try:
        while rows := connection.fetchmany(_BATCH):
            yield from rows
    except duckdb.Error as error:
        raise _refused(connection, error) from error


def _open(lake_root: Path, run_id: str) -> duckdb.DuckDBPyConnection:
    path = views_database(lake_root.absolute())
    if path.exists():
        try:
            connection = duckdb.connect(str(path), read_only=True, config=AT_OPEN)
        except duckdb.Error:
            # A notebook holds it open to write, left its log behind, or it is of another DuckDB: a new one is made.
            pass
        else:
            if is_current(connection, lake_root):
                return connection
            connection.close()
    publish_views(lake_root, run_id)
    try:
        return duckdb.connect(str(path), read_only=True, config=AT_OPEN)
    except duckdb.Error as error:
        raise LakeError(
            f"{path} cannot be opened: {error}", remedy="Close it where it is open, and try again."
        ) from error


def _refused(connection: duckdb.DuckDBPyConnection, error: duckdb.Error) -> QueryError:
    """DuckDB's words, and what may help."""
    remedy = "`mesh sql` without a query lists tables and columns."
    if isinstance(error, duckdb.CatalogException):
        query = "SELECT name FROM (SHOW TABLES) WHERE name != ? ORDER BY name"
        known = connection.execute(query, [IDENTITY]).fetchall()
        remedy = f"There are: {', '.join(row[0] for row in known)}. {remedy}"
    elif isinstance(error, duckdb.PermissionException):
        remedy = f"`mesh sql` reads the lake and no other file. {remedy}"
    elif isinstance(error, duckdb.IOException):
        remedy = "A table may have been replaced while it was read: run the query again."
    elif isinstance(error, duckdb.InternalException):
        remedy = "This is a defect of DuckDB, not of the query or the lake: the same asked in other words may work."
    return QueryError(str(error).partition("\n\nStack Trace:")[0].strip(), remedy=remedy)
