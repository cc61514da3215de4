"""`mesh up` after a kill: what the last one left is ended first, and nobody works beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mesh_assets.cli import services
from mesh_assets.cli.processes import check_no_other_daemon, end, mark, marked
from mesh_assets.cli.services import Services, check_locks
from mesh_assets.errors import ServiceError, SettingsError
from mesh_assets.settings import Settings

# Ignores to be asked, and has a child that does so too; says when both are there.
_STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print("here", flush=True)
while os.getppid() > 0:
    time.sleep(0.1)
"""


def _started(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stdin=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    return process


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(state=tmp_path / "state", drops=tmp_path / "drops")
    settings.state.mkdir()
    yield settings
    for process in marked(settings.state):
        process.kill()


def test_what_an_earlier_mesh_left_is_ended_and_nothing_else(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_assets.cli.processes._STOP_SECONDS", 0.5)
    other = tmp_path / "other"
    other.mkdir()
    left = _started([sys.executable, "-c", _STUBBORN], mark(settings.state))
    stranger = _started([sys.executable, "-c", _STUBBORN], mark(other))
    try:
        assert left.pid in {process.pid for process in marked(settings.state)}
        assert len(marked(settings.state)) == 2
        end(marked(settings.state))
        assert not marked(settings.state)
        assert left.wait(10) == -9
        assert stranger.poll() is None
    finally:
        for process in marked(other):
            process.kill()
        stranger.wait()


def test_a_daemon_of_someone_else_on_the_same_home_is_refused(settings: Settings, tmp_path: Path) -> None:
    script = "import sys; print('here', flush=True); sys.stdin.read()"
    daemon = _started([sys.executable, "-c", script, "dagster._daemon"], {"DAGSTER_HOME": str(tmp_path)})
    try:
        with pytest.raises(ServiceError, match=str(daemon.pid)):
            check_no_other_daemon(str(tmp_path))
        check_no_other_daemon(str(settings.state))
    finally:
        daemon.kill()
        daemon.wait()
    check_no_other_daemon(str(tmp_path))


def test_a_state_folder_where_locks_do_not_hold_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    check_locks(settings.state)
    monkeypatch.setattr(services, "locks_hold", lambda _: False)
    with pytest.raises(SettingsError, match="MESH_STATE"):
        check_locks(settings.state)


def test_dagster_is_started_again_where_it_was_killed_but_not_for_ever(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def launch(settings: Settings, environment: dict[str, str], log: Path, *module: str) -> subprocess.Popen[bytes]:
        script = "import sys; print('here', flush=True); sys.stdin.read()"
        started.append(_started([sys.executable, "-c", script], mark(settings.state)))
        return started[-1]

    monkeypatch.setattr(services, "_launched", launch)
    monkeypatch.setattr(Services, "_wait_until_ready", lambda _: None)
    monkeypatch.setattr(Services, "_mend_clock", lambda _: None)
    monkeypatch.setattr(services, "fail_orphaned_runs", lambda *_: [])
    without_search = settings.model_copy(update={"search_port": 0})
    mesh = Services(without_search, {"DAGSTER_HOME": str(tmp_path)}, "", tmp_path / "log")
    mesh.start()
    for _ in range(services.MOST_RESTARTS):
        mesh.check()
        count = len(started)
        started[-1].kill()
        started[-1].wait()
        mesh.check()
        assert len(started) == count + 1
        assert [process.pid for process in marked(settings.state)] == [started[-1].pid]
    started[-1].kill()
    started[-1].wait()
    with pytest.raises(ServiceError, match="6 times within 10 minutes"):
        mesh.check()
    mesh.stop()
    assert not [process for process in started if psutil.pid_exists(process.pid) and process.poll() is None]
