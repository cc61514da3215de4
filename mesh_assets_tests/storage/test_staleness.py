"""Why a slice is stale, told by its footers; and the ranges of a backfill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_assets.stages import ASSETS, SLICE_ASSETS
from mesh_assets.storage.backfills import Backfill, ranges, record, recorded
from mesh_assets.storage.lake import Footer
from mesh_assets.storage.staleness import why_stale

PRESENT = {"chunk_tokens": 256, "model": "m@1"}


def _footer(asset: str) -> Footer:
    extra: dict[str, object] = {"slice_version": 3} if asset == "raw_partitions" else {}
    if asset == "chunk_sets":
        extra = {"settings": {"chunk_tokens": 256}, "made_from": {"raw_partitions": "raw_partitions"}}
    if asset in ("chunk_embeddings", "vector_index"):
        extra = {"settings": {"model": "m@1"}, "made_from": {"chunk_sets": "chunk_sets"}}
    version = ASSETS[asset].version
    return Footer(asset, "d.000000", 1, 1, 1, 0, 0, 0, 0, 0, "", asset, version, "", 0.0, 0.0, extra)


def _why(changes: dict[str, dict[str, object]], version: int = 3, **settings: object) -> list[str]:
    footers = {asset: replace(_footer(asset), **changes.get(asset, {})) for asset in SLICE_ASSETS}  # type: ignore[arg-type]
    return list(why_stale(footers, version, PRESENT | settings))


def test_a_slice_as_it_would_be_made_now_is_not_stale() -> None:
    assert _why({}) == []


@pytest.mark.parametrize(
    ("changes", "version", "settings", "why"),
    [
        ({}, 4, {}, "its files changed"),
        ({"chunk_insights": {"pipeline_version": "0"}}, 3, {}, "chunk_insights was made by version 0, now "),
        ({}, 3, {"chunk_tokens": 128}, "chunk_sets was made with MESH_CHUNK_TOKENS 256, now 128"),
        ({}, 3, {"model": "n@2"}, "chunk_embeddings was made with embedding model m@1, now n@2"),
        ({"raw_partitions": {"content_hash": "x"}}, 3, {}, "chunk_sets was made from an earlier raw_partitions"),
        (
            {"fulltext_index": {"skipped": 1}},
            3,
            {},
            "fulltext_index is pending: an engine or a node was down, money lacked, or a batch is not done",
        ),
        ({"chunk_sets": {"passing": 1}}, 3, {}, "chunk_sets has rejects that may pass"),
    ],
)
def test_the_first_reason_is_the_one_that_made_the_others(
    changes: dict[str, dict[str, object]], version: int, settings: dict[str, object], why: str
) -> None:
    assert _why(changes, version, **settings)[0].startswith(why)


def test_a_table_that_is_missing_is_a_reason_and_a_setting_that_is_not_known_is_none() -> None:
    footers = {asset: _footer(asset) for asset in SLICE_ASSETS if asset != "vector_index"}
    assert list(why_stale(footers, 3, {})) == ["vector_index is missing or damaged"]


@given(st.lists(st.integers(0, 40), unique=True), st.integers(0, 40))
def test_ranges_hold_the_keys_and_no_other(numbers: list[int], unknown_from: int) -> None:
    order = [f"d.{number:06d}" for number in range(unknown_from)]
    keys = [f"d.{number:06d}" for number in numbers]
    covered: list[str] = []
    for first, last in ranges(keys, order):
        covered += order[order.index(first) : order.index(last) + 1] if first in order else [first]
        assert first in order or first == last
    assert sorted(covered) == sorted(keys)


def test_neighbours_are_one_range() -> None:
    assert ranges(["b", "c", "e"], ["a", "b", "c", "d", "e"]) == [("b", "c"), ("e", "e")]


def test_backfills_are_recorded_in_order_and_damage_of_one_hides_no_other(tmp_path: Path) -> None:
    first = Backfill("a", ("a.000000",), can_wait=True)
    second = Backfill("b", ("b.000000", "b.000001"), force=True)
    record(tmp_path, first)
    (tmp_path / "1.json").write_text("{")
    record(tmp_path, second)
    assert [backfill for _, backfill in recorded(tmp_path)] == [first, second]
