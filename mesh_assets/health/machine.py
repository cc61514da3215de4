"""Checks of the machine: disks, file systems, locks, clock, memory, cores, open files, names of hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from mesh_assets.health.findings import Finding
from mesh_assets.machine import RUN_BYTES
from mesh_assets.wording import duration, size

# Below this, logs and databases alone may fill a disk within a day.
_SCARCE = 1_000_000_000
# What the lake and the indexes take of a byte that is read, measured on code and logs; a lake of one's own is measured.
STATE_PER_BYTE = 4.0
# The web server, the daemon and the processes that load the code for them.
_DAGSTER_BYTES = 1_000_000_000
# Dagster opens a database for each run, a query a file for each slice.
_OPEN_FILES = 1024
# Clocks of a machine and of a file server differ by that much without harm.
_CLOCK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that the mesh uses, as it was met. `network` is the type of a network file system; `locks` whether locks
    hold, None where that could not be tried."""

    setting: str
    path: str
    exists: bool
    writable: bool
    free: int
    network: str | None = None
    locks: bool | None = None


def disk(folder: Folder, expected: int) -> Finding:
    """Whether a folder can be written and has room for `expected` bytes more."""
    place = f"{folder.setting}={folder.path}"
    if not folder.writable:
        return Finding("disk", "wrong", f"{place} cannot be written", "Allow writing there, or mount it read-write.")
    free = f"{size(folder.free)} free below {place}"
    if folder.free < max(expected, _SCARCE // 10):
        remedy = f"Make room, or set {folder.setting} to a larger disk; what was read stays."
        return Finding("disk", "wrong", f"{free}, about {size(expected)} are to be expected", remedy)
    if folder.free < expected + _SCARCE:
        return Finding("disk", "warn", f"only {free}", "Make room: logs and databases grow.")
    return Finding("disk", "ok", f"{free}, about {size(expected)} are to be expected" if expected else free)


def file_system(folder: Folder) -> list[Finding]:
    """Whether locks hold where two runs of one slice would otherwise overwrite each other."""
    place = f"{folder.setting}={folder.path}"
    findings: list[Finding] = []
    if folder.network:
        remedy = f"Set {folder.setting} to a disk of this machine; drops may stay on the network."
        findings.append(Finding("file system", "warn", f"{place} lies on {folder.network}, over the network", remedy))
    if folder.locks is False:
        what = f"locks do not hold in {place}: two runs could overwrite each other"
        findings.append(Finding("locks", "wrong", what, f"Set {folder.setting} to a disk of this machine."))
    elif folder.locks:
        findings.append(Finding("locks", "ok", f"locks hold in {place}"))
    return findings


def clock(now: float, seen: Sequence[tuple[str, float]]) -> list[Finding]:
    """Whether anything was made after now, in seconds since 1970: then the clock was set back, or is wrong."""
    ahead = sorted(((moment - now, what) for what, moment in seen if moment - now > _CLOCK_SECONDS), reverse=True)
    findings = [
        Finding(
            "clock",
            "warn",
            f"{what} is {duration(timedelta(seconds=round(seconds)))} in the future",
            "Set the clock (`timedatectl set-ntp true`). Files of a drop that are dated wrongly: `touch` them.",
        )
        for seconds, what in ahead
    ]
    return findings or [Finding("clock", "ok", "nothing was made after now")]


def memory(total: int, runs: int) -> Finding:
    """Whether `runs` slice runs fit side by side."""
    needed = runs * RUN_BYTES + _DAGSTER_BYTES
    what = f"{size(total)} of memory, {runs} {'run takes' if runs == 1 else 'runs take'} about {size(needed)}"
    if total < needed:
        remedy = "Lower MESH_CORES or MESH_EMBEDDING_BATCH; with MESH_CORES=1 one slice runs at a time."
        return Finding("memory", "warn", what, remedy)
    return Finding("memory", "ok", what)


def cores(count: int, runs: int, threads: int) -> Finding:
    """Whether the threads of all runs have a core each."""
    what = f"{count} cores for {runs} runs side by side, each of {threads} threads"
    if runs * threads > max(count, runs):
        return Finding("cores", "warn", what, "Set MESH_THREADS=0 to share the cores among the runs.")
    return Finding("cores", "ok", what)


def open_files(soft: int) -> Finding:
    """The limit of open files of a process."""
    what = f"a process may open {soft:,} files"
    if soft < _OPEN_FILES:
        return Finding("open files", "warn", what, f"ulimit -n {_OPEN_FILES}, or LimitNOFILE= of its service.")
    return Finding("open files", "ok", what)


def host_names(hostname: str, *, localhost: bool, own: bool) -> Finding:
    """Whether names resolve without a server: where they do not, processes wait for one that may not be there."""
    if not localhost:
        remedy = "Add the line `127.0.0.1 localhost` to /etc/hosts."
        return Finding("host name", "wrong", "localhost is not this machine: Dagster's processes do not meet", remedy)
    if not own:
        remedy = f"Add the line `127.0.1.1 {hostname}` to /etc/hosts."
        return Finding("host name", "warn", f"the name of this machine, {hostname}, does not resolve", remedy)
    return Finding("host name", "ok", f"{hostname} and localhost resolve")
