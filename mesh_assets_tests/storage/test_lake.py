"""The store of record: a stage's table appears whole or not at all, and says what it was made from."""

import random
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from mesh_assets.defs.partitions import SLICES
from mesh_assets.errors import CorruptTableError, KeyFormatError, LakeError, MissingUpstreamError
from mesh_assets.schemas import ATTACHED, TABLES
from mesh_assets.schemas.outcome import AttachedRows, Outcome, Produced
from mesh_assets.schemas.rejects import Reject
from mesh_assets.storage.files import publish_text
from mesh_assets.storage.io_manager import ParquetIOManager
from mesh_assets.storage.lake import Lake

KEY = "d.000000"


def _insight_rows(count: int) -> list[dict[str, object]]:
    return [{"chunk_id": f"{n:032x}", "keyphrases": [], "entities": [], "basis": None} for n in range(count)]


def _produced(rows: int, *, batch: int = 100, fail: bool = False, rejects: int = 0) -> Produced:
    outcome = Outcome(total=rows + rejects)

    def batches() -> Iterator[pa.RecordBatch]:
        everything = _insight_rows(rows)
        for start in range(0, rows, batch):
            yield TABLES["chunk_insights"].batch(everything[start : start + batch])
            outcome.advance(len(everything[start : start + batch]))
        for number in range(rejects):
            outcome.reject(Reject(f"bad \udcff {number}", "reason", "remedy"))
        if fail:
            raise RuntimeError("the stage failed")

    return Produced(batches(), outcome, "input")


def _publish(lake: Lake, produced: Produced, run_id: str = "run") -> None:
    lake.publish("chunk_insights", KEY, produced, version="1", run_id=run_id)


def test_a_table_is_read_as_it_was_published(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    _publish(lake, _produced(250, rejects=3))
    table = lake.read("chunk_insights", KEY)
    assert table.rows() == _insight_rows(250)
    assert [batch.num_rows for batch in table.batches(rows=60)] == [60, 60, 60, 60, 10]
    assert table.rows(["chunk_id"], where=("chunk_id", f"{7:032x}")) == [{"chunk_id": f"{7:032x}"}]
    footer = table.footer
    assert (footer.rows, footer.rows_in, footer.done, footer.rejects) == (250, 253, 250, 3)
    assert footer.conserved
    rejects = [row for found in lake.rejects("chunk_insights", KEY) for row in found.to_pylist()]
    assert [row["path"] for row in rejects] == [f"bad \\xff {n}" for n in range(3)]


def test_batches_do_not_depend_on_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh_assets.storage.lake._ROW_GROUP_BYTES", 1)
    lake = Lake(tmp_path)
    _publish(lake, _produced(250, batch=37))
    found = list(lake.read("chunk_insights", KEY).batches(rows=100))
    assert [batch.num_rows for batch in found] == [100, 100, 50]
    assert [row for batch in found for row in batch.to_pylist()] == _insight_rows(250)


def test_reading_holds_no_more_of_a_large_table_than_of_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh_assets.storage.lake._ROW_GROUP_BYTES", 100_000)
    lake = Lake(tmp_path)
    numbers = random.Random(1)
    schema = TABLES["chunk_insights"]
    plain = schema.batch(_insight_rows(2000))
    ids = (pa.array([f"{numbers.getrandbits(128):032x}" for _ in range(2000)]) for _ in range(30))
    batches = (schema.cast(plain.set_column(0, "chunk_id", part)) for part in ids)
    _publish(lake, Produced(batches, Outcome(total=60_000), "input"))
    table = lake.read("chunk_insights", KEY)
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in table.batches(["chunk_id"], rows=2000)]
    assert table.path.stat().st_size > 1_000_000
    assert max(held) < 800_000


def test_a_stage_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    _publish(lake, _produced(10, rejects=1))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RuntimeError):
        _publish(lake, _produced(20, fail=True), run_id="second")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_full_disk_is_an_error_with_a_remedy_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_text(tmp_path / "a.txt", "old", "run")
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(LakeError, match="No space left"):
        publish_text(tmp_path / "a.txt", "new", "run")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_what_is_missing_or_damaged_is_never_read_as_empty(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(MissingUpstreamError, match="Materialize chunk_insights"):
        lake.read("chunk_insights", KEY)
    path = lake.path("chunk_insights", KEY)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 nonsense")
    with pytest.raises(CorruptTableError):
        lake.read("chunk_insights", KEY)
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(CorruptTableError, match="not written by the mesh"):
        lake.read("chunk_insights", KEY)


@pytest.mark.parametrize("key", ["../evil", "a/b.000000", "d", "d.1", "", "d.000000/..", "<b>.000000"])
def test_no_key_leads_out_of_the_lake(tmp_path: Path, key: str) -> None:
    with pytest.raises(KeyFormatError):
        Lake(tmp_path).path("chunk_sets", key)
    if key != "d":
        with pytest.raises(KeyFormatError):
            Lake(tmp_path).path("dataset_reports", f"{key}/")


def test_a_null_where_none_may_be_is_refused(tmp_path: Path) -> None:
    rows = pa.RecordBatch.from_pylist(
        [{"chunk_id": None, "keyphrases": [], "entities": []}], schema=TABLES["chunk_insights"].schema.remove_metadata()
    )
    with pytest.raises(CorruptTableError, match="chunk_id"):
        TABLES["chunk_insights"].cast(rows)


class TestDeleting:
    """A slice or a dataset goes with all its tables, and nothing else does."""

    DATASETS = ("web", "web-logs", "web.old", "chunk_sets", "rejects")

    @pytest.fixture
    def lake(self, tmp_path: Path) -> Lake:
        lake = Lake(tmp_path)
        for dataset in self.DATASETS:
            for number in range(2):
                for path in (lake.path, lake.rejects_path):
                    for asset in ("chunk_sets", "slice_reports"):
                        _touch(path(asset, f"{dataset}.{number:06d}"))
            _touch(lake.path("drop_manifests", dataset))
            _touch(lake.rejects_path("drop_manifests", dataset))
            _touch(tmp_path / "asset_of_an_earlier_version" / dataset / f"{dataset}.000000.parquet")
        return lake

    def test_slices(self, lake: Lake) -> None:
        before = _files(lake.root)
        _touch(lake.root / "chunk_sets" / "web" / ".web.000001.parquet.a-run.tmp")
        _touch(lake.root / "chunk_sets" / "web" / "web.000001.parts" / "a.part")
        assert lake.slices("web") == {"web.000000", "web.000001"}
        assert lake.delete_slices("web", ["web.000001", "web.000009"]) == 4
        gone = before - _files(lake.root)
        assert {Path(name).name for name in gone} == {"web.000001.parquet"}
        assert {part for name in gone for part in Path(name).parts[:-2]} == {"chunk_sets", "slice_reports", "rejects"}
        assert lake.slices("web") == {"web.000000"}
        assert _files(lake.root) < before, "what a killed run left is gone, too"

    @pytest.mark.parametrize("dataset", DATASETS)
    def test_datasets(self, lake: Lake, dataset: str) -> None:
        before = _files(lake.root)
        _touch(lake.root / "drop_manifests" / f".{dataset}.parquet.a-run.tmp")
        assert lake.all_datasets() == set(self.DATASETS)
        assert lake.delete_dataset(dataset) == 11
        own = {f"{dataset}.parquet", f"{dataset}.000000.parquet", f"{dataset}.000001.parquet"}
        assert _files(lake.root) == {name for name in before if Path(name).name not in own}
        assert lake.all_datasets() == set(self.DATASETS) - {dataset}
        assert lake.delete_dataset(dataset) == 0

    @pytest.mark.parametrize("key", ["../evil", "", ".", "..", "a/b", "*", "web*"])
    def test_keys_that_are_none_delete_nothing(self, lake: Lake, key: str) -> None:
        before = _files(lake.root)
        for call in (
            lambda: lake.delete_dataset(key),
            lambda: lake.delete_slices("web", ["web.000000", key]),
            lambda: lake.delete_slices(key, []),
            lambda: lake.delete_slices("web", ["web-logs.000000"]),
        ):
            with pytest.raises(KeyFormatError):
                call()
        assert _files(lake.root) == before

    def test_no_link_is_followed(self, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> None:
        outside = tmp_path_factory.mktemp("outside")
        _touch(outside / "web.000000.parquet")
        (lake.root / "chunk_sets" / "web" / "link").symlink_to(outside)
        lake.delete_dataset("web")
        assert _files(outside) == {"web.000000.parquet"}

    def test_a_disk_that_refuses_is_told(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("shutil.rmtree", refuse)
        with pytest.raises(LakeError, match="cannot be deleted: Permission denied"):
            lake.delete_dataset("web")


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class TestIOManager:
    """Assets get a slice's table by the type that they annotate."""

    def test_inputs_by_annotated_type(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        seen: dict[str, int] = {}

        @dg.asset(name="chunk_insights", partitions_def=SLICES)
        def upstream() -> Produced:
            return _produced(5)

        @dg.asset(name="slice_insights", partitions_def=SLICES, io_manager_key="plain")
        def downstream(chunk_insights: pl.LazyFrame) -> None:
            seen["polars"] = chunk_insights.collect().height

        @dg.asset(name="slice_reports", partitions_def=SLICES, io_manager_key="plain")
        def by_duckdb(chunk_insights: duckdb.DuckDBPyRelation) -> None:
            seen["duckdb"] = chunk_insights.count("*").fetchall()[0][0]

        @dg.asset(name="vector_index", partitions_def=SLICES, io_manager_key="plain")
        def by_scanner(chunk_insights: pads.Dataset) -> None:
            seen["arrow"] = chunk_insights.count_rows()

        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("slices", [KEY])
            result = dg.materialize(
                [upstream, downstream, by_duckdb, by_scanner],
                partition_key=KEY,
                instance=instance,
                resources={"io_manager": ParquetIOManager(lake), "plain": dg.mem_io_manager},
            )
        assert seen == {"polars": 5, "duckdb": 5, "arrow": 5}
        metadata = result.asset_materializations_for_node("chunk_insights")[0].metadata
        assert metadata["rows"].value == 5
        assert metadata["rejects"].value == 0


def _symbol(name: str) -> dict[str, object]:
    texts = ("chunk_id", "dataset", "slice", "path", "language", "symbol", "type", "signature")
    numbers = ("byte_start", "byte_stop", "line_start", "line_stop")
    lists: dict[str, object] = {"imports": [], "calls": ["print"], "bases": []}
    return {"symbol_id": name, **dict.fromkeys(texts, "x"), **dict.fromkeys(numbers, 1), **lists}


def test_a_table_that_is_attached_is_there_with_its_own_count_or_not_at_all(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    attached = AttachedRows()

    def batches(symbols: int, *, fail: bool = False) -> Iterator[pa.RecordBatch]:
        for number in range(symbols):
            attached.add("symbols", ATTACHED["symbols"].batch([_symbol(f"{number}")]))
            yield TABLES["chunk_sets"].batch([])
        if fail:
            raise RuntimeError("the stage failed")

    for count, fails in ((3, False), (5, True)):
        produced = Produced(batches(count, fail=fails), Outcome(), "input", attached=attached)
        with pytest.raises(RuntimeError) if fails else nullcontext():
            lake.publish("chunk_sets", KEY, produced, version="1", run_id="run")
        table = lake.read("symbols", KEY)
        assert [row["symbol_id"] for row in table.rows()] == ["0", "1", "2"]
        assert (table.footer.asset, table.footer.rows, lake.read("chunk_sets", KEY).footer.rows) == ("symbols", 3, 0)
    assert lake.slices("d") == {KEY}
    assert lake.delete_slices("d", [KEY]) == 4
    assert lake.find("symbols", KEY) is None
