"""The ledger in use: one SQLite file in the state folder, or the PostgreSQL database of `MESH_LEDGER_URL`.

Both are shared by every process of the mesh, the database also by those of other machines. Neither needs a fake: a test
gives the one a folder of its own, the other a schema.
"""

import time
from collections.abc import Callable

from mesh_assets.budgets import Budgets
from mesh_assets.mesh.sql_ledger import SqlLedger, ledger_tables
from mesh_assets.mesh.sqlite_ledger import LEDGER, SqliteLedger
from mesh_assets.resources.postgres_store import PostgresStore
from mesh_assets.settings import NO_SERVER, Settings


def postgres_ledger(
    url: str, budgets: Budgets, *, clock: Callable[[], float] = time.time, schema: str = "mesh_ledger"
) -> SqlLedger:
    """The ledger in a database of a PostgreSQL server."""
    return SqlLedger(PostgresStore(url, schema, ledger_tables), budgets, clock=clock)


def connect_ledger(settings: Settings) -> SqlLedger:
    """The ledger of the mesh, with the budgets of the settings."""
    if settings.ledger_url != NO_SERVER:
        return postgres_ledger(settings.ledger_url, settings.limits)
    return SqliteLedger(settings.state / LEDGER, settings.limits)
