"""What a record that many processes share asks of its database, so that a file and a server hold the same record.

Statements are SQL that both understand, with `?` for parameters; a `Dialect` has the few words that differ. Which
tables there are belongs to who keeps the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

# Who only reads takes DEFERRED: it holds up no other reader, and sees one state throughout.
Mode = Literal["IMMEDIATE", "DEFERRED"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """Words of one database. Names are compared and sorted by their code points in all of them.

    `number` is a column that counts rows, `keyed` stands behind a table that is its own index. `day` and `count` are
    expressions: of seconds since 1970 in `{0}`, as 2026-11-28 (UTC); of the number `{1}` in the JSON object `{0}`.
    """

    number: str
    integer: str
    real: str
    text: str
    table: str
    keyed: str
    day: str
    count: str


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows a statement changed."""
        ...

    def fetchone(self) -> Any:  # noqa: ANN401  # a row, or None
        """The next row, which can be unpacked."""
        ...

    def fetchall(self) -> list[Any]:
        """All that are left."""
        ...


class Connection(Protocol):
    """A connection within a transaction."""

    def execute(self, query: str, parameters: Sequence[object] = ..., /) -> Rows:
        """Run a statement."""
        ...

    def executemany(self, query: str, parameters: Iterable[Sequence[object]], /) -> object:
        """Run a statement once for each."""
        ...


class SqlStore(Protocol):
    """A database that all processes share. Who writes waits for who wrote before, so nobody reads what is half done."""

    @property
    def dialect(self) -> Dialect:
        """Its words."""
        ...

    @property
    def name(self) -> str:
        """What it is called in messages; no password is in it."""
        ...

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        ...

    def transaction(self, mode: Mode = ...) -> AbstractContextManager[Connection]:
        """A transaction: durable when the block ends, undone when it fails or its process is killed."""
        ...

    def compact(self) -> None:
        """Write the tables anew, without what was deleted."""
        ...
