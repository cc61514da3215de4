"""`lake.duckdb` and what may be asked of it: every table from the start, the lake as it is, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mesh_assets.errors import QueryError
from mesh_assets.schemas import ATTACHED, TABLES
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.schemas.rejects import REJECTS, Reject
from mesh_assets.schemas.table import Table
from mesh_assets.storage.duckdb_files import views_database
from mesh_assets.storage.duckdb_query import lake_connection, run_query, table_summaries
from mesh_assets.storage.duckdb_types import duckdb_type
from mesh_assets.storage.duckdb_views import publish_views
from mesh_assets.storage.lake import Lake

_ALL = (*TABLES.values(), *ATTACHED.values(), REJECTS)
HOSTILE = "it's; DROP TABLE chunks; --\x1b[31m.md"


# A folder that is a pattern, and a quote, must be a folder all the same.
ODD_FOLDER = "it's a [state] *"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / ODD_FOLDER / "lake")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake that no query may change, so that one is enough."""
    lake = Lake(tmp_path_factory.mktemp("shared") / ODD_FOLDER / "lake")
    _insights(lake, "a.000000")
    publish_views(lake.root, "run")
    (lake.root.parent / "secret.txt").write_text("secret\n")
    duckdb.connect(str(lake.root.parent / "other.duckdb")).close()
    return lake


def _insights(lake: Lake, key: str, count: int = 1, rejects: int = 0) -> None:
    rows = [
        {"chunk_id": f"{n:032x}", "keyphrases": [{"phrase": HOSTILE, "score": 0.5}], "entities": []}
        for n in range(count)
    ]
    outcome = Outcome(total=count + rejects, done=count)
    outcome.rejects = [Reject(HOSTILE, "reason", "remedy") for _ in range(rejects)]
    produced = Produced([TABLES["chunk_insights"].batch(rows)], outcome, "input")
    lake.publish("chunk_insights", key, produced, version="1", run_id="run")


def _asked(lake: Lake, query: str) -> list[tuple[object, ...]]:
    with lake_connection(lake.root, "run") as connection:
        return list(run_query(connection, query).rows)


@pytest.mark.parametrize("table", {table.name: table for table in _ALL}.values(), ids=lambda t: t.name)
def test_types_are_those_that_duckdb_reads_from_a_file(table: Table, tmp_path: Path) -> None:
    pq.write_table(table.schema.empty_table(), tmp_path / "empty.parquet")
    described = duckdb.execute(f"DESCRIBE FROM read_parquet('{tmp_path}/empty.parquet')").fetchall()
    spelled = [duckdb.execute(f"SELECT typeof(NULL::{duckdb_type(c.type)})").fetchall()[0][0] for c in table.columns]
    assert [row[1] for row in described] == spelled


def test_an_empty_lake_has_every_table_with_columns_and_words(lake: Lake) -> None:
    with lake_connection(lake.root, "run") as connection:
        found = {summary.name: summary for summary in table_summaries(connection)}
        comments = run_query(
            connection,
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'chunks' AND comment IS NULL",
        )
        assert list(comments.rows) == []
    assert set(found) == {table.name for table in _ALL}
    for table in _ALL:
        columns = set(found[table.name].columns)
        assert columns >= {column.name for column in table.columns} | {"dataset"}
        assert found[table.name].rows == 0
        assert table.grain in found[table.name].comment
    assert {"slice", "asset"} <= set(found["rejects"].columns) & set(found["reports"].columns)


def test_a_slice_is_there_without_making_the_views_again(lake: Lake) -> None:
    path = publish_views(lake.root, "run")
    before = path.stat().st_ino
    _insights(lake, "a.b.000000", count=2, rejects=1)
    _insights(lake, "c.000000")
    query = "SELECT dataset, slice, count(*) FROM chunk_insights GROUP BY ALL ORDER BY ALL"
    assert _asked(lake, query) == [("a.b", "a.b.000000", 2), ("c", "c.000000", 1)]
    assert _asked(lake, "SELECT count(*) FROM chunk_insights WHERE slice = 'c.000000'") == [(1,)]
    rejects = _asked(lake, "SELECT dataset, slice, asset, path FROM rejects")
    assert rejects == [("a.b", "a.b.000000", "chunk_insights", HOSTILE)]
    assert path.stat().st_ino == before
    assert _asked(lake, "SELECT keyphrases[1].phrase FROM chunk_insights WHERE dataset = 'c'") == [(HOSTILE,)]


def test_the_best_rows_of_one_dataset_are_told_to_mesh_sql_and_to_a_notebook(lake: Lake) -> None:
    _insights(lake, "a.000000", count=5)
    _insights(lake, "b.000000", count=7)
    query = "SELECT dataset, chunk_id, entities FROM chunk_insights WHERE dataset = 'a' ORDER BY chunk_id DESC LIMIT 1"
    best = [("a", f"{4:032x}", [])]
    assert _asked(lake, query) == best
    with duckdb.connect(str(views_database(lake.root)), read_only=True) as notebook:
        assert notebook.sql(query).fetchall() == best


def test_a_file_of_an_older_schema_lacks_a_column_and_nothing_else(lake: Lake) -> None:
    _insights(lake, "a.000000")
    _insights(lake, "a.000001")
    path = lake.path("chunk_insights", "a.000000")
    pq.write_table(pq.read_table(path).drop_columns(["entities"]), path)
    rows = _asked(lake, "SELECT slice, entities FROM chunk_insights ORDER BY slice")
    assert rows == [("a.000000", None), ("a.000001", [])]


def test_vectors_are_read(lake: Lake) -> None:
    vector = pa.array([[0.5, 0.25]], pa.list_(pa.float16()))
    rows = pa.table({"chunk_id": ["x"], "kind": ["text"], "text_hash": ["y"], "vector": vector})
    path = lake.path("chunk_embeddings", "a.000000")
    path.parent.mkdir(parents=True)
    pq.write_table(rows.cast(TABLES["chunk_embeddings"].schema), path)
    assert _asked(lake, "SELECT vector FROM embeddings") == [([0.5, 0.25],)]


def test_a_state_folder_that_was_moved_is_found_again(lake: Lake, tmp_path: Path) -> None:
    _insights(lake, "a.000000")
    assert _asked(lake, "SELECT count(*) FROM chunk_insights") == [(1,)]
    moved = tmp_path / "elsewhere"
    shutil.move(lake.root.parent, moved)
    assert _asked(Lake(moved / "lake"), "SELECT count(*) FROM chunk_insights") == [(1,)]


def test_a_relative_path_means_the_same(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    _insights(lake, "a.000000")
    monkeypatch.chdir(lake.root.parent)
    assert _asked(Lake(Path("lake")), "SELECT count(*) FROM chunk_insights") == [(1,)]


def test_what_is_no_database_of_this_lake_is_replaced(lake: Lake) -> None:
    path = views_database(lake.root)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"nonsense" * 4096)
    assert _asked(lake, "SELECT count(*) FROM chunks") == [(0,)]
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE lake_identity AS SELECT 'another' AS identity")
    assert _asked(lake, "SELECT count(*) FROM chunks") == [(0,)]
    shutil.rmtree(lake.root)
    assert _asked(lake, "SELECT count(*) FROM chunks") == [(0,)]


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO '{lake}/out.csv'",
        "WITH x AS (COPY (SELECT 1) TO '{lake}/out.csv') SELECT * FROM x",
        "WITH x AS MATERIALIZED (COPY (SELECT 1) TO '{lake}/out.csv') FROM x",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{lake}/out.csv'",
        "SELECT 1) TO '{lake}/out.csv'; --",
        "SELECT * FROM chunks); COPY (SELECT 1) TO '{lake}/out.csv'; SELECT * FROM (chunks",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('{lake}/../secret.txt')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_duckdb('{lake}/../other.duckdb')",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "ATTACH '{lake}/new.duckdb'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "PRAGMA enable_profiling",
        "CREATE TEMP TABLE t AS SELECT 1",
        "DELETE FROM dataset_statistics",
        "WITH x AS (DELETE FROM dataset_statistics RETURNING *) FROM x",
        "CALL enable_logging(storage = 'file')",
        "EXPORT DATABASE '{lake}/out'",
        "SELECT * FROM duckdb_secrets()",
        "",
        "-- nothing",
    ],
)
def test_a_hostile_query_reads_no_other_file_and_writes_none(shared: Lake, query: str) -> None:
    before = {path: path.read_bytes() for path in shared.root.parent.rglob("*") if path.is_file()}
    place = str(shared.root).replace("'", "''")
    with pytest.raises(QueryError) as raised:
        _asked(shared, query.format(lake=place))
    assert raised.value.remedy
    assert {path: path.read_bytes() for path in shared.root.parent.rglob("*") if path.is_file()} == before


def test_errors_name_what_there_is(shared: Lake) -> None:
    with pytest.raises(QueryError, match=r"(?s)nope.*There are: analyses, cases, chunk_insights, chunk_labels, "):
        _asked(shared, "SELECT * FROM nope")
    with pytest.raises(QueryError, match="syntax error"):
        _asked(shared, "SELEC 1")
    with pytest.raises(QueryError, match="Conversion"):
        _asked(shared, "SELECT CAST('x' AS INTEGER)")


def test_a_query_for_one_slice_opens_one_file(lake: Lake) -> None:
    for number in range(20):
        _insights(lake, f"a.{number:06d}")
    for number in range(19):  # whoever opened one of these would fail
        os.truncate(lake.path("chunk_insights", f"a.{number:06d}"), 3)
    assert _asked(lake, "SELECT count(*) FROM chunk_insights WHERE slice = 'a.000019'") == [(1,)]
