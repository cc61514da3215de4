"""Tags of runs: what the mesh writes on each run, so that people and commands find the runs of a dataset.

A sensor writes them when it asks for a run. A run that a person or a backfill started writes them when it begins.
"""

from __future__ import annotations

from collections.abc import Mapping

from mesh_assets.errors import KeyFormatError
from mesh_assets.slices import SliceKey
from mesh_assets.storage.lake import Lake

DATASET_TAG = "mesh/dataset"
VERSION_TAG = "mesh/slice_version"
# Set to `true` by a person: tables are made again although they are up to date.
FORCE_TAG = "mesh/force"
# Set to `true` by a person or a backfill: questions may wait hours in a batch, for half the price.
CAN_WAIT_TAG = "mesh/can_wait"
# Dagster's own: the partition of a run, and which of the queued runs goes first (the higher number).
PARTITION_TAG = "dagster/partition"
PRIORITY_TAG = "dagster/priority"


def is_set(tags: Mapping[str, str], name: str) -> bool:
    """Whether a tag says yes."""
    return tags.get(name, "").lower() in ("true", "1", "yes")


def own_tags(lake: Lake, partition: str) -> dict[str, str]:
    """The dataset of a partition and, where it is a slice of a manifest, its version there."""
    try:
        key = SliceKey.parse(partition)
    except KeyFormatError:
        return {DATASET_TAG: partition}
    manifest = lake.find("drop_manifests", key.dataset)
    version = manifest.footer.extra["slices"].get(partition) if manifest is not None else None
    if version is None:  # a dataset may be called like a slice
        return {DATASET_TAG: partition if lake.find("drop_manifests", partition) else key.dataset}
    return {DATASET_TAG: key.dataset, VERSION_TAG: str(version)}


def missing_tags(lake: Lake, tags: Mapping[str, str]) -> dict[str, str]:
    """What a run with these tags lacks of them."""
    partition = tags.get(PARTITION_TAG)
    own = own_tags(lake, partition) if partition is not None else {}
    return {name: value for name, value in own.items() if name not in tags}
