"""One SQLite file that many processes share, a connection for each transaction: what the mesh remembers of its calls.

A rollback journal, not a WAL, which SQLite before 3.51.3 may damage where processes check-point it at once. Each
connection costs a fraction of a millisecond beside a call of seconds, and works from any thread and after any fork.
Money has a ledger of its own.
"""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from mesh_assets.errors import LakeError

# Writers wait their turn this long: 16 processes write for milliseconds each.
_BUSY_SECONDS = 30.0


class SqliteFile:
    """The file `path`, made at the first transaction with the tables that `tables` creates."""

    def __init__(self, path: Path, tables: str) -> None:
        self._path = path
        self._tables = tables
        self._is_made = False

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self._path.exists()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """One write transaction: durable when the block ends, undone when it fails. LakeError where the file fails."""
        with self._errors(), closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def compact(self) -> None:
        """Write the file anew, without what was deleted. LakeError where it is in use all the time."""
        with self._errors(), closing(self._connect()) as connection:
            connection.execute("VACUUM")

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LakeError(
                f"{self._path} cannot be used: {error}.",
                remedy="Free the disk if it is full; if the file is damaged move it away: what it remembers is lost.",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        if not self._is_made:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            if not self._is_made:
                connection.executescript(f"BEGIN IMMEDIATE;{self._tables}COMMIT;")
                self._is_made = True
        except BaseException:
            connection.close()
            raise
        return connection
