"""What every test shares: no network but loopback, the model offline, and in CI no skips."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from mesh_assets_tests import postgres as postgresql

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """CI sets MESH_NO_SKIPS: there a skipped test means that something is not installed, and fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if skipped and os.environ.get("MESH_NO_SKIPS") and exitstatus == 0:
        for report in skipped:
            reporter.write_line(f"skipped where nothing may be: {report.nodeid}: {report.longrepr}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def postgres() -> Generator[postgresql.Server]:
    """A PostgreSQL server of this session's own, which does not wait for the disk."""
    if postgresql.programs() is None:
        pytest.skip("PostgreSQL is not installed: sudo apt-get install -y postgresql")
    with postgresql.server("-c fsync=off -c shared_buffers=16MB -c autovacuum=off") as made:
        yield made
