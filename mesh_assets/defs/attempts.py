"""When a sensor may ask for a run of a dataset, and what makes its run key new.

Dagster never runs a run key twice. A key made of content alone would lose a change that is taken back, a run that
failed, and everything after the state folder was deleted; so each key names the run before it as well.
"""

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
    """The id of the run before, empty for the first; None while nothing is to be asked for.

    That is while a run is queued or at work, and for some minutes after a failure.
    """
    filters = dg.RunsFilter(job_name=job, tags={DATASET_TAG: dataset})
    records = instance.get_run_records(filters, limit=1)
    if not records:
        return ""
    run, ended = records[0].dagster_run, records[0].end_time
    if run.status in AT_WORK:
        return None
    if run.status in GIVEN_UP and time.time() - (ended or 0.0) < AGAIN_AFTER_SECONDS:
        return None
    return run.run_id
