"""Samples of line protocol, its chunks, and what is no line of it."""

from __future__ import annotations

import pytest

from mesh_assets.chunks.metrics.influx import lines, samples
from mesh_assets.chunks.metrics.samples import LineKind, Sample
from mesh_assets.chunks.protocol import Piece
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.sources import checked, cut, source

NANOSECONDS = 1_700_000_000_000_000_000
MOMENT = 1_700_000_000_000_000


def _points(measurement: str, count: int, start: int = 0) -> str:
    return "".join(
        f"{measurement},host=h{n % 3} load={n}.5,user=root {NANOSECONDS + (start + n) * 10**9}\n".replace(
            "root", '"root"'
        )
        for n in range(count)
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"cpu,host=a value=1 {NANOSECONDS}", [Sample("cpu", {"host": "a"}, MOMENT, 1.0)]),
        (
            "cpu a=1i,b=2u,c=t,d=FALSE,e=-1.5e2",
            [("cpu.a", 1), ("cpu.b", 2), ("cpu.c", 1), ("cpu.d", 0), ("cpu.e", -150)],
        ),
        ('cpu a="b=1,c=2",d=3', [("cpu.d", 3)]),
        ('cpu a="say \\"b\nc\\"",d=3', [("cpu.d", 3)]),
        (r"my\,c\ pu,a\=b=c\ d x\ y=1", [Sample("my,c pu.x y", {"a=b": "c d"}, None, 1.0)]),
        ("cpu v=1 1700000000", [Sample("cpu.v", {}, MOMENT, 1.0)]),
        ("cpu v=1 1700000000000", [Sample("cpu.v", {}, MOMENT, 1.0)]),
        ("cpu v=1 1700000000000000", [Sample("cpu.v", {}, MOMENT, 1.0)]),
        ("cpu v=1 1000000000000", [Sample("cpu.v", {}, 1_000_000_000_000_000, 1.0)]),
        ("cpu v=1 5000", [Sample("cpu.v", {}, 5, 1.0)]),
        ("cpu", None),
        ("cpu v=", None),
        ("cpu v=one", None),
        ("cpu v=1,", None),
        ("cpu,host v=1", None),
        ("cpu v=1 now", None),
        ("cpu v=1 17000000000000000000000", None),
        ("# cpu v=1", None),
    ],
)
def test_a_line_is_a_point_or_not(line: str, expected: list[Sample] | list[tuple[str, float]] | None) -> None:
    found = list(samples(line))
    if expected and len(expected[0]) == 2:
        assert [(sample.name, sample.value) for sample in found] == expected
    else:
        assert found == (expected or [])
    assert (LineKind.SAMPLE in [each.kind for each in lines(line)]) == (expected is not None)


def test_a_chunk_has_one_measurement_and_its_time() -> None:
    pieces = cut(_points("cpu", 60) + _points("mem", 40, 60), "metric", "influx", tokens=256)
    assert {piece.symbol for piece in pieces} == {"cpu", "mem"}
    assert all(piece.text.endswith("\n") and piece.tokens <= 256 for piece in pieces)
    times = [moment for piece in pieces for moment in (piece.time_start, piece.time_stop) if moment]
    assert len(times) == 2 * len(pieces) and times == sorted(times)
    assert str(times[-1]) == "2023-11-14 22:14:59+00:00"
    assert pieces[-1].row_stop == 100


def test_measurements_that_come_line_about_line_share_chunks() -> None:
    text = "".join(_points("cpu", 2, n) + _points("mem", 1, n) + _points("disk", 3, n) for n in range(30))
    pieces = cut(text, "metric", "influx", tokens=512)
    assert len(pieces) < 30
    assert {piece.symbol for piece in pieces} <= {"cpu, mem, disk", "mem, disk, cpu", "disk, cpu, mem"}


def test_a_bad_line_is_a_reject_that_says_where() -> None:
    parts = checked(source(_points("cpu", 5) + "cpu broken\n" + _points("cpu", 5), "metric", "influx"), 256)
    assert [type(part) for part in parts] == [Piece, Reject, Piece]
    assert isinstance(parts[1], Reject) and "line 6" in parts[1].detail


def test_a_quote_that_is_never_closed_is_a_bad_line_and_no_more() -> None:
    parts = checked(source('cpu a="b\n' + _points("cpu", 2000), "metric", "influx"), 256)
    (reject,) = [part for part in parts if isinstance(part, Reject)]
    assert "line 1:" in reject.detail
