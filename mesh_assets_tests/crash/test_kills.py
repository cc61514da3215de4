"""A mesh whose parts are killed ends with what an undisturbed one has, without anyone's help."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import pytest

from mesh_assets.stages import ASSETS
from mesh_assets.storage.run_locks import LOCKS
from mesh_assets_tests.crash.input import fill
from mesh_assets_tests.crash.kills import Hunter, Target
from mesh_assets_tests.crash.live import LiveMesh
from mesh_assets_tests.crash.snapshot import files, snapshot
from mesh_assets_tests.crash.tiny_model import make_tiny_model
from mesh_assets_tests.flow.location import Location

SEED = 20261124


@dataclass
class Scene:
    """A live mesh, and where an undisturbed one is made from the same drops, in this process."""

    mesh: LiveMesh
    size: int

    def drop(self, dataset: str) -> None:
        """Put a dataset of its own content into the drop area, in one step."""
        names = sorted(path.name for path in self.mesh.settings.drops.iterdir())
        beside = self.mesh.folder / f"filling-{dataset}"
        fill(beside, self.size, seed=len(names))
        beside.rename(self.mesh.settings.drops / dataset)

    def undisturbed(self) -> Location:
        """The same drops, settled without a kill."""
        location = Location(self.mesh.folder / "undisturbed", options={"embedding_model": str(self.mesh.model)})
        location.settings.drops.rmdir()
        location.settings.drops.symlink_to(self.mesh.settings.drops)
        location.settle()
        return location

    def durations(self) -> dict[str, float]:
        """How long each step takes, measured in this process on one dataset."""
        location = Location(self.mesh.folder / "measured", options={"embedding_model": str(self.mesh.model)})
        fill(location.settings.drops / "measured", self.size, seed=0)
        location.settle()
        instance = location.instance
        statistics = [s for run in instance.get_runs() for s in instance.get_run_step_stats(run.run_id)]
        return {s.step_key: s.end_time - s.start_time for s in statistics if s.end_time and s.start_time}

    def datasets(self) -> list[str]:
        return sorted(path.name for path in self.mesh.settings.drops.iterdir())

    def wait_until_done(self) -> None:
        """Every dataset has its report, and no run is queued or at work."""
        for dataset in self.datasets():
            self.mesh.wait_for(f"the end of {dataset}", lambda dataset=dataset: self.mesh.is_done(dataset))
        busy = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]
        busy += [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
        self.mesh.wait_for("the end of every run", lambda: not self.mesh.runs(busy))

    def kill_everything_within(self, step: str) -> None:
        """SIGKILL to all of the mesh while a run is in a step; then `mesh up` again."""
        started = dg.DagsterEventType.STEP_START

        def is_in_it() -> bool:
            return any(
                entry.dagster_event is not None and entry.dagster_event.step_key == step
                for run in self.mesh.runs([dg.DagsterRunStatus.STARTED])
                for entry in self.mesh.instance.all_logs(run.run_id, of_type=started)
            )

        self.mesh.wait_for(f"a run in {step}", is_in_it, every=0.02)
        self.mesh.kill_everything()
        assert self.mesh.runs([dg.DagsterRunStatus.STARTED]), "a power failure leaves runs that look alive"
        self.set_clock_back()
        self.mesh.start()

    def set_clock_back(self) -> None:
        """As if the clock had been a year ahead until now: the sensors remember ticks in the future."""
        instance, future = self.mesh.instance, time.time() + 365 * 86_400
        for state in instance.all_instigator_state():
            memory = state.sensor_instigator_data
            if memory is not None:
                memory = memory._replace(last_tick_timestamp=future, last_tick_start_timestamp=future)
                instance.update_instigator_state(state.with_data(memory))

    def kill_the_daemon(self) -> None:
        """SIGKILL to the daemon alone: `mesh up` starts it again."""
        daemons = self._daemons()
        for daemon in daemons:
            daemon.kill()
        self.mesh.wait_for("another daemon", lambda: self._daemons() and not set(self._daemons()) & set(daemons))

    def kill_mesh_up(self) -> None:
        """SIGKILL to `mesh up` alone: its children live on, and the next `mesh up` takes over from them."""
        before = self.mesh.processes()
        assert self.mesh.process is not None
        self.mesh.process.kill()
        self.mesh.process.wait()
        assert self._daemons(), "they live on"
        self.mesh.start()
        self.mesh.wait_for("the end of the old ones", lambda: not set(before) & set(self.mesh.processes()))
        self.mesh.wait_for("a daemon", self._daemons)
        assert len(self._daemons()) == 1

    def _daemons(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in self.mesh.processes():
            with suppress(psutil.Error):
                if "dagster._daemon" in process.cmdline():
                    found.append(process)
        return found

    def check(self, targets: list[Target]) -> None:
        """Nothing lost, nothing doubled, nothing left behind."""
        for target in targets:
            run = self.mesh.instance.get_run_by_id(target.killed)
            assert run is not None
            assert run.status == dg.DagsterRunStatus.FAILURE
            pools = run.run_op_concurrency.all_pools if run.run_op_concurrency else set()
            assert pools, "each run holds a slot of a pool"
            for pool in pools:
                slots = self.mesh.instance.event_log_storage.get_concurrency_info(pool)
                assert not slots.claimed_slots
                assert not slots.pending_steps
        calm = self.undisturbed()
        calm_state = snapshot(calm.settings, self.datasets())
        found = snapshot(self.mesh.settings, self.datasets())
        assert found.keys() == calm_state.keys()
        different = [name for name, value in found.items() if value != calm_state[name]]
        assert not different
        assert files(self.mesh.settings.state) == files(calm.settings.state)
        assert not list((self.mesh.settings.state / LOCKS).iterdir())
        assert not list((self.mesh.settings.state / "lake").rglob("*.parts"))
        words = {path.name for path in (self.mesh.settings.state / "indexes" / "words").rglob("*")}
        assert not {name for name in words if name.startswith(".tmp")}


@pytest.fixture
def scene(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    mesh = LiveMesh(tmp_path, make_tiny_model(tmp_path / "model"))
    scene = Scene(mesh, size=request.param)
    yield scene
    if mesh.process is not None:
        mesh.kill_everything()
    mesh.instance.dispose()


def _targets(chance: random.Random, steps: list[str]) -> list[Target]:
    """One kill a step, each in a dataset of its own, at a random point of the step."""
    targets = [
        Target(
            f"k{number:02d}.000000" if ASSETS[step].partition == "slice" else f"k{number:02d}",
            step,
            round(chance.uniform(0, 0.8), 2),
        )
        for number, step in enumerate(steps)
    ]
    print("kills:", *(f"{t.partition} in {t.step} at {t.fraction}" for t in targets), sep="\n  ")
    return targets


@pytest.mark.parametrize("scene", [60_000], indirect=True)
def test_killed_workers_and_a_killed_mesh_end_as_an_undisturbed_one(scene: Scene) -> None:
    steps = ["chunk_sets", "chunk_embeddings", "fulltext_index", "slice_reports"]
    targets = _targets(random.Random(SEED), steps)
    durations = scene.durations()
    scene.mesh.start()
    Hunter(scene.mesh, durations, scene.drop).hunt(targets)
    scene.drop("last")
    scene.kill_everything_within("chunk_embeddings")
    scene.wait_until_done()
    scene.mesh.stop()
    scene.check(targets)


@pytest.mark.slow
@pytest.mark.parametrize("scene", [150_000], indirect=True)
def test_twenty_kills_in_every_stage_and_two_of_everything(scene: Scene) -> None:
    chance = random.Random(SEED)
    # Twice each of ten; the statistics of a dataset are over sooner than anybody sees that they began.
    steps = 2 * [asset for asset in ASSETS if asset != "dataset_statistics"]
    chance.shuffle(steps)
    targets = _targets(chance, steps)
    durations = scene.durations()
    scene.mesh.start()
    hunter = Hunter(scene.mesh, durations, scene.drop)
    for part, step in ((targets[:10], "chunk_embeddings"), (targets[10:], "slice_insights")):
        hunter.hunt(part)
        scene.kill_the_daemon() if step == "chunk_embeddings" else scene.kill_mesh_up()
        scene.drop(f"all{step.replace('_', '')}")
        scene.kill_everything_within(step)
    scene.wait_until_done()
    scene.mesh.stop()
    scene.check(targets)
