"""What the tests of records share: the places that they may be in."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from mesh_assets_tests.mesh.ledgers import Place
from mesh_assets_tests.postgres import Server


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A folder, or a schema of its own on the server, by the parameter of the test."""
    if request.param == "sqlite":
        return Place(tmp_path)
    server: Server = request.getfixturevalue("postgres")
    return Place(tmp_path, server.url, server.schema())


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """A server that forks workers, so that each starts in milliseconds and without our threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [f"mesh_assets_tests.mesh.{name}" for name in ("test_ledger_processes", "test_pace")]
    )
    return context
