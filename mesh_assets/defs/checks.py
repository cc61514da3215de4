"""Checks of every asset, generated from its schema and its footer."""

import warnings
from collections.abc import Iterator

import dagster as dg
import pyarrow.parquet as pq

from mesh_assets.defs.partitions import DATASETS, SLICES
from mesh_assets.schemas import TABLES
from mesh_assets.stages import ASSETS, DUCKDB_ASSETS
from mesh_assets.storage.duckdb_tables import rows_of
from mesh_assets.storage.duckdb_types import duckdb_type
from mesh_assets.storage.failures import in_words
from mesh_assets.storage.lake import Lake, LakeTable
from mesh_assets.storage.statistics import expected_rows


def checks_of(asset: str) -> dg.AssetChecksDefinition:
    """Two blocking checks of an asset, by partition: nothing was lost, and the table has its schema."""
    partitions = SLICES if ASSETS[asset].partition == "slice" else DATASETS
    specs = _specs(
        asset,
        partitions,
        conservation="Rows in are rows done, rejects or skipped: nothing was lost.",
        schema="The file has exactly the columns of its schema, and no null where none may be.",
    )

    @dg.multi_asset_check(name=f"{asset}_checks", specs=specs)
    def check(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]) -> Iterator[dg.AssetCheckResult]:
        with in_words():
            table = lake.read(asset, context.partition_key)
            results = [_conservation(asset, table), _schema(asset, table)]
        yield from results

    return check


def _specs(asset: str, partitions: dg.PartitionsDefinition, **descriptions: str) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=asset, blocking=True, description=description, partitions_def=partitions)
        for name, description in descriptions.items()
    ]


def duckdb_checks_of(asset: str) -> dg.AssetChecksDefinition:
    """The same two checks for a table of datasets, which has no footer: it is compared with the lake."""
    specs = _specs(
        asset,
        DATASETS,
        conservation="Each table that the lake has or should have of the dataset is in here, once.",
        schema="The table has exactly the columns of its schema, and no null where none may be.",
    )

    @dg.multi_asset_check(name=f"{asset}_checks", specs=specs)
    def check(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]) -> Iterator[dg.AssetCheckResult]:
        with in_words():
            columns, rows = rows_of(lake.root, asset, context.partition_key)
            tables = expected_rows(lake, context.partition_key)
        expected = {column.name: duckdb_type(column.type) for column in TABLES[asset].columns}
        nulls = [c.name for c in TABLES[asset].columns if not c.nullable and rows.column(c.name).null_count]
        yield dg.AssetCheckResult(
            asset_key=asset,
            check_name="schema",
            passed=list(columns.items()) == list(expected.items()) and not nulls,
            metadata={"columns": len(columns), "nulls_where_none_may_be": ", ".join(nulls) or "none"},
        )
        found = list(zip(rows["slice"].to_pylist(), rows["asset"].to_pylist(), strict=True))
        yield dg.AssetCheckResult(
            asset_key=asset,
            check_name="conservation",
            passed=len(found) == len(tables) and set(found) == tables,
            metadata={"rows": len(found), "tables": len(tables)},
        )

    return check


def _conservation(asset: str, table: LakeTable) -> dg.AssetCheckResult:
    footer = table.footer
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name="conservation",
        passed=footer.conserved,
        metadata={
            "rows_in": footer.rows_in,
            "done": footer.done,
            "rejects": footer.rejects,
            "skipped": footer.skipped,
        },
    )


def _schema(asset: str, table: LakeTable) -> dg.AssetCheckResult:
    expected = TABLES[asset]
    with pq.ParquetFile(table.path) as file:
        found, metadata = file.schema_arrow.remove_metadata(), file.metadata
    nulls: dict[str, int] = {}
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            statistics = column.statistics
            if statistics is not None:
                name = column.path_in_schema
                nulls[name] = nulls.get(name, 0) + (statistics.null_count or 0)
    wrong = [c.name for c in expected.columns if not c.nullable and nulls.get(c.name, 0)]
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name="schema",
        passed=found.equals(expected.schema) and not wrong,
        metadata={"columns": len(found), "nulls_where_none_may_be": ", ".join(wrong) or "none"},
    )


def index_ready(asset: str) -> dg.AssetChecksDefinition:
    """Warns while an index does not hold a slice because its engine was down."""

    @dg.asset_check(asset=asset, name="ready", partitions_def=SLICES, description="The index holds the slice.")
    def check(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        with in_words():
            state = lake.read(asset, context.partition_key).rows()[0]
        return dg.AssetCheckResult(
            passed=state["state"] == "ready",
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"engine": state["engine"], "detail": state["detail"]},
        )

    return check


def graph_loaded() -> dg.AssetChecksDefinition:
    """Warns while the server that the graph is loaded into lacks a slice because it was down."""

    @dg.asset_check(
        asset="graph_index", name="ready", partitions_def=SLICES, description="The graph's server holds the slice."
    )
    def check(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        with in_words():
            footer = lake.read("graph_index", context.partition_key).footer
        return dg.AssetCheckResult(
            passed=not footer.skipped, severity=dg.AssetCheckSeverity.WARN, metadata={"skipped": footer.skipped}
        )

    return check


with warnings.catch_warnings():
    # Partitions of checks are a preview; without them a check of one slice shows for all.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    CHECKS = [
        *(duckdb_checks_of(asset) if asset in DUCKDB_ASSETS else checks_of(asset) for asset in ASSETS),
        *(index_ready(asset) for asset in ("vector_index", "fulltext_index")),
        graph_loaded(),
    ]
