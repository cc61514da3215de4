"""The ledger in one SQLite file: what there is without a server.

<state>/ledger.sqlite
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mesh_assets.budgets import Budgets
from mesh_assets.errors import LedgerError
from mesh_assets.mesh.sql_ledger import NO_CALLS, SqlLedger, ledger_tables
from mesh_assets.mesh.sqlite_file import SQLITE, SqliteFile

LEDGER = "ledger.sqlite"
_REMEDY = f"Make room and allow writing there; where it is damaged, put a backup in its place. {NO_CALLS}"


class SqliteLedger(SqlLedger):
    """The ledger in the file `path`. A verb takes milliseconds, or seconds while others write."""

    def __init__(self, path: Path, budgets: Budgets, *, clock: Callable[[], float] = time.time) -> None:
        file = SqliteFile(path, ledger_tables(SQLITE), error=LedgerError, remedy=_REMEDY)
        super().__init__(file, budgets, clock=clock)
