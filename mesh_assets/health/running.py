"""Checks of what runs, or should: Dagster's home and its settings, the daemon, run locks, runs without a process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

from mesh_assets.health.findings import Finding
from mesh_assets.wording import duration

# The daemon writes a heartbeat every 30 s; busy, it may be late by as much again.
STALE_SECONDS = 90.0
# A busy machine with two cores needs so long to start it.
_START_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """What is known of the daemon of a DAGSTER_HOME.

    `up_since`: seconds since `mesh up` took its lock, None where nobody holds it. `heartbeat`: seconds since the last
    one, None where there never was one. `processes`: process ids of daemons of this home.
    """

    up_since: float | None
    heartbeat: float | None
    processes: Sequence[int]


def home(path: str, *, named_by_env: str | None, clone: Path) -> list[Finding]:
    """DAGSTER_HOME as it will be used, and what `.env` says of it."""
    findings: list[Finding] = []
    if named_by_env is not None and not (Path(named_by_env).is_absolute() and Path(named_by_env).is_dir()):
        what = f".env names DAGSTER_HOME={named_by_env}, which is not there: the clone was moved"
        remedy = f"Set it to {clone} in {clone / '.env'}, or delete that file: the next start writes it."
        findings.append(Finding("home", "warn", what, remedy))
    if not (Path(path).is_absolute() and Path(path).is_dir()):
        what = f"DAGSTER_HOME={path} is no absolute path of a folder"
        findings.append(Finding("home", "wrong", what, f"Set it to {clone}, in the environment or in .env."))
    else:
        findings.append(Finding("home", "ok", f"DAGSTER_HOME={path}"))
    return findings


def sharing(path: str, strangers: Collection[str]) -> list[Finding]:
    """Datasets that Dagster remembers in the home at `path`, and that neither MESH_STATE nor MESH_DROPS has."""
    if not strangers:
        return []
    named = ", ".join(sorted(strangers)[:5])
    what = f"DAGSTER_HOME={path} has datasets that are not of this MESH_STATE ({len(strangers)}: {named})"
    remedy = "Give each MESH_STATE a DAGSTER_HOME of its own: they show and start each other's slices."
    return [Finding("home", "warn", what, remedy)]


def instance_settings(path: str, config: object) -> list[Finding]:
    """What `dagster.yaml` of the home must say; `config` is its content, None where there is no such file."""
    if not isinstance(config, Mapping):
        what = f"there is no dagster.yaml in {path}: two runs of one slice may overlap, and telemetry is on"
        return [Finding("dagster.yaml", "wrong", what, "Copy dagster.yaml of the clone there.")]
    settings = cast("Mapping[str, object]", config)
    findings: list[Finding] = []
    if _at(settings, "telemetry", "enabled") is not False:
        what = "telemetry is on: Dagster sends usage data"
        findings.append(Finding("dagster.yaml", "warn", what, "telemetry: {enabled: false}"))
    limits = _at(settings, "concurrency", "runs", "tag_concurrency_limits")
    if "dagster/partition" not in str(limits):
        what = "nothing keeps two runs of one slice apart"
        remedy = "Take concurrency.runs.tag_concurrency_limits over from dagster.yaml of the clone."
        findings.append(Finding("dagster.yaml", "wrong", what, remedy))
    if _at(settings, "run_retries", "enabled") is not True:
        remedy = "Take run_retries over from dagster.yaml of the clone."
        findings.append(Finding("dagster.yaml", "warn", "runs that were cut off are not resumed", remedy))
    return findings or [Finding("dagster.yaml", "ok", "telemetry is off, runs are kept apart and resumed")]


def daemon(found: Daemon) -> Finding:
    """Whether the daemon works as long as `mesh up` does, and only then, and alone."""
    processes = ", ".join(map(str, found.processes))
    late = found.heartbeat is None or found.heartbeat > STALE_SECONDS
    if len(found.processes) > 1:
        what = f"{len(found.processes)} daemons run on one DAGSTER_HOME (processes {processes}): retries break"
        return Finding("daemon", "wrong", what, "Stop all but one: Ctrl-C where each was started.")
    if found.up_since is None:
        if found.processes:
            what = f"a daemon runs without `mesh up` (process {processes})"
            remedy = "Fine for plain `dagster dev`, but runs that a stop cuts off wait for `mesh up`; never start both."
            return Finding("daemon", "warn", what, remedy)
        ended = "" if late else ", since less than two minutes"
        return Finding("daemon", "ok", f"the mesh is down{ended}; `mesh up` starts it")
    if late and found.up_since > _START_SECONDS:
        last = "never" if found.heartbeat is None else f"{duration(timedelta(seconds=round(found.heartbeat)))} ago"
        what = f"the mesh is up, but its daemon gave no sign of life ({last})"
        return Finding("daemon", "wrong", what, "Stop `mesh up` with Ctrl-C and start it again; see dagster.log.")
    return Finding("daemon", "ok", "the mesh is up" if not late else "the mesh is starting")


def pace(why_held: str | None) -> Finding:
    """Whether the mesh may work; `why_held` is the sentence that says why not."""
    if why_held is None:
        return Finding("pace", "ok", "the mesh may work now")
    return Finding("pace", "ok", why_held, "`mesh resume` ends a pause, MESH_HOURS sets the hours.")


def runs(unfinished: Sequence[str], alive: Collection[str], *, up: bool) -> Finding:
    """Runs that Dagster takes for unfinished but whose process is gone."""
    orphans = [run for run in unfinished if run not in alive]
    if not orphans:
        return Finding("runs", "ok", f"{len(unfinished)} unfinished, each with its process")
    what = f"{len(orphans)} runs have no process any more: {', '.join(run[:8] for run in orphans[:5])}"
    if up:
        # The daemon ends such a run by itself where it saw the process die; what is left it will not see.
        remedy = "Restart `mesh up`: it reports them as failed, and they are resumed."
        return Finding("runs", "wrong", what, remedy)
    return Finding("runs", "warn", what, "`mesh up` resumes them.")


def run_locks(free: Sequence[str], held: Sequence[str]) -> Finding:
    """Locks of runs: those in use, and those that killed runs left behind."""
    what = f"{len(held)} run {'lock is' if len(held) == 1 else 'locks are'} held"
    if free:
        what += f", {len(free)} were left by killed runs and hold nothing"
    return Finding("locks", "ok", what)


def port(number: int, *, taken: bool, up: bool) -> Finding:
    """Whether the UI can have its port."""
    if taken and not up:
        remedy = "Stop that program, or set MESH_PORT to another port."
        return Finding("port", "warn", f"port {number} is taken by another program", remedy)
    return Finding("port", "ok", f"port {number} {'is in use by the mesh' if taken else 'is free'}")


def _at(settings: Mapping[str, object], key: str, *below: str) -> object:
    value = settings.get(key)
    if not below:
        return value
    return _at(cast("Mapping[str, object]", value), *below) if isinstance(value, Mapping) else None
