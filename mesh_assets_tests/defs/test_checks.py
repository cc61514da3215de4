"""The generated checks fail when rows are lost or a table breaks its schema."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from mesh_assets.defs.checks import checks_of
from mesh_assets.defs.partitions import SLICES
from mesh_assets.schemas import TABLES
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.storage.io_manager import ParquetIOManager
from mesh_assets.storage.lake import Lake

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
