"""Questions that can wait: half the price, and a crash at any point loses neither money nor answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import TypeVar

import pytest

from mesh_assets.errors import BudgetError, NodeError, SettingsError
from mesh_assets.mesh.batches import Batcher, Collected
from mesh_assets.mesh.calls import Clock, Question
from mesh_assets.mesh.costs import worst_case
from mesh_assets.mesh.protocol import BatchClient, Node, Scope
from mesh_assets.resources.batch_log import SqliteBatchLog
from mesh_assets.resources.nodes import connect_batches
from mesh_assets_tests.mesh.loopback import GOOD, Fault, Loopback, loopback
from mesh_assets_tests.mesh.parts import CASE, Bench, bench, node, question, server_cost

T = TypeVar("T")


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


@pytest.fixture(params=["openai", "anthropic"])
def asked(request: pytest.FixtureRequest, server: Loopback) -> Node:
    return node(request.param, server, has_batch=True, takes_schema=request.param == "anthropic")


def questions(count: int) -> list[Question]:
    return [question(replace(CASE, question=f"What of {number}?")) for number in range(count)]


class Desk:
    """A batcher on files of its own, with the verbs of both ends."""

    def __init__(self, folder: Path, node: Node, *, budgets: str = "month 100") -> None:
        self.node = node
        self.bench: Bench = bench(folder, budgets=budgets)
        self.log = SqliteBatchLog(folder / "batches.sqlite")
        self.batcher = Batcher(self.bench.caller, self.log)

    def submit(self, asked: Sequence[Question]) -> int:
        return asyncio.run(self._speaking(lambda client: self.batcher.submit(self.node, client, asked)))

    def collect(self) -> Collected:
        return asyncio.run(self._speaking(lambda client: self.batcher.collect(self.node, client)))

    async def _speaking(self, work: Callable[[BatchClient], Awaitable[T]]) -> T:
        client = connect_batches(self.node)
        try:
            return await work(client)
        finally:
            await client.close()


def test_a_batch_is_collected_when_it_is_done_and_its_questions_then_cost_nothing(
    asked: Node, server: Loopback, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, asked)
    assert desk.submit(questions(3)) == 3
    assert desk.collect() == Collected(waiting=3)
    assert desk.bench.spent() == 0
    server.is_ready = True
    assert desk.collect() == Collected(answered=3)
    assert desk.bench.spent() == server_cost(server) / 2 > 0
    for each in questions(3):
        called = desk.bench.ask(asked, each)
        assert (called.value, called.is_cached) == (GOOD, True)
    assert len(server.billed) == 3
    assert desk.collect() == Collected()
    assert all(receipt.billed.is_batch for receipt in desk.bench.ledger.receipts())


def test_what_was_answered_or_sent_is_not_sent_again(asked: Node, server: Loopback, tmp_path: Path) -> None:
    desk = Desk(tmp_path, asked)
    desk.bench.ask(asked, questions(1)[0])
    assert desk.submit(questions(3)) == 2
    assert desk.submit(questions(4)) == 1
    assert desk.submit(questions(4)) == 0
    server.is_ready = True
    assert desk.collect() == Collected(answered=3)
    assert len(server.billed) == 4


def test_who_sends_at_the_same_time_waits_its_turn_and_sends_nothing_again(
    asked: Node, server: Loopback, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, asked)
    batcher = Batcher(replace(desk.bench.caller, clock=Clock()), desk.log)

    async def both() -> list[int]:
        clients = [connect_batches(asked) for _ in range(2)]
        sent = await asyncio.gather(*(batcher.submit(asked, each, questions(3)) for each in clients))
        for each in clients:
            await each.close()
        return sorted(sent)

    assert asyncio.run(both()) == [0, 3]
    assert len(server.batches) == 1


def test_a_batch_is_sent_as_far_as_the_money_goes(asked: Node, server: Loopback, tmp_path: Path) -> None:
    one = worst_case(asked, questions(1)[0].request, is_batch=True)
    desk = Desk(tmp_path, asked, budgets=f"month {(one * 2).quantize(Decimal('0.000001'), ROUND_CEILING)}")
    assert desk.submit(questions(5)) == 2
    with pytest.raises(BudgetError):
        desk.submit(questions(5))
    server.is_ready = True
    desk.collect()
    assert desk.bench.spent() == server_cost(server) / 2


def test_each_result_is_taken_for_what_it_is(asked: Node, server: Loopback, tmp_path: Path) -> None:
    desk = Desk(tmp_path, asked)
    desk.submit(questions(4))
    server.play(Fault("text", text="no"), Fault("status"), Fault("gateway"))
    server.is_ready = True
    assert desk.collect() == Collected(answered=2, failed=1, unknown=1)
    assert [kept.rejected.split(":")[0] for kept in desk.bench.log.rejects()] == ["no JSON"]
    assert desk.bench.spent() == server_cost(server) / 2
    # Of the one that nobody speaks of the money stays counted; the one that expired was given back.
    desk.bench.time.now += 27 * 3600
    assert len(list(desk.bench.ledger.unsettled())) == 1


def test_a_batch_that_is_refused_costs_nothing(asked: Node, server: Loopback, tmp_path: Path) -> None:
    desk = Desk(tmp_path, asked)
    server.play(Fault("status", 400, message="too many"))
    with pytest.raises(NodeError, match="too many"):
        desk.submit(questions(2))
    desk.bench.time.now += 27 * 3600
    assert list(desk.bench.ledger.unsettled()) == []
    assert desk.submit(questions(2)) == 2


def test_a_batch_whose_sender_never_learnt_that_it_was_taken(asked: Node, server: Loopback, tmp_path: Path) -> None:
    desk = Desk(tmp_path, asked)

    server.play(Fault("cut body"))
    with pytest.raises(NodeError, match="cut off"):
        desk.submit(questions(2))
    server.is_ready = True
    if asked.provider == "openai":  # found again by our name
        assert desk.collect() == Collected(answered=2)
        assert desk.bench.spent() == server_cost(server) / 2
        return
    assert desk.collect() == Collected(waiting=2)
    desk.bench.time.now += 700
    assert desk.collect() == Collected(unknown=2)
    desk.bench.time.now += 27 * 3600
    assert len(list(desk.bench.ledger.unsettled())) == 2  # counted, since it may be billed


def test_a_crash_while_results_are_taken_books_and_keeps_each_once(
    asked: Node, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, asked)
    desk.submit(questions(3))
    server.is_ready = True
    with monkeypatch.context() as patch:
        patch.setattr(SqliteBatchLog, "end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            desk.collect()
    again = Desk(tmp_path, asked)
    assert again.collect() == Collected(answered=3)
    assert again.bench.spent() == server_cost(server) / 2
    assert again.bench.log.tallies()[asked.name].answered == 3


def test_a_dataset_that_is_forgotten_meanwhile_is_billed_but_not_kept(
    asked: Node, server: Loopback, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, asked)
    gone, stays = (
        replace(each, scopes=(*each.scopes, Scope("dataset", name)))
        for each, name in zip(questions(2), ("gone", "stays"), strict=True)
    )
    desk.submit([gone, stays])
    desk.log.forget("gone")
    assert b"gone" not in b"".join(each.read_bytes() for each in tmp_path.glob("batches*"))
    server.is_ready = True
    assert desk.collect() == Collected(answered=2)
    assert desk.bench.spent() == server_cost(server) / 2
    assert desk.bench.log.tallies()[asked.name].answered == 1


def test_a_private_question_is_not_sent_and_nothing_stays_reserved(asked: Node, tmp_path: Path) -> None:
    desk = Desk(tmp_path, replace(asked, policy="may-leave"))
    with pytest.raises(NodeError, match="private"):
        desk.submit([*questions(2), question(private=True)])
    desk.bench.time.now += 27 * 3600
    assert list(desk.bench.ledger.unsettled()) == []


def test_a_node_without_a_batch_endpoint_says_so() -> None:
    with pytest.raises(SettingsError, match="no batch endpoint"):
        connect_batches(node("local", model="extractive"))
