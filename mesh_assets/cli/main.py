"""The `mesh` command: puts the verbs together and turns errors into sentences with a remedy."""

from __future__ import annotations

import sys

import typer
from rich.markup import escape

from mesh_assets.cli import (
    around,
    ask,
    audit,
    backfill,
    calibrate,
    cost,
    demo,
    doctor,
    estimate,
    forget,
    graph,
    ingest,
    judge,
    label,
    nodes,
    pause,
    report,
    search,
    show,
    sql,
    status,
    timeline,
    up,
)
from mesh_assets.cli.console import errors, safe_lines
from mesh_assets.errors import MeshError

verbs = typer.Typer(
    help="Intelligence Mesh: reads what you drop in a folder, on your own hardware.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_READ = (
    ingest.ingest,
    status.status,
    search.search,
    ask.ask,
    graph.graph,
    around.around,
    show.show,
    report.report,
    sql.sql,
    cost.cost,
    estimate.estimate,
    nodes.nodes,
    judge.judge,
)
_CONTROL = (
    calibrate.calibrate,
    backfill.backfill,
    label.label,
    pause.pause,
    pause.resume,
    forget.forget,
    doctor.doctor,
)
for command in (up.up, demo.demo, *_READ, *_CONTROL):
    verbs.command()(command)
verbs.add_typer(audit.audit, name="audit")
verbs.command("time")(timeline.timeline)


def app() -> None:
    """Entry point: an error that the mesh knows is printed as what happened and what to do, with status 1."""
    try:
        verbs()
    except MeshError as error:
        errors.print(f"[bold red]{escape(safe_lines(error.message))}[/]", soft_wrap=True)
        errors.print(escape(safe_lines(error.remedy)), soft_wrap=True)
        sys.exit(1)
