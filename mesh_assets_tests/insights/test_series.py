"""Time series of tables: which there are, every value of them, how they run, and where they leave their course."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.insights import series_insight, series_tables
from mesh_assets.insights.series_anomalies import anomalies
from mesh_assets.insights.series_reader import form_of, moments
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.insights import FINDING_SCORE
from mesh_assets.schemas.outcome import Outcome
from mesh_assets_tests.chunks.metrics import exports
from mesh_assets_tests.chunks.tabular.test_columnar import parquet
from mesh_assets_tests.insights.test_tables import given_as, insights, of_type

START = datetime(2024, 3, 1, tzinfo=UTC)


def metric(path: str, header: str, rows: list[str]) -> Source:
    return given_as(path, "\n".join([header, *rows]) + "\n", "csv", "metric")


def stamps(count: int, minutes: int = 5) -> list[str]:
    return [f"{START + timedelta(minutes=minutes * n):%Y-%m-%d %H:%M:%S}" for n in range(count)]


def chunks(*sources: Source, tokens: int = 64) -> list[pa.RecordBatch]:
    return list(chunk_batches(sources, slice_key="d.000001", chunk_tokens=tokens, outcome=Outcome()))


def series_of(*sources: Source) -> list[dict]:
    outcome = Outcome()
    batches = chunks(*sources)
    found = series_tables.series_batches(batches, dataset="d", slice_key="d.000001", outcome=outcome)
    rows = [row for batch in found for row in batch.to_pylist()]
    assert outcome.done == sum(batch.num_rows for batch in batches)
    return rows


def points_of(*sources: Source, tokens: int = 64) -> list[dict]:
    outcome = Outcome()
    batches = chunks(*sources, tokens=tokens)
    found = series_tables.point_batches(batches, dataset="d", outcome=outcome)
    rows = [row for batch in found for row in batch.to_pylist()]
    assert outcome.done == sum(batch.num_rows for batch in batches)
    return rows


def test_each_column_of_numbers_is_a_series_with_its_resolution_and_gaps() -> None:
    times = stamps(200)
    del times[100:110]
    (cpu, memory) = series_of(metric("m.csv", "at,cpu,memory", [f"{time},{n},{n / 2}" for n, time in enumerate(times)]))
    assert (cpu["name"], memory["name"], cpu["path"], cpu["labels"]) == ("cpu", "memory", "m.csv", [])
    assert (cpu["points"], cpu["seconds"], cpu["gaps"]) == (190, 300.0, 1)
    assert (cpu["time_start"], cpu["time_stop"]) == (START, START + timedelta(minutes=5 * 199))
    assert cpu["series_id"] != memory["series_id"]


def test_points_say_when_where_and_what() -> None:
    rows = [f"{time},{'' if n == 3 else n}" for n, time in enumerate(stamps(100))]
    source = metric("m.csv", "at,cpu", rows)
    found = points_of(source)
    assert [row["row"] for row in found] == list(range(100))
    assert [row["value"] for row in found[:5]] == [0.0, 1.0, 2.0, None, 4.0]
    assert found[50]["time"] == START + timedelta(minutes=250)
    texts = {row["chunk_id"]: row["text"] for batch in chunks(source) for row in batch.to_pylist()}
    assert all(rows[row["row"]] in texts[row["chunk_id"]] for row in found)
    assert {row["series_id"] for row in found} == {row["series_id"] for row in series_of(source)}


def test_columns_of_words_tell_series_apart_where_moments_repeat() -> None:
    rows = [f"{time},{host},{n}" for n, time in enumerate(stamps(60)) for host in ("web-1", "web-2", "db")]
    found = series_of(metric("m.csv", "at,host,load", rows))
    assert [row["labels"] for row in found] == [[("host", "web-1")], [("host", "web-2")], [("host", "db")]]
    assert {row["points"] for row in found} == {60}
    assert {row["seconds"] for row in found} == {300.0}
    weather = [f"{time},{n},{'rain' if n % 3 else 'sun'}" for n, time in enumerate(stamps(60))]
    assert [row["labels"] for row in series_of(metric("w.csv", "at,wind,weather", weather))] == [[]]


def test_a_series_is_the_same_in_every_format_and_slice() -> None:
    times = [START + timedelta(minutes=n) for n in range(100)]
    table = pa.table({"at": times, "cpu": [float(n) for n in range(100)]})
    (stored,) = series_of(given_as("m", parquet(table), "parquet"))
    (written,) = series_of(metric("m", "at,cpu", [f"{time:%Y-%m-%dT%H:%M:%SZ},{n}" for n, time in enumerate(times)]))
    assert {**stored, "slice": ""} == {**written, "slice": ""}
    assert len(points_of(given_as("m", parquet(table), "parquet"))) == 100


def test_metrics_are_series_by_name_and_labels_in_every_format() -> None:
    moments = [exports.START // 10**9 + 60 * n for n in range(100)]
    hosts = ("web-1", "web-2")
    prometheus = "# TYPE load gauge\n" + "".join(
        f'load{{host="{host}"}} {n} {moment}000\n' for host in hosts for n, moment in enumerate(moments)
    )
    influx = "".join(
        f"load,host={host} value={n} {moment}000000000\n" for n, moment in enumerate(moments) for host in hosts
    )
    points = [exports.point(n, 60 * n, host=host) for host in hosts for n in range(100)]
    otlp = exports.lines(exports.export(exports.resource(exports.gauge("load", *points))))
    written = {
        form: given_as("m", text, form, "metric")
        for form, text in {"prometheus": prometheus, "influx": influx, "otlp": otlp}.items()
    }
    for form, source in written.items():
        found = series_of(source)
        assert [(row["name"], row["labels"], row["points"], row["seconds"], row["gaps"]) for row in found] == [
            ("load", [("host", host)], 100, 60.0, 0) for host in hosts
        ], form
        assert found[0]["time_start"] == datetime.fromtimestamp(moments[0], UTC)
        texts = {row["chunk_id"]: row["text"] for batch in chunks(source) for row in batch.to_pylist()}
        for row in points_of(source):
            assert f"{row['value']:.0f} " in texts[row["chunk_id"]] or f"={row['value']:.0f} " in texts[row["chunk_id"]]
    rows = [row["row"] for row in points_of(written["prometheus"])]
    assert rows == list(range(200))
    assert {row["series_id"] for row in points_of(written["influx"])} == {
        row["series_id"] for row in series_of(written["otlp"])
    }


def test_a_sample_without_a_moment_is_no_point() -> None:
    text = "# TYPE load gauge\n" + "".join(f'load{{core="{n}"}} {n}\n' for n in range(50))
    assert series_of(given_as("m", text, "prometheus", "metric")) == []


def test_a_table_of_records_is_no_series() -> None:
    orders = [f"{time},customer {n},{n}" for n, time in enumerate(stamps(100))]
    assert series_of(given_as("orders.csv", "\n".join(["day,customer,total", *orders]) + "\n", "csv")) == []


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2024-03-01 00:00:05", 5), ("2024-03-01T00:00:05Z", 5), ("2024-03-01T01:00:05.250+01:00", 5),
        ("1709251205", 5), ("1709251205000", 5), ("1709251205000000", 5), ("2024-03-01", 0), ("03/01/2024 00:00:05", 5),
        ("01.03.2024 00:00:05", 5), ("Mar 01 2024", 0), ("2024/03/01 00:00:05", 5),
    ],
)  # fmt: skip
def test_moments_are_read_in_many_notations(text: str, second: int) -> None:
    late = text.replace("03/01", "03/13").replace("01.03", "13.03")
    cells = pl.Series([text] * 20 + [late])
    form = form_of(cells)
    assert form is not None
    found = moments(cells, form)[0]
    assert found // 1_000_000 == int(START.timestamp()) + second


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=80), st.sampled_from([32, 64, 300]))
def test_no_value_is_lost_whatever_the_chunks(values: list[float], tokens: int) -> None:
    rows = [f"{time},{value!r}" for time, value in zip(stamps(len(values)), values, strict=True)]
    found = points_of(metric("m.csv", "at,v", rows), tokens=tokens)
    assert [row["value"] for row in found] == values


def daily(days: int = 14, *, seed: int = 0) -> np.ndarray:
    """A value every five minutes that runs through each day alike, with some noise."""
    at = np.arange(days * 288)
    return 50 + 20 * np.sin(2 * np.pi * at / 288) + np.random.default_rng(seed).normal(0, 1, len(at))


def as_times(count: int) -> np.ndarray:
    return int(START.timestamp()) * 1_000_000 + np.arange(count) * 300_000_000


@pytest.mark.parametrize("seed", range(5))
def test_what_is_ordinary_is_no_anomaly(seed: int) -> None:
    values = daily(seed=seed)
    assert anomalies(as_times(len(values)), values) == []
    noise = np.random.default_rng(seed).normal(0, 1, 3000)
    assert anomalies(as_times(3000), noise) == []
    assert anomalies(as_times(3000), np.cumsum(noise) * 0 + 7) == []


def test_a_value_that_is_usual_at_another_hour_is_an_anomaly() -> None:
    values = daily()
    values[2082:2094] = 100 - values[2082:2094]  # inside of the range of every day, at the wrong time of it
    (found,) = anomalies(as_times(len(values)), values)
    assert found.season == "day" and (found.first, found.last) == (2082, 2093)
    assert found.usual == pytest.approx(100 - values[found.peak], abs=5)


def test_an_anomaly_is_a_finding_with_a_chart_and_its_rows() -> None:
    values = daily()
    values[3000:3006] += 90
    rows = [f"{time},{value:.2f}" for time, value in zip(stamps(len(values)), values, strict=True)]
    found = insights(metric("cpu.csv", "at,load", rows))
    (anomaly,) = of_type(found, "series_anomaly")
    assert anomaly["score"] >= FINDING_SCORE
    assert anomaly["statement"].startswith("Between 10:00 and 10:25 UTC on 2024-03-11 load of cpu.csv rises to ")
    assert "is usual at that time of the day" in anomaly["statement"]
    assert anomaly["time_start"] == START + timedelta(minutes=15_000)
    series = json.loads(anomaly["value"])["series"]
    first, last = series["marked"]
    assert max(series["y"]) == max(series["y"][first : last + 1])
    assert anomaly["evidence"][0]["quote"] in rows[3000:3006]
    (profile,) = of_type(found, "series_profile")
    assert profile["statement"].startswith("load of cpu.csv has 4,032 values every 5 minutes, between ")
    assert len(json.loads(profile["value"])["series"]["x"]) <= 500


def test_a_long_series_is_thinned_and_keeps_its_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_insight, "MAX_POINTS", 1024)
    values = np.random.default_rng(1).normal(10, 1, 20_000)
    values[12_345] = 500
    rows = [f"{time},{value:.2f}" for time, value in zip(stamps(len(values), 1), values, strict=True)]
    found = of_type(insights(metric("long.csv", "at,v", rows)), "series_anomaly")
    assert "rises to 500" in found[0]["statement"]
    assert found[0]["evidence"][0]["quote"] == rows[12_345]
    trace = series_insight._Trace("p", "n", "metric")
    for part in np.array_split(values, 77):
        trace.add(np.arange(len(part)), part, [Citation("d", "p", 0, 1, "ab")] * len(part))
        assert len(trace.values) < 1024


def test_what_was_new_when_it_came_is_an_anomaly_though_small_and_says_so() -> None:
    values = daily()
    values[3000] += 12  # less than half of what lies between the hours of a day: hindsight alone says nothing
    rows = [f"{time},{value:.2f}" for time, value in zip(stamps(len(values)), values, strict=True)]
    (anomaly,) = of_type(insights(metric("cpu.csv", "at,load", rows)), "series_anomaly")
    assert anomaly["statement"].endswith("no course before it was like that.")
    assert anomaly["evidence"][0]["quote"] == rows[3000]
    assert json.loads(anomaly["value"])["surprise"] >= 5


def test_a_level_that_moves_and_stays_is_one_finding_and_no_anomaly() -> None:
    values = daily()
    values[2000:] += 60
    rows = [f"{time},{value:.2f}" for time, value in zip(stamps(len(values)), values, strict=True)]
    found = insights(metric("cpu.csv", "at,load", rows))
    (change,) = of_type(found, "series_change")
    assert change["score"] >= FINDING_SCORE
    assert change["statement"].startswith("From 2024-03-07 22:40 UTC on load of cpu.csv is around 1")
    assert change["title"].endswith(" and stays")
    figures = json.loads(change["value"])
    assert figures["after"] - figures["before"] == pytest.approx(60, abs=2)
    assert [place["quote"] for place in change["evidence"]] == rows[1999:2001]
    assert of_type(found, "series_anomaly") == []
