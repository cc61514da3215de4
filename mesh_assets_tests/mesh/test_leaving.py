"""What leaves is on record before it goes: the bytes, to whom, when and why; nothing goes that is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_assets.errors import LakeError, NodeError, SettingsError
from mesh_assets.mesh.batches import Batcher, Collected
from mesh_assets.mesh.calls import Question
from mesh_assets.mesh.leaving import redacted
from mesh_assets.mesh.protocol import Node, Scope
from mesh_assets.mesh.shapes import Evidence
from mesh_assets.resources.batch_log import SqliteBatchLog
from mesh_assets.resources.nodes import connect_batches, connect_client
from mesh_assets.resources.sent_log import Departure
from mesh_assets_tests.mesh.loopback import GOOD, Fault, Loopback, loopback
from mesh_assets_tests.mesh.parts import CASE, Bench, bench, node, question

MAIL = "ann.smith@shop-mail.org"


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


@pytest.fixture(params=["openai", "anthropic"])
def away(request: pytest.FixtureRequest, server: Loopback) -> Node:
    return replace(node(request.param, server), policy="may-leave", has_batch=True)


def about(dataset: str, number: int = 0) -> Question:
    case = replace(CASE, question=f"What of {number}?", evidence=(Evidence("E1", f"{dataset}: ask {MAIL}"),))
    asked = question(case)
    return replace(asked, scopes=(*asked.scopes, Scope("dataset", dataset)), prompt_version="incidents-3")


def left(made: Bench, dataset: str | None = None) -> list[Departure]:
    return list(made.log.departures.departures(dataset=dataset))


def contents(made: Bench) -> list[bytes | None]:
    return [made.log.departures.content(each.id) for each in left(made)]


def test_the_record_has_each_byte_that_the_server_got_and_why(away: Node, server: Loopback, tmp_path: Path) -> None:
    made = bench(tmp_path, redact=redacted)
    server.play(Fault("status", 503, message="busy"), Fault("cut body"))
    asked = about("shop")
    made.ask(away, asked)
    assert contents(made) == [content for _, content in server.bodies]
    assert len(server.bodies) == 3, "two tries failed, and left all the same"
    assert all(b"[EMAIL_1]" in content and MAIL.encode() not in content for _, content in server.bodies)
    for each in left(made):
        assert (each.node, each.model, each.dataset, each.size) == (away.name, "m", "shop", len(server.bodies[0][1]))
        assert each.address == f"{server.url}{server.bodies[0][0]}"
        (reason,) = each.reasons
        assert (reason.case_id, reason.depth, reason.brief) == (asked.case_id, "surface", "incidents-3")
    assert [r.attempt for each in left(made) for r in each.reasons] == [
        headers["x-client-request-id"] for headers in server.headers
    ]
    made.ask(away, asked)  # from what was kept: nothing leaves
    assert len(left(made)) == 3


def test_it_is_on_record_before_the_server_has_it(away: Node, server: Loopback, tmp_path: Path) -> None:
    made = bench(tmp_path)
    seen: list[int] = []

    def answer(prompt: str) -> str:
        seen.append(len(left(made)))  # what a kill at this moment would leave behind
        return json.dumps(GOOD)

    server.answer = answer
    made.ask(away, about("shop"))
    assert seen == [1]


def test_what_stays_on_this_machine_is_no_departure(server: Loopback, tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.ask(node("openai", server), about("shop"))
    assert server.bodies and left(made) == []


def test_what_cannot_be_recorded_does_not_leave_and_costs_nothing(away: Node, server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "sent.sqlite").mkdir()
    made = bench(tmp_path)
    with pytest.raises(LakeError, match="nothing leaves"):
        made.ask(away, about("shop"))
    assert server.bodies == []
    assert made.unknown() == 0
    with pytest.raises(LakeError, match="nothing leaves"):
        batch(made, away, [about("shop")])
    assert server.bodies == []
    assert made.unknown() == 0


def test_who_goes_around_the_mesh_sends_nothing(away: Node, server: Loopback) -> None:
    async def around() -> None:
        client = connect_client(away)
        try:
            await client.complete(about("shop").request, seconds=5, attempt="")
        finally:
            await client.close()

    with pytest.raises(NodeError, match="without being recorded"):
        asyncio.run(around())
    assert server.bodies == []


def batch(made: Bench, away: Node, questions: list[Question]) -> int:
    async def submit() -> int:
        client = connect_batches(away)
        try:
            return await Batcher(made.caller, SqliteBatchLog(made.folder / "batches.sqlite")).submit(
                away, client, questions
            )
        finally:
            await client.close()

    return asyncio.run(submit())


def test_batches_are_on_record_each_dataset_by_itself(away: Node, server: Loopback, tmp_path: Path) -> None:
    made = bench(tmp_path, redact=redacted, budgets="")
    asked = [about("shop", 1), about("logs", 2), about("shop", 3)]
    assert batch(made, away, asked) == 3
    assert contents(made) == [content for _, content in server.bodies]
    assert MAIL.encode() not in b"".join(content for _, content in server.bodies)
    for dataset, cases in (("shop", [asked[0].case_id, asked[2].case_id]), ("logs", [asked[1].case_id])):
        for each in left(made, dataset):
            assert [reason.case_id for reason in each.reasons] == cases
            assert each.batch
    server.is_ready = True

    async def collect() -> Collected:
        client = connect_batches(away)
        try:
            return await Batcher(made.caller, SqliteBatchLog(tmp_path / "batches.sqlite")).collect(away, client)
        finally:
            await client.close()

    assert asyncio.run(collect()) == Collected(answered=3)


def test_a_batch_that_fails_gives_back_the_money_of_those_that_were_not_sent(
    away: Node, server: Loopback, tmp_path: Path
) -> None:
    made = bench(tmp_path, budgets="")
    server.play(Fault("status", 400, message="too many"))
    with pytest.raises(NodeError, match="too many"):
        batch(made, away, [about("shop"), about("logs")])
    assert made.unknown() == 0


def test_a_forgotten_dataset_takes_its_bytes_along_but_not_that_something_left(
    away: Node, server: Loopback, tmp_path: Path
) -> None:
    made = bench(tmp_path)
    made.ask(away, about("kept"))
    made.ask(away, about("hushed"))
    made.log.forget("hushed")
    assert [(each.dataset, each.is_forgotten) for each in left(made)] == [("kept", False), ("", True)]
    assert left(made)[1].size == len(server.bodies[1][1])
    assert made.log.departures.content(left(made)[1].id) is None
    assert b"hushed" not in (tmp_path / "sent.sqlite").read_bytes()


def test_what_showed_several_datasets_is_of_each_and_goes_with_any(
    away: Node, server: Loopback, tmp_path: Path
) -> None:
    made = bench(tmp_path)
    both = about("hushed")
    made.ask(away, replace(both, scopes=(*both.scopes, Scope("dataset", "my-hushed"), Scope("dataset", "kept"))))
    log = made.log.departures
    keys = ("hushed", "kept", "my-hushed", "my", "hush")
    assert [len(list(log.departures(dataset=key))) for key in keys] == [1, 1, 1, 0, 0]
    made.log.forget("hush")
    assert not left(made)[0].is_forgotten
    made.log.forget("kept")
    assert left(made)[0].is_forgotten
    for name in ("sent.sqlite", "calls.sqlite"):
        assert b"hushed" not in (tmp_path / name).read_bytes()


def test_a_request_is_found_by_how_its_id_begins(away: Node, server: Loopback, tmp_path: Path) -> None:
    made = bench(tmp_path)
    for unknown in ("", "%", "0"):
        with pytest.raises(SettingsError, match="No request"):
            made.log.departures.content(unknown)
    made.ask(away, about("shop"))
    assert made.log.departures.content(left(made)[0].id[:8]) == server.bodies[0][1]
    made.time.now = 5.0
    assert [each.at for each in left(made)] == [1000.0]
    assert list(made.log.departures.departures(since=1000.5)) == []
