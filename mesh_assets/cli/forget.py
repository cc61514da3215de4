"""`mesh forget`: removes every trace of a dataset, while the mesh is up and while it is not."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mesh_assets.cli.console import console, errors, print_json, safe
from mesh_assets.cli.home import use_dagster_home
from mesh_assets.cli.services import graphql, running_at
from mesh_assets.errors import ServiceError, SettingsError
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.resources.batch_log import connect_batch_log
from mesh_assets.resources.call_log import connect_call_log
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.graph_index import connect_graph_server
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets.resources.vector_index import connect_vector_index
from mesh_assets.settings import Settings, load_settings
from mesh_assets.slices import dataset_key, is_dataset_key
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.retirement import SliceStores
from mesh_assets.storage.run_locks import is_alive

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from mesh_assets.storage.dagster_history import DagsterHistory
    from mesh_assets.storage.forgetting import Erasure

# A run ends at its next Python statement; a model that is at work on a batch comes back within seconds.
END_SECONDS = 120
# A tick walks the drop area for ten seconds at most.
TICK_SECONDS = 30
POLL_SECONDS = 0.5
_CANCEL = "mutation($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }"
_TERMINATE = "mutation($ids: [String!]!) { terminateRuns(runIds: $ids) { __typename } }"


def forget(
    dataset: Annotated[str, typer.Argument(help="Key of the dataset, as `mesh status` shows it.")],
    delete_files: Annotated[
        bool, typer.Option("--delete-files", help="Delete its folder in the drop area, too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Remove everything that was made of a dataset. A folder that is by reference is never touched."""
    settings = load_settings()
    use_dagster_home()
    import dagster as dg

    from mesh_assets.storage.dagster_history import DagsterHistory
    from mesh_assets.storage.forgetting import Erasure

    area = DropArea.of(settings)
    stores = SliceStores(
        Lake(settings.state / "lake"),
        connect_vector_index(settings),
        connect_fulltext_index(settings),
        settings.state / "reports",
        connect_graph_server(settings),
    )
    with dg.DagsterInstance.get() as instance:
        key = _known(settings, area, stores, instance, dataset)
        folder = _folder_to_delete(area, key, delete_files=delete_files)
        reference = area.references().get(key)
        if not yes:
            _confirm(key, folder)
        gone = _forget(Erasure(settings, stores, key), DagsterHistory(instance, key), folder)
    told: dict[str, object] = {
        "dataset": key,
        **gone,
        "deleted_folder": str(folder) if folder is not None else None,
        "untouched_folder": str(reference.path) if reference is not None else None,
    }
    if json:
        print_json(told)
    else:
        _tell(told)


def _known(settings: Settings, area: DropArea, stores: SliceStores, instance: DagsterInstance, name: str) -> str:
    from mesh_assets.storage.dagster_history import DagsterHistory
    from mesh_assets.storage.forgetting import traces

    known = traces(settings, area, stores)
    for key in (name, dataset_key(name)):
        if key in known or (is_dataset_key(key) and DagsterHistory(instance, key).partitions()):
            return key
    raise SettingsError(
        f"There is no dataset {name!r}.", remedy=f"Those that exist: {', '.join(sorted(known)) or 'none'}."
    )


def _folder_to_delete(area: DropArea, key: str, *, delete_files: bool) -> Path | None:
    dropped = area.dropped().get(key)
    if dropped is None:
        return None
    folder = area.root / dropped
    if key in area.references():
        raise SettingsError(
            f"{folder} has the name of this dataset, which is by reference: it would take its place at once.",
            remedy="Rename that folder, or move it out of the drop area, then run the same command again.",
        )
    if not delete_files:
        raise SettingsError(
            f"{folder} is still in the drop area: the dataset would come straight back.",
            remedy="Move it out of the drop area first, or give --delete-files to delete it, too.",
        )
    return folder


def _confirm(key: str, folder: Path | None) -> None:
    if not sys.stdin.isatty():
        raise SettingsError("Nobody is there to confirm that.", remedy="Give --yes where nobody can be asked.")
    also = f", and its files in {safe(str(folder))}" if folder is not None else ""
    if not typer.confirm(f"Delete everything that was made of {key}{also}?"):
        raise typer.Abort


def _forget(erasure: Erasure, history: DagsterHistory, folder: Path | None) -> dict[str, int]:
    """The deletion, in the order that an interruption at any point leaves something for a second call to find."""
    with errors.status("Forgetting …") as shown:
        erasure.unpublish()
        url = running_at(erasure.settings)
        _end_runs(erasure.settings, history, url)
        if folder is not None:
            shown.update("Deleting its files …")
            erasure.delete_source(folder)
        shown.update("Deleting what was made of it …")
        tables = erasure.erase()
        connect_batch_log(erasure.settings).forget(erasure.dataset)
        connect_call_log(erasure.settings).forget(erasure.dataset)
        connect_ledger(erasure.settings).forget(erasure.dataset)  # what was paid stays on the record, without its name
        runs = history.erase(shown.update)
        shown.update("Compacting what Dagster remembers …")
        _clean_ticks(history, url)
        busy = history.compact()
        erasure.clean_log(runs)
        if busy:
            raise ServiceError(
                f"{history.dataset} is deleted, but {', '.join(map(str, busy))} was in use all the time: "
                "what is deleted there can still be read in its bytes.",
                remedy="Run the same command again, at best while the mesh is down.",
            )
        erasure.finish()
    return {"tables": tables, "runs": len(runs)}


def _end_runs(settings: Settings, history: DagsterHistory, url: str | None) -> None:
    """End all runs of the dataset and wait until their processes are gone; ServiceError where one does not end.

    Without a daemon nothing is queued any more and what is left unfinished is dead, unless its lock is held.
    """
    began, asked = time.time(), set[str]()
    deadline = time.monotonic() + END_SECONDS
    while True:
        backfills = history.backfills(unfinished=True) if url else []
        at_work = history.runs(unfinished=True) if url else []
        alive = [run for run in history.runs() if is_alive(settings.state / "locks", run)]
        # Ticks that began before the manifest went may still ask for a run.
        if not (backfills or at_work or alive or (url and history.is_ticking(began))):
            return
        for backfill in set(backfills) - asked:
            _ask(url, _CANCEL, {"id": backfill})
        if fresh := sorted(set(at_work) - asked):
            _ask(url, _TERMINATE, {"ids": fresh})
        asked.update(backfills, at_work)
        if time.monotonic() >= deadline:
            raise ServiceError(
                f"{history.dataset} is still at work: {', '.join(sorted({*backfills, *at_work, *alive})[:3])}.",
                remedy="End that in the UI, or stop the mesh with Ctrl-C; then run the same command again.",
            )
        time.sleep(POLL_SECONDS)


def _ask(url: str | None, query: str, variables: dict[str, object]) -> None:
    try:
        graphql(url or "", query, variables)
    except (OSError, ValueError, KeyError) as error:
        raise ServiceError(
            f"Dagster at {url} does not answer: {error}.", remedy="See its log, then run the same command again."
        ) from error


def _clean_ticks(history: DagsterHistory, url: str | None) -> None:
    """A tick that is at work while its sensor's cursor is cleaned writes the old one back: look again after it."""
    deadline = time.monotonic() + TICK_SECONDS
    while history.erase_ticks() or (url and history.is_ticking(time.time())):
        if time.monotonic() >= deadline:
            return
        time.sleep(POLL_SECONDS)


def _tell(told: dict[str, object]) -> None:
    console.print(
        f"[bold]{escape(str(told['dataset']))}[/] is forgotten: {told['tables']:,} tables, its entries in the indexes, "
        f"its reports and {told['runs']:,} runs are gone."
    )
    for what, said in (("deleted_folder", "Deleted"), ("untouched_folder", "Not touched")):
        if told[what] is not None:
            console.print(escape(safe(f"{said}: {told[what]}")), soft_wrap=True)
