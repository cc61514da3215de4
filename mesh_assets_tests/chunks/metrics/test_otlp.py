"""Metrics of OpenTelemetry: their samples, their reading, and what cannot be read of them."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from mesh_assets.chunks.metrics import otlp, otlp_reading, prometheus
from mesh_assets.chunks.protocol import Piece
from mesh_assets.chunks.registry import direct_chunker, has_reading
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.metrics.exports import START, attributes, export, gauge, lines, point, resource
from mesh_assets_tests.chunks.sources import source

MOMENT = START // 1000


def _metric(**said: Any) -> list[tuple[str, dict[str, str], float]]:
    found = otlp.samples(export(resource({"name": "m", **said})))
    return [(sample.name, sample.labels, sample.value) for sample in found]


def parts(text: str, tokens: int = 128) -> list[Piece | Reject]:
    """The parts of a file, after checking that its pieces are a reading that does not depend on the size of chunks."""
    found, other = _cut(text, tokens), _cut(text, 3 * tokens)
    assert _reading(found) == _reading(other)
    return found


def _cut(text: str, tokens: int) -> list[Piece | Reject]:
    chunker = direct_chunker("metric", "otlp")
    assert chunker is not None and has_reading("metric", "otlp")
    found = list(chunker.chunk(source(text, "metric", "otlp"), chunk_tokens=tokens))
    return [part for part in found if isinstance(part, Piece | Reject)]


def _reading(found: list[Piece | Reject]) -> str:
    text, line = "", 1
    for part in found:
        if isinstance(part, Piece):
            assert (part.byte_start, part.byte_stop) == (len(text.encode()), len((text + part.text).encode()))
            assert part.line_start == line
            text, line = text + part.text, line + part.text.count("\n")
    return text


def _pieces(found: list[Piece | Reject]) -> list[Piece]:
    return [part for part in found if isinstance(part, Piece)]


def test_a_gauge_has_the_labels_of_its_point_and_of_its_resource() -> None:
    document = export(resource(gauge("cpu.load", point(0.5, core="1")), service_name="shop", os_type="linux"))
    (sample,) = otlp.samples(document)
    assert sample == ("cpu.load", {"service.name": "shop", "core": "1"}, MOMENT, 0.5, 0)
    assert list(otlp.samples(document["resourceMetrics"][0])) == [sample]


def test_each_sort_of_metric_says_its_values() -> None:
    assert _metric(sum={"dataPoints": [{"asInt": "12"}]}) == [("m", {}, 12.0)]
    histogram = {"count": "4", "sum": 9.5, "bucketCounts": ["1", 3, "0"], "explicitBounds": [1, 2.5]}
    assert _metric(histogram={"dataPoints": [histogram]}) == [
        ("m_count", {}, 4.0),
        ("m_sum", {}, 9.5),
        ("m_bucket", {"le": "1.0"}, 1.0),
        ("m_bucket", {"le": "2.5"}, 4.0),
        ("m_bucket", {"le": "+Inf"}, 4.0),
    ]
    summary = {"count": 2, "sum": "NaN", "quantileValues": [{"quantile": 0.5, "value": 7}]}
    assert _metric(summary={"dataPoints": [summary]})[0] == ("m", {"quantile": "0.5"}, 7.0)
    exponential = {
        "count": 7, "scale": 0, "zeroCount": 1,
        "positive": {"offset": 1, "bucketCounts": [2, 1]},
        "negative": {"offset": 0, "bucketCounts": [1, 2]},
    }  # fmt: skip
    buckets = [
        (labels["le"], value)
        for _, labels, value in _metric(exponentialHistogram={"dataPoints": [exponential]})
        if labels
    ]
    assert buckets == [("-2.0", 2.0), ("-1.0", 3.0), ("0.0", 4.0), ("4.0", 6.0), ("8.0", 7.0), ("+Inf", 7.0)]


def test_a_point_that_says_that_it_has_no_value_is_none() -> None:
    assert _metric(gauge={"dataPoints": [{"flags": 1, "timeUnixNano": "1"}]}) == []


def test_attributes_of_any_type_are_labels() -> None:
    values = [
        {"boolValue": True},
        {"intValue": "3"},
        {"doubleValue": 0.5},
        {"arrayValue": {"values": [{"intValue": 1}]}},
        {},
    ]
    labels = [{"key": f"k{n}", "value": value} for n, value in enumerate(values)]
    ((_, found, _),) = _metric(gauge={"dataPoints": [{"asInt": 1, "attributes": labels}]})
    assert list(found.values()) == ["true", "3", "0.5", '{"values": [{"intValue": 1}]}', ""]


def test_the_reading_says_every_sample_and_what_is_measured() -> None:
    load = gauge("cpu.load", *(point(n, n, core=f"{n}") for n in range(3)), text="How busy it is.", unit="1")
    document = export(resource(load, gauge("up", point(1)), service_name="shop", os_type="linux"))
    found = parts(json.dumps(document, indent=1), 256)
    text = _reading(found)
    assert [s[:4] for s in prometheus.samples(text) if s.name != otlp.TARGET_INFO] == [
        s[:4] for s in otlp.samples(document)
    ]
    assert [piece.symbol for piece in _pieces(found)] == ["target_info", "cpu.load", "up"]
    target, first, _ = _pieces(found)
    assert 'os_type="linux"' not in target.text and '"os.type"="linux"' in target.text
    assert first.text.startswith('# HELP "cpu.load" How busy it is.\n# TYPE "cpu.load" gauge\n# UNIT "cpu.load" 1\n')
    assert (first.place, first.row_start, first.row_stop) == ("resource 1", 1, 4)
    assert str(first.time_stop) == "2023-11-14 22:13:22+00:00"


def test_lines_are_exports_and_a_metric_is_described_once() -> None:
    documents = [export(resource(gauge("cpu.load", point(n, n), text="Busy."), service_name="s")) for n in range(300)]
    found = _pieces(parts(lines(*documents)))
    assert sum(piece.text.count("# HELP") for piece in found) == 1
    assert found[-1].context.startswith('# HELP "cpu.load" Busy.')
    assert found[0].place == "line 1"
    assert (found[3].place, (found[-1].place or "").split()[-1]) == (
        f"lines {found[3].row_start} to {(found[3].row_stop or 0) - 1}",
        "300",
    )
    assert all(piece.tokens <= 128 for piece in found)


def test_bad_lines_and_bad_points_are_rejects_that_say_where_and_the_rest_is_used() -> None:
    good = lines(export(resource(gauge("up", point(1)))))
    bad = lines(export(resource(gauge("up", {"asInt": "x"}, {"timeUnixNano": "7"}, point(2)), {"name": "of nothing"})))
    found = parts(good + "{broken\n" + '{"a": 1}\n' + bad + good)
    rejects = [part for part in found if isinstance(part, Reject)]
    details = "; ".join(reject.detail for reject in rejects)
    assert "line 2 is no export" in details and "line 3 is no export" in details
    assert "line 4: 2 points of up" in details and "line 4: a point of of nothing" in details
    assert len({(reject.byte_start, reject.reason) for reject in rejects}) == len(rejects)
    assert [sample.value for sample in prometheus.samples(_reading(found))] == [1.0, 2.0, 1.0]


def test_a_damaged_first_line_leaves_the_others() -> None:
    good = lines(*[export(resource(gauge("up", point(1)))) for _ in range(3)])
    found = parts(good[30:])
    assert [part.detail for part in found if isinstance(part, Reject)] == ["line 1 is no export of metrics in JSON"]
    assert _reading(found).count("up 1") == 2


@pytest.mark.parametrize("text", ['{"resourceMetrics": [\n {"resource":', '{"resourceMetrics"\n', "[\n1\n]"])
def test_a_broken_document_says_so(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        parts(text)
    assert caught.value.reason and caught.value.remedy


def test_a_document_that_is_too_large_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_reading, "MAX_PARSED", 1000)
    with pytest.raises(FormatError, match="one JSON document"):
        parts(json.dumps(export(resource(gauge("up", *[point(1)] * 50))), indent=1))


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, [1], {"x": 1}, [[]], True])
@pytest.mark.parametrize("name", ["resourceMetrics", "scopeMetrics", "metrics", "gauge", "dataPoints", "attributes"])
def test_what_is_of_another_type_is_left_out_and_breaks_nothing(name: str, value: object) -> None:
    document = export(resource(gauge("up", point(1, a="b")), service_name="s"))
    assert isinstance(list(otlp.samples(_changed(document, name, value))), list)


def _changed(found: Any, name: str, value: object) -> Any:
    """`found` with `value` wherever something is called `name`."""
    if isinstance(found, dict):
        items = cast("dict[str, Any]", found).items()
        return {key: value if key == name else _changed(each, name, value) for key, each in items}
    if isinstance(found, list):
        return [_changed(each, name, value) for each in cast("list[Any]", found)]
    return found


def test_long_readings_are_cut_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [
        export(resource(*(gauge(f"m.{k}", point(n, n, a="é")) for k in range(4)), service_name=f"s{n % 3}"))
        for n in range(60)
    ]
    whole = parts(lines(*documents))
    monkeypatch.setattr(otlp_reading, "BLOCK", 3000)
    assert _reading(parts(lines(*documents))) == _reading(whole)
    assert {piece.symbol for piece in _pieces(parts(lines(*documents)))} >= {"m.0", "target_info"}


def test_attributes_are_written_as_the_collector_does() -> None:
    assert attributes(service_name="a") == [{"key": "service.name", "value": {"stringValue": "a"}}]
