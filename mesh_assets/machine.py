"""What of the machine the mesh may use, and how many runs side by side that carries: cores, memory, threads.

Limits of a container count as the machine's own. What the owner wants is in `settings`; how it is kept is in
`storage.pace` (how many runs start) and `cli.services` (which cores they get).
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from mesh_assets.settings import MIB, Settings

# What one slice run needs at most: torch and the model take a third of it, the rest is batches and indexes.
RUN_BYTES = 1_500_000_000
_RESERVED_BYTES = 1_500_000_000
# Dagster's instance is SQLite, which locks when more runs than these write their events at once.
MAX_SLICE_RUNS = 4
# A run embeds some ten megabytes of text in half an hour on a core, ten times as much on a graphics card; most drops
# hold much that is embedded once or not at all.
_SLICE_MIB, _GPU_SLICE_MIB = 64, 512
_CGROUP = Path("/sys/fs/cgroup")
# Control groups of version 1 say "no limit" by a number near 2^63.
_NO_LIMIT = 1 << 60


def cores(settings: Settings) -> int:
    """CPU cores that the mesh may use: those of this process, of its container, and of `MESH_CORES`; at least 1."""
    limits = [len(os.sched_getaffinity(0)), settings.cores or None, _cores_of_container(_CGROUP)]
    return max(1, min(limit for limit in limits if limit is not None))


def memory_bytes(settings: Settings) -> int:
    """Memory that the mesh may use, in bytes: that of the machine, of the container, and of `MESH_MEMORY_GIB`."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    owners = int(settings.memory_gib * (1 << 30)) or None
    return min(limit for limit in (physical, owners, _memory_of_container(_CGROUP)) if limit is not None)


def concurrent_runs(settings: Settings) -> int:
    """How many slices are worked on side by side: as many as have a core and their memory, at most four."""
    return max(1, min(cores(settings), memory_bytes(settings) // RUN_BYTES, MAX_SLICE_RUNS))


def run_data_limit(settings: Settings) -> int | None:
    """Bytes of data that the process of one run may have at most; None where the owner has not limited the memory.

    Beyond it an allocation fails in that run, in words, rather than the machine in all of its programs. What a process
    reserves and never touches counts as well: a run with 0.9 GB in memory was measured to have 2.1 GB of data.
    """
    if not settings.memory_gib:
        return None
    return memory_bytes(settings) // concurrent_runs(settings) + _RESERVED_BYTES


def has_gpu() -> bool:
    """Whether this machine has a graphics card that local models run on; told without loading any of them."""
    return any(Path("/proc/driver/nvidia/gpus").glob("*"))


def slice_bytes(settings: Settings) -> int:
    """Target size of a slice in bytes: `MESH_SLICE_MIB`, or what a run gets through in about half an hour."""
    return settings.slice_bytes or (_GPU_SLICE_MIB if has_gpu() else _SLICE_MIB) * MIB


def run_threads(settings: Settings) -> int:
    """CPU threads that the models of one run may use: `MESH_THREADS`, or its share of the cores."""
    return settings.threads or max(1, cores(settings) // concurrent_runs(settings))


def _cores_of_container(cgroup: Path) -> int | None:
    quota, period = (_words(cgroup / "cpu.max") or _words_v1(cgroup))[:2]
    if quota is None or period is None or quota <= 0:
        return None
    return max(1, math.ceil(quota / period))


def _words_v1(cgroup: Path) -> list[int | None]:
    quota = _words(cgroup / "cpu" / "cpu.cfs_quota_us") or [None]
    return [quota[0], (_words(cgroup / "cpu" / "cpu.cfs_period_us") or [None])[0]]


def _memory_of_container(cgroup: Path) -> int | None:
    for path in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"):
        limit = (_words(path) or [None])[0]
        if limit is not None and limit < _NO_LIMIT:
            return limit
    return None


def _words(path: Path) -> list[int | None]:
    """The numbers of a file of the control group; None for the word `max`; nothing where there is no such file."""
    try:
        return [int(word) if word.lstrip("-").isdigit() else None for word in path.read_text().split()]
    except OSError:
        return []
