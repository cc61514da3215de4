"""What Dagster remembers of a dataset goes, to the last byte; what it remembers of others stays."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from mesh_assets.storage import dagster_history
from mesh_assets.storage.dagster_history import DagsterHistory, names

SLICES = dg.DynamicPartitionsDefinition(name="slices")
DATASETS = ("web", "web-logs", "web.old")
CANARY = "quetzalcoatlus"


@dg.asset(partitions_def=SLICES, check_specs=[dg.AssetCheckSpec("sound", asset="notes")])
def notes(context: dg.AssetExecutionContext) -> Iterator[object]:
    """An asset whose materializations tell what they saw."""
    seen = CANARY if context.partition_key.startswith("web.0") else "others"
    yield dg.MaterializeResult(
        metadata={"seen": seen, "slice": context.partition_key},
        check_results=[dg.AssetCheckResult(passed=True, metadata={"seen": seen, "slice": context.partition_key})],
    )


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def _run(instance: dg.DagsterInstance, dataset: str, *, number: int = 0, tagged: bool = True) -> str:
    key = f"{dataset}.{number:06d}"
    instance.add_dynamic_partitions("slices", [key])
    instance.add_dynamic_partitions("datasets", [dataset])
    tags = {"mesh/dataset": dataset} if tagged else {}
    return dg.materialize([notes], partition_key=key, instance=instance, tags=tags).run_id


def _sensor(instance: dg.DagsterInstance, cursor: str, run_key: str) -> tuple[str, str]:
    target = LoadableTargetOrigin(module_name="nowhere")
    repository = RemoteRepositoryOrigin(ManagedGrpcPythonEnvCodeLocationOrigin(target, "place"), "repository")
    origin = RemoteInstigatorOrigin(repository, f"sensor_{len(instance.all_instigator_state())}")
    data = SensorInstigatorData(cursor=cursor, last_run_key=run_key)
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data))
    return origin.get_id(), origin.get_selector().get_id()


def _tick(instance: dg.DagsterInstance, sensor: tuple[str, str], run_key: str, status: TickStatus) -> None:
    data = TickData(
        sensor[0],
        "sensor",
        InstigatorType.SENSOR,
        status,
        time.time() - 1,
        run_keys=[run_key],
        run_ids=["a-run"],
        selector_id=sensor[1],
    )
    instance.create_tick(data)


def _files_with(folder: Path, *texts: str) -> set[str]:
    """Names of the files that name `web`, and not only `web-logs` or `web.old`, or that hold one of the texts."""
    found: set[str] = set()
    for path in folder.rglob("*"):
        content = path.read_bytes().decode("latin-1") if path.is_file() else ""
        if any(t in content for t in texts) or names(content, "web"):
            found.add(str(path.relative_to(folder)))
    return found


def test_all_of_a_dataset_goes_and_nothing_of_others(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    for dataset in DATASETS[1:]:
        _run(instance, dataset)
    gone = [_run(instance, "web"), _run(instance, "web", number=1, tagged=False)]
    sensor = _sensor(instance, json.dumps({dataset: [1, f"{dataset}.000000"] for dataset in DATASETS}), "web@1")
    plain = _sensor(instance, "web", "web-logs@1")
    for dataset in DATASETS:
        _tick(instance, sensor, f"{dataset}@1", TickStatus.SUCCESS)
        backfill = PartitionBackfill(
            f"of-{dataset[4:] or 'it'}", BulkActionStatus.REQUESTED, False, {"mesh/dataset": dataset}, time.time()
        )
        instance.add_backfill(backfill)
    assert instance.get_latest_materialization_event(notes.key).run_id == gone[1]  # type: ignore[union-attr]
    history = DagsterHistory(instance, "web")
    assert history.runs() == sorted(gone)
    assert history.backfills(unfinished=True) == ["of-it"]
    assert sorted(key for _, key in history.partitions()) == ["web", "web.000000", "web.000001"]
    assert _files_with(tmp_path, CANARY) >= {"history/runs.db", "history/runs/index.db", "schedules/schedules.db"}
    assert history.erase(lambda _: None) == set(gone)
    assert history.compact() == []
    assert _files_with(tmp_path, CANARY, *gone) == set()
    assert history.erase(lambda _: None) == frozenset()
    others = instance.get_run_ids()
    assert len(others) == 2
    assert instance.get_latest_materialization_event(notes.key).run_id == others[0]  # type: ignore[union-attr]
    assert instance.get_materialized_partitions(notes.key) == {"web-logs.000000", "web.old.000000"}
    assert list(instance.get_dynamic_partitions("datasets")) == ["web-logs", "web.old"]
    assert {backfill.backfill_id for backfill in instance.get_backfills()} == {"of-logs", "of-old"}
    ticks = instance.get_ticks(*sensor)
    assert sorted(key for tick in ticks for key in tick.run_keys) == ["web-logs@1", "web.old@1"]
    cursors = {s.instigator_origin_id: s.instigator_data for s in instance.all_instigator_state()}
    assert json.loads(cursors[sensor[0]].cursor).keys() == {"web-logs", "web.old"}  # type: ignore[union-attr]
    assert cursors[sensor[0]].last_run_key is None  # type: ignore[union-attr]
    assert (cursors[plain[0]].cursor, cursors[plain[0]].last_run_key) == ("", "web-logs@1")  # type: ignore[union-attr]


def test_an_interrupted_deletion_of_runs_is_finished(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        _run(instance, "web", number=number)
    history = DagsterHistory(instance, "web")

    def interrupted(said: str) -> None:
        if said.startswith("1 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        history.erase(interrupted)
    with monkeypatch.context() as broken:
        broken.setattr(type(instance.run_storage), "delete_run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            history.erase(lambda _: None)
    assert len(history.runs()) == 2, "a run is found until all of it is gone"
    history.erase(lambda _: None)
    history.compact()
    assert _files_with(tmp_path, CANARY) == set()


def test_a_run_at_work_and_a_tick_at_work_are_known(instance: dg.DagsterInstance) -> None:
    history = DagsterHistory(instance, "web")
    instance.add_dynamic_partitions("slices", ["web.000000"])
    job = dg.Definitions(assets=[notes], jobs=[dg.define_asset_job("a_job")]).resolve_job_def("a_job")
    run = instance.create_run_for_job(job, tags={"dagster/partition": "web.000000"})
    assert history.runs(unfinished=True) == [run.run_id]
    assert DagsterHistory(instance, "web-logs").runs(unfinished=True) == []
    assert not history.is_ticking(time.time())
    _tick(instance, _sensor(instance, "", ""), "web@1", TickStatus.STARTED)
    assert history.is_ticking(time.time())
    assert not history.is_ticking(time.time() - 60), "it began later"


def test_a_dataset_that_is_called_like_a_slice_of_another_is_not_taken_for_one(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("datasets", ["web", "web.000001"])
    instance.add_dynamic_partitions("slices", ["web.000000", "web.000001", "web.000001.000000"])
    job = dg.Definitions(assets=[notes], jobs=[dg.define_asset_job("a_job")]).resolve_job_def("a_job")
    runs = {
        (dataset, partition, tagged): instance.create_run_for_job(
            job, tags={"dagster/partition": partition} | ({"mesh/dataset": dataset} if tagged else {})
        ).run_id
        for dataset, partition in (
            ("web", "web"),
            ("web", "web.000000"),
            ("web", "web.000001"),
            ("web.000001", "web.000001"),
            ("web.000001", "web.000001.000000"),
        )
        for tagged in (True, False)
    }
    # What has no tag yet and could be of both is of none: a run tags itself when it begins.
    unclear = {run for (_, partition, tagged), run in runs.items() if partition == "web.000001" and not tagged}
    for dataset in ("web", "web.000001"):
        own = {run for (of, *_), run in runs.items() if of == dataset} - unclear
        assert set(DagsterHistory(instance, dataset).runs()) == own
    assert DagsterHistory(instance, "web").partitions() == [
        ("datasets", "web"),
        ("slices", "web.000000"),
        ("slices", "web.000001"),
    ]
    assert DagsterHistory(instance, "web.000001").partitions() == [
        ("datasets", "web.000001"),
        ("slices", "web.000001.000000"),
    ]


def test_a_file_that_is_never_let_go_is_told(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    monkeypatch.setattr(dagster_history, "_BUSY_SECONDS", 0.3)
    with sqlite3.connect(tmp_path / "history" / "runs.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert DagsterHistory(instance, "web").compact() == [tmp_path / "history" / "runs.db"]
        other.execute("ROLLBACK")
    assert DagsterHistory(instance, "web").compact() == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("web", True),
        ("the slice web.000001 failed.", True),
        ("/lake/chunk_sets/web/x", True),
        ("of web.", True),
        ("web@1:abc", True),
        ("web-logs", False),
        ("web.old.000001", False),
        ("cobweb", False),
        ("web.0001", False),
    ],
)
def test_a_name_is_a_whole_word(text: str, named: bool) -> None:
    assert names(text, "web") is named
