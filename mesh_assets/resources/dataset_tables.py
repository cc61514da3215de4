"""The IO manager of small dataset tables in use: one DuckDB file in the lake."""

import dagster as dg

from mesh_assets.storage.duckdb_files import dataset_database
from mesh_assets.storage.duckdb_tables import DatasetTablesIOManager
from mesh_assets.storage.lake import Lake


def dataset_tables_resource(lake: Lake) -> dg.IOManagerDefinition:
    """dagster-duckdb's IO manager. It asks for the IO manager of the lake, because that holds the lock of the run."""

    def connect(context: dg.InitResourceContext) -> dg.IOManager:
        return DatasetTablesIOManager(database=str(dataset_database(lake.root))).create_io_manager(context)

    return dg.IOManagerDefinition(connect, required_resource_keys={"io_manager"})
