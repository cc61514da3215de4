"""The generated checks fail when rows are lost or a table breaks its schema."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from mesh_assets.defs.checks import checks_of, duckdb_checks_of
from mesh_assets.defs.partitions import DATASETS, SLICES
from mesh_assets.schemas import TABLES
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.storage.duckdb_files import dataset_database, rewriting
from mesh_assets.storage.duckdb_tables import DatasetTablesIOManager
from mesh_assets.storage.io_manager import ParquetIOManager
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.statistics import dataset_statistics_table

KEY = "d.000000"
ROWS: list[dict[str, object]] = [{"chunk_id": "0" * 32, "keyphrases": [], "entities": []}]


def _checked(tmp_path: Path, *, total: int, spoil: bool = False) -> dict[str, bool]:
    lake = Lake(tmp_path)

    @dg.asset(name="chunk_insights", partitions_def=SLICES)
    def table() -> Produced:
        outcome = Outcome(total=total)

        def batches() -> Iterator[pa.RecordBatch]:
            yield TABLES["chunk_insights"].batch(ROWS)
            outcome.advance()

        return Produced(batches(), outcome, "input")

    class Spoiling(ParquetIOManager):
        def handle_output(self, context: dg.OutputContext, obj: object) -> None:
            super().handle_output(context, obj)  # type: ignore[arg-type]
            if spoil:
                path = lake.path("chunk_insights", KEY)
                footer = pq.read_metadata(path).metadata
                spoiled = pq.read_table(path).drop_columns(["entities"])
                pq.write_table(spoiled.replace_schema_metadata({b"mesh": footer[b"mesh"]}), path)

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("slices", [KEY])
        result = dg.materialize(
            [table, checks_of("chunk_insights")],
            partition_key=KEY,
            instance=instance,
            resources={"io_manager": Spoiling(lake), "lake": lake},
            raise_on_error=False,
        )
        return {e.check_name: e.passed for e in result.get_asset_check_evaluations()}


def test_a_table_in_order_passes(tmp_path: Path) -> None:
    assert _checked(tmp_path, total=1) == {"conservation": True, "schema": True}


def test_a_lost_row_fails_conservation(tmp_path: Path) -> None:
    assert _checked(tmp_path, total=2) == {"conservation": False, "schema": True}


def test_a_lost_column_fails_the_schema(tmp_path: Path) -> None:
    assert _checked(tmp_path, total=1, spoil=True) == {"conservation": True, "schema": False}


def _statistics_checked(tmp_path: Path, *spoil: str, lose: int = 0) -> dict[str, bool]:
    """The checks over statistics of an empty dataset; `spoil` are statements run on the table between."""
    lake = Lake(tmp_path / "lake")
    lake.publish("drop_manifests", "d", Produced([], Outcome(), "input", {"slices": {}}), version="1", run_id="run")

    @dg.asset(partitions_def=DATASETS, io_manager_key="dataset_tables", metadata={"partition_expr": "dataset"})
    def dataset_statistics() -> pa.Table:
        return dataset_statistics_table(lake, "d").slice(lose)

    path = dataset_database(lake.root)
    inner = DatasetTablesIOManager(database=str(path)).create_io_manager(dg.build_init_resource_context())

    class Spoiling(dg.IOManager):
        def handle_output(self, context: dg.OutputContext, obj: object) -> None:
            inner.handle_output(context, obj)
            with rewriting(path, "spoil", start=path) as connection:
                for statement in spoil:
                    connection.execute(statement)

        def load_input(self, context: dg.InputContext) -> object:
            return inner.load_input(context)

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("datasets", ["d"])
        result = dg.materialize(
            [dataset_statistics, duckdb_checks_of("dataset_statistics")],
            partition_key="d",
            instance=instance,
            resources={"dataset_tables": Spoiling(), "lake": lake},
            raise_on_error=False,
        )
        return {e.check_name: e.passed for e in result.get_asset_check_evaluations()}


def test_a_duckdb_table_in_order_passes(tmp_path: Path) -> None:
    assert _statistics_checked(tmp_path) == {"conservation": True, "schema": True}


def test_a_lost_or_doubled_row_of_a_duckdb_table_fails_conservation(tmp_path: Path) -> None:
    assert _statistics_checked(tmp_path / "lost", lose=1) == {"conservation": False, "schema": True}
    double = "INSERT INTO dataset_statistics FROM dataset_statistics"
    assert _statistics_checked(tmp_path / "double", double) == {"conservation": False, "schema": True}


def test_a_null_or_a_column_too_many_fails_the_schema(tmp_path: Path) -> None:
    null = "UPDATE dataset_statistics SET state = NULL"
    assert _statistics_checked(tmp_path / "null", null) == {"conservation": True, "schema": False}
    column = "ALTER TABLE dataset_statistics ADD COLUMN more INTEGER"
    assert _statistics_checked(tmp_path / "column", column) == {"conservation": True, "schema": False}
