"""The two grains: datasets and slices. Their partitionings, and the policies of every asset of one of them.

Keys are made and checked in `mesh_assets.slices`.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import dagster as dg
import pyarrow as pa

from mesh_assets.schemas.outcome import StageOutput
from mesh_assets.storage.failures import RETRIES, told_in_words

SLICES_NAME = "slices"
DATASETS = dg.DynamicPartitionsDefinition(name="datasets")
SLICES = dg.DynamicPartitionsDefinition(name=SLICES_NAME)

# How many runs may start: the limits of these pools are set in `defs.pace`.
SLICE_POOL, DATASET_POOL = "slices", "datasets"

# Edges between a slice and a dataset: custom mappings are dropped from the graph that the UI sees.
ACROSS_GRAINS = dg.AllPartitionMapping()

_RETRY = dg.RetryPolicy(max_retries=RETRIES, delay=2)

_Body: TypeAlias = Callable[..., StageOutput | pa.Table]
_Deps: TypeAlias = Sequence[dg.AssetDep | str]


def slice_asset(deps: _Deps = ()) -> Callable[[_Body], dg.AssetsDefinition]:
    """An asset partitioned by slices, with the policies of this grain: a Parquet file a slice."""
    return lambda body: _asset(body, SLICES, SLICE_POOL, deps)


def dataset_asset(deps: _Deps = ()) -> Callable[[_Body], dg.AssetsDefinition]:
    """An asset partitioned by datasets, with the policies of this grain: a Parquet file a dataset."""
    return lambda body: _asset(body, DATASETS, DATASET_POOL, deps)


def dataset_table(deps: _Deps = ()) -> Callable[[_Body], dg.AssetsDefinition]:
    """The same for a small table of which each dataset has some rows: they share one table in DuckDB."""
    return lambda body: _asset(body, DATASETS, DATASET_POOL, deps, io_manager="dataset_tables", rows_by="dataset")


def _asset(
    body: _Body,
    partitions: dg.PartitionsDefinition,
    pool: str,
    deps: _Deps,
    *,
    io_manager: str = "io_manager",
    rows_by: str | None = None,
) -> dg.AssetsDefinition:
    # No backfill policy: any, even one of one partition a run, makes runs over a range, which have no partition tag, so
    # that two of them could work on the same slice. Without one a backfill starts one run a partition.
    decorate = dg.asset(
        partitions_def=partitions,
        deps=list(deps),
        pool=pool,
        retry_policy=_RETRY,
        io_manager_key=io_manager,
        metadata={"partition_expr": rows_by} if rows_by else None,
    )
    return decorate(told_in_words(body))
