"""Backfills over Dagster's GraphQL API: those of `mesh backfill`, now or, where the mesh was down, when it comes up."""

from __future__ import annotations

import fcntl
import re
import urllib.error
from typing import Any, cast

from mesh_assets.cli.home import use_dagster_home
from mesh_assets.cli.services import graphql
from mesh_assets.errors import ServiceError
from mesh_assets.insights.wording import plural
from mesh_assets.settings import Settings
from mesh_assets.stages import ASSETS, SLICE_ASSETS
from mesh_assets.storage.backfills import Backfill, ranges, recorded
from mesh_assets.storage.run_tags import CAN_WAIT_TAG, DATASET_TAG, FORCE_TAG, PRIORITY_TAG

_ADDRESS = re.compile(r"http://[\d.]+:\d+")
_LAUNCH = """mutation($parameters: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $parameters) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }"""


def address_of_running(settings: Settings) -> str | None:
    """The address of the mesh that is up on this state folder; None where none is."""
    try:
        with (settings.state / "up.lock").open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found = _ADDRESS.search(file.read())
                return found[0] if found else None
    except FileNotFoundError:
        pass
    return None


def start_backfill(url: str, backfill: Backfill) -> str | None:
    """The id of the backfill in Dagster; None where the mesh does not answer yet. ServiceError where it is refused."""
    try:
        answer = graphql(url, _LAUNCH, {"parameters": _parameters(backfill)})
    except urllib.error.HTTPError as error:
        raise _refused(backfill, f"status {error.code}") from error
    except (urllib.error.URLError, OSError):
        return None
    found = cast("dict[str, Any]", answer["launchPartitionBackfill"])
    if "backfillId" not in found:
        raise _refused(backfill, str(found.get("message", found["__typename"])))
    return str(found["backfillId"])


def start_recorded(settings: Settings, url: str) -> list[str]:
    """Start what was asked for while the mesh was down; the ids. What is refused stays recorded."""
    started: list[str] = []
    for path, backfill in recorded(settings.state / "backfills"):
        try:
            identity = start_backfill(url, backfill)
        except ServiceError:
            continue
        if identity is not None:
            path.unlink(missing_ok=True)
            started.append(identity)
    return started


def _parameters(backfill: Backfill) -> dict[str, object]:
    from mesh_assets.defs.jobs import BACKFILL_PRIORITY

    slices = _selection(ranges(backfill.slices, _partitions("slices")))
    by_asset = dict.fromkeys(SLICE_ASSETS, slices)
    # Named for themselves: as something downstream of slices, Dagster would make those of every dataset.
    by_asset |= {asset: _selection([(backfill.dataset, backfill.dataset)]) for asset in report_assets()}
    tags = {DATASET_TAG: backfill.dataset, PRIORITY_TAG: BACKFILL_PRIORITY}
    if backfill.force:
        tags[FORCE_TAG] = "true"
    if backfill.can_wait:
        tags[CAN_WAIT_TAG] = "true"
    by_force = ", by force" if backfill.force else ""
    return {
        "title": f"mesh backfill {backfill.dataset}"[:100],
        "description": f"{plural(len(backfill.slices), 'slice')} and the report{by_force}",
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
        "partitionsByAssets": [
            {"assetKey": {"path": [asset]}, "partitions": partitions} for asset, partitions in by_asset.items()
        ],
    }


def report_assets() -> tuple[str, ...]:
    """The assets of a dataset that are made from its slices: all but its manifest."""
    return tuple(name for name, asset in ASSETS.items() if asset.partition == "dataset" and name != "drop_manifests")


def _selection(parts: list[tuple[str, str]]) -> dict[str, object]:
    return {"ranges": [{"start": start, "end": end} for start, end in parts]}


def _partitions(name: str) -> list[str]:
    use_dagster_home()
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        return list(instance.get_dynamic_partitions(name))


def _refused(backfill: Backfill, why: str) -> ServiceError:
    return ServiceError(
        f"Dagster refused the backfill of {backfill.dataset}: {why}",
        remedy=f"Materialize drop_manifests of {backfill.dataset} in the UI, which adds its slices again; then repeat.",
    )
