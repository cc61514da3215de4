"""What belongs together is found across files: by the names that chunks share, and by the time of findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from mesh_assets.insights import shared_names
from mesh_assets.insights.chunk_stage import insight_batches
from mesh_assets.insights.events import Events
from mesh_assets.insights.protocol import Insight
from mesh_assets.insights.relations import INSIGHT_COLUMNS, MAX_FILES, apart, relation_batches
from mesh_assets.schemas.citations import Citation
from mesh_assets.schemas.outcome import Outcome
from mesh_assets.schemas.relations import RELATIONS
from mesh_assets_tests.insights.chunk_rows import batches, rows, slice_rows
from mesh_assets_tests.insights.log_scenarios import background, moment, render


def related(made: list[dict[str, object]], size: int = 512) -> list[dict]:
    cut = batches(made, size)
    aligned = [(b, next(iter(insight_batches([b], Outcome()))).select(list(INSIGHT_COLUMNS))) for b in cut]
    outcome = Outcome(total=len(made))
    found = list(relation_batches(aligned, dataset="d", slice_key="d.000001", outcome=outcome))
    assert outcome.done == len(made)
    assert all(batch.schema == RELATIONS.schema for batch in found)
    return pa.Table.from_batches(found, schema=RELATIONS.schema).to_pylist()


def pairs(found: list[dict], made: list[dict[str, object]]) -> dict[tuple[object, object], list[str]]:
    path = {row["chunk_id"]: row["path"] for row in made}
    return {(path[row["chunk_id"]], path[row["other_id"]]): row["shared"] for row in found}


UUID = "0b9f8f6e-3c1d-4a52-9e0b-6a1f2c3d4e5f"


def test_files_that_name_the_same_request_host_or_file_are_related() -> None:
    made = rows("gateway.log", f"10:42 request {UUID} failed at db-7.internal.example.com\n", kind="log", format="log")
    made += rows("worker.log", f"10:43 retry of {UUID}\n", kind="log", format="log")
    made += rows(
        "tickets/one.md", "OPS-4711 is about db-7.internal.example.com, see etc/gateway.conf for its limits.\n"
    )
    made += rows("etc/gateway.conf", "limit = 10\n", kind="code", format="ini")
    made += rows("other.md", "Nothing of that.\n")
    found = pairs(related(made), made)
    assert found == {
        ("gateway.log", "worker.log"): [UUID],
        ("gateway.log", "tickets/one.md"): ["db-7.internal.example.com"],
        ("etc/gateway.conf", "tickets/one.md"): ["gateway.conf"],
    }


def test_what_every_file_names_relates_nothing_and_more_in_common_is_closer() -> None:
    made: list[dict[str, object]] = []
    for number in range(MAX_FILES + 4):
        made += rows(f"{number:02}.log", f"up on 10.0.0.1, job JOB-{number // 2}, run RUN-{number // 4}\n", kind="log")
    found = related(made)
    assert all("10.0.0.1" not in row["shared"] for row in found)
    closest = pairs(found[:6], made)
    assert set(closest) == {(f"{n:02}.log", f"{n + 1:02}.log") for n in range(0, MAX_FILES + 4, 2)}
    assert all(len(shared) == 2 for shared in closest.values())


def test_near_in_time_is_closer() -> None:
    made: list[dict[str, object]] = []
    start = datetime(2026, 11, 22, 10, 42, tzinfo=UTC)
    for name, minutes in (("a.log", 0), ("b.log", 2), ("c.log", 600)):
        made += rows(name, f"request {UUID}\n", kind="log", time_stop=start + timedelta(minutes=minutes))
    for row in made:
        row["time_start"] = row["time_stop"]
    found = related(made)
    assert [row["seconds_apart"] for row in found] == [120.0, 35880.0, 36000.0]
    assert found[0]["score"] > found[1]["score"] == found[2]["score"]
    assert apart((start, None), (start - timedelta(seconds=9), start)) == 0
    assert apart((start, start), (None, None)) is None


@pytest.mark.parametrize("size", [1, 3, 512])
def test_more_names_than_fit_are_followed_for_every_file_or_none(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, object]] = []
    for number in range(200):
        made += rows(f"{number:03}.log", f"job JOB-{number % 100} on host{number % 100}.example.com\n", kind="log")
    whole = related(made, size)
    monkeypatch.setattr(shared_names, "MAX_NAMES", 100)
    some = related(made, size)
    assert len(whole) == 100
    assert 0 < len(some) < 80
    assert set(pairs(some, made)) <= set(pairs(whole, made))


RUNBOOK = (
    "# Connections\n\nPoolExhaustedException means that all connections of the orders database are taken. "
    "Raise the pool size and restart the worker.\n"
)


def test_incidents_of_two_logs_at_one_time_and_the_page_of_the_runbook_are_one_event() -> None:
    rng = np.random.default_rng(5)
    made: list[dict[str, object]] = []
    at = 14.3 * 3600
    for name in ("gateway.log", "worker.log"):
        lines = background(rng)
        lines += [
            (float(second), f"ERROR [pool] PoolExhaustedException in {name[:-4]} after {n} ms")
            for n, second in enumerate(at + rng.uniform(0, 600, 900))
        ]
        made += rows(name, render(lines), kind="log", format="log", size=4000)
    made += rows("runbook.md", RUNBOOK, kind="text")
    made += [row for n in range(30) for row in rows(f"page{n}.md", f"# Page {n}\n\nGardens need water.\n", kind="text")]
    for row in made:
        row["time_start"] = row["time_stop"] = None
    found = slice_rows(made)
    (event,) = [row for row in found if row["type"] == "event"]
    assert "PoolExhaustedException" in event["statement"]
    assert "runbook.md" in event["statement"]
    assert {cited["path"] for cited in event["evidence"]} == {"gateway.log", "worker.log", "runbook.md"}
    assert abs((event["time_start"] - moment(at)).total_seconds()) < 600
    assert event["statement"].count("poolexhausted") == 0  # said once, as it is written
    alone = [row for row in made if row["path"] == "gateway.log" or str(row["path"]).startswith("page")]
    assert not [row for row in slice_rows(alone) if row["type"] == "event"]


def _finding(path: str, minute: int, *, score: float = 0.7, hours: float = 0.1, title: str = "jump") -> Insight:
    start = datetime(2026, 11, 22, 10, 0, tzinfo=UTC) + timedelta(minutes=minute)
    cited = Citation("d", path, 0, 9, "ab" * 16, 1, f"{title} {path}")
    stop = start + timedelta(hours=hours)
    return Insight("metric", "series_anomaly", title, f"{title} in {path}.", score, {}, (cited,), start, stop)


def test_findings_at_one_time_are_an_event_and_weak_or_endless_ones_are_none() -> None:
    found = [
        _finding("cpu.csv", 40, title="CPU jumped"),
        _finding("app.log", 42, score=0.9, title="Errors began"),
        _finding("disk.csv", 44, score=0.3),
        _finding("year.csv", 0, hours=4000),
        _finding("late.csv", 400),
    ]
    (event,) = Events().together(found)
    assert event.statement == "Errors began in app.log. At the same time: CPU jumped in cpu.csv."
    assert [cited.path for cited in event.evidence] == ["app.log", "cpu.csv"]
    assert event.score > 0.9
    assert (event.time_start, event.time_stop) == (found[0].time_start, found[1].time_stop)
    assert Events().together(reversed(found)) == [event]
    assert Events().together([]) == []
