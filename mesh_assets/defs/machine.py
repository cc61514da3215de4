"""The machine as an asset of the UI: what it is, and what the mesh makes of it. It has no table and no partition."""

from typing import Any

import dagster as dg

from mesh_assets.health.derived import derived
from mesh_assets.health.hardware import found_hardware
from mesh_assets.machine import concurrent_runs, cores, memory_bytes, run_threads, slice_bytes
from mesh_assets.reports.markdown import escape_markdown
from mesh_assets.settings import Settings
from mesh_assets.stages import OWNER


@dg.asset(group_name="machine", owners=[OWNER])
def machine_profile(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[Any]:
    """Cores, instruction sets, memory, disks with their speed, graphics cards, model servers and models on this
    machine, and the numbers that follow: slices side by side, threads, size of a slice. Each says why, and which
    setting changes it.
    """
    found = found_hardware((("MESH_STATE", settings.state), ("MESH_DROPS", settings.drops)))
    lines = ["| what | value | why | set by |", "| --- | --- | --- | --- |"]
    for number in derived(settings):
        cells = (number.name, number.value, number.why, number.setting or "(by itself)")
        lines.append("| " + " | ".join(escape_markdown(cell) for cell in cells) + " |")
    numbers: dict[str, int | float | str | dg.MetadataValue] = {
        "cores": cores(settings),
        "memory_bytes": memory_bytes(settings),
        "concurrent_runs": concurrent_runs(settings),
        "threads_of_a_run": run_threads(settings),
        "slice_bytes": slice_bytes(settings),
        "processor": found.processor,
        "instruction_sets": ", ".join(found.instructions) or "none that models use",
        "graphics_cards": "; ".join(found.gpus) or "none",
        "model_servers": ", ".join(server.url for server in found.servers) or "none",
        "local_models": ", ".join(found.models) or "none",
        "why": dg.MetadataValue.md("\n".join(lines)),
    }
    for disk in found.disks:
        numbers[f"{disk.setting.lower()}_free_bytes"] = disk.free
        if disk.write_speed is not None:
            numbers[f"{disk.setting.lower()}_bytes_per_second"] = disk.write_speed
    return dg.MaterializeResult(metadata=numbers)


machine_job = dg.define_asset_job("machine_job", selection=["machine_profile"], description="Look at the machine.")


@dg.schedule(
    job=machine_job,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_machine(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Every night at two (UTC): disks fill, and machines change."""
    return dg.RunRequest(f"machine@{context.scheduled_execution_time.date()}")
