"""What the owner lends of the machine: the cores and the number of runs, set before Dagster's processes start."""

from __future__ import annotations

import os

from mesh_assets.cli.home import use_dagster_home
from mesh_assets.machine import concurrent_runs, cores, memory_bytes
from mesh_assets.settings import Settings
from mesh_assets.storage.pace import held
from mesh_assets.wording import size


def keep_to_cores(settings: Settings) -> None:
    """Bind this process, and what it starts from now on, to as many cores as `MESH_CORES` says: a hard limit."""
    allowed = sorted(os.sched_getaffinity(0))
    if settings.cores and settings.cores < len(allowed):
        os.sched_setaffinity(0, allowed[: settings.cores])


def apply_limits(settings: Settings) -> str:
    """Let as many runs start as the machine and its owner allow now; a sentence that says what holds."""
    use_dagster_home()
    import dagster as dg

    from mesh_assets.defs.pace import set_limits

    with dg.DagsterInstance.get() as instance:
        return set_limits(instance, settings)


def limits_line(settings: Settings) -> str:
    """What `mesh status` says of the machine: at work or held, and the limits in force."""
    limits = (
        f"{concurrent_runs(settings)} slices side by side on {cores(settings)} cores "
        f"and {size(memory_bytes(settings))} of memory"
    )
    return f"{held(settings) or f'May work, hours: {settings.hours}.'} Limits: {limits}."
