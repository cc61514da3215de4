"""What heals by itself while the mesh is up: runs whose process is gone, and slices that nobody works on any more.

The daemon retries a run whose process died three times, and a step that failed once. Beyond that the lake decides: a
slice that is not at its version, and on which no run works, is asked for again after a while.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import dagster as dg

from mesh_assets.defs.attempts import (
    AGAIN_AFTER_SECONDS,
    AT_WORK,
    RETRY_LOST_SECONDS,
    is_recent,
    is_to_be_retried,
    no_room,
)
from mesh_assets.defs.jobs import slice_job
from mesh_assets.settings import Settings
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.progress import dataset_progress
from mesh_assets.storage.run_locks import LOCKS, UP_LOCK, is_alive
from mesh_assets.storage.run_tags import DATASET_TAG, PARTITION_TAG, VERSION_TAG

# How often a slice was asked for again at its version: the wait doubles each time, up to a day.
AGAIN_TAG = "mesh/again"
LONGEST_WAIT_SECONDS = 86_400
# Each costs a look into the instance's database; the others have their turn in the next tick.
LOOKED_AT_PER_TICK = 200
_MAX_RETRIES_TAG = "dagster/max_retries"
_RETRIES = 3  # as `dagster.yaml` has it


def orphans(instance: dg.DagsterInstance, locks: Path, statuses: Sequence[dg.DagsterRunStatus]) -> list[dg.DagsterRun]:
    """Runs with one of these `statuses` whose lock nobody holds: their process is gone, or has only just begun."""
    runs = instance.get_runs(dg.RunsFilter(statuses=list(statuses)))
    return [run for run in runs if not is_alive(locks, run.run_id)]


def end_orphans(
    instance: dg.DagsterInstance, locks: Path, runs: Iterable[dg.DagsterRun], *, why: str, keep_retries: bool
) -> list[str]:
    """Report runs as failed, or as canceled where someone was about to, so that they are retried; their ids.

    With `keep_retries` the end counts for none of the retries that a run has.
    """
    ended: list[str] = []
    for run in runs:
        if keep_retries:
            _, group = instance.get_run_group(run.run_id) or (None, [run])
            instance.add_run_tags(run.run_id, {_MAX_RETRIES_TAG: str(len(list(group)) + _RETRIES - 1)})
        current = instance.get_run_by_id(run.run_id)
        if current is None or current.is_finished or is_alive(locks, run.run_id):
            continue
        if current.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(current, why)
        else:
            instance.report_run_failed(current, why)
        ended.append(run.run_id)
    return ended


def let_sensors_tick(instance: dg.DagsterInstance) -> list[str]:
    """Let those sensors tick whose last tick is in the future, because the clock jumped back; their names.

    Dagster waits until their interval has passed since then: for a clock that was a year ahead, a year.
    """
    mended: list[str] = []
    for state in instance.all_instigator_state():
        memory = state.sensor_instigator_data
        if (
            memory is not None
            and max(memory.last_tick_timestamp or 0, memory.last_tick_start_timestamp or 0) > time.time()
        ):
            memory = memory._replace(last_tick_timestamp=None, last_tick_start_timestamp=None)
            instance.update_instigator_state(state.with_data(memory))
            mended.append(state.origin.instigator_name)
    return mended


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def orphaned_runs(context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]) -> dg.SensorResult:
    """Reports a run as failed whose process ended without a word, as when memory ran out: it is then retried.

    Dagster notices by itself where only the run's process was killed. A run must be found without its process in two
    ticks, because it gives up its lock a moment before it is reported as finished.
    """
    locks = settings.state / LOCKS
    found = orphans(context.instance, locks, [dg.DagsterRunStatus.STARTED])
    before = set[str](json.loads(context.cursor or "[]"))
    again = [run for run in found if run.run_id in before]
    why = "Its process ended without a word: it was killed, perhaps because memory ran out."
    ended = end_orphans(context.instance, locks, again, why=why, keep_retries=False)
    cursor = json.dumps([run.run_id for run in found if run.run_id not in ended])
    said = f"Reported as failed, to be retried: {', '.join(ended)}." if ended else "Every run has its process."
    return dg.SensorResult([], skip_reason=said, cursor=cursor)


@dg.sensor(job=slice_job, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def unfinished_slices(
    context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.SensorResult:
    """Asks again for slices that were given up: ten minutes after their run ended, then after ever longer waits; and,
    two minutes after it, for those whose retry by Dagster got lost.

    That brings in what a full disk, a missing model or a row of kills kept out, without anyone at hand. A run that was
    canceled is left alone. What failed before this start of the mesh is asked for at once.
    """
    lack = no_room(context.instance, settings)
    if lack:
        return dg.SensorResult([], skip_reason=lack, cursor=context.cursor)
    unfinished = sorted(_unfinished(lake))
    cursor = context.cursor or ""
    order = [due for due in unfinished if due[0] > cursor] + [due for due in unfinished if due[0] <= cursor]
    looked_at = order[:LOOKED_AT_PER_TICK]
    started = _last_start(settings.state)
    requests = [
        request
        for key, version, made in looked_at
        if (request := _again(context.instance, key, version, made, started))
    ]
    skip = None if requests else "Every slice is finished, at work, or waits for its turn."
    return dg.SensorResult(requests, skip_reason=skip, cursor=looked_at[-1][0] if looked_at else "")


def _unfinished(lake: Lake) -> Iterator[tuple[str, int, float]]:
    """Slices that are not at their version: key, version, and when the manifest was made that has it."""
    for dataset, footer in lake.manifests()[0].items():
        progress = dataset_progress(lake, dataset)
        yield from ((key, progress.versions[key], footer.made_at) for key in progress.unfinished)


def _again(instance: dg.DagsterInstance, key: str, version: int, made: float, started: float) -> dg.RunRequest | None:
    records = instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: key}), limit=10)
    if any(record.dagster_run.status in AT_WORK for record in records):
        return None
    tags = {DATASET_TAG: key.rpartition(".")[0], VERSION_TAG: str(version)}
    if not records:  # asked for by nobody: the other sensor's memory is of a lake that is no more
        waits = is_recent(made, AGAIN_AFTER_SECONDS)
        return None if waits else dg.RunRequest(f"{key}@{version}:", partition_key=key, tags=tags)
    run, ended = records[0].dagster_run, records[0].end_time or 0.0
    if run.status == dg.DagsterRunStatus.CANCELED:
        return None
    times = int(run.tags.get(AGAIN_TAG, "0")) if run.tags.get(VERSION_TAG) == str(version) else 0
    if is_to_be_retried(run):
        if is_recent(ended, RETRY_LOST_SECONDS):
            return None
    elif is_recent(ended, min(AGAIN_AFTER_SECONDS << min(times, 16), LONGEST_WAIT_SECONDS)) and ended > started:
        return None
    return dg.RunRequest(f"{key}@{version}:{run.run_id}", partition_key=key, tags={**tags, AGAIN_TAG: str(times + 1)})


def _last_start(state: Path) -> float:
    """When `mesh up` began, in seconds since 1970; 0 where Dagster was started otherwise."""
    try:
        return (state / UP_LOCK).stat().st_mtime
    except FileNotFoundError:
        return 0.0


SENSORS = (orphaned_runs, unfinished_slices)
