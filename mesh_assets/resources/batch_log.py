"""The batches that wait for their results, in a SQLite file of MESH_STATE: what a crash must not lose."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from mesh_assets.mesh.protocol import Batch, BatchItem, Reservation
from mesh_assets.mesh.sqlite_file import SqliteFile
from mesh_assets.settings import Settings

_TABLES = """
CREATE TABLE IF NOT EXISTS batches (
    name TEXT PRIMARY KEY, node TEXT NOT NULL, provider_id TEXT NOT NULL, items TEXT NOT NULL, at REAL NOT NULL
);
"""


class SqliteBatchLog:
    """A BatchLog in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _TABLES)

    def begin(self, batch: Batch) -> None:
        """Keep it before it is sent, durably."""
        items = json.dumps([asdict(item) for item in batch.items], default=str)
        with self._file.transaction() as connection:
            connection.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?)",
                (batch.name, batch.node, batch.provider_id, items, batch.at),
            )

    def sent(self, name: str, provider_id: str) -> None:
        """Keep the provider's name of it."""
        with self._file.transaction() as connection:
            connection.execute("UPDATE batches SET provider_id = ? WHERE name = ?", (provider_id, name))

    def waiting(self, node: str) -> Sequence[Batch]:
        """Those of a node that were begun and not ended, oldest first."""
        if not self._file.exists:
            return ()
        with self._file.transaction() as connection:
            rows = connection.execute("SELECT * FROM batches WHERE node = ? ORDER BY rowid", (node,)).fetchall()
        return tuple(
            Batch(row["name"], row["node"], row["provider_id"], tuple(map(_item, json.loads(row["items"]))), row["at"])
            for row in rows
        )

    def end(self, name: str) -> None:
        """Forget it."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM batches WHERE name = ?", (name,))

    def forget(self, dataset: str) -> None:
        """Take out what tells of a dataset; what waits for its results is billed, but not kept."""
        if not self._file.exists:
            return
        with self._file.transaction() as connection:
            for row in connection.execute("SELECT name, items FROM batches").fetchall():
                items: list[dict[str, Any]] = json.loads(row["items"])
                for item in items:
                    if dataset in item["dataset"].split(";"):
                        item |= {"dataset": "", "key": "", "case_id": ""}
                connection.execute("UPDATE batches SET items = ? WHERE name = ?", (json.dumps(items), row["name"]))
        self._file.compact()


def _item(fields: dict[str, Any]) -> BatchItem:
    held = fields.pop("reservation")
    return BatchItem(Reservation(held["id"], Decimal(held["amount"]), held["expires"]), **fields)


def connect_batch_log(settings: Settings) -> SqliteBatchLog:
    """The batches of the mesh."""
    return SqliteBatchLog(settings.state / "mesh" / "batches.sqlite")
