"""The IO manager in use. Every run opens it, so it is also where a run takes the lock that shows it is alive."""

import multiprocessing
import os
import resource
from collections.abc import Callable, Generator
from contextlib import nullcontext, suppress
from typing import cast

import dagster as dg

from mesh_assets.errors import MeshError
from mesh_assets.machine import run_data_limit
from mesh_assets.settings import Settings
from mesh_assets.storage.io_manager import ParquetIOManager
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.memory import keep_loaded
from mesh_assets.storage.run_locks import LOCKS, run_lock
from mesh_assets.storage.run_tags import missing_tags

# What the owner does on the machine goes before a run; the UI and the daemon stay as quick as any other program.
NICENESS = 10


def io_manager_resource(settings: Settings, lake: Lake) -> dg.IOManagerDefinition:
    """`ParquetIOManager` over the lake, with the run's lock held while the run lives."""

    def connect(context: dg.InitResourceContext) -> Generator[ParquetIOManager]:
        # Without a run (a test, a notebook) nobody asks whether it is alive.
        with run_lock(settings.state / LOCKS, context.run.run_id) if context.run else nullcontext():
            if context.run is not None and context.instance is not None:
                _introduce(context.instance, context.run, lake, settings)
            yield ParquetIOManager(lake, settings)

    # A generator function is a resource with an end; its type does not say so.
    return dg.IOManagerDefinition(cast("Callable[[dg.InitResourceContext], dg.IOManager]", connect))


def _introduce(instance: dg.DagsterInstance, run: dg.DagsterRun, lake: Lake, settings: Settings) -> None:
    """Tag a run that a person or a backfill started, and keep it within what the owner lends of the machine."""
    with suppress(MeshError):  # where the manifest is damaged, its step says so
        instance.add_run_tags(run.run_id, missing_tags(lake, run.tags))
    # Only in a process of its own: a test or a script that runs a job in its own process stays as it is.
    if multiprocessing.parent_process() is not None:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        keep_loaded()
        limit = run_data_limit(settings)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
