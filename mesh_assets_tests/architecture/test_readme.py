"""The README names nothing that does not exist."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import typer

from mesh_assets.cli.main import verbs
from mesh_assets.settings import PROJECT_ROOT, Settings

README = (PROJECT_ROOT / "README.md").read_text()
QUOTED = set(re.findall(r"`([^`\n]+)`", README)) | set(re.findall(r"^\.venv/bin/[^\n]+", README, re.MULTILINE))
# Made by the commands that the README tells, or by the owner, so not there in a fresh clone.
MADE = ("data/drops", "data/state", ".venv", ".env", "mesh.yaml", "briefs", "labels.yaml", "principles.yaml")


def test_paths_exist() -> None:
    paths = {text for text in QUOTED if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", text)}
    paths = {p for p in paths if "/" in p or p.endswith((".py", ".yaml", ".lock", ".md"))}
    assert len(paths) > 10
    for path in paths:
        if path == "shop.py":
            path = "data/samples/shop-service/shop.py"
        assert path.startswith(MADE) or Path(PROJECT_ROOT, path).exists(), path
    for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert Path(PROJECT_ROOT, image).is_file(), image


def test_commands_exist() -> None:
    commands = typer.main.get_command(verbs).commands  # type: ignore[attr-defined]
    known = set(commands)
    named = set(re.findall(r"\bmesh ([a-z]+)\b", "\n".join(QUOTED)))
    assert known == {
        *("up", "demo", "ingest", "status", "search", "graph", "time", "show", "report", "sql", "cost", "nodes"),
        *("ask", "judge", "calibrate", "audit", "estimate", "backfill", "label", "pause", "resume", "forget", "doctor"),
        "around",
    }
    assert named <= known, named - known
    [listed] = re.findall(r"^(`ingest`,[^.]+) take `--json`", README, re.MULTILINE)
    takes_json = {name for name, command in commands.items() if any("--json" in each.opts for each in command.params)}
    assert set(re.findall(r"`(\w+)`", listed)) == takes_json
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", " ".join(QUOTED))) <= targets


def test_the_settings_table_is_complete() -> None:
    rows = dict(re.findall(r"^\| `(MESH_\w+)` \| `([^`]+)` \|", README, re.MULTILINE))
    expected = {}
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = str(default.relative_to(PROJECT_ROOT)) if isinstance(default, Path) else str(default)
        expected[f"MESH_{name.upper()}"] = shown
        assert field.description in README, name
    assert rows == expected


def test_every_row_of_a_table_has_a_cell_for_each_heading_and_no_setting_has_two() -> None:
    rows = [(line.count("|") - line.count("\\|"), line) for line in README.splitlines()]
    for (above, _), (cells, line) in pairwise(rows):
        assert not above or not cells or not line.startswith("|") or cells == above, line
    settings = re.findall(r"^\| `(MESH_\w+)` \|", README, re.MULTILINE)
    assert len(settings) == len(set(settings))
