"""Tables of any format go from the drop to their series, their profile in the report, and a query over them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.storage.duckdb_query import lake_connection, run_query
from mesh_assets_tests.chunks.tabular.test_workbooks import xlsx
from mesh_assets_tests.flow.location import Location

START = datetime(2024, 3, 1, tzinfo=UTC)


def test_tables_of_every_format_are_profiled_and_their_series_kept(tmp_path: Path) -> None:
    location = Location(tmp_path, {"encoder": FakeEncoder()})
    folder = location.settings.drops / "shop"
    folder.mkdir(parents=True)
    times = [START + timedelta(minutes=5 * n) for n in range(300)]
    lines = [f"{time:%Y-%m-%d %H:%M:%S},{n % 7}" for n, time in enumerate(times)]
    (folder / "load.csv").write_text("\n".join(["at,load", *lines, "2024-03-03,1,2"]) + "\n")
    pq.write_table(pa.table({"at": times, "cpu": [n / 3 for n in range(300)]}), folder / "cpu.parquet")
    with closing(sqlite3.connect(folder / "shop.db")) as made:
        made.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)")
        made.executemany("INSERT INTO customers VALUES (?, ?)", [(n + 500, f"customer {n}") for n in range(100)])
        made.commit()
    orders: list[list[object]] = [["customer_id", "total"], *([n % 90 + 500, n] for n in range(200))]
    (folder / "orders.xlsx").write_bytes(xlsx({"Q1": orders}))
    location.settle()
    (key,) = location.files_of("series")
    slice_key = Path(key).stem
    lake = location.lake
    chunks = lake.read("chunk_sets", slice_key)
    assert {row["format"] for row in chunks.rows(["format"])} == {"csv", "parquet", "sqlite", "xlsx"}
    assert lake.read("series", slice_key).footer.rows == 2
    assert lake.read("series_points", slice_key).footer.rows == 600
    with lake_connection(lake.root, "run") as connection:
        query = "SELECT name, points, count(*) FROM series JOIN series_points USING (series_id) GROUP BY ALL ORDER BY 1"
        found = list(run_query(connection, query).rows)
    assert found == [("cpu", 300, 300), ("load", 300, 300)]
    report = (location.settings.state / "reports" / "shop" / "index.md").read_text()
    assert "customer\\_id of orders.xlsx, Q1 joins id of shop.db, customers" in report
    assert "row with too many or too few cells" in report and "line 302" in report
    assert "cpu of cpu.parquet has 300 values every 5 minutes" in report
