"""Tables of datasets: one dataset's rows are replaced, those of the others stay, and the columns are those of now."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from mesh_assets.defs.partitions import DATASETS
from mesh_assets.errors import MissingUpstreamError
from mesh_assets.resources.dataset_tables import dataset_tables_resource
from mesh_assets.schemas.statistics import STATISTICS
from mesh_assets.storage.duckdb_files import dataset_database, rewriting, snapshot, views_database
from mesh_assets.storage.duckdb_tables import forget_rows, rows_of
from mesh_assets.storage.io_manager import ParquetIOManager
from mesh_assets.storage.lake import Lake

MADE = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _rows(dataset: str, count: int) -> pa.Table:
    row: dict[str, object] = {"dataset": dataset, "stage": "chunks", "asset": "chunk_sets", "state": "done"}
    rows = [row | {"slice": f"{dataset}.{n:06d}", "rows": n, "made_at": MADE} for n in range(count)]
    return pa.Table.from_batches([STATISTICS.batch(rows)])


def _write(lake: Lake, tables: dict[str, pa.Table]) -> list[dict[str, dg.MetadataValue]]:
    """Materialize each dataset's rows; what the UI shows of each."""

    @dg.asset(partitions_def=DATASETS, io_manager_key="dataset_tables", metadata={"partition_expr": "dataset"})
    def dataset_statistics(context: dg.AssetExecutionContext) -> pa.Table:
        return tables[context.partition_key]

    shown: list[dict[str, dg.MetadataValue]] = []
    resources = {"dataset_tables": dataset_tables_resource(lake), "io_manager": ParquetIOManager(lake)}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("datasets", list(tables))
        for dataset in tables:
            result = dg.materialize([dataset_statistics], partition_key=dataset, instance=instance, resources=resources)
            shown.append(dict(result.asset_materializations_for_node("dataset_statistics")[0].metadata))
    return shown


def _count(lake: Lake, dataset: str) -> int:
    return rows_of(lake.root, "dataset_statistics", dataset)[1].num_rows


def test_a_partition_is_replaced_and_others_stay(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "state" / "lake")
    shown = _write(lake, {"a": _rows("a", 3), "b": _rows("b", 2)})
    assert [metadata["rows"].value for metadata in shown] == [3, 2]
    _write(lake, {"a": _rows("a", 1)})
    assert (_count(lake, "a"), _count(lake, "b"), _count(lake, "c")) == (1, 2, 0)
    _, rows = rows_of(lake.root, "dataset_statistics", "b")
    assert rows["rows"].to_pylist() == [0, 1]
    assert rows["made_at"].to_pylist()[0] == MADE


def test_rows_that_break_the_schema_change_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "state" / "lake")
    _write(lake, {"a": _rows("a", 3)})
    before = dataset_database(lake.root).read_bytes()
    with pytest.raises(dg.Failure, match="lacks the column state"):
        _write(lake, {"a": _rows("a", 2).drop_columns(["state"])})
    assert dataset_database(lake.root).read_bytes() == before


def test_a_table_of_an_older_schema_gets_the_columns_of_now(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "state" / "lake")
    path = dataset_database(lake.root)
    with rewriting(path, "old", start=path) as connection:
        connection.execute("CREATE TABLE dataset_statistics (dataset VARCHAR, gone INTEGER, rows VARCHAR)")
        connection.execute("INSERT INTO dataset_statistics VALUES ('old', 1, '42'), ('a', 1, 'many')")
    _write(lake, {"a": _rows("a", 2)})
    columns, old = rows_of(lake.root, "dataset_statistics", "old")
    assert list(columns) == [column.name for column in STATISTICS.columns]
    assert (old["rows"].to_pylist(), old["state"].to_pylist()) == ([42], [None])
    assert _count(lake, "a") == 2


def test_an_asset_gets_its_dataset_as_an_arrow_table(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "state" / "lake")
    seen: list[pa.Table] = []

    @dg.asset(partitions_def=DATASETS, io_manager_key="dataset_tables", metadata={"partition_expr": "dataset"})
    def dataset_statistics(context: dg.AssetExecutionContext) -> pa.Table:
        return _rows(context.partition_key, 2)

    @dg.asset(partitions_def=DATASETS)
    def dataset_reports(dataset_statistics: pa.Table) -> None:
        seen.append(dataset_statistics)

    resources = {"dataset_tables": dataset_tables_resource(lake), "io_manager": dg.mem_io_manager}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("datasets", ["a"])
        assets = [dataset_statistics, dataset_reports]
        dg.materialize(assets, partition_key="a", instance=instance, resources=resources)
    assert seen == [_rows("a", 2)]


def test_forgetting_a_dataset_takes_its_rows_and_no_others(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "state" / "lake")
    assert forget_rows(lake.root, "forgotten", "run") == 0
    with pytest.raises(MissingUpstreamError, match="Materialize dataset_statistics"):
        _count(lake, "forgotten")
    _write(lake, {"forgotten": _rows("forgotten", 3), "b": _rows("b", 2)})
    assert forget_rows(lake.root, "forgotten", "run") == 3
    assert (_count(lake, "forgotten"), _count(lake, "b")) == (0, 2)
    with snapshot(views_database(lake.root)) as connection:
        assert connection.execute("SELECT DISTINCT dataset FROM dataset_statistics").fetchall() == [("b",)]
    for path in (dataset_database(lake.root), views_database(lake.root)):
        assert b"forgotten" not in path.read_bytes()


def test_no_byte_of_a_forgotten_row_stays_in_the_file(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "state" / "lake")
    _write(lake, {"quetzalcoatlus": _rows("quetzalcoatlus", 3), "b": _rows("b", 2)})
    file = dataset_database(lake.root)
    assert b"quetzalcoatlus" in file.read_bytes()
    with snapshot(file) as connection:
        before = connection.execute("SELECT * FROM dataset_statistics WHERE dataset = 'b'").fetchall()
    assert forget_rows(lake.root, "quetzalcoatlus", "run") == 3
    assert b"quetzalcoatlus" not in file.read_bytes()
    with snapshot(file) as connection:
        assert connection.execute("SELECT * FROM dataset_statistics").fetchall() == before
    _write(lake, {"c": _rows("c", 1)})
    assert (_count(lake, "b"), _count(lake, "c")) == (2, 1)


def test_the_copy_for_people_has_the_rows_as_soon_as_they_are_written(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "state" / "lake")
    _write(lake, {"a": _rows("a", 3)})
    with snapshot(views_database(lake.root)) as connection:
        assert connection.execute("SELECT count(*) FROM dataset_statistics").fetchall() == [(3,)]
