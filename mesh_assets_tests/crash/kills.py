"""Kills run workers in the middle of a stage: at a random point of it, and certainly before it has ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import dagster as dg

from mesh_assets_tests.crash.live import WAIT_SECONDS, LiveMesh

_STEP_EVENTS = {
    dg.DagsterEventType.STEP_START,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
}


@dataclass
class Target:
    """One kill to be made: in `step` of the run for `partition`, after this part of its usual duration."""

    partition: str
    step: str
    fraction: float
    killed: str = ""  # the run that was killed, once it was

    @property
    def dataset(self) -> str:
        """The dataset whose run is killed."""
        return self.partition.split(".")[0]


@dataclass
class Hunter:
    """Makes kills on a live mesh. `durations` are those of undisturbed steps, in seconds."""

    mesh: LiveMesh
    durations: Mapping[str, float]
    drop: Callable[[str], None]

    def hunt(self, targets: list[Target]) -> None:
        """Drop a dataset for each target and kill each once, whichever comes first.

        Where a kill would come too late, the step having ended, another dataset is dropped to try it on.
        """
        for target in targets:
            self.drop(target.dataset)
        end = time.monotonic() + WAIT_SECONDS
        while left := [target for target in targets if not target.killed]:
            assert time.monotonic() < end, f"never hit: {left}\n{self.mesh.said()}"
            runs = self.mesh.runs([dg.DagsterRunStatus.STARTED])
            for target in left:
                for run in runs:
                    if run.tags.get("dagster/partition") == target.partition:
                        self._try(target, run.run_id)
                if not target.killed and self.mesh.is_done(target.dataset):
                    self._drop_another(target)
            time.sleep(0.03)

    def _try(self, target: Target, run_id: str) -> None:
        started = self._is_in(target.step, run_id)
        if started is None:
            return
        point = started + target.fraction * self.durations[target.step]
        while time.time() < point and self._is_in(target.step, run_id) is not None:
            time.sleep(0.01)
        worker = self.mesh.worker(run_id)
        if worker is None:
            return
        with suppress(ProcessLookupError):
            # Wherever it is, in the middle of writing to Dagster's database too.
            os.kill(worker, signal.SIGKILL)
            if self._is_in(target.step, run_id) is not None:
                target.killed = run_id

    def _drop_another(self, target: Target) -> None:
        target.partition = target.partition.replace(target.dataset, f"{target.dataset}x")
        target.fraction /= 3
        self.drop(target.dataset)

    def _is_in(self, step: str, run_id: str) -> float | None:
        """When the step started, in seconds since 1970; None where it has not, or has ended."""
        started = None
        for entry in self.mesh.instance.all_logs(run_id, of_type=_STEP_EVENTS):
            event = entry.dagster_event
            if event is not None and event.step_key == step:
                started = entry.timestamp if event.event_type == dg.DagsterEventType.STEP_START else None
        return started
