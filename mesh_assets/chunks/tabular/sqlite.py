"""SQLite databases: every table, row by row, from a private copy. Nothing that the file defines is run.

Views and triggers are left alone; virtual tables, which other programs' code would have to read, are rejects.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from os import SEEK_END
from pathlib import Path

import numpy as np

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.tabular.grids import BLOCK, NO_TIME, Grid, Rows, binary_text, csv_line
from mesh_assets.chunks.tabular.opening import complaint, copied
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject, printable

# Where the header says how the file is written: 2 for one with a log beside it, which a copy does not have.
_VERSIONS_AT = 18
# A file that lacks more than this is no database any more.
_MAX_GROWTH = 4
# Steps of SQLite's machine between two rows: a file that takes more of them is made to.
_MAX_STEPS = 50_000_000
# What full-text and spatial indexes keep beside their content, in tables named after theirs.
_INDEX_PARTS = frozenset({"config", "data", "docsize", "idx", "node", "parent", "rowid", "segdir", "segments", "stat"})
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
# Seconds since 1970 in the year 5138: what is more counts something else.
_LATEST = 1e11
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_FUNCTION})


def sqlite_grids(source: Source) -> Iterator[Grid | Reject]:
    """The tables of a database in the order in which they were made. A table that cannot be read is a reject.

    FormatError where there is none.
    """
    with copied(source) as path:
        _prepare(path)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            tables = _tables(database)
            if not tables:
                raise FormatError(
                    "no table in it",
                    f"{source.path} has no table.",
                    remedy="Nothing to do where it is empty; what a file of its name with `-wal` has is not read.",
                )
            virtual = {name for name, statement in tables if _is_virtual(statement)}
            for name, statement in tables:
                owner, _, part = name.rpartition("_")
                if owner in virtual and part in _INDEX_PARTS:
                    continue
                if _is_virtual(statement):
                    yield _reject(source, name, "virtual table", "It is read by a program's own code.")
                    continue
                try:
                    columns = _columns(database, name)
                except sqlite3.Error as error:
                    yield _reject(source, name, "broken table", complaint(error))
                    continue
                shown = name or "(no name)"
                yield Grid("table", shown, columns, _rows(source, database, name, columns), symbol=shown)


def _is_virtual(statement: str) -> bool:
    return statement.upper().split(maxsplit=2)[1:2] == ["VIRTUAL"]


def _prepare(path: Path) -> None:
    """Let the copy be one without a log, and as long as it says: of one cut off SQLite would read nothing."""
    with path.open("r+b") as file:
        head = file.read(100)
        if len(head) < 100:
            return
        if head[_VERSIONS_AT : _VERSIONS_AT + 2] == b"\x02\x02":
            file.seek(_VERSIONS_AT)
            file.write(b"\x01\x01")
        page = int.from_bytes(head[16:18], "big")
        declared = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
        size = file.seek(0, SEEK_END)
        if size < declared <= _MAX_GROWTH * size:
            file.truncate(declared)


def _tables(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Names of all tables with the statements that made them."""
    database.text_factory = _decoded
    for setting in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "mmap_size = 0"):
        database.execute(f"PRAGMA {setting}")
    database.set_authorizer(_permission)
    found = database.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")
    return [(str(name), str(sql or "")) for name, sql in found if not str(name).lower().startswith("sqlite_")]


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _permission(action: int, *_: str | None) -> int:
    """What a statement may do: read. No function that writes or loads is there to be called."""
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _columns(database: sqlite3.Connection, name: str) -> tuple[tuple[str, str], ...]:
    found = database.execute(f"SELECT * FROM {_quoted(name)} LIMIT 0").description  # noqa: S608  quoted
    declared = {row[1]: str(row[2]) for row in database.execute(f"PRAGMA table_xinfo({_quoted(name)})")}
    names = [str(column[0]) for column in found]
    return tuple((name, declared.get(name, "").lower() or "any") for name in names)


def _rows(
    source: Source, database: sqlite3.Connection, name: str, columns: tuple[tuple[str, str], ...]
) -> Iterator[Rows | Reject]:
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 1
        return steps > _MAX_STEPS // 100_000

    at = next((at for at, (_, kind) in enumerate(columns) if "date" in kind or "time" in kind), None)
    lines: list[str] = []
    times: list[int] = []
    size = 0
    try:
        database.set_progress_handler(count, 100_000)
        for row in database.execute(f"SELECT * FROM {_quoted(name)}"):  # noqa: S608  quoted, and read only
            steps = 0
            lines.append(csv_line([_said(value) for value in row]))
            times.append(NO_TIME if at is None else _moment(row[at]))
            size += len(lines[-1])
            if size >= BLOCK:
                yield Rows("".join(lines), None if at is None else np.array(times, np.int64))
                lines, times, size = [], [], 0
    except sqlite3.Error as error:
        fault = _reject(source, name, "broken table", complaint(error))
    else:
        fault = None
    if lines:
        yield Rows("".join(lines), None if at is None else np.array(times, np.int64))
    if fault is not None:
        yield fault


def _moment(value: object) -> int:
    """What a cell of a column of dates or times says, in us since 1970 UTC: ISO text, or seconds since then."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
        return int(value * 1e6) if isinstance(value, int | float) and abs(value) < _LATEST else NO_TIME
    except (ValueError, OverflowError):
        return NO_TIME


def _said(value: object) -> str:
    if value is None:
        return ""
    return binary_text(value) if isinstance(value, bytes) else str(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _reject(source: Source, name: str, reason: str, detail: str) -> Reject:
    return Reject(
        source.path,
        reason,
        "Copy the table with the program that made it; the other tables are used.",
        f"Table {printable(name)}: {detail}",
    )
