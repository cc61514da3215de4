"""What Dagster remembers of a dataset: runs with their events and logs, partitions, ticks, cursors, backfills.

Dagster's public verbs delete runs and partitions. They leave what names them elsewhere: tags, checks, the last event
of each asset, ticks, and the pages of a SQLite file that a deleted row lay in. That goes here by the tables' own names,
as SQLite and PostgreSQL share them; only SQLite files are compacted, a server does that by itself.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dagster as dg
from sqlalchemy import Connection, text

from mesh_assets.slices import is_slice_of
from mesh_assets.storage.run_tags import DATASET_TAG, PARTITION_TAG

# Beside our own tag runs are found by Dagster's for a partition, which all of them have.
_PARTITION_TAGS = (PARTITION_TAG, "dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
# SQLite takes some thousand values in one statement; a few hundred are as fast.
_VALUES = 500
# Other processes use the same files: a transaction of theirs takes milliseconds, their longest query seconds.
_BUSY_SECONDS = 30.0
_TOKEN = re.compile(r"[A-Za-z0-9._-]+")
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
# Of a backfill: the states in which it may ask for runs, and what tells its partitions.
_ASKING = ("REQUESTED", "CANCELING")
_BACKFILL_FIELDS = ("partition_names", "tags", "asset_backfill_data", "serialized_asset_backfill_data")


def names(text: str, dataset: str) -> bool:
    """Whether `text` names the dataset or one of its slices, as a whole word: `a.b` and `a-b` are no `a`."""
    words = {word for found in _TOKEN.findall(text) for word in (found, found.rstrip("._-"))}
    return any(word == dataset or is_slice_of(word, dataset) for word in words)


@dataclass(frozen=True, slots=True)
class DagsterHistory:
    """The history of one dataset in an instance."""

    instance: dg.DagsterInstance
    dataset: str

    def runs(self, *, unfinished: bool = False) -> list[str]:
        """Ids of its runs, whoever started them; with `unfinished` those that are queued or at work."""
        statuses = _UNFINISHED if unfinished else []
        found = set(self.instance.get_run_ids(dg.RunsFilter(tags={DATASET_TAG: self.dataset}, statuses=statuses)))
        slices, datasets = (set(self.instance.get_dynamic_partitions(name)) for name in ("slices", "datasets"))
        for tag, values in self.instance.get_run_tags(list(_PARTITION_TAGS), value_prefix=self.dataset):
            own = sorted(value for value in values if value == self.dataset or is_slice_of(value, self.dataset))
            for start in range(0, len(own), _VALUES):
                filters = dg.RunsFilter(tags={tag: own[start : start + _VALUES]}, statuses=statuses)
                for run in self.instance.get_runs(filters):
                    key = run.tags[tag]
                    # A dataset may be called like a slice of another; a run that has not begun has no tag of ours.
                    is_other = key in (slices if key == self.dataset else datasets)
                    if run.tags.get(DATASET_TAG, "" if is_other else self.dataset) == self.dataset:
                        found.add(run.run_id)
        return sorted(found)

    def backfills(self, *, unfinished: bool = False) -> list[str]:
        """Ids of backfills that cover some of it; with `unfinished` those that may still ask for runs."""
        with self._runs() as connection:
            rows = connection.execute(text("SELECT key, status, body FROM bulk_actions")).all()
        return [key for key, status, body in rows if self._covers(body) and (not unfinished or status in _ASKING)]

    def partitions(self) -> list[tuple[str, str]]:
        """Its dynamic partitions, each with the name of its definition."""
        datasets = [key for key in self.instance.get_dynamic_partitions("datasets") if key == self.dataset]
        slices = [key for key in self.instance.get_dynamic_partitions("slices") if is_slice_of(key, self.dataset)]
        return [*(("datasets", key) for key in datasets), *(("slices", key) for key in slices)]

    def erase(self, progress: Callable[[str], None]) -> frozenset[str]:
        """Delete all of it; the ids of its runs. None may be at work. Doing it again finishes what was begun."""
        runs = self.runs()
        for number, run_id in enumerate(runs):
            progress(f"{number:,} of {len(runs):,} runs deleted")
            self._erase_run(run_id)
        with self._runs() as connection:  # SQLite leaves the tags of a run that is deleted
            connection.execute(text("DELETE FROM run_tags WHERE run_id NOT IN (SELECT run_id FROM runs)"))
        for definition, key in self.partitions():
            self.instance.delete_dynamic_partition(definition, key)
        self._erase_backfills()
        self._erase_runless()
        self._erase_last_events()
        self.erase_ticks()
        return frozenset(runs)

    def erase_ticks(self) -> bool:
        """Delete the ticks that name it, and its name from the cursors of sensors; whether there was any."""
        found = self._clean_cursors()
        with self._schedules() as connection:
            rows = connection.execute(text("SELECT id, tick_body FROM job_ticks"))
            gone = [{"id": row_id} for row_id, body in rows if names(_plain(body), self.dataset)]
            if gone:
                connection.execute(text("DELETE FROM job_ticks WHERE id = :id"), gone)
        return found or bool(gone)

    def is_ticking(self, since: float) -> bool:
        """Whether a tick that began before `since` (seconds since 1970) is still at work: it may yet ask for runs."""
        with self._schedules() as connection:
            rows = connection.execute(text("SELECT tick_body FROM job_ticks WHERE status = 'STARTED'")).all()
        began = [json.loads(body).get("timestamp", 0.0) for (body,) in rows]
        return any(since - _BUSY_SECONDS * 4 < moment < since for moment in began)

    def compact(self) -> list[Path]:
        """Write the SQLite files anew, without what deleted rows left; those that others kept busy all the time."""
        return [path for path in self._files() if not _compacted(path)]

    def _covers(self, body: str | None) -> bool:
        found = json.loads(body or "{}")
        return any(names(_plain(json.dumps(found.get(name))), self.dataset) for name in _BACKFILL_FIELDS)

    def _erase_run(self, run_id: str) -> None:
        """Everything of a run, by which it is found last. (`instance.delete_run` does it first, and no checks.)"""
        self.instance.compute_log_manager.delete_logs(prefix=[run_id])
        # SQLite keeps the events of each run in a file of its own, and a copy of those of assets in the common one.
        path_of = getattr(self.instance.event_log_storage, "path_for_shard", None)
        if path_of is not None:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path_of(run_id)}{suffix}").unlink(missing_ok=True)
        events = "SELECT id FROM event_logs WHERE run_id = :run"
        with self._events() as connection:
            for statement in (
                "DELETE FROM asset_check_executions WHERE run_id = :run",
                f"DELETE FROM asset_event_tags WHERE event_id IN ({events})",  # noqa: S608  # a text of our own
                "DELETE FROM event_logs WHERE run_id = :run",
            ):
                connection.execute(text(statement), {"run": run_id})
        self.instance.run_storage.delete_run(run_id)

    def _erase_backfills(self) -> None:
        gone = [{"key": key} for key in self.backfills()]
        if gone:
            with self._runs() as connection:
                connection.execute(text("DELETE FROM backfill_tags WHERE backfill_id = :key"), gone)
                connection.execute(text("DELETE FROM bulk_actions WHERE key = :key"), gone)

    def _erase_runless(self) -> None:
        """The events of no run: sensors note how far a dataset is. They lie in the common file and one of their own."""
        for connect in (self._events, *self._runless()):
            with connect() as connection:
                rows = connection.execute(text("SELECT id, event FROM event_logs WHERE run_id = ''"))
                gone = [{"id": row_id} for row_id, event in rows if names(_plain(event), self.dataset)]
                if gone:
                    connection.execute(text("DELETE FROM asset_event_tags WHERE event_id = :id"), gone)
                    connection.execute(text("DELETE FROM event_logs WHERE id = :id"), gone)

    def _erase_last_events(self) -> None:
        """Each asset keeps a copy of its last event: where that is of the dataset, the last one that is left counts."""
        columns = "asset_key, last_materialization, cached_status_data"
        with self._events() as connection:
            rows = connection.execute(text(f"SELECT {columns} FROM asset_keys")).all()  # noqa: S608
            for asset, last, status in rows:
                if names(_plain(status), self.dataset):  # a cache of Dagster's, filled again when it is asked for
                    connection.execute(
                        text("UPDATE asset_keys SET cached_status_data = NULL WHERE asset_key = :asset"),
                        {"asset": asset},
                    )
                if names(_plain(last), self.dataset):
                    values = {"asset": asset, **_last_event(connection, asset)}
                    connection.execute(
                        text(
                            "UPDATE asset_keys SET last_materialization = :record, last_run_id = :run "
                            "WHERE asset_key = :asset"
                        ),
                        values,
                    )

    def _clean_cursors(self) -> bool:
        any_found = False
        for state in self.instance.all_instigator_state():
            found = cast("Any", state.instigator_data)
            cursor, run_key = getattr(found, "cursor", None), getattr(found, "last_run_key", None)
            if cursor and names(cursor, self.dataset):
                found = found._replace(cursor=_without(cursor, self.dataset))
            if run_key and names(run_key, self.dataset):
                found = found._replace(last_run_key=None)
            if found is not state.instigator_data:
                self.instance.update_instigator_state(state.with_data(found))
                any_found = True
        return any_found

    @contextmanager
    def _runs(self) -> Generator[Connection]:
        with cast("Any", self.instance.run_storage).connect() as connection:
            yield connection

    @contextmanager
    def _events(self) -> Generator[Connection]:
        with cast("Any", self.instance.event_log_storage).index_connection() as connection:
            yield connection

    def _runless(self) -> list[Callable[[], AbstractContextManager[Connection]]]:
        """How to open the file of the events of no run, where the storage has one and it was written."""
        storage = cast("Any", self.instance.event_log_storage)
        path_of = getattr(storage, "path_for_shard", None)
        is_there = path_of is not None and Path(path_of("")).exists()
        return [lambda: storage.run_connection("")] if is_there else []

    @contextmanager
    def _schedules(self) -> Generator[Connection]:
        with cast("Any", self.instance.schedule_storage).connect() as connection:
            yield connection

    def _files(self) -> list[Path]:
        found: set[Path] = set()
        for connect in (self._runs, self._events, self._schedules, *self._runless()):
            with connect() as connection:
                engine = connection.engine
                if engine.dialect.name == "sqlite" and engine.url.database:
                    found.add(Path(engine.url.database))
        return sorted(found)


def _last_event(connection: Connection, asset: str) -> dict[str, object]:
    """The newest materialization of an asset that is left, as its copy is kept; nulls where there is none."""
    query = (
        "SELECT id, run_id, event FROM event_logs WHERE asset_key = :asset "
        "AND dagster_event_type = 'ASSET_MATERIALIZATION' ORDER BY id DESC LIMIT 1"
    )
    row = connection.execute(text(query), {"asset": asset}).first()
    if row is None:
        return {"record": None, "run": None}
    record = {"__class__": "EventLogRecord", "event_log_entry": json.loads(row[2]), "storage_id": row[0]}
    return {"record": json.dumps(record), "run": row[1]}


def _plain(body: str | None) -> str:
    """The strings in a JSON text, one a line: an escape before a word would hide where it begins."""
    try:
        return "\n".join(_strings(json.loads(body or "null")))
    except ValueError:
        return body or ""


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            yield from (key, *_strings(inner))
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _strings(inner)


def _without(cursor: str, dataset: str) -> str:
    """A sensor's cursor without what names the dataset: entries of a JSON object or list, or all of another text."""
    try:
        value: object = json.loads(cursor)
    except ValueError:
        return ""
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value).items()
        return json.dumps({key: inner for key, inner in entries if not names(json.dumps([key, inner]), dataset)})
    if isinstance(value, list):
        return json.dumps([inner for inner in cast("Iterable[object]", value) if not names(json.dumps(inner), dataset)])
    return ""


def _compacted(path: Path) -> bool:
    """Rewrite a SQLite file and empty its log of changes; False where other processes never let go of it."""
    deadline = time.monotonic() + _BUSY_SECONDS
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        while True:
            try:
                connection.execute("VACUUM")
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return True
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) and "busy" not in str(error):
                    raise
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.2)
