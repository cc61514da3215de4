"""Sizes, docstrings, and the direction of the asset graph."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import mesh_assets
from mesh_assets.definitions import defs
from mesh_assets.schemas import TABLES
from mesh_assets.stages import ASSETS, OWNER, STAGES

PACKAGE = Path(mesh_assets.__file__).parent
MAX_FUNCTION_LINES, MAX_FILE_LINES = 60, 500
ORDER = [asset.name for stage in STAGES for asset in stage.assets]
STAGE_OF = {asset.name: number for number, stage in enumerate(STAGES) for asset in stage.assets}


def test_no_file_and_no_function_is_too_long() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert text.count("\n") <= MAX_FILE_LINES, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                assert lines <= MAX_FUNCTION_LINES, f"{path}:{node.lineno} {node.name} has {lines} lines"


def test_no_function_is_too_complex() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--select", "C901", "--config", "lint.mccabe.max-complexity=10"]
    found = subprocess.run([*command, str(PACKAGE)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_asset_bodies_are_thin() -> None:
    for path in (PACKAGE / "defs").rglob("assets.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                first = node.body[1] if isinstance(node.body[0], ast.Expr) else node.body[0]
                assert (node.end_lineno or 0) - first.lineno + 1 <= 25, f"{path}: {node.name}"


def test_every_edge_goes_forward() -> None:
    graph = defs.resolve_asset_graph()
    # `machine_profile` is of the machine, not of data: it has no table, no partition and no edges.
    keys = graph.get_all_asset_keys() - {dg.AssetKey("machine_profile")}
    assert {key.to_user_string() for key in keys} == set(ORDER) == set(TABLES)
    for key in keys:
        for parent in graph.get(key).parent_keys:
            before, after = parent.to_user_string(), key.to_user_string()
            assert STAGE_OF[before] <= STAGE_OF[after], f"{before} -> {after} goes back"
            assert before != after


@pytest.mark.parametrize("name", ORDER)
def test_every_asset_tells_its_user_what_it_is(name: str) -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey(name))
    assert node.description
    assert len(node.description) > 40
    assert node.owners == [OWNER]
    assert node.group_name == STAGES[STAGE_OF[name]].name
    assert node.kinds == set(ASSETS[name].kinds)
    assert node.code_version == ASSETS[name].version
    columns = node.metadata["dagster/column_schema"]
    assert [column.name for column in columns.columns] == [column.name for column in TABLES[name].columns]
    assert {check.name for check in defs.resolve_asset_graph().asset_check_keys if check.asset_key == node.key} >= {
        "conservation",
        "schema",
    }


def test_every_public_name_is_documented_by_more_than_its_name() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no charter"
