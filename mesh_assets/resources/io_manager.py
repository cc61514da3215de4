"""The IO manager in use. Every run opens it, so it is also where a run takes the lock that shows it is alive."""

from collections.abc import Callable, Generator
from contextlib import nullcontext
from typing import cast

import dagster as dg

from mesh_assets.settings import Settings
from mesh_assets.storage.io_manager import ParquetIOManager
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.run_locks import LOCKS, run_lock


def io_manager_resource(settings: Settings, lake: Lake) -> dg.IOManagerDefinition:
    """`ParquetIOManager` over the lake, with the run's lock held while the run lives."""

    def connect(context: dg.InitResourceContext) -> Generator[ParquetIOManager]:
        # Without a run (a test, a notebook) nobody asks whether it is alive.
        with run_lock(settings.state / LOCKS, context.run.run_id) if context.run else nullcontext():
            yield ParquetIOManager(lake)

    # A generator function is a resource with an end; its type does not say so.
    return dg.IOManagerDefinition(cast("Callable[[dg.InitResourceContext], dg.IOManager]", connect))
