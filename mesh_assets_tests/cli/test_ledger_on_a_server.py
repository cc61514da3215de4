"""A ledger on a PostgreSQL server as its owner meets it: which one is used, what to do without it, and no password."""

from __future__ import annotations

import json
import shutil
import traceback
from decimal import Decimal
from pathlib import Path

import pytest

from mesh_assets.errors import LedgerError, MeshError, SettingsError
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets.resources.pace import connect_pace
from mesh_assets.settings import PROJECT_ROOT, Settings
from mesh_assets_tests.cli.command import mesh
from mesh_assets_tests.flow.location import Location
from mesh_assets_tests.mesh.money import NODE, billed, scopes
from mesh_assets_tests.postgres import PASSWORD, Server

CENT = Decimal("0.01")


@pytest.fixture
def location(tmp_path: Path) -> Location:
    location = Location(tmp_path, {})
    shutil.copy(PROJECT_ROOT / "dagster.yaml", tmp_path / "dagster")
    return location


def connected(folder: Path, url: str) -> Settings:
    return Settings(_env_file=None, state=folder, ledger_url=url, budgets="month 1")  # type: ignore[call-arg]


def words(error: MeshError) -> str:
    """All that a log could have of an error."""
    return f"{error!r} {error} {''.join(traceback.format_exception(error))}"


def test_commands_use_the_server_and_never_show_its_password(
    tmp_path: Path, location: Location, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_LEDGER_URL", postgres.tcp_url)
    settings = connected(location.settings.state, postgres.tcp_url)
    where = f"postgresql://127.0.0.1:{postgres.port}/postgres"
    printed = mesh(location, "doctor", "--json", expect=0).stdout
    assert f"money and the pace of nodes are counted in {where}: nothing was spent yet" in printed
    ledger = connect_ledger(settings)
    assert not ledger.exists, "a doctor makes nothing"
    waiting = ledger.reserve(20 * CENT, scopes("dataset:a"), seconds=60)
    other = connect_ledger(connected(tmp_path / "another-machine", postgres.tcp_url))
    assert other.left([]) == 80 * CENT
    other.settle(waiting, billed(50_000))
    printed += mesh(location, "doctor", "--json").stdout
    assert f"{where}: $0.05 in 20" in printed
    told = json.loads(mesh(location, "cost", "--json").stdout)
    assert [row["usd"] for row in told["costs"]] == ["0.05"]
    mine, theirs = connect_pace(settings), connect_pace(connected(tmp_path / "another-machine", postgres.tcp_url))
    for _ in range(NODE.limits.parallel):
        assert mine.enter(NODE, tokens=1).slot
    assert not theirs.enter(NODE, tokens=1).slot
    assert not list(tmp_path.rglob("*.sqlite")), "no second record beside that of the server"
    assert PASSWORD not in printed
    assert "word%25" not in printed


def test_without_the_server_it_is_said_what_to_do(
    tmp_path: Path, location: Location, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = postgres.tcp_url.replace("word", "kestrel")
    for url, what in (
        ("postgresql://mesh:secret-kestrel@127.0.0.1:1/mesh", "Connection refused"),
        (wrong, "password authentication failed"),
        ("postgresql://mesh:secret-kestrel@127.0.0.1:port/mesh", "names no database"),
        ("postgresql://mesh:secret-kestrel@127.0.0.1", "names no database"),
        ("postgresql://mesh:secret@kestrel@127.0.0.1/mesh", "names no database"),
        ("postgresql://mesh:secret/kestrel@127.0.0.1/mesh", "names no database"),
        ("http://mesh:secret-kestrel@127.0.0.1/mesh", "names no database"),
    ):
        with pytest.raises((LedgerError, SettingsError), match=what) as raised:
            connect_ledger(connected(tmp_path, url)).reserve(CENT, [], seconds=60)
        assert "MESH_LEDGER_URL" in str(raised.value)
        assert "kestrel" not in words(raised.value)
        monkeypatch.setenv("MESH_LEDGER_URL", url)
        said = mesh(location, "cost", expect=1)
        assert what in said.stderr.replace("\n", " ")
        assert "?." not in said.stderr
        assert "kestrel" not in f"{said}"
        if "database" in what:
            continue
        findings = json.loads(mesh(location, "doctor", "--json", expect=1).stdout)["findings"]
        [found] = [each for each in findings if each["subject"] == "ledger"]
        assert (found["level"], what in found["what"]) == ("wrong", True)
        assert "kestrel" not in f"{findings}"
