"""A search within a span of time looks at the slices that hold something of it, and at no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh_assets.schemas.chunks import CHUNKS
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.slice_times import SliceTimes

NOON = datetime(2015, 10, 18, 12, tzinfo=UTC)


def publish(lake: Lake, slice_key: str, spans: list[tuple[int, int] | None]) -> None:
    """Chunks of these spans, in hours from noon."""
    fixed: dict[str, object] = {"dataset": "d", "slice": slice_key, "path": "a.log", "kind": "log", "format": "plain"}
    fixed |= dict.fromkeys(("extent_start", "tokens", "byte_start", "byte_stop", "line_start", "line_stop"), 0)
    rows = [
        fixed
        | {"chunk_id": f"{number:032x}", "context": "", "text": "x" * 2000, "source_hash": "0" * 32}
        | ({"time_start": hour(span[0]), "time_stop": hour(span[1])} if span else {})
        for number, span in enumerate(spans)
    ]
    produced = Produced([CHUNKS.batch(rows)] if rows else [], Outcome(), "input")
    lake.publish("chunk_sets", slice_key, produced, version="1", run_id="run")


def hour(number: int) -> datetime:
    return NOON + timedelta(hours=number)


def test_slices_are_pruned_by_the_times_of_their_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh_assets.storage.lake._SMALL_ROW_GROUP_BYTES", 4096)
    lake, times = Lake(tmp_path), SliceTimes(Lake(tmp_path))
    publish(lake, "d.000000", [None, (0, 1), (2, 3), None, (-5, -4), None])
    publish(lake, "d.000001", [(10, 12)])
    publish(lake, "d.000002", [None, None])
    publish(lake, "d.000003", [])
    publish(lake, "e.000000", [(10, 11)])
    assert times.within(None, None) == {"d.000000", "d.000001", "e.000000"}, "a chunk without a time is in no span"
    assert times.within(hour(4), None) == {"d.000001", "e.000000"}
    assert times.within(hour(3), hour(10), "d") == {"d.000000"}, "stops are inclusive, an end is not"
    assert times.within(hour(12), None) == {"d.000001"}
    assert times.within(None, hour(-5)) == frozenset()
    publish(lake, "d.000001", [(-9, -8)])
    assert times.within(None, hour(-5)) == {"d.000001"}, "a slice that was replaced is read again"


def test_a_table_that_cannot_be_read_is_not_pruned(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    publish(lake, "d.000000", [(0, 1)])
    lake.path("chunk_sets", "d.000000").write_bytes(b"no table")
    assert SliceTimes(lake).within(hour(100), None) == {"d.000000"}
