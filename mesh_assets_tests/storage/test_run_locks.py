"""A run that lives is told from one that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from mesh_assets.cli.services import fail_orphaned_runs
from mesh_assets.settings import Settings
from mesh_assets.storage.run_locks import is_alive, run_lock

_HOLD = (
    "import sys; from pathlib import Path; from mesh_assets.storage.run_locks import run_lock\n"
    "with run_lock(Path(sys.argv[1]), sys.argv[2]): print('held', flush=True); sys.stdin.read()"
)


def test_a_lock_lives_and_dies_with_its_process(tmp_path: Path) -> None:
    assert not is_alive(tmp_path, "a")
    with run_lock(tmp_path, "mine"):
        assert is_alive(tmp_path, "mine")
    assert not is_alive(tmp_path, "mine")
    command = [sys.executable, "-c", _HOLD, str(tmp_path), "a"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    assert is_alive(tmp_path, "a")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not is_alive(tmp_path, "a")


def test_only_runs_without_a_process_are_reported_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    settings = Settings(state=tmp_path / "state", drops=tmp_path / "drops")

    @dg.job
    def work() -> None: ...

    with dg.DagsterInstance.get() as instance:
        dead, alive = (instance.create_run_for_job(work, status=dg.DagsterRunStatus.STARTED) for _ in range(2))
        with run_lock(settings.state / "locks", alive.run_id):
            assert fail_orphaned_runs(settings, str(home)) == [dead.run_id]
            statuses = [instance.get_run_by_id(run.run_id) for run in (dead, alive)]
        assert [run.status.value for run in statuses if run] == ["FAILURE", "STARTED"]
        # A stop of the mesh leaves the run the three retries that it had.
        assert statuses[0]
        assert statuses[0].tags["dagster/max_retries"] == "3"
