"""Sensors of the stage `indexes`: slices whose index was down are brought in later."""

import dagster as dg

from mesh_assets.defs.attempts import no_room, slice_attempt
from mesh_assets.defs.jobs import index_job
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.errors import MeshError
from mesh_assets.indexes.protocol import VectorIndex
from mesh_assets.settings import Settings
from mesh_assets.storage.generations import Generations
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.run_tags import DATASET_TAG

INDEXES = ("vector_index", "fulltext_index", "graph_index")


@dg.sensor(job=index_job, minimum_interval_seconds=120, default_status=dg.DefaultSensorStatus.RUNNING)
def index_catch_up(
    context: dg.SensorEvaluationContext,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
    encoder: dg.ResourceParam[Encoder],
    vectors: dg.ResourceParam[VectorIndex],
) -> dg.SensorResult:
    """Asks for the index of every slice that is pending because its engine was down.

    Removes what is left of an older model's embeddings once the last slice has those of the model in use.
    """
    try:
        for gone in Generations(settings.state).retire(lake, vectors, encoder):
            context.log.info(f"No slice has embeddings of {gone} any more: its files are gone.")
    except (MeshError, OSError) as error:  # the next tick tries again
        context.log.warning(f"An older generation of embeddings is not removed yet: {error}")
    lack = no_room(context.instance, settings)
    if lack:
        return dg.SensorResult([], skip_reason=lack)
    requests: dict[str, dg.RunRequest] = {}
    for asset in INDEXES:
        for footer in lake.manifests()[0].values():
            for key in footer.extra["slices"]:
                state = lake.find(asset, key)
                before = slice_attempt(context.instance, key) if state is not None and state.footer.skipped else None
                if before is not None:
                    # Once for each time that it stayed pending, and again where the run for it was killed.
                    tags = {DATASET_TAG: footer.partition}
                    requests[key] = dg.RunRequest(f"{key}@{before}", partition_key=key, tags=tags)
    return dg.SensorResult(list(requests.values()), skip_reason=None if requests else "No index is pending.")


SENSORS = (index_catch_up,)
