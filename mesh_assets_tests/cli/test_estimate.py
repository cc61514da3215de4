"""`mesh estimate`: a person learns what answers would cost before anything is spent, also without a key."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
import pytest

from mesh_assets.schemas.cases import CASES
from mesh_assets.schemas.extents import EXTENTS
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets_tests.analyses.scripted import posed
from mesh_assets_tests.cli.command import mesh
from mesh_assets_tests.flow.location import Location


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    """A dataset of two slices, of which one has its three cases."""
    location = Location(tmp_path_factory.mktemp("estimate"), {})
    slices = {"shop.000000": 1, "shop.000001": 1}
    _publish(location, "drop_manifests", "shop", [], EXTENTS.schema, slices=slices)
    rows = [CASES.batch([posed(number).row() for number in range(3)])]
    _publish(location, "cases", "shop.000000", rows, CASES.schema)
    yield location
    location.instance.dispose()


def _publish(
    location: Location, asset: str, key: str, rows: list[pa.RecordBatch], schema: pa.Schema, **extra: object
) -> None:
    outcome = Outcome(total=0)
    produced = Produced(rows or [pa.RecordBatch.from_pylist([], schema=schema)], outcome, "input", dict(extra))
    location.lake.publish(asset, key, produced, version="1", run_id="r")


def test_it_says_what_three_cases_of_half_the_slices_would_cost_and_which_keys_lack(location: Location) -> None:
    said = mesh(location, "estimate", "shop").stdout
    assert "3 cases in 2 slices, scaled up from 1 of them" in said
    assert all(depth in said for depth in ("surface", "deep", "expert", "research"))
    assert "ANTHROPIC_API_KEY is not set" in said
    assert "is left" in said


def test_scripts_get_the_same_as_json(location: Location) -> None:
    told = json.loads(mesh(location, "estimate", "shop", "--json").stdout)
    assert (told["cases"], told["settled"], told["slices"], told["slices_with_cases"]) == (3, 0, 2, 1)
    assert told["as_if_all_nodes_were_on"]
    assert 0 < told["usd"]["low"] < told["usd"]["likely"] < told["usd"]["high"]
    assert told["levels"][0]["cases"] == {"low": 6.0, "likely": 6.0, "high": 6.0}


def test_a_dataset_without_cases_is_told_apart_from_one_that_costs_nothing(location: Location) -> None:
    _publish(location, "drop_manifests", "empty", [], EXTENTS.schema, slices={"empty.000000": 1})
    assert "nothing to estimate" in mesh(location, "estimate", "empty", expect=1).stderr
    assert "There is no dataset" in mesh(location, "estimate", "nope", expect=1).stderr
