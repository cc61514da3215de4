"""The two grains: datasets and slices. Their partitionings, and the policies of every asset of one of them.

Keys are made and checked in `mesh_assets.slices`.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeAlias

import dagster as dg

from mesh_assets.schemas.outcome import StageOutput
from mesh_assets.storage.failures import told_in_words

SLICES_NAME = "slices"
DATASETS = dg.DynamicPartitionsDefinition(name="datasets")
SLICES = dg.DynamicPartitionsDefinition(name=SLICES_NAME)

# How many runs may start: the limits of these pools are set in `defs.pace`.
SLICE_POOL, DATASET_POOL = "slices", "datasets"

# Edges between a slice and a dataset: custom mappings are dropped from the graph that the UI sees.
ACROSS_GRAINS = dg.AllPartitionMapping()

# A file that changes while it is read fails its step once; the second try rejects it.
_RETRY = dg.RetryPolicy(max_retries=1, delay=2)
# One run a partition, however many a person selects: a run is one process, and a slice that fails takes no other along.
_BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)

_Body: TypeAlias = Callable[..., StageOutput]
_Deps: TypeAlias = Sequence[dg.AssetDep | str]


def slice_asset(deps: _Deps = ()) -> Callable[[_Body], dg.AssetsDefinition]:
    """An asset partitioned by slices, with the policies of this grain."""
    return lambda body: _asset(body, SLICES, SLICE_POOL, deps)


def dataset_asset(deps: _Deps = ()) -> Callable[[_Body], dg.AssetsDefinition]:
    """An asset partitioned by datasets, with the policies of this grain."""
    return lambda body: _asset(body, DATASETS, DATASET_POOL, deps)


def _asset(body: _Body, partitions: dg.PartitionsDefinition, pool: str, deps: _Deps) -> dg.AssetsDefinition:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies are one
        return dg.asset(
            partitions_def=partitions, deps=list(deps), pool=pool, retry_policy=_RETRY, backfill_policy=_BACKFILL
        )(told_in_words(body))
