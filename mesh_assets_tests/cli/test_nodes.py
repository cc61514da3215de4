"""`mesh nodes`: what a person sees of the nodes, with a server that is there and one that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mesh_assets_tests.cli.command import mesh
from mesh_assets_tests.flow.location import Location
from mesh_assets_tests.mesh.loopback import loopback
from mesh_assets_tests.mesh.test_nodes import MINE

KEYS = ("DEEPSEEK_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY")


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    return Location(tmp_path)


def test_nodes_are_listed_without_keys_and_nothing_fails(location: Location) -> None:
    shown = mesh(location, "nodes").stdout
    assert "extractive" in shown
    assert "OPENAI_API_KEY is not set" in shown
    rows = {row["node"]: row for row in json.loads(mesh(location, "nodes", "--json").stdout)}
    assert (rows["local"]["on"], rows["deepseek"]["on"]) == (True, False)
    assert rows["claude-opus"]["price_source"].startswith("genai-prices")


def test_health_is_asked_on_demand_only(location: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "nodes.yaml"
    monkeypatch.setenv("MESH_NODES", str(own))
    with loopback() as server:
        well = MINE | {"base_url": f"{server.url}/v1", "model": "m"}
        own.write_text(yaml.safe_dump({"nodes": {"well": well, "away": MINE | {"base_url": "http://127.0.0.1:9/v1"}}}))
        assert all(row["healthy"] is None for row in json.loads(mesh(location, "nodes", "--json").stdout))
        rows = {r["node"]: r for r in json.loads(mesh(location, "nodes", "--json", "--check").stdout)}
        shown = mesh(location, "nodes", "--check").stdout
    assert (rows["well"]["healthy"], rows["local"]["healthy"], rows["away"]["healthy"]) == (True, True, False)
    assert "cannot be reached" in rows["away"]["health"]
    assert "ill" in shown
    assert server.billed == []


def test_a_file_that_is_named_but_not_there_says_so(
    location: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_NODES", str(tmp_path / "none.yaml"))
    assert "MESH_NODES" in mesh(location, "nodes", expect=1).stderr
