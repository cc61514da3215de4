"""When a sensor may ask for a run, and what makes its run key new.

Dagster never runs a run key twice. A key made of content alone would lose a change that is taken back, a run that
failed, and everything after the state folder was deleted; so each key names the run before it as well.
"""

import time
from pathlib import Path

import dagster as dg

from mesh_assets.defs.jobs import DATASET_TAG
from mesh_assets.settings import MIB, Settings
from mesh_assets.storage.filesystem import free_bytes
from mesh_assets.wording import size

# A fault that lasts (a disk that is full) costs a run each time; one that passes should not wait for a person.
AGAIN_AFTER_SECONDS = 600
PARTITION_TAG = "dagster/partition"
AT_WORK = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
GIVEN_UP = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def is_recent(when: float, seconds: float) -> bool:
    """Whether `when`, in seconds since 1970, is less than `seconds` ago.

    What lies in the future was written before the clock jumped back: nobody knows how long ago, so it blocks nothing.
    """
    return 0 <= time.time() - when < seconds


def attempt(instance: dg.DagsterInstance, job: str, dataset: str) -> str | None:
    """The id of the run before, empty for the first; None while nothing is to be asked for.

    That is while a run is queued or at work, and for some minutes after a failure.
    """
    return _attempt(instance, dg.RunsFilter(job_name=job, tags={DATASET_TAG: dataset}))


def slice_attempt(instance: dg.DagsterInstance, slice_key: str) -> str | None:
    """The same for a slice, whichever job worked on it."""
    return _attempt(instance, dg.RunsFilter(tags={PARTITION_TAG: slice_key}))


def _attempt(instance: dg.DagsterInstance, filters: dg.RunsFilter) -> str | None:
    records = instance.get_run_records(filters, limit=1)
    if not records:
        return ""
    run, ended = records[0].dagster_run, records[0].end_time
    if run.status in AT_WORK:
        return None
    if run.status in GIVEN_UP and is_recent(ended or 0.0, AGAIN_AFTER_SECONDS):
        return None
    return run.run_id


def no_room(instance: dg.DagsterInstance, settings: Settings) -> str:
    """Why no slice is to be started, as a sentence; empty where the disks have room.

    A run that meets a full disk loses nothing but time; Dagster's databases, which lie on the same disk as a rule, may.
    """
    folders = {"MESH_STATE": settings.state, "DAGSTER_HOME": Path(instance.root_directory)}
    for name, folder in folders.items():
        free = free_bytes(folder)
        if free < settings.keep_free_mib * MIB:
            return (
                f"No slice is started: {folder} ({name}) has {size(free)} free, less than MESH_KEEP_FREE_MIB "
                f"({settings.keep_free_mib:,} MiB). Make room, or lower the setting."
            )
    return ""
