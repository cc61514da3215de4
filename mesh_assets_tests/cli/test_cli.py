"""The command as people type it: what it prints, and that every error says what to do next."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mesh_assets.cli.samples import SAMPLES, drop_samples
from mesh_assets.errors import SourceError
from mesh_assets.intake.incoming import bring_in
from mesh_assets.settings import Settings
from mesh_assets_tests.flow.location import Location

TEXT = "# Harbour\n\nThe lighthouse keeper writes down every ship that passes.\n"


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Location:
    location = Location(tmp_path_factory.mktemp("cli"))
    source = location.folder / "my notes"
    source.mkdir()
    (source / "harbour.md").write_text(TEXT)
    (source / "evil.md").write_text("# Evil \x1b]0;title\x07\n\n\x1b[31mred [bold]markup[/bold] lantern\n")
    (source / "link").symlink_to("/etc/passwd")
    return location


def _mesh(location: Location, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    home = location.folder / "home"
    home.mkdir(exist_ok=True)
    environment = os.environ | {
        "MESH_STATE": str(location.settings.state),
        "MESH_DROPS": str(location.settings.drops),
        "DAGSTER_HOME": str(home),
    }
    command = [str(Path(sys.executable).with_name("mesh")), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def test_from_ingest_to_show(location: Location) -> None:
    assert "Drop a folder into" in _mesh(location, "status").stdout
    answer = json.loads(_mesh(location, "ingest", str(location.folder / "my notes"), "--json").stdout)
    assert (answer["copied"], answer["present"]) == (2, 0)
    assert answer["left_out"] == [str(location.folder / "my notes" / "link")]
    again = json.loads(_mesh(location, "ingest", str(location.folder / "my notes"), "--json").stdout)
    assert (again["copied"], again["present"]) == (0, 2)
    dataset = answer["dataset"]
    assert dataset.startswith("my-notes-")
    location.settle()
    status = json.loads(_mesh(location, "status", "--json").stdout)["datasets"]
    assert [(row["dataset"], row["done"], row["finished"]) for row in status] == [(dataset, True, 1)]
    shown = _mesh(location, "status").stdout
    assert dataset in shown
    assert "`mesh up` is not running" in shown
    hits = json.loads(_mesh(location, "search", "who records passing vessels", "--json").stdout)
    assert hits[0]["path"] == "harbour.md"
    shown = _mesh(location, "show", hits[0]["citation"])
    assert "lighthouse keeper" in shown.stdout
    assert _mesh(location, "show", hits[0]["citation"], "--raw").stdout in TEXT
    (location.settings.drops / dataset / "harbour.md").write_text(TEXT.replace("ship", "boat"))
    assert "has changed" in _mesh(location, "show", hits[0]["citation"]).stderr
    report = _mesh(location, "report", dataset)
    assert "Dataset my-notes" in report.stdout
    assert json.loads(_mesh(location, "report", dataset, "--json").stdout)["findings"] == 0


def test_stale_slices_are_told_with_what_to_do_until_that_is_done(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    location.settle()
    (dataset,) = (row["dataset"] for row in json.loads(_mesh(location, "status", "--json").stdout)["datasets"])
    monkeypatch.setenv("MESH_CHUNK_TOKENS", "128")
    advice = f"`mesh backfill {dataset} --stale`"
    assert advice in _mesh(location, "status").stdout
    _mesh(location, "backfill", dataset, "--stale")
    shown = _mesh(location, "status").stdout
    assert "MESH_CHUNK_TOKENS" in shown
    assert "A backfill is asked for." in shown
    assert advice not in shown


def test_no_escape_sequence_of_a_drop_reaches_the_terminal(location: Location) -> None:
    found = _mesh(location, "search", "lantern").stdout
    assert "[bold]markup[/bold]" in found
    assert "\x1b]0" not in found
    assert "\x1b[31m" not in found


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "nonsense"), "Citations look like"),
        (("show", "unknown/a.txt:1-2@0123456789ab"), "There is no dataset"),
        (("report", "unknown"), "Those that were read"),
        (("report", "../../etc"), "There is no dataset"),
        (("search", "x", "--dataset", "unknown"), "There is no dataset"),
        (("ingest", "/does/not/exist"), "Check the path"),
    ],
)
def test_errors_say_what_to_do(location: Location, arguments: tuple[str, ...], says: str) -> None:
    done = _mesh(location, *arguments, expect=1)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_work_is_named(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_CHUNK_TOKENS", "many")
    done = _mesh(location, "status", expect=1)
    assert "MESH_CHUNK_TOKENS" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_samples_are_small_real_and_dropped_once(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state", drops=tmp_path / "drops")
    assert drop_samples(settings) > 10
    assert drop_samples(settings) == 0
    files = [path for path in settings.drops.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 1_000_000
    assert not [path for path in files if path.suffix == ".pyc"]
    assert {path.name for path in SAMPLES.rglob("*.*")} >= {"shop.log", "shop.py", "metrics.csv", "orders.jsonl"}


def test_no_link_in_the_drop_area_leads_an_ingestion_outside(tmp_path: Path) -> None:
    drops, source = tmp_path / "drops", tmp_path / "source"
    (drops / "notes").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (drops / "notes" / "sub").symlink_to(tmp_path / "outside")
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "a.txt").write_text("a")
    with pytest.raises(SourceError, match="symbolic link"):
        bring_in(source, "notes", drops, progress=lambda _: None)
    assert not list((tmp_path / "outside").iterdir())
    (drops / "notes" / "sub").unlink()
    (drops / "notes" / "sub").mkdir()
    (drops / "notes" / "sub" / "a.txt").symlink_to(tmp_path / "victim.txt")
    bring_in(source, "notes", drops, progress=lambda _: None)
    assert not (tmp_path / "victim.txt").exists()
    assert (drops / "notes" / "sub" / "a.txt").read_text() == "a"


def test_a_printed_command_is_safe_to_paste(location: Location) -> None:
    hostile = location.settings.drops / "hostile" / "it's;touch pasted;'.md"
    hostile.parent.mkdir(parents=True)
    hostile.write_text("# Anchor\n\nThe zeppelin lands at dusk.\n")
    location.settle()
    lines = _mesh(location, "search", "zeppelin").stdout.splitlines()
    command = next(line.strip() for line in lines if "mesh show" in line)
    assert shlex.split(command)[:2] == ["mesh", "show"]
    assert len(shlex.split(command)) == 3
