"""`mesh doctor`: whether this machine and what runs on it are in order, and what to do where they are not."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from dotenv import dotenv_values
from rich.markup import escape
from rich.table import Table

from mesh_assets.analyses.written_summary import why_unfit
from mesh_assets.chunks.media.words import model_folders
from mesh_assets.cli.console import console, print_json, safe
from mesh_assets.cli.home import ENV_FILE
from mesh_assets.cli.services import HOST
from mesh_assets.errors import MeshError
from mesh_assets.health import derived, machine, probe, running, software
from mesh_assets.health.findings import Finding, is_healthy
from mesh_assets.health.hardware import found_hardware
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.machine import concurrent_runs, cores, memory_bytes, run_threads
from mesh_assets.mesh.costs import usd
from mesh_assets.mesh.nodes import nodes_on
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets.resources.nodes import node_states
from mesh_assets.resources.server_url import ServerUrl
from mesh_assets.settings import NO_SERVER, PROJECT_ROOT, Settings, load_settings
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.pace import held

_MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "wrong": "[bold red]wrong[/]"}
# A run is STARTED some seconds before its process has its lock.
_YOUNG_SECONDS = 60.0


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check versions, disks, locks, clock, money, daemon, runs; status 1 where something is wrong. Changes nothing."""
    settings = load_settings()
    findings = [*_software(), *_hardware(settings), *_machine(settings), *_models(settings), _ledger(settings)]
    findings += _running(settings)
    healthy = is_healthy(findings)
    if json:
        print_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        console.print(_table(findings))
        warned = any(finding.level == "warn" for finding in findings)
        fine = "Nothing is wrong; what is marked `warn` may be as you want it." if warned else "Nothing is wrong."
        console.print(f"\n{fine}" if healthy else "\nSomething is wrong: each line says what to do.")
    raise typer.Exit(0 if healthy else 1)


def _table(findings: list[Finding]) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for column in ("", "about", "what was found", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        words = (finding.subject, finding.what, finding.remedy)
        table.add_row(_MARKS[finding.level], *(escape(safe(text)) for text in words))
    return table


def _software() -> Iterator[Finding]:
    wanted, ranges = probe.requirements()
    yield software.python(platform.python_version(), wanted)
    yield from software.packages(ranges, probe.installed)
    yield software.dagster_family(probe.dagster_packages())
    yield from software.debian(lambda name: shutil.which(name) is not None)


def _hardware(settings: Settings) -> Iterator[Finding]:
    folders = (("MESH_STATE", settings.state), ("MESH_DROPS", settings.drops))
    yield from derived.findings(found_hardware(folders), derived.derived(settings))


def _machine(settings: Settings) -> Iterator[Finding]:
    facts = probe.lake_facts(settings)
    state = probe.folder("MESH_STATE", settings.state)
    yield machine.disk(state, facts.expected)
    yield from machine.file_system(state)
    yield machine.disk(probe.folder("MESH_DROPS", settings.drops), 0)
    yield from machine.clock(time.time(), facts.moments)
    side_by_side = concurrent_runs(settings)
    yield machine.memory(memory_bytes(settings), side_by_side)
    yield machine.cores(cores(settings), side_by_side, run_threads(settings))
    yield machine.open_files(probe.open_files_limit())
    hostname = socket.gethostname()
    yield machine.host_names(hostname, localhost=probe.is_loopback("localhost"), own=probe.resolves(hostname))


def _models(settings: Settings) -> Iterator[Finding]:
    """Models that the settings name and that nothing can be asked of: what they would tell is left out of reports."""
    for name in ("speech_model", "caption_model", "ner_model"):
        model = str(getattr(settings, name))
        if model != NO_SERVER and not any(folder.exists() for folder in model_folders(model)):
            what = f"MESH_{name.upper()}={model} is not on this machine: it is done without"
            yield Finding(
                "local models", "warn", what, "Name a folder of a model, or one in the cache of Hugging Face."
            )
    try:
        _ = connect_encoder(settings).model
    except MeshError as error:
        yield Finding("local models", "wrong", error.message, error.remedy)
    for name in ("qdrant_url", "elasticsearch_url", "neo4j_url"):
        url = str(getattr(settings, name))
        try:
            ServerUrl.parse(f"MESH_{name.upper()}", "http://none" if url == NO_SERVER else url)
        except MeshError as error:
            yield Finding("servers", "wrong", error.message, error.remedy)
    try:
        states = node_states(settings)
    except MeshError as error:
        yield Finding("nodes", "wrong", error.message, error.remedy)
        return
    node, off = settings.summary_node, [state for state in states if state.off]
    if node != NO_SERVER and (why := why_unfit(node, nodes_on(states), off)):
        what = f"MESH_SUMMARY_NODE={node} writes no summary: {why}"
        yield Finding("nodes", "warn", what, "`mesh nodes` lists them: it must be on, with `policy: local`.")


def _ledger(settings: Settings) -> Finding:
    """Where money is counted, and whether it can be read; nothing is made there."""
    try:
        ledger = connect_ledger(settings)
        month = ledger.month() if ledger.exists else None
        spent = "nothing was spent yet" if month is None else f"${usd(month.spent)} in {month.scope.name}"
        of = "money and the pace of nodes are" if settings.ledger_url != NO_SERVER else "money is"
        return Finding("ledger", "ok", f"{of} counted in {ledger.name}: {spent}")
    except MeshError as error:
        return Finding("ledger", "wrong", error.message, error.remedy)


def _running(settings: Settings) -> Iterator[Finding]:
    # As the mesh takes it, but without writing `.env`, which a doctor does not do.
    named = dotenv_values(ENV_FILE).get("DAGSTER_HOME") if ENV_FILE.exists() else None
    usable = named is not None and Path(named).is_absolute() and Path(named).is_dir()
    home = os.environ.get("DAGSTER_HOME") or (named if named is not None and usable else str(PROJECT_ROOT))
    findings = running.home(home, named_by_env=named, clone=PROJECT_ROOT)
    yield from findings
    if any(finding.level == "wrong" for finding in findings):
        return
    yield machine.disk(probe.folder("DAGSTER_HOME", Path(home)), 0)
    yield from running.instance_settings(home, probe.yaml_of(Path(home, "dagster.yaml")))
    up = probe.up_since(settings.state)
    yield running.pace(held(settings))
    free, taken = probe.run_locks(settings.state)
    yield running.run_locks(free, taken)
    yield running.port(settings.port, taken=probe.port_is_taken(HOST, settings.port), up=up is not None)
    yield from _instance(settings, home, taken, up)


def _instance(settings: Settings, home: str, taken: list[str], up: float | None) -> Iterator[Finding]:
    """What Dagster's own database says; nothing of it is made here where Dagster never ran."""
    if not any(Path(home, name).exists() for name in ("history", "storage", "schedules")):
        yield running.daemon(running.Daemon(up, None, probe.daemon_processes(home)))
        return
    os.environ["DAGSTER_HOME"] = home
    import dagster as dg

    from mesh_assets.defs.partitions import DATASETS

    try:
        with dg.DagsterInstance.get() as instance:
            beats = [s.last_heartbeat.timestamp for s in instance.get_daemon_statuses().values() if s.last_heartbeat]
            statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
            records = instance.get_run_records(dg.RunsFilter(statuses=statuses))
            remembered = instance.get_dynamic_partitions(DATASETS.name or "")
    except Exception as error:  # noqa: BLE001  # whatever Dagster raises over its database is the finding
        yield Finding(
            "dagster", "wrong", f"the database in {home} cannot be read: {error}", "Move it away, or restore it."
        )
        return
    beat = time.time() - max(beats) if beats else None
    yield running.daemon(running.Daemon(up, beat, probe.daemon_processes(home)))
    old = [r.dagster_run.run_id for r in records if time.time() - (r.start_time or 0.0) > _YOUNG_SECONDS]
    yield running.runs(old, taken, up=up is not None)
    area = DropArea.of(settings)
    own = {*area.folders(), *area.unavailable(), *Lake(settings.state / "lake").all_datasets()}
    yield from running.sharing(home, set(remembered) - own)
