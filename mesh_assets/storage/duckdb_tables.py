"""Small tables of datasets, in one DuckDB file: dagster-duckdb's IO manager with our types, schemas and publishing.

    <state>/lake/datasets.duckdb        one table an asset, each dataset its rows

A dataset is the partition: writing it replaces its rows and leaves those of other datasets. Tables of slices, and the
manifest that every slice run reads, are Parquet (`storage.lake`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from dagster._core.storage.db_io_manager import DbIOManager, DbTypeHandler, TableSlice
from dagster_duckdb import DuckDBIOManager
from dagster_duckdb.io_manager import DuckDbClient

from mesh_assets.errors import MissingUpstreamError
from mesh_assets.schemas import TABLES
from mesh_assets.stages import DUCKDB_ASSETS
from mesh_assets.storage.duckdb_files import dataset_database, rewriting, snapshot, views_database
from mesh_assets.storage.duckdb_types import adapt, columns_of, name
from mesh_assets.storage.duckdb_views import publish_views
from mesh_assets.storage.failures import in_words

_SCHEMA = "main"


def rows_of(lake_root: Path, asset: str, dataset: str) -> tuple[dict[str, str], pa.Table]:
    """Columns of an asset's table with their DuckDB types, and the rows of one dataset, from a copy of the file.

    MissingUpstreamError where the table was never made.
    """
    with snapshot(dataset_database(lake_root)) as connection:
        columns = columns_of(connection, asset)
        if not columns:
            raise MissingUpstreamError(
                f"{asset} of {dataset} was never made.", remedy=f"Materialize {asset} for {dataset} first."
            )
        query = f"SELECT * FROM {name(asset)} WHERE dataset = ?"  # noqa: S608  # the name is quoted
        return columns, connection.sql(query, params=[dataset]).to_arrow_table()


def forget_rows(lake_root: Path, dataset: str, run_id: str) -> int:
    """Remove a dataset from every table, and from the copy in `lake.duckdb`; how many rows went.

    The others' rows are copied to a new file: a deleted row would stay readable in the blocks of the old one.
    """
    path = dataset_database(lake_root)
    gone = 0
    if path.exists():
        with (
            snapshot(path) as old,
            rewriting(path, run_id, start=path.with_name(f".{path.name}.nothing")) as connection,
        ):
            for asset in DUCKDB_ASSETS:
                adapt(connection, TABLES[asset], asset)
                if columns_of(old, asset):
                    rows = old.sql(f"FROM {name(asset)}").to_arrow_table()
                    kept = rows.filter(pc.field("dataset") != dataset)
                    _insert(connection, asset, kept)
                    gone += rows.num_rows - kept.num_rows
    if views_database(lake_root).exists():
        publish_views(lake_root, run_id)
    return gone


def _insert(connection: duckdb.DuckDBPyConnection, asset: str, rows: pa.Table) -> None:
    connection.register("incoming rows", rows)
    connection.execute(f"INSERT INTO {name(asset)} BY NAME FROM {name('incoming rows')}")
    connection.unregister("incoming rows")


class ArrowTables(DbTypeHandler[pa.Table]):
    """Arrow tables in and out, cast to the schema of their asset."""

    def handle_output(
        self, context: dg.OutputContext, table_slice: TableSlice, obj: pa.Table, connection: duckdb.DuckDBPyConnection
    ) -> Mapping[str, Any]:
        """Insert the rows; CorruptTableError where they break the schema."""
        del context
        table = TABLES[table_slice.table]
        rows = pa.Table.from_batches([table.cast(batch) for batch in obj.to_batches()], schema=table.schema)
        _insert(connection, table_slice.table, rows)
        return {"rows": rows.num_rows, "path": dg.MetadataValue.path(str(table_slice.database))}

    def load_input(
        self, context: dg.InputContext, table_slice: TableSlice, connection: duckdb.DuckDBPyConnection
    ) -> pa.Table:
        """The rows of the partition; MissingUpstreamError where the table was never made."""
        if not columns_of(connection, table_slice.table):
            raise MissingUpstreamError(
                f"{table_slice.table} was never made.", remedy=f"Materialize {table_slice.table} first."
            )
        rows = connection.sql(_Client.get_select_statement(table_slice)).to_arrow_table()
        return rows.cast(TABLES[table_slice.table].schema)

    @property
    def supported_types(self) -> Sequence[type[object]]:
        """Arrow tables only."""
        return [pa.Table]


class _Client(DuckDbClient):
    """dagster-duckdb's SQL on connections that publish by renaming."""

    @staticmethod
    def ensure_schema_exists(
        context: dg.OutputContext, table_slice: TableSlice, connection: duckdb.DuckDBPyConnection
    ) -> None:
        """The table with the columns of its schema, before rows of the partition are deleted and inserted."""
        del context
        adapt(connection, TABLES[table_slice.table], table_slice.table)

    @staticmethod
    @contextmanager
    def connect(context: dg.OutputContext | dg.InputContext, _: TableSlice) -> Generator[duckdb.DuckDBPyConnection]:
        """To write: a copy that becomes the file when all went well. To read: a copy of one's own."""
        path = Path(str(_.database))
        if isinstance(context, dg.OutputContext):
            with rewriting(path, context.run_id, start=path) as connection:
                yield connection
        else:
            with snapshot(path) as connection:
                yield connection


class _Manager(DbIOManager):
    """After each output `lake.duckdb` is made again: it holds a copy of these tables."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """As dagster-duckdb does it, then the views."""
        with in_words(context.step_context.previous_attempt_count):
            super().handle_output(context, obj)
            publish_views(Path(self._database).parent, context.run_id)

    def load_input(self, context: dg.InputContext) -> object:
        """As dagster-duckdb does it."""
        with in_words():
            return super().load_input(context)


class DatasetTablesIOManager(DuckDBIOManager):
    """`DuckDBIOManager` for Arrow tables whose file any notebook may hold open."""

    @staticmethod
    def type_handlers() -> Sequence[DbTypeHandler[Any]]:
        """Arrow only: other libraries read Arrow without a copy."""
        return [ArrowTables()]

    def create_io_manager(self, context: dg.InitResourceContext) -> DbIOManager:
        """The manager of dagster-duckdb over our connections."""
        del context
        return _Manager(
            db_client=_Client(),
            database=self.database,
            schema=_SCHEMA,
            type_handlers=self.type_handlers(),
            io_manager_name="DatasetTablesIOManager",
        )
