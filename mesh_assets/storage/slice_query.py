"""SQL over the tables of one slice, under the names that they have in `lake.duckdb`: what computed facts are made by.

A query that names its slice gives the same here and by `mesh sql`, without a look at any other slice.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from mesh_assets.errors import QueryError
from mesh_assets.indexes.lake_sql import MEMORY
from mesh_assets.schemas import ATTACHED, TABLES
from mesh_assets.storage.lake import Lake

# Tables that facts are computed from, by asset.
_ASSETS = ("chunk_sets", "symbols", "log_events", "log_templates", "slice_insights", "series", "series_points")


class SliceQuery:
    """The `Query` of one slice. Close it: it is a connection."""

    def __init__(self, lake: Lake, slice_key: str) -> None:
        self._tables = {_called(asset): lake.path(asset, slice_key) for asset in _ASSETS}
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._spilled: tempfile.TemporaryDirectory[str] | None = None

    def rows(self, query: str, *, limit: int) -> Sequence[Sequence[object]]:
        """See `Query.rows`."""
        try:
            if self._connection is None:
                self._spilled = tempfile.TemporaryDirectory(prefix="mesh-")
                self._connection = _connected(self._tables, self._spilled.name)
            return self._connection.sql(query).limit(limit).fetchall()
        except duckdb.Error as error:
            said = str(error).partition("\n\nStack Trace:")[0].strip()
            raise QueryError(f"The lake cannot be asked: {said}", remedy="`mesh sql` runs the same query.") from error

    def close(self) -> None:
        """End the connection; the next query opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._spilled is not None:
            self._spilled.cleanup()
            self._spilled = None


def _called(asset: str) -> str:
    return (TABLES | ATTACHED)[asset].name


def _connected(tables: Mapping[str, Path], folder: str) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": MEMORY,
        "temp_directory": folder,
        "threads": 1,  # parallelism comes from runs side by side
    }
    connection = duckdb.connect(config=config)
    connection.execute("SET TimeZone = 'UTC'")
    for called, path in tables.items():
        if path.exists():
            connection.from_parquet(str(path)).create_view(called)
    return connection
