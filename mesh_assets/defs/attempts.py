"""When a sensor may ask again for a run that failed. A run key is never run twice, so a failure would last for ever."""

import time

import dagster as dg

from mesh_assets.defs.jobs import DATASET_TAG

# A fault that lasts (a disk that is full) costs a run each time; one that passes should not wait for a person.
AGAIN_AFTER_SECONDS = 600
AT_WORK = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
GIVEN_UP = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def attempt(instance: dg.DagsterInstance, job: str, dataset: str) -> str | None:
    """What makes the next run key of a dataset's job new: the run that failed last, if it did.

    None while a run is queued or at work, and for some minutes after a failure: then nothing is to be asked for.
    """
    filters = dg.RunsFilter(job_name=job, tags={DATASET_TAG: dataset})
    records = instance.get_run_records(filters, limit=1)
    if not records:
        return ""
    run, ended = records[0].dagster_run, records[0].end_time
    if run.status in AT_WORK:
        return None
    if run.status not in GIVEN_UP:
        return ""
    return f":{run.run_id}" if time.time() - (ended or 0.0) >= AGAIN_AFTER_SECONDS else None
