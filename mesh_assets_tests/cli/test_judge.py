"""`mesh judge`: a person sees an answer with what it cites, and says whether it is right."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts
from mesh_assets.storage.lake import Footer
from mesh_assets_tests.cli.command import mesh
from mesh_assets_tests.flow.location import Location

CITED = {
    "dataset": "notes",
    "path": "run.md",
    "byte_start": 0,
    "byte_stop": 20,
    "line_start": 1,
    "source_hash": "0a1b2c3d4e5f",
    "quote": "stop the report \x1b[2J",
    "place": None,
}


@pytest.fixture
def location(tmp_path: Path) -> Iterator[Location]:
    """One case that was answered at two depths, and one at the first."""
    location = Location(tmp_path, {})
    for depth, cases in (("surface", ("ab12", "ac34")), ("deep", ("ab12",))):
        _publish(location, f"{depth}_analyses", [_answer(case, depth) for case in cases])
    yield location
    location.instance.dispose()


def _answer(case: str, depth: str) -> dict[str, object]:
    claim = {"statement": f"Stop it, says {depth}.", "citations": [CITED]}
    known = {"dataset": "notes", "slice": "notes.000000", "case_id": case, "depth": depth, "node": "near"}
    return known | {
        "brief": "incidents",
        "text": f"Answer of {depth}",
        "claims": [claim],
        "confidence": 0.6,
        "signals": '{"support": 1.0}',
        "technique": "reflexion",
        "trace": [{"role": "attempt", "node": "near", "said": "It said", "cost_usd": Decimal("0.02"), "failure": None}],
    }


def _publish(location: Location, asset: str, rows: list[dict[str, object]]) -> None:
    footer = Footer(asset, "notes.000000", len(rows), 0, 0, 0, 0, 0, 0, 0, "", "", "", "", 0.0, time.time())
    path = location.lake.path(asset, "notes.000000")
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    pq.write_table(table.replace_schema_metadata({"mesh": json.dumps(asdict(footer))}), path)


def test_an_answer_is_shown_with_what_it_cites_and_nothing_steers_the_terminal(location: Location) -> None:
    shown = mesh(location, "judge", "ab").stdout
    assert "Answer of deep" in shown
    assert "notes/run.md:0-20@0a1b2c3d4e5f" in shown
    assert "stop the report" in shown
    assert "By reflexion:" in shown
    assert "attempt by near, $0.02: It said" in shown
    assert "\x1b" not in shown
    assert "Answer of surface" in mesh(location, "judge", "ab12", "--depth", "surface").stdout


def test_a_verdict_is_kept_and_its_answer_waits_no_more(location: Location) -> None:
    def waiting() -> set[tuple[str, str]]:
        return {
            (row["case_id"], row["depth"]) for row in json.loads(mesh(location, "judge", "--list", "--json").stdout)
        }

    assert waiting() == {("ab12", "deep"), ("ab12", "surface"), ("ac34", "surface")}
    assert "calls the deep answer to ab12 wrong" in mesh(location, "judge", "ab", "wrong", "--by", "ann").stdout
    assert waiting() == {("ab12", "surface"), ("ac34", "surface")}
    mesh(location, "judge", "ab", "right", "--by", "ann")  # on second thoughts
    (kept,) = SqliteVerdicts(location.settings.state).all()
    assert (kept.dataset, kept.node, kept.is_right, kept.judge, kept.judge_name) == (
        "notes",
        "near",
        True,
        "person",
        "ann",
    )
    assert json.loads(kept.signals) == {"support": 1.0}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("a",), "begins the ids of 2 cases"), (("ff",), "no answer"), (("ab12", "--depth", "abyss"), "no depth")],
)
def test_what_names_no_answer_is_told_with_a_remedy(location: Location, arguments: tuple[str, ...], says: str) -> None:
    assert says in mesh(location, "judge", *arguments, expect=1).stderr
    assert not SqliteVerdicts(location.settings.state).all()
