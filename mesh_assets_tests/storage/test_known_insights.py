"""Insights of chunks that were there before are used again, and only where the same would be found."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_assets.insights.chunk_stage import insight_batches, insight_counts
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.stages import ASSETS
from mesh_assets.storage.known_insights import StoredInsights
from mesh_assets.storage.lake import Lake
from mesh_assets_tests.insights.chunk_rows import batches, rows

KEY = "d.000001"
TEXT = "The Federal Reserve raised 10.0.0.1 the interest rate, v1.2.3.\n" * 3


def made_of(count: int, **changed: object) -> list[dict]:
    return [{**row, **changed} for i in range(count) for row in rows(f"f{i}", f"{TEXT} {i}")]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def publish(lake: Lake, chunks: list[dict], version: str = ASSETS["chunk_insights"].version) -> dict[str, int]:
    """Make the table of `chunks`, as the asset does; what was found and what reused."""
    counts = insight_counts()
    known = StoredInsights(lake, KEY)
    outcome = Outcome(total=len(chunks))
    produced = Produced(insight_batches(batches(chunks, 7), outcome, known=known, counts=counts), outcome, "i")
    lake.publish("chunk_insights", KEY, produced, version=version, run_id="r")
    return dict(counts)


def test_a_changed_slice_says_the_same_as_one_that_is_made_anew(lake: Lake, tmp_path: Path) -> None:
    assert publish(lake, made_of(40)) == {"found": 40, "reused": 0}
    changed = made_of(45)[3:]
    changed[10]["text"], changed[10]["chunk_id"] = "another 10.0.0.2", "f" * 32
    assert publish(lake, changed) == {"found": 6, "reused": 36}
    anew = Lake(tmp_path / "other")
    assert publish(anew, changed) == {"found": 42, "reused": 0}
    assert lake.read("chunk_insights", KEY).rows() == anew.read("chunk_insights", KEY).rows()
    assert publish(lake, changed[::-1])["reused"] == 42
    assert lake.read("chunk_insights", KEY).rows() == anew.read("chunk_insights", KEY).rows()[::-1]


def test_another_kind_or_encoding_or_version_is_looked_at_again(lake: Lake) -> None:
    publish(lake, made_of(5))
    assert publish(lake, made_of(5, kind="code"))["reused"] == 0
    assert publish(lake, made_of(5))["reused"] == 0
    wide = made_of(5)
    for row in wide:
        row["byte_stop"] = row["byte_start"] + 2 * (row["byte_stop"] - row["byte_start"])
    assert publish(lake, wide)["reused"] == 0
    entity = lake.read("chunk_insights", KEY).rows()[0]["entities"][0]
    assert entity["byte_stop"] - entity["byte_start"] == 2 * len("10.0.0.1")
    publish(lake, made_of(5), version="0")
    assert publish(lake, made_of(5))["reused"] == 0


def test_a_damaged_table_is_no_table(lake: Lake) -> None:
    publish(lake, made_of(5))
    path = lake.path("chunk_insights", KEY)
    path.write_bytes(path.read_bytes()[:-40])
    assert publish(lake, made_of(5)) == {"found": 5, "reused": 0}
