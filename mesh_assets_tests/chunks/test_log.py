"""Logs become windows of whole events, each knowing the time that it covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.log import LogChunker
from mesh_assets.chunks.protocol import Piece, Source, one_by_one
from mesh_assets.chunks.sources import verified_sources
from mesh_assets.schemas.extents import SOURCES
from mesh_assets_tests.chunks.records import records_of
from mesh_assets_tests.chunks.sources import checked, cut, source


def test_windows_hold_whole_records_and_their_times() -> None:
    text = "".join(f"2026-11-22 10:{n:02}:00 INFO request {n} served in 12 ms\n" for n in range(60))
    pieces = cut(text, "log", "log", tokens=128)
    assert len(pieces) > 3
    assert all(piece.text.startswith("2026-") and piece.text.endswith("\n") for piece in pieces)
    assert pieces[0].time_start == datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    assert pieces[-1].time_stop == datetime(2026, 11, 22, 10, 59, tzinfo=UTC)
    assert sum(len(list(records_of(piece.text))) for piece in pieces) == 60


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


@pytest.mark.parametrize("year", [1970, 1999, 2024])
def test_a_log_without_years_is_dated_by_its_file(year: int, tmp_path: Path) -> None:
    content = b"Dec 31 23:59:59 host a: b\nJan  1 00:00:01 host a: c\n"
    (tmp_path / "messages").write_bytes(content)
    listed = {
        **dict.fromkeys(SOURCES.schema.names),
        "path": "messages",
        "kind": "log",
        "format": "log",
        "start": 0,
        "stop": len(content),
        "content_hash": blake3(content).hexdigest(length=16),
        "mtime_ns": int(datetime(year + 1, 1, 2, tzinfo=UTC).timestamp()) * 10**9,
    }
    (given_source,) = verified_sources(tmp_path, "set", [pa.RecordBatch.from_pylist([listed])])
    (piece,) = cut_once(given_source)
    assert piece.time_start == datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert piece.time_stop == datetime(year + 1, 1, 1, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(("form", "text"), [("csv", "at,host\n{},web\n"), ("jsonl", '{{"at": "{}", "n": 1}}\n')])
def test_so_are_the_rows_of_tables(form: str, text: str) -> None:
    given = source(text.format("Dec 31 23:59:59"), "metric", form, modified=datetime(2024, 1, 2, tzinfo=UTC))
    (piece,) = checked(given, 64)
    assert isinstance(piece, Piece)
    assert piece.time_start == datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("mtime_ns", [-(2**63), -1, 0, 2**63 - 1])
def test_any_time_that_a_file_system_gives_does(mtime_ns: int) -> None:
    cut_once(replace(source("Jan  1 00:00:01 host a: c\n", "log", "log"), mtime_ns=mtime_ns))


def cut_once(given: Source) -> list[Piece]:
    """The pieces of a log, which is opened once: a large one is hashed each time."""
    opened: list[BinaryIO] = []

    def opening() -> BinaryIO:
        opened.append(given.open())
        return opened[-1]

    pieces = [
        part
        for part in one_by_one(LogChunker().chunk(replace(given, open=opening), chunk_tokens=256))
        if isinstance(part, Piece)
    ]
    assert len(opened) == 1
    return pieces
