"""Charts are well-formed, say the same in words, and stay small and finite whatever the numbers."""

from __future__ import annotations

import json
from datetime import timedelta
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.reports.plots import bar_chart, line_chart, reliability_chart, risk_coverage_chart, sparkline
from mesh_assets.reports.values import Breakdown, Series, read_values
from mesh_assets_tests.reports.samples import START

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "y", "series", "n"]), inner),
    max_leaves=12,
)


def minutes(count: int, *, high_from: int = 10**9) -> Series:
    x = tuple((START + timedelta(minutes=i)).isoformat() for i in range(count))
    marked = (high_from, count - 1) if high_from < count else None
    return Series(x, tuple(90.0 if i >= high_from else 2.0 for i in range(count)), "errors in 1 minute", marked)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def test_a_chart_labels_both_axes_its_unit_and_what_is_marked() -> None:
    svg = line_chart(minutes(60, high_from=50), "Burst")
    assert {"errors in 1 minute", "10:00", "10:59", "10:50 to 10:59", "0", "100"} <= set(texts(svg))
    root = ElementTree.fromstring(svg)
    described = [element.text or "" for element in root if element.tag.endswith(("title", "desc"))]
    assert described[0] == "Burst"
    assert "at most 90 errors in 1 minute at 2024-03-14 10:50:00 UTC" in described[1]
    assert "Marked from 2024-03-14 10:50:00 UTC" in described[1]


def test_the_marked_part_has_its_own_colour() -> None:
    plain, marked = line_chart(minutes(60), "a"), line_chart(minutes(60, high_from=50), "a")
    assert "--mark" not in plain
    assert marked.count("--mark") == 3


def test_bars_carry_label_and_number_and_the_longest_is_first() -> None:
    svg = bar_chart(Breakdown("files_by_kind", (("log", 1200.0), ("<b>", 3.0))), "Files")
    assert texts(svg) == ["log", "1,200", "<b>", "3"]
    assert texts(bar_chart(Breakdown("bytes", (("log", 51_000_000.0),)), "")) == ["log", "51 MB"]


def test_a_sparkline_is_small_even_of_many_points() -> None:
    svg = sparkline(minutes(5000, high_from=10))
    ElementTree.fromstring(svg)
    assert len(svg) < 600


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats() | st.integers() | st.sampled_from([1e-300, 1e-29, 1e29, 10**400]), min_size=2, max_size=40),
    st.booleans(),
)
def test_any_numbers_give_a_drawing_without_holes(ys: list[float], timed: bool) -> None:
    x = [(START + timedelta(minutes=i)).isoformat() if timed else f"label {i}" for i in range(len(ys))]
    series = read_values(json.dumps({"series": {"x": x, "y": ys, "unit": "°", "marked": [0, len(ys) - 1]}})).series
    assert series is not None
    bars = Breakdown("n", tuple(zip(series.x, series.y, strict=True)))
    for svg in (line_chart(series, "t"), sparkline(series), bar_chart(bars, "t")):
        ElementTree.fromstring(svg)
        assert "nan" not in svg
        assert "inf" not in svg
    assert line_chart(series, "t") == line_chart(series, "t")


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_is_read_and_drawn(value: object) -> None:
    for text in (json.dumps(value), json.dumps({"series": value, "counts": value})):
        values = read_values(text)
        for svg in [line_chart(values.series, "t")] if values.series else []:
            assert "nan" not in svg
        for breakdown in values.breakdowns:
            assert breakdown.entries


def test_a_calibration_that_holds_lies_on_the_line_and_overconfidence_below_it() -> None:
    svg = reliability_chart([(0.0, 0.0, 10), (1.0, 1.0, 10), (0.9, 0.5, 40)], "How far stated confidence holds <1>")
    circles = [element.attrib for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("circle")]
    assert [(circle["cx"], circle["cy"]) for circle in circles] == [("36", "224"), ("236", "24"), ("216", "124")]
    assert float(circles[2]["r"]) > float(circles[0]["r"])
    assert {"stated", "right", "0", "1"} <= set(texts(svg))
    assert "stated 0.90, right 0.50" in svg


def test_risk_by_coverage_is_drawn_and_said() -> None:
    svg = risk_coverage_chart([(0.5, 0.0), (1.0, 0.25)], "Risk")
    assert "M136 224L236 174" in svg
    assert "25% is wrong where 100% is kept" in svg
    for nothing in (risk_coverage_chart([], "none"), reliability_chart([], "none")):
        assert ElementTree.fromstring(nothing) is not None
