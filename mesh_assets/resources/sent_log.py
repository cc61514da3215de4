"""Every byte that left for a model node outside this machine, in a SQLite file of MESH_STATE: what `mesh audit` shows.

Rows are added before their bytes go, and never changed: a row may tell of bytes that a crash kept back, no byte leaves
without a row. Only a dataset that is forgotten takes its bytes and its name along; that something was sent stays.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from sqlite3 import Row

from mesh_assets.errors import SettingsError
from mesh_assets.mesh.protocol import Reason, Sent
from mesh_assets.mesh.sqlite_file import IS_OF_DATASET, SqliteFile

_TABLES = """
CREATE TABLE IF NOT EXISTS sent (
    id TEXT PRIMARY KEY, at REAL NOT NULL, node TEXT NOT NULL, model TEXT NOT NULL, address TEXT NOT NULL,
    dataset TEXT NOT NULL, batch TEXT NOT NULL, reasons TEXT NOT NULL, size INTEGER NOT NULL, content BLOB
);
"""
_COLUMNS = "id, at, node, model, address, dataset, batch, reasons, size"


@dataclass(frozen=True, slots=True)
class Departure:
    """One request that left, without its bytes, of which there were `size`.

    Of a forgotten dataset `is_forgotten`: its name, its cases and its bytes are gone.
    """

    id: str
    at: float
    node: str
    model: str
    address: str
    dataset: str
    batch: str
    reasons: tuple[Reason, ...]
    size: int
    is_forgotten: bool


class SqliteSentLog:
    """The record in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(
            path,
            _TABLES,
            remedy="Free the disk if it is full. While this record cannot be written nothing leaves this machine.",
        )

    def append(self, sent: Sent) -> None:
        """Keep it, durably."""
        row = asdict(sent) | {"reasons": json.dumps([asdict(each) for each in sent.reasons]), "size": len(sent.content)}
        values = ", ".join(f":{name.strip()}" for name in _COLUMNS.split(","))
        with self._file.transaction() as connection:
            connection.execute(f"INSERT INTO sent ({_COLUMNS}, content) VALUES ({values}, :content)", row)  # noqa: S608

    def departures(self, *, dataset: str | None = None, since: float = 0.0) -> Iterator[Departure]:
        """What left, oldest first: of one dataset or of all, from `since` (seconds since 1970) on."""
        if not self._file.exists:
            return
        where, values = "at >= ?", [since]
        if dataset is not None:
            where, values = f"{where} AND {IS_OF_DATASET}", [since, dataset]
        query = f"SELECT {_COLUMNS}, content IS NULL AS gone FROM sent WHERE {where} ORDER BY at, rowid"  # noqa: S608
        with self._file.transaction("DEFERRED") as connection:
            rows = connection.execute(query, values).fetchall()
        yield from map(_departure, rows)

    def content(self, name: str) -> bytes | None:
        """The bytes of the one whose id begins with `name`; None where they are forgotten. SettingsError for no one."""
        rows: list[Row] = []
        if self._file.exists and name:
            with self._file.transaction("DEFERRED") as connection:
                query = "SELECT content FROM sent WHERE substr(id, 1, length(:name)) = :name LIMIT 2"
                rows = connection.execute(query, {"name": name}).fetchall()
        if len(rows) != 1:
            raise SettingsError(
                f"{'More than one' if rows else 'No'} request that left has an id that begins with {name!r}.",
                remedy="`mesh audit` lists them.",
            )
        return rows[0]["content"]

    def forget(self, dataset: str) -> None:
        """Take out bytes, cases and names of what left of a dataset, alone or with others: none of it stays."""
        if self._file.exists:
            with self._file.transaction() as connection:
                connection.execute(
                    f"UPDATE sent SET dataset = '', batch = '', reasons = '[]', content = NULL WHERE {IS_OF_DATASET}",  # noqa: S608  # our words
                    (dataset,),
                )
            self._file.compact()


def _departure(row: Row) -> Departure:
    fields = dict(row)
    fields["is_forgotten"] = bool(fields.pop("gone"))
    fields["reasons"] = tuple(Reason(**each) for each in json.loads(fields["reasons"]))
    return Departure(**fields)
