"""SQL that a model wrote reads the dataset of its case and nothing else, changes nothing, and ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mesh_assets.storage import claim_queries
from mesh_assets.storage.claim_queries import ClaimQueries
from mesh_assets.storage.lake import Lake
from mesh_assets_tests.storage.past_lake import past_lake

OWN = frozenset({"shop"})
SECRET = "the private words"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    root = tmp_path_factory.mktemp("state") / "la[k]e"
    past_lake(root, "private")
    (root.parent / "secret.txt").write_text(SECRET)
    return past_lake(root)


@pytest.fixture(scope="module")
def queries(lake: Lake) -> Iterator[ClaimQueries]:
    made = ClaimQueries(lake)
    yield made
    made.close()


def test_a_query_reads_its_dataset_and_is_run_again_where_nothing_is(queries: ClaimQueries) -> None:
    ran = queries.run("SELECT count(*) FROM log_events WHERE level = 'ERROR' -- so many", OWN)
    assert (ran.rows, ran.of_one_row, ran.of_nothing, ran.lack) == ([[30]], [[0]], [[0]], "")
    joined = "SELECT DISTINCT dataset, log FROM log_events JOIN log_templates USING (template_id, dataset)"
    assert queries.run(joined, OWN).rows == [["shop", "shop.log"]]
    both = queries.run("SELECT dataset, count(*) FROM log_events GROUP BY ALL ORDER BY 1", {"shop", "private"})
    assert [row[0] for row in both.rows] == ["private", "shop"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{state}/secret.txt')",
        "SELECT * FROM '{state}/secret.txt'",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM glob('{lake}/*/*/*')",
        "SELECT * FROM read_parquet('{private}')",
        "SELECT * FROM read_parquet('{escaped}')",
        "SELECT * FROM parquet_metadata('{private}')",
        "SELECT * FROM parquet_schema('{private}')",
        "FROM query('SELECT * FROM read_parquet(''{escaped}'')')",
        "ATTACH '{state}/new.duckdb'",
        "SELECT * FROM read_duckdb('{state}/lake.duckdb')",
        "COPY log_events TO '{state}/out.csv'",
        "WITH x AS (COPY (SELECT 1) TO '{state}/out.csv') SELECT * FROM x",
        "SELECT 1) TO '{state}/out.csv'; --",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW log_events",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "PRAGMA enable_profiling",
        "INSTALL httpfs",
        "SELECT * FROM 'https://example.com/x.parquet'",
        "SELECT getenv('PATH')",
        "SELECT 1; SELECT 2",
        "",
        "\0",
    ],
)
def test_a_hostile_query_gets_nothing_and_leaves_nothing(queries: ClaimQueries, lake: Lake, sql: str) -> None:
    state = lake.root.parent
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    private = str(lake.path("log_events", "private.000000"))
    asked = sql.format(state=state, lake=lake.root, private=private, escaped=private.replace("[", "[[]"))
    ran = queries.run(asked, OWN)
    assert ran.lack
    assert not ran.rows
    assert SECRET not in ran.lack
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_what_the_database_knows_of_itself_names_no_other_dataset(queries: ClaimQueries) -> None:
    for table in ("duckdb_views()", "duckdb_settings()", "duckdb_databases()", "duckdb_secrets()"):
        assert "private.000000" not in str(queries.run(f"SELECT * FROM {table}", OWN))


def test_a_query_that_would_not_end_ends_and_the_next_one_is_run(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_queries, "CPU_SECONDS", 0)
    monkeypatch.setattr(claim_queries, "SECONDS", 20.0)
    own = ClaimQueries(lake)
    try:
        endless = own.run("SELECT sum(i) FROM range(1000000000) r(i), range(1000) s(j)", OWN)
        assert endless.lack == "it takes too much time."
        assert own.run("SELECT count(*) FROM series", OWN).rows == [[1]]
        large = own.run("SELECT sum(len(list_concat(range(50000000 + i), [i]))) FROM range(4) r(i)", OWN)
        assert "memory" in large.lack.lower() or "time" in large.lack
        monkeypatch.setattr(claim_queries, "MAX_ENDED", 1)
        assert "queries before it took too much" in own.run("SELECT count(*) FROM series", OWN).lack
    finally:
        own.close()


def test_rows_and_cells_are_bounded(queries: ClaimQueries) -> None:
    ran = queries.run("SELECT repeat('x', 10000), i FROM range(10000) r(i)", OWN)
    assert (len(ran.rows), ran.more) == (claim_queries.MAX_ROWS, True)
    assert len(str(ran.rows[0][0])) == 200


def test_a_dataset_without_tables_is_said_to_have_none(queries: ClaimQueries) -> None:
    assert "no tables" in queries.run("SELECT 1", {"other"}).lack
