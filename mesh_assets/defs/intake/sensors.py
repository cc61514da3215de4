"""Sensors of the stage `intake`: what is new in the drop area, and which slices are to be done."""

import json
import time
from collections.abc import Collection, Iterator, Mapping

import dagster as dg

from mesh_assets.defs.attempts import attempt, no_room
from mesh_assets.defs.jobs import MANIFEST_PRIORITY, manifest_job, slice_job
from mesh_assets.defs.partitions import DATASETS
from mesh_assets.intake.drop_area import WALKS, DropArea, DropWatch
from mesh_assets.intake.due import Asked, Due, due_slices, slices_of
from mesh_assets.settings import Settings
from mesh_assets.slices import slice_priority
from mesh_assets.storage.lake import Footer, Lake
from mesh_assets.storage.pace import held
from mesh_assets.storage.retirement import retirable
from mesh_assets.storage.run_tags import DATASET_TAG, PRIORITY_TAG, VERSION_TAG

# Dagster ends a tick after 60 s; a walk that needs longer goes on in the next tick.
WALK_SECONDS = 10.0
# Enough to keep every machine busy until the next tick, and little beside the tick's own time.
REQUESTS_PER_TICK = 500


@dg.sensor(job=manifest_job, minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.RUNNING)
def drop_sensor(
    context: dg.SensorEvaluationContext,
    lake: dg.ResourceParam[Lake],
    drop_area: dg.ResourceParam[DropArea],
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult:
    """Watches the drop area by `stat` alone and asks for the manifest of each dataset in which something changed."""
    if (why := held(settings)) is not None:  # a walk reads the disk: it waits like all other work
        return dg.SensorResult(skip_reason=why, cursor=context.cursor)
    footers, damaged = lake.manifests()
    digests = {dataset: str(footer.extra["digest"]) for dataset, footer in footers.items()}
    taken = {dataset: footer.extra.get("growing", {}) for dataset, footer in footers.items()}
    watch = DropWatch(drop_area, settings.state / WALKS)
    folders = drop_area.folders()
    cursor, requests = context.cursor or "", list[dg.RunRequest]()
    cursor = cursor if cursor in folders else ""  # a dataset that was forgotten is not named any more
    until = time.monotonic() + WALK_SECONDS
    for dataset, digest in watch.changed(
        digests.get, after=cursor, until=until, taken=lambda dataset: taken.get(dataset, {})
    ):
        cursor = dataset
        before = attempt(context.instance, manifest_job.name, "drop_manifests", dataset) if digest is not None else None
        if before is not None:
            key = f"{dataset}@{digest}:{before}"
            tags = {DATASET_TAG: dataset, PRIORITY_TAG: MANIFEST_PRIORITY}
            requests.append(dg.RunRequest(key, partition_key=dataset, tags=tags))
    requests += _retirements(context.instance, lake, footers, set(folders) - {r.partition_key for r in requests})
    return dg.SensorResult(
        requests,
        skip_reason=None if requests else " ".join([f"Nothing new in {drop_area.root}.", *damaged]),
        cursor=cursor,
        dynamic_partitions_requests=[DATASETS.build_add_request([str(r.partition_key) for r in requests])],
    )


def _retirements(
    instance: dg.DagsterInstance, lake: Lake, manifests: Mapping[str, Footer], datasets: Collection[str]
) -> Iterator[dg.RunRequest]:
    """Manifests to be made because slices were emptied: the next one leaves them out and removes what is left."""
    for dataset in datasets:
        footer = manifests.get(dataset)
        if footer is not None and retirable(lake, footer):
            before = attempt(instance, manifest_job.name, "drop_manifests", dataset)
            if before is not None:
                key = f"{dataset}@{footer.extra['version']}-retire:{before}"
                tags = {DATASET_TAG: dataset, PRIORITY_TAG: MANIFEST_PRIORITY}
                yield dg.RunRequest(key, partition_key=dataset, tags=tags)


@dg.sensor(job=slice_job, minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.RUNNING)
def slice_sensor(
    context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.SensorResult:
    """Asks for every slice that is new or has changed; for one that keeps changing, once it has settled."""
    lack = no_room(context.instance, settings)
    if lack:
        return dg.SensorResult([], skip_reason=lack, cursor=context.cursor)
    stored: dict[str, object] = json.loads(context.cursor or "{}")
    footers, damaged = lake.manifests()
    known = lake.datasets("drop_manifests")  # a dataset that was forgotten leaves no trace in the cursor either
    cursor = {dataset: kept for dataset, kept in stored.items() if dataset in known}
    requests: list[dg.RunRequest] = []
    waiting = 0
    for dataset, footer in footers.items():
        due, asked = due_slices(
            Asked.of(stored.get(dataset), footer.extra["slices"]),
            slices_of(footer.extra),
            now=time.time(),
            settle=settings.settle_seconds,
            # What does not fit into this tick is asked for in the next one.
            limit=REQUESTS_PER_TICK - len(requests),
        )
        requests += [_slice_request(dataset, found) for found in due]
        cursor[dataset] = asked.stored()
        waiting += asked.waiting
    reasons = ["Every slice was asked for at its present version."]
    if waiting:
        reasons = [f"{waiting} slices keep changing: they are asked for once they settle, or after ten minutes."]
    skip = None if requests else " ".join([*reasons, *damaged])
    return dg.SensorResult(requests, skip_reason=skip, cursor=json.dumps(cursor))


def _slice_request(dataset: str, due: Due) -> dg.RunRequest:
    found = due.slice
    tags = {
        DATASET_TAG: dataset,
        VERSION_TAG: str(found.version),
        PRIORITY_TAG: str(slice_priority(found.size, is_new=due.is_new)),
    }
    return dg.RunRequest(f"{found.key}@{found.version}", partition_key=found.key, tags=tags)


SENSORS = (drop_sensor, slice_sensor)
