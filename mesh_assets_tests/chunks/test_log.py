"""Logs become windows of whole events, each knowing the time that it covers."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.log import LogChunker
from mesh_assets.chunks.log_records import iter_records
from mesh_assets.chunks.protocol import Source
from mesh_assets_tests.chunks.sources import cut


def test_windows_hold_whole_records_and_their_times() -> None:
    text = "".join(f"2026-11-22 10:{n:02}:00 INFO request {n} served in 12 ms\n" for n in range(60))
    pieces = cut(text, "log", "log", tokens=128)
    assert len(pieces) > 3
    assert all(piece.text.startswith("2026-") and piece.text.endswith("\n") for piece in pieces)
    assert pieces[0].time_start == datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    assert pieces[-1].time_stop == datetime(2026, 11, 22, 10, 59, tzinfo=UTC)
    assert sum(len(list(iter_records(piece.text))) for piece in pieces) == 60


def test_times_are_the_earliest_and_latest_even_out_of_order() -> None:
    text = "2026-11-22 10:05:00 b\n2026-11-22 10:01:00 a\n2026-11-22 10:03:00 c\n"
    (piece,) = cut(text, "log", "log")
    assert piece.time_start is not None and piece.time_stop is not None
    assert (piece.time_start.minute, piece.time_stop.minute) == (1, 5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_a_stack_trace_that_fits_stays_with_its_event(depths: list[int]) -> None:
    events = [
        f"2026-11-22 10:42:{n:02},000 ERROR failed\njava.io.IOException: no\n" + "\tat a.B.c(B.java:1)\n" * depth
        for n, depth in enumerate(depths)
    ]
    pieces = cut("".join(events), "log", "log", tokens=128)
    for event in events:
        assert sum(event in piece.text for piece in pieces) == 1


def test_a_trace_larger_than_a_chunk_is_cut_at_lines() -> None:
    trace = "2026-11-22 10:42:00 ERROR deep\n" + "\tat com.example.Deep.call(Deep.java:1)\n" * 200
    pieces = cut(trace + "2026-11-22 10:43:00 INFO next\n", "log", "log", tokens=128)
    assert all(piece.text.endswith("\n") for piece in pieces)
    assert len({piece.time_start for piece in pieces[:-1]}) == 1
    assert pieces[-1].text == "2026-11-22 10:43:00 INFO next\n"


def test_a_log_without_years_is_dated_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    path.write_text("Dec 31 23:59:59 host a: b\nJan  1 00:00:01 host a: c\n")
    os.utime(path, (1767300000, 1767300000))  # 1 January 2026
    size = path.stat().st_size
    given_source = Source("set", "messages", "log", "log", "utf-8", None, 0, size, "c0ffee", lambda: path.open("rb"))
    (piece,) = LogChunker().chunk(given_source, chunk_tokens=256)
    assert piece.time_start == datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert piece.time_stop == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
