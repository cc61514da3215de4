"""Where a ledger of a test may be: a file, or a schema of the tests' PostgreSQL server. Both are told to a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh_assets.budgets import Budgets
from mesh_assets.mesh.sql_ledger import SqlLedger
from mesh_assets.mesh.sqlite_ledger import SqliteLedger
from mesh_assets.resources.ledger import postgres_ledger
from mesh_assets.resources.pace import SqlPace, postgres_pace, sqlite_pace

BOTH = pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)


@dataclass(frozen=True)
class Place:
    """A folder, or the URL and a schema of a server."""

    folder: Path
    url: str = ""
    schema: str = ""

    def ledger(self, budgets: Budgets, clock: Callable[[], float] = time.time) -> SqlLedger:
        if self.url:
            return postgres_ledger(self.url, budgets, clock=clock, schema=self.schema)
        return SqliteLedger(self.folder / "ledger.sqlite", budgets, clock=clock)

    def pace(self, clock: Callable[[], float] = time.time) -> SqlPace:
        if self.url:
            return postgres_pace(self.url, clock, schema=f"{self.schema}_pace")
        return sqlite_pace(self.folder / "pace.sqlite", clock)

    def another(self, number: int) -> Place:
        """One beside it."""
        return Place(self.folder / str(number), self.url, f"{self.schema}_{number}")
