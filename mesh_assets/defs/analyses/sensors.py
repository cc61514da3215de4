"""Sensors of the stage `analyses`: what was handed in as a batch is collected, and its slices go on."""

import json
from collections.abc import Iterable, Iterator

import dagster as dg

from mesh_assets.defs.attempts import no_room, slice_attempt
from mesh_assets.defs.jobs import BACKFILL_PRIORITY, analyses_job
from mesh_assets.mesh.nodes import nodes_on
from mesh_assets.mesh.shapes import DEPTHS
from mesh_assets.resources.caller import MeshCaller
from mesh_assets.settings import Settings
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.pace import held
from mesh_assets.storage.run_tags import CAN_WAIT_TAG, DATASET_TAG, PRIORITY_TAG

# Providers take minutes to a day; a tick may take 60 s in all.
_EVERY_SECONDS, _COLLECT_SECONDS = 600, 20.0


@dg.sensor(job=analyses_job, minimum_interval_seconds=_EVERY_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING)
def batch_catch_up(
    context: dg.SensorEvaluationContext,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
    caller: dg.ResourceParam[MeshCaller],
) -> dg.SensorResult:
    """Takes the results of batches, and asks for the analyses of the slices that waited for them."""
    if why := held(settings) or no_room(context.instance, settings):
        return dg.SensorResult([], skip_reason=why, cursor=context.cursor)
    # As mesh.yaml is now: this process lives as long as the mesh is up, and runs hand in to nodes that came since.
    nodes = [node for node in nodes_on(caller.states(settings)).values() if node.has_batch]
    # A dataset stays here until none of its slices waits, whoever took its results and whatever was cut off between.
    pending = set[str](json.loads(context.cursor or "[]")) | caller.desk.datasets(nodes)
    lacking = caller.desk.collect(nodes, seconds=_COLLECT_SECONDS)
    waiting = caller.desk.datasets(nodes)
    slices = {dataset: list(_waiting_slices(lake, dataset)) for dataset in sorted(pending)}
    requests = list(_requests(context.instance, slices, pending - waiting))
    left = [dataset for dataset, keys in slices.items() if keys or dataset in waiting]
    skip = " ".join(filter(None, ["Nothing new came of batches.", lacking])) if not requests else None
    return dg.SensorResult(requests, skip_reason=skip, cursor=json.dumps(left))


def _waiting_slices(lake: Lake, dataset: str) -> Iterator[str]:
    for key in sorted(lake.slices(dataset)):
        tables = (lake.find(f"{depth}_analyses", key) for depth in DEPTHS)
        if any(table is not None and table.footer.extra.get("in_batches") for table in tables):
            yield key


def _requests(
    instance: dg.DagsterInstance, slices: dict[str, list[str]], datasets: Iterable[str]
) -> Iterator[dg.RunRequest]:
    for dataset in sorted(datasets):
        for key in slices[dataset]:
            if (before := slice_attempt(instance, key)) is not None:
                # What is asked deeper because of the answers can wait as they could.
                tags = {DATASET_TAG: dataset, CAN_WAIT_TAG: "true", PRIORITY_TAG: BACKFILL_PRIORITY}
                yield dg.RunRequest(f"{key}@{before}", partition_key=key, tags=tags)


SENSORS = (batch_catch_up,)
