"""When a dataset gets its report: as soon as its slices are done, and every night."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress

import dagster as dg

from mesh_assets.defs.attempts import all_given_up, attempt, is_at_work
from mesh_assets.defs.jobs import REPORT_PRIORITY, report_job
from mesh_assets.errors import MeshError
from mesh_assets.insights.expected_time import Pace
from mesh_assets.machine import concurrent_runs
from mesh_assets.settings import Settings
from mesh_assets.slices import LOOSE_FILES
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.progress import DatasetProgress, dataset_progress
from mesh_assets.storage.run_tags import DATASET_TAG, PRIORITY_TAG
from mesh_assets.storage.run_times import pace_of
from mesh_assets.storage.status import Left

# The retry of a run that was killed is queued within seconds of its failure; after this time none is to come.
RETRY_SECONDS = 60
# How far a dataset is, is said this often.
PROGRESS_SECONDS = 60
# No dataset can have this key: when it was last said.
_SAID = "@"


@dg.sensor(job=report_job, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def dataset_report_sensor(
    context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.SensorResult:
    """Asks for the report of each dataset whose slices are all done, or failed for good, since its last report.

    While slices are worked on it notes how far each dataset is, and when it will be done, on `dataset_reports`.
    """
    requests: list[dg.RunRequest] = []
    footers, problems = lake.manifests()
    observed, cursor = _progress(context.cursor, lake, list(footers), settings)
    for dataset in footers:
        try:
            request = _report_request(context.instance, lake, dataset) if dataset != LOOSE_FILES else None
        except MeshError as error:  # one damaged table must not keep the other datasets from their reports
            problems.append(str(error))
            continue
        requests += [request] if request else []
    skip = None if requests else " ".join(["No dataset has finished since its last report.", *problems])
    return dg.SensorResult(requests, skip_reason=skip, asset_events=observed, cursor=cursor)


def _progress(
    cursor: str | None, lake: Lake, datasets: Sequence[str], settings: Settings
) -> tuple[list[dg.AssetObservation], str | None]:
    """How far each dataset is, a minute after it was last said, and only where slices were finished since; and what
    was said, as the cursor."""
    said: dict[str, int] = json.loads(cursor or "{}")
    if time.time() - said.get(_SAID, 0) < PROGRESS_SECONDS:
        return [], cursor
    events: list[dg.AssetObservation] = []
    pace = pace_of(lake) if datasets else None
    now: dict[str, int] = {_SAID: int(time.time())}
    for dataset in datasets:
        with suppress(MeshError):  # what is wrong with it is said by the tick itself
            progress = dataset_progress(lake, dataset)
            now[dataset] = len(progress.finished)
            if pace is not None and progress.versions and said.get(dataset) != now[dataset]:
                numbers = _numbers(progress, Left.of(lake, progress), pace, concurrent_runs(settings))
                events.append(dg.AssetObservation("dataset_reports", partition=dataset, metadata=numbers))
    return events, json.dumps(now)


def _numbers(
    progress: DatasetProgress, left: Left, pace: Pace, side_by_side: int
) -> dict[str, dg.MetadataValue | int | float]:
    numbers: dict[str, dg.MetadataValue | int | float] = {
        "slices_done": len(progress.finished),
        "slices": len(progress.versions),
        "bytes_left": left.bytes,
    }
    span = left.seconds(pace, side_by_side)
    if span is not None:
        numbers |= {"seconds_left": span.likely, "seconds_left_low": span.low, "seconds_left_high": span.high}
        numbers["done_at"] = dg.MetadataValue.timestamp(time.time() + span.likely)
        if span.likely:
            numbers["bytes_per_second"] = left.bytes / span.likely
    return numbers


def _report_request(instance: dg.DagsterInstance, lake: Lake, dataset: str) -> dg.RunRequest | None:
    progress = dataset_progress(lake, dataset)
    report = lake.find("dataset_reports", dataset)
    if report is not None and report.footer.extra["state"] == progress.digest:
        return None
    before = attempt(instance, report_job.name, "dataset_reports", dataset) if _settled(instance, progress) else None
    if before is None:
        return None
    return dg.RunRequest(f"{dataset}@{progress.digest}:{before}", partition_key=dataset, tags=_tags(dataset))


def _tags(dataset: str) -> dict[str, str]:
    return {DATASET_TAG: dataset, PRIORITY_TAG: REPORT_PRIORITY}


def _settled(instance: dg.DagsterInstance, progress: DatasetProgress) -> bool:
    """Whether every slice is done, or its run at the present version failed and none is at work on it."""
    waiting = progress.unfinished
    if not waiting:
        return True
    if is_at_work(instance, progress.dataset, waiting):
        return False
    return all_given_up(instance, {key: progress.versions[key] for key in waiting}, since=RETRY_SECONDS)


@dg.schedule(
    job=report_job,
    cron_schedule="0 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_reports(
    context: dg.ScheduleEvaluationContext, lake: dg.ResourceParam[Lake]
) -> list[dg.RunRequest] | dg.SkipReason:
    """Every night at three (UTC), the report of each dataset, also where a sensor missed a change or a run failed."""
    night = context.scheduled_execution_time.date()
    datasets = [dataset for dataset in lake.datasets("drop_manifests") if dataset != LOOSE_FILES]
    requests = [dg.RunRequest(f"{dataset}@{night}", partition_key=dataset, tags=_tags(dataset)) for dataset in datasets]
    return requests or dg.SkipReason("There is no dataset yet.")


SENSORS = (dataset_report_sensor,)
SCHEDULES = (nightly_reports,)
