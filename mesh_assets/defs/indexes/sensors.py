"""Sensors of the stage `indexes`: slices whose index was down are brought in later."""

import dagster as dg

from mesh_assets.defs.jobs import index_job
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.run_tags import DATASET_TAG

INDEXES = ("vector_index", "fulltext_index")


@dg.sensor(job=index_job, minimum_interval_seconds=120, default_status=dg.DefaultSensorStatus.RUNNING)
def index_catch_up(lake: dg.ResourceParam[Lake]) -> dg.SensorResult:
    """Asks for the index of every slice that is pending because its engine was down."""
    requests: dict[str, dg.RunRequest] = {}
    for asset in INDEXES:
        for footer in lake.manifests()[0].values():
            for key in footer.extra["slices"]:
                state = lake.find(asset, key)
                if state is not None and state.footer.skipped:
                    # Once for each time that it stayed pending.
                    tags = {DATASET_TAG: footer.partition}
                    requests[key] = dg.RunRequest(f"{key}@{state.footer.run_id}", partition_key=key, tags=tags)
    return dg.SensorResult(list(requests.values()), skip_reason=None if requests else "No index is pending.")


SENSORS = (index_catch_up,)
