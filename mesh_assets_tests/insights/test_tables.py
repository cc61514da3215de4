"""What is said of tables: types, distinct values, what tells rows apart, and which columns belong together."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.insights.sketches import SIZE, DistinctSketch, hashes_of
from mesh_assets.insights.slice_stage import slice_insight_batches
from mesh_assets.schemas.insights import CHUNK_INSIGHTS
from mesh_assets.schemas.outcome import Outcome
from mesh_assets_tests.chunks.sources import source
from mesh_assets_tests.chunks.tabular.test_columnar import parquet
from mesh_assets_tests.chunks.tabular.test_workbooks import xlsx


def given_as(path: str, data: str | bytes, form: str, kind: str = "structured") -> Source:
    return source(data, kind, form, path=path)


def insights(*sources: Source) -> list[dict]:
    """The insights of a slice of these files."""
    batches = chunk_batches(sources, slice_key="d.000001", chunk_tokens=128, outcome=Outcome())
    aligned = [(batch, nothing(batch), np.zeros((batch.num_rows, 0), np.float32)) for batch in batches]
    made = slice_insight_batches(aligned, [], dataset="d", slice_key="d.000001", outcome=Outcome())
    return [row for batch in made for row in batch.to_pylist()]


def nothing(batch: pa.RecordBatch) -> pa.RecordBatch:
    ids = batch.column("chunk_id").to_pylist()
    return CHUNK_INSIGHTS.batch([{"chunk_id": i, "keyphrases": [], "entities": [], "basis": None} for i in ids])


def of_type(found: list[dict], type_: str) -> list[dict]:
    return [row for row in found if row["type"] == type_]


def columns(found: list[dict]) -> dict[str, dict]:
    (profile,) = of_type(found, "table_profile")
    return {column["name"]: column for column in json.loads(profile["value"])["columns"]}


def test_each_column_has_a_type_a_range_and_what_is_missing() -> None:
    lines = ["id,price,paid,day,at,note,empty"]
    for n in range(300):
        note = "" if n % 3 else f"note {n % 4}"
        lines.append(
            f"{n},{n / 4},{'yes' if n % 2 else 'no'},2024-01-{n % 28 + 1:02},2024-01-01 10:{n % 60:02},{note},"
        )
    found = columns(insights(given_as("t.csv", "\n".join(lines) + "\n", "csv")))
    kinds = {name: column["type"] for name, column in found.items()}
    assert kinds == {
        "id": "integer", "price": "number", "paid": "boolean", "day": "date", "at": "timestamp", "note": "text",
        "empty": "empty",
    }  # fmt: skip
    assert (found["id"]["distinct"], found["id"]["exact"], found["day"]["distinct"]) == (300, True, 28)
    assert (found["price"]["min"], found["price"]["max"]) == (0.0, 74.75)
    assert found["price"]["quartiles"] == pytest.approx([18.7, 37.4, 56.1], abs=0.1)
    assert sum(found["price"]["bars"]) == 300
    assert found["note"]["filled"] == pytest.approx(1 / 3, abs=0.001) and found["note"]["top"]["note 0"] == 25
    assert (found["day"]["first"], found["day"]["last"]) == ("2024-01-01", "2024-01-28")


def test_numbers_with_a_comma_are_numbers() -> None:
    text = "name;price\n" + "".join(f"n{n};1.{n:03},5\n" for n in range(100))
    found = columns(insights(given_as("t.csv", text, "csv")))
    assert (found["price"]["type"], found["price"]["min"], found["price"]["max"]) == ("number", 1000.5, 1099.5)


def test_tables_of_other_formats_have_the_same_profile() -> None:
    rows: list[list[object]] = [["id", "city"], *([n, f"city {n % 5}"] for n in range(100))]
    text = "".join(f"{a},{b}\n" for a, b in rows)
    table = pa.table({"id": range(100), "city": [f"city {n % 5}" for n in range(100)]})
    xml = "<r>" + "".join(f"<row><id>{n}</id><city>city {n % 5}</city></row>" for n in range(100)) + "</r>"
    profiles = [
        columns(insights(given_as("t", data, form)))
        for data, form in ((text, "csv"), (parquet(table), "parquet"), (xlsx({"S": rows}), "xlsx"), (xml, "xml"))
    ]
    assert profiles[0]["city"]["top"]["city 1"] == 20
    assert all(profile == profiles[0] for profile in profiles[1:])


def test_each_sheet_has_a_profile_of_its_own() -> None:
    book = xlsx({"Q1": [["a", "b"], *([n, n] for n in range(20))], "Q2": [["c"], *([n] for n in range(20))]})
    found = of_type(insights(given_as("book.xlsx", book, "xlsx")), "table_profile")
    assert sorted(row["title"] for row in found) == ["Columns of book.xlsx, Q1", "Columns of book.xlsx, Q2"]


def test_what_tells_rows_apart_is_said() -> None:
    single = "order,customer\n" + "".join(f"o{n},c{n % 7}\n" for n in range(200))
    pair = "customer,day,paid\n" + "".join(f"c{n % 20},2024-01-{n // 20 + 1:02},{n % 3}\n" for n in range(200))
    neither = "a,b\n" + "x,y\n" * 50
    files = [given_as(f"{at}.csv", text, "csv") for at, text in enumerate((single, pair, neither))]
    said = [row["statement"] for row in of_type(insights(*files), "table_key")]
    assert said == [
        "In 0.csv, order alone tells all 200 rows apart.",
        "In 1.csv, the pair customer with day tells all 200 rows apart.",
    ]


def test_a_key_of_many_rows_is_told_by_a_sample_and_one_repetition_is_found() -> None:
    many = 30_000
    good = "id,x\n" + "".join(f"k{n},1\n" for n in range(many))
    bad = "id,x\n" + "".join(f"k{n // 2},1\n" for n in range(many))
    said = [row["statement"] for row in of_type(insights(given_as("good.csv", good, "csv")), "table_key")]
    assert said == ["In good.csv, id alone tells all 30,000 rows apart (as far as a sample of its values shows)."]
    assert of_type(insights(given_as("bad.csv", bad, "csv")), "table_key") == []


def test_columns_that_join_are_found_across_formats() -> None:
    customers = pa.table({"id": range(5000, 6000), "name": [f"customer {n}" for n in range(1000)]})
    orders = "order_no,customer_id,quantity\n" + "".join(f"o{n},{5000 + n * 7 % 900},{n % 30}\n" for n in range(3000))
    (found,) = of_type(
        insights(given_as("customers.parquet", parquet(customers), "parquet"), given_as("orders.csv", orders, "csv")),
        "table_join",
    )
    assert found["title"] == "customer_id of orders.csv joins id of customers.parquet"
    assert "occur as id in customers.parquet, where each is one row" in found["statement"]
    assert [citation["path"] for citation in found["evidence"]] == ["orders.csv", "customers.parquet"]


def test_numbers_that_only_count_do_not_join() -> None:
    one = "id,quantity\n" + "".join(f"{n},{n % 30}\n" for n in range(300))
    other = "id,size\n" + "".join(f"{n},{n % 20}\n" for n in range(200))
    found = insights(given_as("boxes.csv", one, "csv"), given_as("shoes.csv", other, "csv"))
    assert of_type(found, "table_join") == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3000), max_size=400), max_size=6))
def test_a_sketch_is_the_same_whatever_the_batches(parts: list[list[int]]) -> None:
    texts = [pl.Series("", [str(n) for n in part], pl.String) for part in parts]
    in_parts, at_once, by_hash = DistinctSketch(), DistinctSketch(), DistinctSketch()
    for part in texts:
        in_parts.add_texts(part)
        by_hash.add(hashes_of(part))
    at_once.add(hashes_of(pl.concat(texts))) if texts else None
    for other in (at_once, by_hash):
        assert in_parts.distinct == other.distinct and in_parts.repeated == other.repeated
    whole = {n for part in parts for n in part}
    if len(whole) <= SIZE:
        assert in_parts.distinct == len(whole) and in_parts.is_exact
    else:
        assert abs(in_parts.distinct - len(whole)) < 0.25 * len(whole)


def test_containment_is_estimated() -> None:
    sketches = [DistinctSketch() for _ in range(3)]
    for sketch, numbers in zip(sketches, (range(20_000), range(10_000), range(15_000, 25_000)), strict=True):
        sketch.add_texts(pl.Series([f"value {n}" for n in numbers]))
    whole, half, beside = sketches
    assert half.contained_in(whole) == 1.0
    assert whole.contained_in(half) == pytest.approx(0.5, abs=0.1)
    assert beside.contained_in(whole) == pytest.approx(0.5, abs=0.1)
    assert DistinctSketch().contained_in(whole) is None


def test_a_value_that_others_lead_up_to_is_no_outlier() -> None:
    delays = [n % 40 - 10 for n in range(2000)]

    def outliers(*highest: int) -> list[dict]:
        text = "\n".join(["flight,delay", *(f"F{n},{delay}" for n, delay in enumerate([*delays, *highest]))]) + "\n"
        return of_type(insights(given_as("t.csv", text, "csv")), "table_outlier")

    assert outliers(1260, 1327, 1403, 1444) == []
    assert len(outliers(90, 120, 1444)) == 1


def test_parts_of_a_row_that_is_longer_than_a_chunk_are_no_rows() -> None:
    rows = [f"{n},name {n},1" for n in range(200)]
    rows[50] = '50,"' + "said 1,000 or 2,000\n" * 100 + '",1'
    found = columns(insights(given_as("t.csv", "\n".join(["id,name,rank", *rows]) + "\n", "csv")))
    assert {name: (column["type"], column["missing"]) for name, column in found.items()} == {
        "id": ("integer", 0),
        "name": ("text", 0),
        "rank": ("integer", 0),
    }
