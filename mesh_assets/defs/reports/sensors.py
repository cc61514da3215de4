"""When a dataset gets its report: as soon as its slices are done, and every night."""

import json

import dagster as dg

from mesh_assets.defs.jobs import DATASET_TAG, VERSION_TAG, report_job
from mesh_assets.slices import LOOSE_FILES
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.progress import DatasetProgress, dataset_progress

_GIVEN_UP = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_AT_WORK = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(job=report_job, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def dataset_report_sensor(context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]) -> dg.SensorResult:
    """Asks for the report of each dataset whose slices are all done, or failed for good, since its last report."""
    asked: dict[str, str] = json.loads(context.cursor or "{}")
    requests: list[dg.RunRequest] = []
    for dataset in lake.datasets("drop_manifests"):
        progress = dataset_progress(lake, dataset)
        if dataset == LOOSE_FILES or not _settled(context.instance, progress):
            continue
        report = lake.find("dataset_reports", dataset)
        written = report.footer.extra["state"] if report else ""
        if progress.digest not in (written, asked.get(dataset)):
            base = report.footer.run_id if report else ""
            tags = {DATASET_TAG: dataset}
            requests.append(dg.RunRequest(f"{dataset}@{progress.digest}:{base}", partition_key=dataset, tags=tags))
        asked[dataset] = progress.digest
    skip = None if requests else "No dataset has finished since its last report."
    return dg.SensorResult(requests, skip_reason=skip, cursor=json.dumps(asked))


def _settled(instance: dg.DagsterInstance, progress: DatasetProgress) -> bool:
    """Whether every slice is done, or its run at the present version failed and none is at work on it."""
    waiting = {(key, str(progress.versions[key])) for key in progress.unfinished}
    if not waiting:
        return True
    tags = {DATASET_TAG: progress.dataset}
    if instance.get_runs_count(dg.RunsFilter(tags=tags, statuses=_AT_WORK)):
        return False
    failed = instance.get_runs(dg.RunsFilter(tags=tags, statuses=_GIVEN_UP))
    return waiting <= {(run.tags.get("dagster/partition", ""), run.tags.get(VERSION_TAG, "")) for run in failed}


@dg.schedule(
    job=report_job,
    cron_schedule="0 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_reports(
    context: dg.ScheduleEvaluationContext, lake: dg.ResourceParam[Lake]
) -> list[dg.RunRequest] | dg.SkipReason:
    """Every night at three, the report of each dataset that changed in a way that no sensor has seen."""
    night = context.scheduled_execution_time.date()
    datasets = [dataset for dataset in lake.datasets("drop_manifests") if dataset != LOOSE_FILES]
    requests = [
        dg.RunRequest(f"{dataset}@{night}", partition_key=dataset, tags={DATASET_TAG: dataset}) for dataset in datasets
    ]
    return requests or dg.SkipReason("There is no dataset yet.")


SENSORS = (dataset_report_sensor,)
SCHEDULES = (nightly_reports,)
