"""Samples of the text that Prometheus reads, its chunks, and what is no sample."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks import windows
from mesh_assets.chunks.metrics.prometheus import lines, samples, written
from mesh_assets.chunks.metrics.samples import FIRST_MOMENT, LAST_MOMENT, LineKind, Sample
from mesh_assets.chunks.protocol import Piece
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.sources import checked, cut, source

# The example of the documentation of Prometheus, shortened.
PAGE = r"""# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find:\n\"FILE.TXT\""} 1.458255915e9

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# HELP http_request_duration_seconds A histogram of the request duration.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320
"""


def test_samples_have_their_labels_without_escapes_and_their_moments() -> None:
    found = list(samples(PAGE))
    assert found[0] == ("http_requests_total", {"method": "post", "code": "200"}, 1395066363000000, 1027.0, 0)
    assert found[2].labels == {"path": r"C:\DIR\FILE.TXT", "error": 'Cannot find:\n"FILE.TXT"'}
    assert (found[3].value, found[3].time) == (math.inf, -3982045000)
    assert [sample.row for sample in found] == list(range(8))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("up 1", Sample("up", {}, None, 1.0)),
        ("\ta:b_c{} -.5e3\r", Sample("a:b_c", {}, None, -500.0)),
        ("up { a = \"b\" , c='d' } 1", None),
        ('up { a = "b" , c="}" , } 1', Sample("up", {"a": "b", "c": "}"}, None, 1.0)),
        (
            '{"http.server.duration","service.name"="shop"} 2',
            Sample("http.server.duration", {"service.name": "shop"}, None, 2.0),
        ),
        ('{__name__="up",job="x"} 1 1700000000000', Sample("up", {"job": "x"}, 1_700_000_000_000_000, 1.0)),
        ("up 1 1700000000", Sample("up", {}, 1_700_000_000_000_000, 1.0)),
        ("up 1 1700000000.123456", Sample("up", {}, 1_700_000_000_123_456, 1.0)),
        ('x_bucket{le="8"} 17 # {trace_id="oHg5"} 9.8 1700000000.123', Sample("x_bucket", {"le": "8"}, None, 17.0)),
        ('{job="x"} 1', None),
        ("9up 1", None),
        ("up one", None),
        ("up 1_000", None),
        ('up{a="b} 1', None),
        ("up 1 9999999999999999999", None),
        ("up 1 2 3", None),
        ("# up 1", None),
        ("", None),
    ],
)
def test_a_line_is_a_sample_or_not(line: str, expected: Sample | None) -> None:
    assert list(samples(line)) == ([] if expected is None else [expected])
    kinds = [each.kind for each in lines(line)]
    assert (LineKind.SAMPLE in kinds) == (expected is not None)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
labels = st.dictionaries(
    names.filter(lambda name: name != "__name__"), st.text(st.characters(codec="utf-8"), max_size=12), max_size=3
)


@settings(max_examples=60, deadline=None)
@given(names, labels, st.none() | st.integers(FIRST_MOMENT, LAST_MOMENT), st.floats(allow_nan=False))
def test_a_sample_is_read_as_it_was_written(name: str, labels: dict[str, str], time: int | None, value: float) -> None:
    sample = Sample(name.replace("\r", ""), {key: text.replace("\r", "") for key, text in labels.items()}, time, value)
    if sample.name and all("\r" not in key for key in labels):
        (found,) = samples(written(sample))
        assert found == sample


def test_a_chunk_has_one_metric_and_all_of_its_parts() -> None:
    pieces = cut(PAGE, "metric", "prometheus", tokens=256)
    assert [piece.symbol for piece in pieces] == [
        "http_requests_total",
        "msdos_file_access_time_seconds, something_weird",
        "http_request_duration_seconds",
    ]
    assert pieces[1].text.startswith("# Escaping")
    assert [(piece.row_start, piece.row_stop) for piece in pieces] == [(0, 2), (2, 4), (4, 8)]
    assert pieces[0].time_start is not None and pieces[0].time_start == pieces[0].time_stop
    assert pieces[0].time_start.isoformat() == "2014-03-17T14:26:03+00:00"
    assert pieces[2].time_start is None


def test_later_chunks_of_a_metric_say_what_it_is() -> None:
    many = "".join(f'up{{instance="host-{n}"}} {n % 2} {1_700_000_000_000 + n}\n' for n in range(200))
    text = f"# HELP up Whether the host answers.\n# TYPE up gauge\n{many}# HELP down No.\ndown 1\n{many}"
    pieces = cut(text, "metric", "prometheus", tokens=128)
    first, *later = [piece for piece in pieces if piece.symbol == "up"]
    assert first.context == ""
    assert len(later) > 20
    assert {piece.context for piece in later} == {"# HELP up Whether the host answers.\n# TYPE up gauge"}
    assert all(piece.tokens <= 128 and piece.text.endswith("\n") for piece in pieces)
    assert later[-1].row_stop == 401


def test_many_metrics_that_nothing_describes_share_chunks() -> None:
    text = "".join(f'metric_{n}{{a="b"}} {n}\n' for n in range(400))
    pieces = cut(text, "metric", "prometheus", tokens=128)
    assert len(pieces) < 100
    assert all(len(piece.symbol or "") < 200 for piece in pieces)
    assert (pieces[0].symbol or "").startswith("metric_0, metric_1")


def test_a_bad_line_is_a_reject_that_says_where_and_the_others_are_used() -> None:
    parts = checked(source("# TYPE up gauge\nup 1\nup one\nup two\nup 3\n", "metric", "prometheus"), 64)
    (reject,) = [part for part in parts if isinstance(part, Reject)]
    assert (reject.byte_start, reject.byte_stop) == (21, 35)
    assert "lines 3 to 4" in reject.detail
    pieces = [part for part in parts if isinstance(part, Piece)]
    assert [(piece.text, piece.symbol, piece.context) for piece in pieces] == [
        ("# TYPE up gauge\nup 1\n", "up", ""),
        ("up 3\n", "up", "# TYPE up gauge"),
    ]


def test_a_file_in_many_windows_gives_the_chunks_of_a_file_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = "".join(f'up{{n="{n}"}} {n}\n' for n in range(150))
    text = (PAGE + samples + "no sample\nnor this\n") * 3
    for form, content in (("prometheus", text), ("influx", _points())):
        whole = checked(source(content, "metric", form), 128)
        for size in (3000, 3333, 4567):
            monkeypatch.setattr(windows.text_windows, "__kwdefaults__", {"size": size, "line_limit": 0})
            assert checked(source(content, "metric", form), 128) == whole
        monkeypatch.undo()


def _points() -> str:
    return "".join(f'm{n // 70} v={n},said="a\n\nb{n}" {1_700_000_000 + n}\n' for n in range(400)) + "bad\nx y=1\n"


def test_a_file_of_another_format_is_text_after_some_rejects() -> None:
    parts = checked(source("no sample\nup 1\n" * 1500, "metric", "prometheus"), 64)
    rejects = [part for part in parts if isinstance(part, Reject)]
    assert len(rejects) == 1000
    assert "kept as text" in rejects[-1].detail
    assert sum("no sample" in part.text for part in parts if isinstance(part, Piece)) > 0
