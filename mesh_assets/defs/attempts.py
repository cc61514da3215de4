"""The runs of a dataset or slice, whoever started them: a sensor, a backfill, a person in the UI.

They are found by Dagster's own partition tag, which every run has. From them follows when a sensor may ask for a run,
and what makes its run key new: Dagster never runs a run key twice. A key made of content alone would lose a change
that is taken back, a run that failed, and everything after the state folder was deleted; so each key names the run
before it as well.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import dagster as dg

from mesh_assets.settings import MIB, Settings
from mesh_assets.storage.filesystem import free_bytes
from mesh_assets.storage.run_tags import DATASET_TAG, PARTITION_TAG, VERSION_TAG
from mesh_assets.wording import size

# A fault that lasts (a disk that is full) costs a run each time; one that passes should not wait for a person.
AGAIN_AFTER_SECONDS = 600
# Dagster retries a run whose process died within seconds, or never: where its daemon reads of the failure before the
# run's status says so, as happens on a busy machine, the retry that it announced is lost.
RETRY_LOST_SECONDS = 120
AT_WORK = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
GIVEN_UP = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
# A dataset key has runs of two assets, and may be that of a slice of another dataset: this finds the one looked for.
_LOOK_BACK = 50
# SQLite takes some thousand values in one statement; a few hundred are as fast.
_KEYS_A_QUERY = 500


def is_recent(when: float, seconds: float) -> bool:
    """Whether `when`, in seconds since 1970, is less than `seconds` ago.

    What lies in the future was written before the clock jumped back: nobody knows how long ago, so it blocks nothing.
    """
    return 0 <= time.time() - when < seconds


def is_to_be_retried(run: dg.DagsterRun) -> bool:
    """Whether Dagster has announced that it retries this run by itself."""
    return run.tags.get("dagster/will_retry") == "true"


def attempt(instance: dg.DagsterInstance, job: str, asset: str, dataset: str) -> str | None:
    """The id of the run before that made `asset` of `dataset`, empty for the first; None while none is to be asked for.

    That is while a run is queued or at work, and for some minutes after a failure. `job` is the sensors' own.
    """
    records = instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: dataset}), limit=_LOOK_BACK)
    return _attempt([record for record in records if _makes(record.dagster_run, job, asset)])


def slice_attempt(instance: dg.DagsterInstance, slice_key: str) -> str | None:
    """The same for a slice, whatever made anything of it."""
    return _attempt(instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: slice_key}), limit=1))


def _attempt(records: Sequence[dg.RunRecord]) -> str | None:
    if not records:
        return ""
    run = records[0].dagster_run
    if run.status in AT_WORK:
        return None
    wait = RETRY_LOST_SECONDS if is_to_be_retried(run) else AGAIN_AFTER_SECONDS
    if run.status in GIVEN_UP and is_recent(records[0].end_time or 0.0, wait):
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


def _makes(run: dg.DagsterRun, job: str, asset: str) -> bool:
    """A run by hand or of a backfill has a selection of assets, one of a sensor has its job."""
    return run.job_name == job or dg.AssetKey(asset) in (run.asset_selection or ())


def is_at_work(instance: dg.DagsterInstance, dataset: str, slices: Sequence[str]) -> bool:
    """Whether a run of the dataset or of one of its slices is queued or at work."""
    by_dataset = dg.RunsFilter(tags={DATASET_TAG: dataset}, statuses=AT_WORK)
    if instance.get_run_records(by_dataset, limit=1):
        return True
    # Runs by hand that have not started yet do not have our tag.
    return any(
        instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: keys}, statuses=AT_WORK), limit=1)
        for keys in _in_parts([dataset, *slices])
    )


def all_given_up(instance: dg.DagsterInstance, versions: dict[str, int], *, since: float) -> bool:
    """Whether each slice has a run at its version that failed or was cancelled `since` seconds ago or more."""
    for keys in _in_parts(sorted(versions)):
        records = instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: keys}, statuses=GIVEN_UP))
        tags = [r.dagster_run.tags for r in records if not is_recent(r.end_time or 0.0, since)]
        failed = {(run_tags[PARTITION_TAG], run_tags.get(VERSION_TAG, "")) for run_tags in tags}
        if not {(key, str(versions[key])) for key in keys} <= failed:
            return False
    return True


def _in_parts(keys: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while part := list(islice(rest, _KEYS_A_QUERY)):
        yield part
