"""Each completion that was paid for, and each failure, in a SQLite file of MESH_STATE: the exact-key cache of calls.

What left the machine is in a file beside it, `sent_log`'s.
"""

import os
import platform
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mesh_assets.mesh.protocol import Kept, Sent
from mesh_assets.mesh.sqlite_file import IS_OF_DATASET, SqliteFile
from mesh_assets.resources.sent_log import SqliteSentLog
from mesh_assets.settings import Settings

_TABLES = """
CREATE TABLE IF NOT EXISTS completions (
    key TEXT NOT NULL, dataset TEXT NOT NULL, node TEXT NOT NULL, model TEXT NOT NULL, text TEXT NOT NULL,
    request_id TEXT NOT NULL, rejected TEXT NOT NULL, receipt TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS completions_by_key ON completions (key);
CREATE INDEX IF NOT EXISTS completions_by_request ON completions (node, request_id);
CREATE TABLE IF NOT EXISTS failures (
    node TEXT NOT NULL, failure TEXT NOT NULL, attempt TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS failures_by_node ON failures (node);
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY, holder TEXT NOT NULL, machine TEXT NOT NULL, process INTEGER NOT NULL, until REAL NOT NULL
);
"""
_VERSION = 2  # since claims


@dataclass(frozen=True, slots=True)
class Tally:
    """How the calls of a node ended: answers, answers that were rejected, calls that gave nothing."""

    answered: int = 0
    rejected: int = 0
    failed: int = 0

    @property
    def success(self) -> float | None:
        """The share that gave an answer; None before the first call."""
        every = self.answered + self.rejected + self.failed
        return self.answered / every if every else None


class SqliteCallLog:
    """A CallLog in the file `path`. Nothing is ever overwritten: of one key the newest row counts.

    `departures` is the record of what left, in `sent.sqlite` of the same folder.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = SqliteFile(path, _TABLES, version=_VERSION)
        self.departures = SqliteSentLog(path.with_name("sent.sqlite"))
        self._clock = clock

    def find(self, key: str) -> Kept | None:
        """What was kept last under `key`."""
        return self._one("SELECT * FROM completions WHERE key = ? ORDER BY rowid DESC LIMIT 1", key)

    def delivered(self, node: str, request_id: str) -> Kept | None:
        """What was kept first of the call that the provider calls `request_id`; None where it has no name."""
        if not request_id:
            return None
        query = "SELECT * FROM completions WHERE node = ? AND request_id = ? ORDER BY rowid LIMIT 1"
        return self._one(query, node, request_id)

    def claim(self, key: str, holder: str, seconds: float) -> float:
        """0 where `holder` is now the one who asks under `key`, else for how long another may be."""
        now = self._clock()
        with self._file.transaction() as connection:
            row = connection.execute("SELECT * FROM claims WHERE key = ?", (key,)).fetchone()
            if row is not None and row["holder"] != holder and row["until"] > now and not _is_gone(row):
                return row["until"] - now
            connection.execute(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)",
                (key, holder, platform.node(), os.getpid(), now + seconds),
            )
        return 0.0

    def release(self, key: str, holder: str) -> None:
        """End a claim: who waits for it may ask."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM claims WHERE key = ? AND holder = ?", (key, holder))

    def keep(self, kept: Kept) -> None:
        """Keep a completion, durably; who waited for it has it now."""
        row = asdict(kept)
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        with self._file.transaction() as connection:
            connection.execute(f"INSERT INTO completions ({names}) VALUES ({values})", row)  # noqa: S608  # our fields
            connection.execute("DELETE FROM claims WHERE key = :key", row)

    def fail(self, node: str, failure: str, attempt: str) -> None:
        """Count a call that gave nothing. `attempt` is the id of its reservation, empty where there was none."""
        with self._file.transaction() as connection:
            connection.execute("INSERT INTO failures VALUES (?, ?, ?, ?)", (node, failure, attempt, self._clock()))

    def sending(self, sent: Sent) -> None:
        """Keep what is about to leave, durably."""
        self.departures.append(sent)

    def tallies(self) -> dict[str, Tally]:
        """How the calls of each node ended, by its name; nothing is written where there never was a call."""
        if not self._file.exists:
            return {}
        with self._file.transaction("DEFERRED") as connection:
            ended = connection.execute(
                "SELECT node, sum(rejected = '') AS answered, sum(rejected != '') AS rejected, 0 AS failed"
                " FROM completions GROUP BY node"
                " UNION ALL SELECT node, 0, 0, count(*) FROM failures GROUP BY node"
            ).fetchall()
        found: dict[str, Tally] = {}
        for row in ended:
            before = found.get(row["node"], Tally())
            found[row["node"]] = Tally(
                before.answered + row["answered"], before.rejected + row["rejected"], before.failed + row["failed"]
            )
        return found

    def rejects(self) -> list[Kept]:
        """The completions that were no answers, with their text and the reason, oldest first."""
        if not self._file.exists:
            return []
        with self._file.transaction("DEFERRED") as connection:
            rows = connection.execute("SELECT * FROM completions WHERE rejected != '' ORDER BY rowid").fetchall()
        return [Kept(**dict(row)) for row in rows]

    def forget(self, dataset: str) -> None:
        """Delete what was said to cases of a dataset, alone or with others, and what left: no byte stays."""
        self.departures.forget(dataset)
        if self._file.exists:
            with self._file.transaction() as connection:
                connection.execute(f"DELETE FROM completions WHERE {IS_OF_DATASET}", (dataset,))  # noqa: S608  # our words
            self._file.compact()

    def _one(self, query: str, *values: str) -> Kept | None:
        with self._file.transaction("DEFERRED") as connection:
            row = connection.execute(query, values).fetchone()
        return Kept(**dict(row)) if row is not None else None


def _is_gone(claim: sqlite3.Row) -> bool:
    """Whether the process of a claim has ended; of one on another machine that is not known."""
    if claim["machine"] != platform.node():
        return False
    try:
        os.kill(claim["process"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def connect_call_log(settings: Settings) -> SqliteCallLog:
    """The call log of the mesh."""
    return SqliteCallLog(settings.state / "mesh" / "calls.sqlite")
