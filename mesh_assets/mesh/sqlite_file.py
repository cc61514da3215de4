"""One SQLite file that many processes share, a connection for each transaction: what the mesh knows of its calls.

Forks, threads and kills need no care: what was not committed is rolled back by whoever opens the file next. A rollback
journal, synced with each commit, rather than a WAL: SQLite before 3.51.3 may damage a WAL that several processes
check-point at once, and a call takes a thousand times as long as a commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from mesh_assets.errors import LakeError, MeshError
from mesh_assets.mesh.sql_store import Dialect, Mode

# A commit takes milliseconds; a disk that is busy with a slice may take seconds for it, with many waiting.
_BUSY_SECONDS = 60.0
# Whether the keys in the column `dataset`, `;` between them, have the one that is given: no key has a `;`.
IS_OF_DATASET = "instr(';' || dataset || ';', ';' || ? || ';') > 0"
# What is deleted is overwritten: `mesh forget` leaves no name behind.
_PRAGMAS = ("journal_mode = TRUNCATE", "synchronous = FULL", "secure_delete = ON")
SQLITE = Dialect(
    number="INTEGER PRIMARY KEY",
    integer="INTEGER",
    real="REAL",
    text="TEXT",
    table="STRICT",
    keyed="STRICT, WITHOUT ROWID",
    day="date({0}, 'unixepoch')",
    count="json_extract({0}, '$.{1}')",
)


class SqliteFile:
    """A SqlStore. The file `path`, made at the first transaction with `tables`, statements divided by semicolons.

    With a higher `version` its tables are made in an older file too, so each of them says IF NOT EXISTS. Where the file
    cannot be used, `error` is raised, with `remedy`.
    """

    def __init__(
        self,
        path: Path,
        tables: str,
        *,
        version: int = 1,
        error: type[MeshError] = LakeError,
        remedy: str = "Free the disk if it is full; if the file is damaged move it away: what it remembers is lost.",
    ) -> None:
        self.path = path
        self._tables = tables
        self._version = version
        self._error = error
        self._remedy = remedy

    @property
    def dialect(self) -> Dialect:
        """SQLite's words."""
        return SQLITE

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self.path.exists()

    @contextmanager
    def transaction(self, mode: Mode = "IMMEDIATE") -> Generator[sqlite3.Connection]:
        """A connection within a transaction: committed when the block ends, rolled back when it fails.

        Rows are `sqlite3.Row`. Who only reads takes DEFERRED, which holds up no other reader.
        """
        with self._opened() as connection:
            connection.execute(f"BEGIN {mode}")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def compact(self) -> None:
        """Write the file anew, without what was deleted."""
        with self._opened() as connection:
            connection.execute("VACUUM")

    @contextmanager
    def _opened(self) -> Generator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
                connection.row_factory = sqlite3.Row
                for pragma in _PRAGMAS:
                    connection.execute(f"PRAGMA {pragma}")
                self._prepare(connection)
                yield connection
        except (sqlite3.Error, OSError, OverflowError) as error:
            raise self._error(f"{self.path} cannot be used: {error}.", remedy=self._remedy) from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables that a new or older file lacks; refuse one of a later version."""
        found = _version(connection)
        if found > self._version:
            raise self._error(
                f"{self.path} is of a later version of the mesh.", remedy="Update the mesh; nothing was changed."
            )
        if found < self._version:
            connection.execute("BEGIN IMMEDIATE")
            if _version(connection) < self._version:  # others may have been first
                for statement in filter(str.strip, self._tables.split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {self._version}")
            connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
