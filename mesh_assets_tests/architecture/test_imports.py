"""Who may import whom: errors, settings, slices, wording <- schemas <- pure <- storage, resources <- defs <- cli."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mesh_assets
from mesh_assets.stages import STAGES

PACKAGE = Path(mesh_assets.__file__).parent
# The pure folders in flow order: each may import those before it, and none behind it.
PURE = ("intake", "chunks", "embeddings", "insights", "indexes", "search", "mesh", "analyses", "reports")
LAYERS = (
    "errors",
    "atomic",
    "slices",
    "wording",
    "hours",
    "budgets",
    "settings",
    "machine",
    "stages",
    "schemas",
    *PURE,
    "storage",
    "health",
    "resources",
    "serving",
    "defs",
    "definitions",
    "cli",
)
HEAVY = {
    *("torch", "transformers", "sentence_transformers", "openai", "anthropic"),
    *("qdrant_client", "elasticsearch", "neo4j", "psycopg"),
}
ENGINES = {"faiss", "tantivy", "tree_sitter", "py3langid", "sklearn"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Names of imported modules, and whether the import runs when the module is loaded."""
    tree = ast.parse(path.read_text())
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) not in lazy
            # `from mesh_assets.defs import jobs` imports a module too
            yield from ((f"{node.module}.{alias.name}", id(node) not in lazy) for alias in node.names)


def _layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    own = _layer("mesh_assets." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    if own == "__init__":
        return
    rank = LAYERS.index(own)
    for name, at_load in _imports(path):
        top = name.split(".")[0]
        if top == "mesh_assets" and _layer(name) in LAYERS:
            assert LAYERS.index(_layer(name)) <= rank, f"{own} may not import {name}"
        assert not (at_load and top in HEAVY | ENGINES), f"{name} must be imported where it is used"
        if rank < LAYERS.index("storage"):
            assert top not in {"dagster", *(HEAVY - {"torch", "transformers", "sentence_transformers"})}, name


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_no_stage_of_the_definitions_imports_another(stage: str) -> None:
    others = {f"mesh_assets.defs.{other.name}" for other in STAGES if other.name != stage}
    for path in (PACKAGE / "defs" / stage).glob("*.py"):
        assert not {name for name, _ in _imports(path) if ".".join(name.split(".")[:3]) in others}


def test_annotations_stay_real_where_dagster_reads_them() -> None:
    for folder in ("defs", "resources"):
        for path in (PACKAGE / folder).rglob("*.py"):
            assert "from __future__ import annotations" not in path.read_text(), path


def test_loading_the_definitions_is_light() -> None:
    code = (
        "import resource, sys, mesh_assets.definitions as d; d.defs.get_repository_def();"
        "used = resource.getrusage(resource.RUSAGE_SELF);"
        f"heavy = {sorted(HEAVY | ENGINES)!r};"
        "print(used.ru_utime + used.ru_stime, *[m for m in heavy if m in sys.modules])"
    )
    # The first process may have to compile; what counts is what every run and every tick pays.
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    seconds, *loaded = runs[-1].stdout.split()
    assert not loaded
    assert min(float(run.stdout.split()[0]) for run in runs) < 3.0, seconds
