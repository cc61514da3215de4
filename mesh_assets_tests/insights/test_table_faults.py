"""Faults of tables: what an owner is told of rows that break what the others keep."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.insights.table_faults import faults_of
from mesh_assets_tests.insights.chunk_rows import rows, slice_rows

CITIES = [("Bonn", "DE"), ("Lyon", "FR"), ("Graz", "AT"), ("Oslo", "NO")]
TODAY = datetime(2026, 1, 1, tzinfo=UTC)


def table(**columns: list[str]) -> pl.DataFrame:
    """400 rows: a number, a city and its country, with some columns exchanged."""
    plain = {
        "order_id": [f"A-{i}" for i in range(400)],
        "price": [str(1 + i % 90) for i in range(400)],
        "city": [CITIES[i % 4][0] for i in range(400)],
        "country": [CITIES[i % 4][1] for i in range(400)],
    }
    return pl.DataFrame(plain | columns)


def changed(values: list[str], **at: str) -> list[str]:
    """The values with those at some rows exchanged."""
    return [at.get(f"row_{i}", value) for i, value in enumerate(values)]


def said(frame: pl.DataFrame) -> dict[str, str]:
    return {fault.type: fault.said for fault in faults_of(frame, TODAY)}


def test_a_table_that_keeps_its_rules_has_no_faults() -> None:
    assert said(table()) == {}


def test_a_country_that_does_not_go_with_its_city() -> None:
    found = said(table(country=changed(table()["country"].to_list(), row_8="FR")))
    assert found["rule"] == (
        "country follows from city in all but 1 row: where city is `Bonn`, country is `DE` else, but `FR` there"
    )


def test_a_row_of_words_among_numbers_is_said_once() -> None:
    numbers = [str(i) for i in range(400)]
    odd = {name: changed(numbers, row_0=name) for name in ("setosa", "versicolor")}
    frame = table(order=numbers, **odd)
    assert [fault.title for fault in faults_of(frame, TODAY) if fault.type == "mixed"] == ["setosa"]


def test_a_value_beside_the_few_that_all_others_have() -> None:
    found = said(table(sex=["male", "female"] * 150 + ["."] + ["male"] * 99))
    assert found["stray"] == "sex is `.` in 1 row, where all others have one of 2 values: `female`, `male`"
    assert "stray" not in said(table(sex=["male", "female"] * 150 + ["."] * 20 + ["male"] * 80))
    assert "stray" not in said(table(city=[f"city {min(i, 20)}" for i in range(400)]))


def test_a_word_among_numbers() -> None:
    found = said(table(price=changed(table()["price"].to_list(), row_7="12 EUR")))
    assert found["mixed"] == "1 value of price is no number, where 399 others are: `12 EUR`"


def test_a_key_that_stands_twice() -> None:
    found = said(table(order_id=changed(table()["order_id"].to_list(), row_9="A-4")))
    assert found["key"] == "order_id tells all rows apart but 2: `A-4` stands in two or more rows"


def test_a_row_that_is_another_but_for_its_case() -> None:
    frame = table(order_id=[f"A-{i}" for i in range(400)])
    again = frame[5].with_columns(pl.col("city").str.to_uppercase())
    found = said(pl.concat([frame, again]))
    assert found["rows"].startswith("1 row repeats another row in all columns (1 of them but for case")


def test_what_cannot_be() -> None:
    latitudes = [str(i % 80) for i in range(400)]
    days = [f"2020-01-{1 + i % 28:02d}" for i in range(400)]
    found = said(table(latitude=changed(latitudes, row_3="912"), birth_date=changed(days, row_4="2093-01-01")))
    assert "`912` in 1 row, which a latitude cannot be" in found["impossible"]
    assert "lies in the future in 1 row, as `2093-01-01`" in found["future"]


def test_a_column_that_is_nearly_always_the_same() -> None:
    assert "all but 1 row" in said(table(status=changed(["ok"] * 400, row_3="lost")))["constant"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=400, max_size=400))
def test_no_rule_is_seen_between_columns_that_have_nothing_to_do_with_each_other(values: list[str]) -> None:
    found = said(table(city=[CITIES[hash(i) * 7919 % 13 % 4][0] for i in range(400)], country=values))
    rules = {name: text for name, text in found.items() if name == "rule"}
    assert not rules or len(set(values)) < 4


def test_a_report_says_the_line_and_quotes_the_row() -> None:
    frame = table(country=changed(table()["country"].to_list(), row_8="FR"))
    found = slice_rows(rows("orders.csv", frame.write_csv(), kind="structured", format="csv"))
    (rule,) = [row for row in found if row["type"] == "table_rule"]
    assert rule["statement"].startswith("In orders.csv, country follows from city")
    assert rule["evidence"][0]["line_start"] == 10
    assert rule["evidence"][0]["quote"] == "A-8, 9, Bonn, FR"
    assert rule["score"] >= 0.5


def test_records_of_a_json_list_are_a_table_too() -> None:
    frame = table(country=changed(table()["country"].to_list(), row_8="FR"))
    made = [
        chunk
        | {"path": "orders.json", "row_start": i, "row_stop": i + 1}
        | {"byte_start": 1000 * i, "byte_stop": 1000 * i + len(str(chunk["text"]))}
        for i, record in enumerate(frame.to_dicts())
        for chunk in rows(f"{i}", json.dumps(record, indent=1), kind="structured", format="json", symbol=f"$[{i}]")
    ]
    found = {row["type"]: row for row in slice_rows(made)}
    assert found["table_profile"]["statement"].startswith("orders.json has 400 rows")
    assert "`FR` there" in found["table_rule"]["statement"]
