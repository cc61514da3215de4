"""`mesh doctor` on a real state: in order, and with the faults that it is for."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import dagster as dg
import pytest

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.settings import PROJECT_ROOT
from mesh_assets_tests.cli.command import mesh
from mesh_assets_tests.flow.location import Location


@pytest.fixture
def location(tmp_path: Path) -> Location:
    location = Location(tmp_path, {"encoder": FakeEncoder()})
    shutil.copy(PROJECT_ROOT / "dagster.yaml", tmp_path / "dagster")
    return location


def _findings(location: Location, *, expect: int) -> dict[tuple[str, str], str]:
    answer = json.loads(mesh(location, "doctor", "--json", expect=expect).stdout)
    assert answer["healthy"] is (expect == 0)
    return {(finding["subject"], finding["level"]): finding["what"] for finding in answer["findings"]}


def test_a_machine_in_order(location: Location) -> None:
    assert "Nothing is wrong" in mesh(location, "doctor").stdout
    made = {path.name for path in location.settings.state.iterdir()}
    assert made == {"models"}, "a doctor makes nothing beside what the location shares"


def test_models_that_are_named_and_not_there_are_told(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_NER_MODEL", "/nowhere")
    monkeypatch.setenv("MESH_SUMMARY_NODE", "nobody")
    (location.folder / "whisper").mkdir()
    monkeypatch.setenv("HOME", str(location.folder))
    monkeypatch.setenv("MESH_SPEECH_MODEL", "~/whisper")
    found = _findings(location, expect=0)
    assert found["local models", "warn"].startswith("MESH_NER_MODEL=/nowhere is not on this machine")
    assert found["nodes", "warn"] == "MESH_SUMMARY_NODE=nobody writes no summary: mesh.yaml has no such node"


def test_settings_that_nothing_can_be_searched_with_are_told(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_EMBEDDING_MODEL", "nonsense")
    monkeypatch.setenv("MESH_QDRANT_URL", "foo")
    found = _findings(location, expect=1)
    assert "no embedding model 'nonsense'" in found["local models", "wrong"]
    assert found["servers", "wrong"] == "MESH_QDRANT_URL names no server."


def test_faults_are_found_where_they_are(location: Location) -> None:
    (location.settings.drops / "notes").mkdir()
    (location.settings.drops / "notes" / "a.md").write_text("# A\n\nA lantern.\n")
    location.settle()
    manifest = location.lake.path("drop_manifests", "notes")
    later = time.time() + 86_400
    os.utime(manifest, (later, later))
    (location.settings.state / "locks" / "killed.lock").touch()

    @dg.job
    def work() -> None: ...

    with dg.DagsterInstance.from_config(str(location.folder / "dagster")) as instance:
        instance.add_dynamic_partitions("datasets", ["notes", "of-another-state"])
        run = instance.create_run_for_job(work, status=dg.DagsterRunStatus.STARTED)
    found = _findings(location, expect=0)
    assert "in the future" in found["clock", "warn"]
    assert run.run_id[:8] in found["runs", "warn"]
    assert "killed runs" in found["locks", "ok"]
    assert "(1: of-another-state)" in found["home", "warn"]
    (location.folder / "dagster" / "dagster.yaml").unlink()
    assert "telemetry is on" in _findings(location, expect=1)["dagster.yaml", "wrong"]
    assert "Something is wrong" in mesh(location, "doctor", expect=1).stdout
    assert "that of the clone was copied there" in mesh(location, "status").stderr
    assert ("dagster.yaml", "ok") in _findings(location, expect=0)
