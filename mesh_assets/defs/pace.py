"""How many runs may start: the pools of slices and datasets get the limits that the machine and its owner allow.

While the mesh is paused or out of its hours the limits are 0, so whatever was asked for stays queued, by whomever. They
are seen, and may be changed until the next tick, under Deployment > Concurrency.
"""

import dagster as dg

from mesh_assets.defs.partitions import DATASET_POOL, SLICE_POOL
from mesh_assets.machine import concurrent_runs
from mesh_assets.settings import Settings
from mesh_assets.storage.pace import held
from mesh_assets.wording import count


def set_limits(instance: dg.DagsterInstance, settings: Settings) -> str:
    """Set the limits for the present moment where they differ; a sentence that says what holds."""
    why = held(settings)
    slices = concurrent_runs(settings) if why is None else 0
    # A manifest or a report takes seconds and is not worth a slice's place.
    wanted = {SLICE_POOL: slices, DATASET_POOL: min(slices, 1)}
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits() if not pool.from_default}
    for name, limit in wanted.items():
        if limits.get(name) != limit:
            instance.event_log_storage.set_concurrency_slots(name, limit)
    return why or f"The mesh may work: {count(slices)} slices side by side."


@dg.sensor(minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def pace_sensor(context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]) -> dg.SkipReason:
    """Lets runs start, or holds them while the mesh is paused or out of its working hours; it asks for nothing."""
    return dg.SkipReason(set_limits(context.instance, settings))


SENSORS = (pace_sensor,)
