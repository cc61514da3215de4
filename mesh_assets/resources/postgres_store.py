"""Records that processes of several machines share, in a PostgreSQL database: a SqlStore on a server.

Each record is a schema of its own (`mesh_ledger`), made at the first transaction. A connection lasts for a transaction,
so forks, threads, kills, poolers and restarts of the server need no care; a call takes a thousand times as long.
Who writes holds a lock of the schema until it has committed, as SQLite has it: every call counts in the present month,
so nothing could be written side by side anyway.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mesh_assets.errors import LedgerError, MeshError, SettingsError
from mesh_assets.mesh.sql_store import Dialect, Mode, Rows

if TYPE_CHECKING:
    from psycopg import Connection

SETTING = "MESH_LEDGER_URL"
POSTGRES = Dialect(
    number="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    integer="BIGINT",
    real="DOUBLE PRECISION",
    text='TEXT COLLATE "C"',
    table="",
    keyed="",
    day="to_char(to_timestamp({0}) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    count="({0}::json ->> '{1}')::bigint",
)
_REMEDY = (
    f"See that the server of {SETTING} runs, can be reached and lets this user in (`mesh doctor` tries it). "
    "Until then no node that costs money is called."
)
_CONNECT_SECONDS = "10"
# For who waits for others, and for a statement; a transaction whose process was lost with its machine is ended as soon.
_BUSY, _LONGEST = "60s", "300s"
_LIMITS = (
    f"SET LOCAL lock_timeout = '{_BUSY}'; SET LOCAL statement_timeout = '{_LONGEST}'; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{_BUSY}'; "
)
_BEGIN = {
    # A server that was told not to wait for its disk waits for what is written here.
    "IMMEDIATE": "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on; ",
    "DEFERRED": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ",
}


class PostgresStore:
    """The schema `schema` of the database at `url`, with `tables`, statements divided by semicolons.

    SettingsError where `url` is none, else `error` where the database cannot be used. Neither shows the password.
    """

    def __init__(
        self,
        url: str,
        schema: str,
        tables: Callable[[Dialect], str],
        *,
        version: int = 1,
        error: type[MeshError] = LedgerError,
    ) -> None:
        self._url = url
        self._schema = schema
        self._tables = tables(POSTGRES)
        self._version = version
        self._error = error
        self._is_made = False

    @property
    def dialect(self) -> Dialect:
        """PostgreSQL's words."""
        return POSTGRES

    @property
    def name(self) -> str:
        """The address of the database, without user and password."""
        host, port = (str(self._parameters.get(key, "")) for key in ("host", "port"))
        at = f"[{host}]" if ":" in host else host
        return f"postgresql://{at}{port and ':'}{port}/{self._parameters['dbname']}"

    @property
    def exists(self) -> bool:
        """Whether its tables were made, as the server says."""
        with self._connected() as connection:
            return self._found(connection)

    @contextmanager
    def transaction(self, mode: Mode = "IMMEDIATE") -> Generator["_Statements"]:
        """See `SqlStore.transaction`. Rows are tuples."""
        with self._connected() as connection:
            self._make(connection)
            self._begin(connection, mode)
            yield _Statements(connection)
            self._commit(connection)

    def compact(self) -> None:
        """Write the tables anew, without what was deleted; the server's own log of writes keeps it for a while."""
        with self._connected() as connection:
            if not self._found(connection):
                return
            query = b"SELECT tablename FROM pg_tables WHERE schemaname = %s"
            for (table,) in connection.execute(query, (self._schema,)).fetchall():
                connection.execute(f"VACUUM FULL {self._schema}.{table}".encode())

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        psycopg = _psycopg()
        try:
            found: dict[str, Any] = dict(psycopg.conninfo.conninfo_to_dict(self._url))
        except psycopg.Error:
            found = {}
        # Signs in a password that are not written as `%40` end up in other parts, which messages show.
        is_port = str(found.get("port", "0")).replace(",", "").isdigit()
        if not found.get("dbname") or not is_port or "@" in f"{found.get('host')}{found['dbname']}":
            raise SettingsError(
                f"{SETTING} names no database of a PostgreSQL server.",
                remedy="Set it as `postgresql://user:password@127.0.0.1:5432/mesh`; `%40` stands for an @ in a word.",
            ) from None
        return found

    @contextmanager
    def _connected(self) -> Generator["Connection[tuple[Any, ...]]"]:
        psycopg = _psycopg()
        ours = {
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": "intelligence-mesh",
            "keepalives_idle": "30",
            "tcp_user_timeout": "60000",
        }
        try:
            with psycopg.connect(**(ours | self._parameters), autocommit=True, prepare_threshold=None) as connection:
                try:
                    yield connection
                finally:
                    connection.close()  # what was not committed is undone
        except (psycopg.Error, OverflowError) as error:
            said = " ".join(str(error).split())
            raise self._error(f"{self.name} cannot be used: {said.rstrip('.?')}.", remedy=_REMEDY) from error

    def _begin(self, connection: "Connection[tuple[Any, ...]]", mode: Mode) -> None:
        """Begin, behind all who write. The version is that of now: another process may have raised it."""
        wait = f"SELECT pg_advisory_xact_lock(hashtextextended('{self._schema}', 0)); " if mode == "IMMEDIATE" else ""
        begin = f"{_BEGIN[mode]}{_LIMITS}SET LOCAL search_path = {self._schema}; {wait}SELECT number FROM version"  # noqa: S608  # our words
        last = connection.execute(begin.encode())
        while last.nextset():
            pass
        [found] = last.fetchone() or (0,)
        self._check(found)

    def _commit(self, connection: "Connection[tuple[Any, ...]]") -> None:
        done = connection.execute("COMMIT").statusmessage
        if done != "COMMIT":  # a statement failed before, and somebody went on
            raise self._error(f"{self.name} did not keep what was written: {done}.", remedy=_REMEDY)

    def _found(self, connection: "Connection[tuple[Any, ...]]") -> bool:
        # Tables, not functions such as to_regclass: those may remember what was not there before others made it.
        query = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'version'"
        return connection.execute(query, (self._schema,)).fetchone() is not None

    def _make(self, connection: "Connection[tuple[Any, ...]]") -> None:
        """Make the schema where it is not there; a user that may make none can be given one, empty."""
        if self._is_made:
            return
        if not self._found(connection):
            connection.execute(b"BEGIN")
            lock = f"SELECT pg_advisory_xact_lock(hashtextextended('{self._schema}', 0))"
            connection.execute(lock.encode())
            if not self._found(connection):  # others may have been first
                query = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
                is_given = connection.execute(query, (self._schema,)).fetchone() is not None
                schema = "" if is_given else f"CREATE SCHEMA {self._schema}; "
                version = f"CREATE TABLE version (number BIGINT); INSERT INTO version VALUES ({self._version})"  # noqa: S608
                path = f"SET LOCAL search_path = {self._schema}; "
                connection.execute(f"{schema}{path}{self._tables}; {version}".encode())
            self._commit(connection)
        self._is_made = True

    def _check(self, found: int) -> None:
        if found != self._version:
            raise self._error(
                f"{self.name} is of a later version of the mesh.", remedy="Update the mesh; nothing was changed."
            )


class _Statements:
    """A connection that takes the statements of a SqlStore."""

    def __init__(self, connection: "Connection[tuple[Any, ...]]") -> None:
        self._connection = connection

    def execute(self, query: str, parameters: Sequence[object] = (), /) -> Rows:
        """Run a statement."""
        return self._connection.execute(_translated(query), parameters)

    def executemany(self, query: str, parameters: Iterable[Sequence[object]], /) -> None:
        """Run a statement once for each, without waiting in between."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(query), parameters)


def _translated(query: str) -> bytes:
    return query.replace("%", "%%").replace("?", "%s").encode()


def _psycopg() -> Any:  # noqa: ANN401  # a module that need not be there
    try:
        import psycopg
        from psycopg import conninfo  # noqa: F401  # pyright: ignore[reportUnusedImport]  # loads it
    except ImportError as error:
        raise SettingsError(
            f"{SETTING} names a PostgreSQL server, and its client cannot be loaded: {error}.",
            remedy="Install it: `.venv/bin/pip install 'psycopg[binary]>=3.2,<4'`.",
        ) from error
    return psycopg
