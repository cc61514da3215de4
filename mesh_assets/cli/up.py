"""`mesh up`: Dagster's web server and daemon on this machine, until Ctrl-C."""

from __future__ import annotations

import time
import uuid

from mesh_assets.cli.backfill_requests import start_recorded
from mesh_assets.cli.console import console
from mesh_assets.cli.lending import apply_limits, keep_to_cores
from mesh_assets.cli.services import Services, dagster_services
from mesh_assets.settings import load_settings
from mesh_assets.storage.duckdb_query import lake_connection


def up() -> None:
    """Start the Dagster UI and its daemon on 127.0.0.1: drops are picked up as long as it runs. Ctrl-C ends it."""
    settings = load_settings()
    console.print("Starting Dagster …")
    keep_to_cores(settings)
    limits = apply_limits(settings)  # before anything that waits in the queue may start
    with dagster_services(settings) as services:
        # Its views hold paths: after the state folder was moved they are made anew, for notebooks that open the file.
        with lake_connection(settings.state / "lake", uuid.uuid4().hex):
            pass
        console.print(f"The mesh is up: {services.url}")
        if services.search_url:
            console.print(f"Search everything: {services.search_url}")
        console.print(f"Drop folders into {settings.drops}. Ctrl-C ends it.")
        console.print(limits)
        started = start_recorded(settings, services.url)
        if started:
            console.print(f"{len(started)} backfills that were asked for meanwhile are started.")
        serve(services)
    console.print("The mesh is down. What was running is resumed at the next start.")


def serve(services: Services) -> None:
    """Wait until Ctrl-C; ServiceError where Dagster ends by itself."""
    try:
        while True:
            services.check()
            time.sleep(1)
    except KeyboardInterrupt:
        return
