"""The ledger in use: one SQLite file in the state folder, which every process of the mesh shares.

It needs no server and no fake: a test gives it a folder of its own.
"""

from mesh_assets.mesh.sqlite_ledger import LEDGER, SqliteLedger
from mesh_assets.settings import Settings


def connect_ledger(settings: Settings) -> SqliteLedger:
    """The ledger below the state folder, with the budgets of the settings."""
    return SqliteLedger(settings.state / LEDGER, settings.limits)
