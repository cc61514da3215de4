"""What the mesh makes of the machine: each number, why it is that, and the setting that changes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mesh_assets.health.findings import Finding
from mesh_assets.health.hardware import Hardware
from mesh_assets.machine import RUN_BYTES, concurrent_runs, cores, has_gpu, memory_bytes, run_threads, slice_bytes
from mesh_assets.settings import Settings
from mesh_assets.wording import size

# A disk that takes less holds up the writing of Parquet, not the models.
_SLOW_DISK = 20_000_000


@dataclass(frozen=True, slots=True)
class Derived:
    """A number that the mesh works with, in words, why, and the variable that sets it by hand."""

    name: str
    value: str
    why: str
    setting: str


def derived(settings: Settings) -> Sequence[Derived]:
    """What the machine and the settings come to."""
    runs, count, memory = concurrent_runs(settings), cores(settings), memory_bytes(settings)
    gpu = has_gpu()
    by_hand = "set by hand"
    return (
        Derived(
            "slices side by side",
            str(runs),
            f"each needs a core ({count}) and {size(RUN_BYTES)} of memory ({size(memory)}), four at most",
            "MESH_CORES, MESH_MEMORY_GIB",
        ),
        Derived(
            "threads of a run's models",
            str(run_threads(settings)),
            by_hand if settings.threads else f"{count} cores for {runs} runs",
            "MESH_THREADS",
        ),
        Derived(
            "size of a slice",
            size(slice_bytes(settings)),
            by_hand if settings.slice_mib else f"about half an hour of a run {'with' if gpu else 'without'} a GPU",
            "MESH_SLICE_MIB",
        ),
        Derived(
            "texts embedded at once",
            str(settings.embedding_batch) if gpu else "1",
            "a GPU takes many at once" if gpu else "a processor gains nothing from more",
            "MESH_EMBEDDING_BATCH",
        ),
        Derived(
            "device of local models",
            "graphics card" if gpu else "processor",
            "there is one that models run on" if gpu else "there is no graphics card that models run on",
            "",
        ),
    )


def findings(hardware: Hardware, numbers: Sequence[Derived]) -> Iterator[Finding]:
    """The machine and what was derived from it, as lines of `mesh doctor`."""
    sets = ", ".join(hardware.instructions) or "no instruction set that models use"
    yield Finding("processor", "ok", f"{hardware.processor}, {hardware.threads} threads: {sets}")
    yield Finding("graphics card", "ok", "; ".join(hardware.gpus) or "none that models run on")
    for disk in hardware.disks:
        if disk.write_speed is not None:
            slow = disk.write_speed < _SLOW_DISK
            what = f"{disk.setting} takes {size(disk.write_speed)} a second, {size(disk.total)} in all"
            remedy = f"Set {disk.setting} to a faster disk." if slow else ""
            yield Finding("speed of disk", "warn" if slow else "ok", what, remedy)
    for server in hardware.servers:
        models = ", ".join(server.models[:5]) or "no model"
        yield Finding("model server", "ok", f"{server.url} serves {models}: a node of mesh.yaml may use it")
    yield Finding("local models", "ok", ", ".join(hardware.models) or "none")
    for number in numbers:
        by = f" ({number.setting} changes it)" if number.setting else ""
        yield Finding(number.name, "ok", f"{number.value}: {number.why}{by}")
