"""What Dagster's instance knows of slices that are not finished: at work, queued, failed, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mesh_assets.cli.home import use_dagster_home
from mesh_assets.settings import Settings
from mesh_assets.storage.backfills import recorded
from mesh_assets.storage.run_tags import PARTITION_TAG
from mesh_assets.storage.status import DatasetStatus

if TYPE_CHECKING:
    import dagster as dg

_KEYS_A_QUERY = 500
_RUNS_A_QUERY = 5000
# As many failures are told in words; the rest are in the UI.
MOST_FAILURES = 10


@dataclass(frozen=True, slots=True)
class FailedSlice:
    """A slice whose latest run failed: the step, and what it says of the reason."""

    slice: str
    run_id: str
    step: str
    why: str


@dataclass(frozen=True, slots=True)
class RunStates:
    """`counts` of unfinished slices by state for each dataset, and the first failures in words."""

    counts: dict[str, dict[str, int]]
    failed: tuple[FailedSlice, ...]


def run_states(found: Sequence[DatasetStatus]) -> RunStates:
    """The state of each unfinished slice, by its latest run, whoever started that."""
    use_dagster_home()
    import dagster as dg

    counts: dict[str, dict[str, int]] = {}
    failed: list[dg.DagsterRun] = []
    with dg.DagsterInstance.get() as instance:
        for dataset in found:
            latest = _latest(instance, dataset.unfinished)
            states = Counter(latest[key].status.value if key in latest else "WAITING" for key in dataset.unfinished)
            counts[dataset.dataset] = {
                "running": states["STARTED"] + states["STARTING"],
                "queued": states["QUEUED"] + states["NOT_STARTED"] + states["WAITING"] + states["SUCCESS"],
                "failed": states["FAILURE"] + states["CANCELED"],
            }
            failed += [run for _, run in sorted(latest.items()) if run.status is dg.DagsterRunStatus.FAILURE]
        return RunStates(counts, tuple(_failure(instance, run) for run in failed[:MOST_FAILURES]))


def datasets_asked_for(datasets: Sequence[str], settings: Settings) -> set[str]:
    """Those of `datasets` of which a backfill is recorded for the next `mesh up`, or not over yet."""
    use_dagster_home()
    import dagster as dg

    from mesh_assets.storage.dagster_history import DagsterHistory

    waiting = {backfill.dataset for _, backfill in recorded(settings.state / "backfills")}
    with dg.DagsterInstance.get() as instance:
        begun = {dataset for dataset in datasets if DagsterHistory(instance, dataset).backfills(unfinished=True)}
        return waiting.intersection(datasets) | begun


def _latest(instance: dg.DagsterInstance, slices: Sequence[str]) -> dict[str, dg.DagsterRun]:
    import dagster as dg

    latest: dict[str, dg.DagsterRun] = {}
    for keys in _in_parts(slices):
        # The newest come first.
        for run in instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: keys}), limit=_RUNS_A_QUERY):
            latest.setdefault(run.tags[PARTITION_TAG], run)
    return latest


def _failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> FailedSlice:
    import dagster as dg

    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    for record in records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            data = event.step_failure_data
            if data.error and data.error.cls_name == dg.DagsterExecutionInterruptedError.__name__:
                why = "The mesh was stopped while it was at work; it is started again by itself."
                return FailedSlice(run.tags[PARTITION_TAG], run.run_id, event.step_key or "", why)
            told = data.user_failure_data.description if data.user_failure_data else None
            plain = data.error.message.strip().splitlines()[:1] if data.error else []
            why = told or " ".join(plain) or "It did not say why."
            return FailedSlice(run.tags[PARTITION_TAG], run.run_id, event.step_key or "", why)
    why = "Its process ended before a step could say why; it is started again by itself, three times."
    return FailedSlice(run.tags[PARTITION_TAG], run.run_id, "", why)


def _in_parts(keys: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while part := list(islice(rest, _KEYS_A_QUERY)):
        yield part
