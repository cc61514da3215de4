"""How fast each node may be asked by all processes together, and which rests because it is down: a file or a server.

A call holds a slot while it runs; the slot of a killed process ends by itself. Requests and tokens are counted over the
last minute. After some failures in a row a node rests, each time longer, then one call tries it (Nygard's
circuit breaker, "Release It!", 2007).
"""

import time
import uuid
from collections.abc import Callable
from pathlib import Path

from mesh_assets.mesh.protocol import Entry, Node
from mesh_assets.mesh.sql_store import Connection, Dialect, SqlStore
from mesh_assets.mesh.sqlite_file import SQLITE, SqliteFile
from mesh_assets.resources.postgres_store import PostgresStore
from mesh_assets.settings import NO_SERVER, Settings

_TABLES = """
CREATE TABLE IF NOT EXISTS calls (
    slot {0.text} PRIMARY KEY, node {0.text} NOT NULL, at {0.real} NOT NULL, tokens {0.integer} NOT NULL, until {0.real}
);
CREATE INDEX IF NOT EXISTS calls_by_node ON calls (node, at);
CREATE TABLE IF NOT EXISTS nodes (
    node {0.text} PRIMARY KEY, failures {0.integer} NOT NULL DEFAULT 0, resting_until {0.real} NOT NULL DEFAULT 0,
    probe {0.text} NOT NULL DEFAULT ''
);
"""
_MINUTE = 60.0
# What a call may take beyond its deadline before its slot is anybody's: to end a connection and to book.
_GRACE_SECONDS = 30.0
# Failures in a row after which a node rests: fewer are met by the retries of one call.
_FAILURES = 5
_REST_SECONDS, _LONGEST_REST = 15.0, 600.0
# How soon to look again for a free slot: others free theirs at any time.
_SLOT_SECONDS = 0.1


class SqlPace:
    """A Pace in `store`; `clock` gives seconds since 1970, alike for all processes."""

    def __init__(self, store: SqlStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def enter(self, node: Node, *, tokens: int) -> Entry:
        """Begin a call of about `tokens` tokens where the limits of `node` allow it now."""
        now = self._clock()
        with self._store.transaction() as connection:
            connection.execute("DELETE FROM calls WHERE at < ? AND (until IS NULL OR until < ?)", (now - _MINUTE, now))
            # A clock that was set back must not hold a node for hours.
            connection.execute("UPDATE calls SET until = until - at + ?, at = ? WHERE at > ?", (now, now, now))
            latest = now + _LONGEST_REST
            connection.execute("UPDATE nodes SET resting_until = ? WHERE resting_until > ?", (latest, latest))
            slot = uuid.uuid4().hex
            obstacle = _resting(connection, node, now) or _full(connection, node, tokens, now)
            if obstacle is not None:
                return obstacle
            until = now + node.limits.seconds + _GRACE_SECONDS
            connection.execute("INSERT INTO calls VALUES (?, ?, ?, ?, ?)", (slot, node.name, now, tokens, until))
            connection.execute(
                "UPDATE nodes SET probe = ? WHERE node = ? AND failures >= ?", (slot, node.name, _FAILURES)
            )
            return Entry(slot=slot)

    def leave(self, node: Node, slot: str, *, tokens: int | None, is_down: bool | None, rest: float = 0.0) -> None:
        """End a call. `tokens` are those that it took; for `rest` seconds nobody is to ask the node.

        `is_down` is None where the call does not tell, as one that was cancelled.
        """
        now = self._clock()
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE calls SET until = NULL, tokens = coalesce(?, tokens) WHERE slot = ?", (tokens, slot)
            )
            connection.execute("INSERT INTO nodes (node) VALUES (?) ON CONFLICT DO NOTHING", (node.name,))
            connection.execute("UPDATE nodes SET probe = '' WHERE node = ? AND probe = ?", (node.name, slot))
            if is_down is False:
                connection.execute("UPDATE nodes SET failures = 0 WHERE node = ?", (node.name,))
            elif is_down:
                connection.execute("UPDATE nodes SET failures = failures + 1 WHERE node = ?", (node.name,))
                failures = connection.execute("SELECT failures FROM nodes WHERE node = ?", (node.name,)).fetchone()[0]
                if failures >= _FAILURES:
                    rest = max(rest, min(_REST_SECONDS * 2.0 ** min(failures - _FAILURES, 16), _LONGEST_REST))
            if rest > 0:
                until = now + min(rest, _LONGEST_REST)
                connection.execute(
                    "UPDATE nodes SET resting_until = ? WHERE node = ? AND resting_until < ?", (until, node.name, until)
                )


def _resting(connection: Connection, node: Node, now: float) -> Entry | None:
    query = "SELECT failures, resting_until, probe FROM nodes WHERE node = ?"
    row = connection.execute(query, (node.name,)).fetchone()
    if row is None:
        return None
    failures, until, tries = row
    left = until - now
    if left > 0:
        is_down = failures >= _FAILURES
        reason = f"{node.name} was down and rests" if is_down else f"{node.name} asked for a pause"
        return Entry(wait=left, reason=reason, is_resting=is_down)
    if failures >= _FAILURES and tries:
        probe = connection.execute("SELECT until FROM calls WHERE slot = ?", (tries,)).fetchone()
        if probe is not None and probe[0] is not None and probe[0] > now:
            return Entry(wait=_REST_SECONDS, reason=f"{node.name} was down and one call tries it", is_resting=True)
    return None


def _full(connection: Connection, node: Node, tokens: int, now: float) -> Entry | None:
    """What of the limits is used up, None where the call fits in."""
    limits = node.limits
    rows = connection.execute("SELECT at, tokens, until FROM calls WHERE node = ? ORDER BY at", (node.name,)).fetchall()
    if sum(until is not None and until > now for _, _, until in rows) >= limits.parallel:
        return Entry(wait=_SLOT_SECONDS, reason=f"{node.name} has {limits.parallel} calls at once")
    recent = [(at, took) for at, took, _ in rows if at > now - _MINUTE]
    if limits.requests_per_minute and len(recent) >= limits.requests_per_minute:
        free = recent[len(recent) - limits.requests_per_minute][0] + _MINUTE
        return Entry(wait=free - now, reason=f"{node.name} has {limits.requests_per_minute} requests in this minute")
    if limits.tokens_per_minute:
        # A call that is larger than a whole minute's tokens waits for an empty minute.
        over = sum(took for _, took in recent) + min(tokens, limits.tokens_per_minute) - limits.tokens_per_minute
        for at, took in recent:
            if over <= 0:
                break
            over -= took
            if over <= 0:
                wait = at + _MINUTE - now
                return Entry(wait=wait, reason=f"{node.name} has its tokens of this minute")
    return None


def sqlite_pace(path: Path, clock: Callable[[], float] = time.time) -> SqlPace:
    """The pace in the file `path`."""
    return SqlPace(SqliteFile(path, _tables(SQLITE)), clock)


def postgres_pace(url: str, clock: Callable[[], float] = time.time, *, schema: str = "mesh_pace") -> SqlPace:
    """The pace in a database of a PostgreSQL server."""
    return SqlPace(PostgresStore(url, schema, _tables), clock)


def connect_pace(settings: Settings) -> SqlPace:
    """The pace of the mesh: beside its money where that is on a server, as a node's limits are for all machines."""
    if settings.ledger_url != NO_SERVER:
        return postgres_pace(settings.ledger_url)
    return sqlite_pace(settings.state / "mesh" / "pace.sqlite")


def _tables(dialect: Dialect) -> str:
    return _TABLES.format(dialect)
