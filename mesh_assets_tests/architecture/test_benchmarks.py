"""What benchmarks take from the package is there: they are run by hand, and would break without anybody noticing."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

from mesh_assets.settings import PROJECT_ROOT

BENCHMARKS = sorted((PROJECT_ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_a_benchmark_imports_only_what_is_there(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    taken = [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").split(".")[0] in ("mesh_assets", "mesh_assets_tests")
        for alias in node.names
    ]
    missing = [(module, name) for module, name in taken if not _has(str(module), name)]
    assert missing == []


def _has(module: str, name: str) -> bool:
    if hasattr(import_module(module), name):
        return True
    try:
        import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True
