"""What a user gets, and what is booked, when a server of a model does wrong: with both real SDKs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mesh_assets.errors import BudgetError, NodeError
from mesh_assets.mesh.calls import Policy
from mesh_assets.mesh.costs import worst_case
from mesh_assets.mesh.protocol import Limits, Node
from mesh_assets.resources.nodes import connect_client
from mesh_assets_tests.mesh.loopback import GOOD, Fault, Loopback, loopback
from mesh_assets_tests.mesh.parts import bench, node, question, server_cost


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


@pytest.fixture(params=["openai", "anthropic"])
def asked(request: pytest.FixtureRequest, server: Loopback) -> Node:
    return node(request.param, server)


def worst(node: Node) -> Decimal:
    return worst_case(node, question().request)


def test_a_good_answer_is_read_and_costs_what_the_server_billed(asked: Node, server: Loopback, tmp_path: Path) -> None:
    made = bench(tmp_path)
    called = made.ask(asked)
    assert called.value == GOOD
    assert (called.rejected, called.attempts, called.is_cached, called.is_repaired) == ("", 1, False, False)
    [receipt] = made.ledger.receipts()
    assert called.receipts == (receipt.id,)
    assert receipt.billed.request_id == server.billed[0].id
    assert made.spent() == server_cost(server) > 0
    # The provider's log of calls has our name of the attempt.
    assert server.headers[0]["x-client-request-id"] == receipt.id


def test_the_same_question_again_costs_nothing_another_one_does(asked: Node, server: Loopback, tmp_path: Path) -> None:
    made = bench(tmp_path)
    first, again = made.ask(asked), made.ask(asked)
    assert (again.value, again.is_cached, again.receipts) == (first.value, True, ())
    assert len(server.billed) == 1
    made.ask(replace(asked, model="another"))
    made.ask(asked, replace(question(), prompt_version="2"))
    assert len(server.billed) == 3


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_passing_failure_is_asked_again_and_not_booked(
    asked: Node, server: Loopback, tmp_path: Path, status: int
) -> None:
    server.play(Fault("status", status), Fault("status", status))
    made = bench(tmp_path)
    called = made.ask(asked)
    assert (called.value, called.attempts) == (GOOD, 3)
    assert made.spent() == server_cost(server)
    assert made.outcomes() == ["answered"]
    # Twice as long each time, with chance at its middle.
    assert made.time.slept == [0.75, 1.5]
    assert made.unknown() == 0


def test_a_server_that_asks_for_seconds_gets_them(asked: Node, server: Loopback, tmp_path: Path) -> None:
    server.play(Fault("status", 429, retry_after="20"))
    made = bench(tmp_path)
    assert made.ask(asked).value == GOOD
    assert made.time.slept == [20.0]


@pytest.mark.parametrize("seconds", ["90", "3600"])
def test_a_server_that_asks_for_minutes_or_an_hour_is_left_at_once(
    asked: Node, server: Loopback, tmp_path: Path, seconds: str
) -> None:
    server.play(Fault("status", 429, retry_after=seconds))
    made = bench(tmp_path)
    with pytest.raises(NodeError) as failed:
        made.ask(asked)
    assert (failed.value.failure, failed.value.retry_after) == ("limit", float(seconds))
    assert made.time.slept == []
    assert made.spent() == 0
    # Nor is it asked by others for as long as a node may rest.
    with pytest.raises(NodeError, match="pause"):
        made.ask(asked)
    assert len(server.requests) == 1
    made.time.now += 600
    assert made.ask(asked).value == GOOD


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_wrong_request_or_key_is_not_asked_again(asked: Node, server: Loopback, tmp_path: Path, status: int) -> None:
    server.play(Fault("status", status, message="no such thing"))
    made = bench(tmp_path)
    with pytest.raises(NodeError, match=f"{status}.*no such thing") as failed:
        made.ask(asked)
    assert failed.value.failure == "refused"
    assert failed.value.remedy
    assert len(server.requests) == 1
    assert made.spent() == 0


def test_an_account_without_credit_is_not_asked_again(asked: Node, server: Loopback, tmp_path: Path) -> None:
    server.play(Fault("status", 429, message="insufficient_quota: check your plan"))
    with pytest.raises(NodeError, match="quota") as failed:
        bench(tmp_path).ask(asked)
    assert failed.value.failure == "refused"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (Fault("status", 500), "server"),
        (Fault("gateway"), "server"),
        (Fault("slow", seconds=3.0), "timeout"),
        (Fault("drip", seconds=6.0), "timeout"),
        (Fault("cut body"), "connection"),
        (Fault("half a body"), "answer"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
def test_what_may_have_been_billed_stays_counted_and_is_asked_again(
    asked: Node, server: Loopback, tmp_path: Path, fault: Fault, failure: str
) -> None:
    asked = replace(asked, limits=Limits(parallel=5, seconds=1.5))
    server.play(fault)
    made = bench(tmp_path)
    called = made.ask(asked)
    assert (called.value, called.attempts) == (GOOD, 2)
    assert len(server.requests) == 2
    assert made.outcomes() == ["answered"]
    assert made.unknown() == worst(asked)
    assert made.spent() + made.unknown() >= server_cost(server)
    # What the provider's log says of it later is taken: nothing is lost, and nothing is paid twice.
    server.wait_until_idle()
    [left] = made.ledger.unsettled()
    assert left.reservation.id == server.headers[0]["x-client-request-id"]
    made.ledger.release(left.reservation)
    assert made.unknown() == 0
    assert made.failures() == [(failure, left.reservation.id)]


@pytest.mark.parametrize(
    ("fault", "reason", "outcome"),
    [
        (Fault("cut answer"), "cut off", "cut off"),
        (Fault("refusal", text="I will not."), "refused", "refused"),
        (
            Fault("text", text='{"answer": 3, "claims": [], "confidence": 0.5}'),
            "answer.answer is no string",
            "answered",
        ),
        (Fault("text", text='{"reply": "yes"}'), "lacks answer, claims, confidence", "answered"),
        (Fault("text", text="It was the report."), "no JSON", "answered"),
        (Fault("text", text=""), "empty", "answered"),
    ],
)
def test_what_is_no_answer_is_rejected_with_its_text_and_billed_exactly(
    asked: Node, server: Loopback, tmp_path: Path, fault: Fault, reason: str, outcome: str
) -> None:
    server.play(fault)
    made = bench(tmp_path)
    called = made.ask(asked)
    assert reason in called.rejected
    assert called.value == {}
    assert made.outcomes() == [outcome]
    assert made.spent() == server_cost(server)
    [kept] = made.log.rejects()
    said = json.dumps(GOOD)[: len(json.dumps(GOOD)) // 2] if fault.kind == "cut answer" else fault.text
    assert (kept.text, kept.rejected, kept.receipt) == (said, called.rejected, called.receipts[0])
    # The same question again costs nothing, since it ended like this; who wants it asked anew says so.
    assert made.ask(asked).rejected == called.rejected
    assert len(server.billed) == 1
    eager = bench(tmp_path, policy=Policy(asks_rejected_again=True))
    assert eager.ask(asked).value == GOOD


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{json.dumps(GOOD, indent=1)}\n```",
        f"Here is the answer:\n{json.dumps(GOOD)}\nI hope that it helps.",
        f"<think>perhaps {{no}} or\n{{'x': 1}}</think>\n{json.dumps(GOOD)}",
    ],
)
def test_an_object_with_words_around_it_is_repaired_without_another_call(
    asked: Node, server: Loopback, tmp_path: Path, text: str
) -> None:
    server.play(Fault("text", text=text))
    called = bench(tmp_path).ask(asked)
    assert (called.value, called.is_repaired, called.attempts) == (GOOD, True, 1)
    assert len(server.billed) == 1


@pytest.mark.parametrize(
    "usage",
    [
        "missing",
        "many",
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": 10},
        {"prompt_tokens": 10, "completion_tokens": 0},
    ],
)
def test_a_usage_that_cannot_be_is_booked_as_the_worst_case(
    asked: Node, server: Loopback, tmp_path: Path, usage: Any
) -> None:
    server.play(Fault("usage", usage=usage))
    made = bench(tmp_path)
    assert made.ask(asked).value == GOOD
    assert made.outcomes() == ["answered, usage unknown"]
    assert made.spent() == worst(asked) >= server_cost(server)


def test_a_usage_beyond_what_was_reserved_is_booked_in_full(asked: Node, server: Loopback, tmp_path: Path) -> None:
    server.play(Fault("usage", usage={"prompt_tokens": 90_000, "completion_tokens": 600_000}))
    made = bench(tmp_path, budgets="call 1; case 4")
    assert made.ask(asked).value == GOOD
    assert made.spent() == Decimal("4.98") > worst(asked)
    with pytest.raises(BudgetError):
        made.ask(asked, replace(question(), prompt_version="2"))
    assert len(server.requests) == 1


def test_the_answer_to_another_call_is_not_taken_for_this_one(asked: Node, server: Loopback, tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.ask(asked)
    server.play(Fault("duplicate"))
    server.answer = lambda prompt: json.dumps(GOOD | {"answer": "Another."})
    called = made.ask(asked, replace(question(), prompt_version="2"))
    assert called.value["answer"] == "Another."
    assert called.attempts == 2
    [kept] = made.log.rejects()
    assert kept.rejected.startswith("delivered before")
    # Booked all the same: one receipt for each request that was answered, never less than was billed.
    assert len(list(made.ledger.receipts())) == 3
    assert made.spent() > server_cost(server)


def test_nothing_follows_a_redirect(asked: Node, server: Loopback, tmp_path: Path) -> None:
    with loopback() as elsewhere:
        server.play(Fault("redirect", text=f"{elsewhere.url}/v1/chat/completions"))
        with pytest.raises(NodeError, match="307"):
            bench(tmp_path).ask(asked)
        assert elsewhere.requests == []


def test_a_server_that_is_not_there_costs_nothing(tmp_path: Path, asked: Node) -> None:
    made = bench(tmp_path)
    with pytest.raises(NodeError, match="cannot be reached") as failed:
        made.ask(replace(asked, base_url="http://127.0.0.1:9"))
    assert failed.value.failure == "connection"
    assert len(made.time.slept) == 3
    assert made.spent() == 0
    assert list(made.ledger.unsettled()) == []


def test_a_node_that_fails_on_and_on_rests_then_one_call_tries_it(
    asked: Node, server: Loopback, tmp_path: Path
) -> None:
    server.play(*[Fault("status", 529)] * 6)
    made = bench(tmp_path, policy=Policy(attempts=10))
    with pytest.raises(NodeError, match="was down and rests"):
        made.ask(asked)
    assert len(server.requests) == 5
    made.time.now += 15
    with pytest.raises(NodeError, match="rests"):  # the try fails: it rests for longer
        made.ask(asked)
    assert len(server.requests) == 6
    made.time.now += 15
    with pytest.raises(NodeError, match="rests"):
        made.ask(asked)
    made.time.now += 15
    assert made.ask(asked).value == GOOD
    assert made.spent() == server_cost(server)


def test_a_cancelled_call_stays_counted_at_the_worst(asked: Node, server: Loopback, tmp_path: Path) -> None:
    server.seconds = 0.5
    made = bench(tmp_path)

    async def run() -> None:
        client = connect_client(asked)
        task = asyncio.create_task(made.caller.call(asked, client, question()))
        while not server.requests:  # the server is a thread
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()

    asyncio.run(run())
    assert (made.outcomes(), made.unknown()) == ([], worst(asked))


def test_a_call_without_money_is_not_made(asked: Node, server: Loopback, tmp_path: Path) -> None:
    made = bench(tmp_path, budgets="call 0.001")
    with pytest.raises(BudgetError, match="call"):
        made.ask(asked)
    assert server.requests == []


def test_retries_never_pass_a_budget(asked: Node, server: Loopback, tmp_path: Path) -> None:
    server.play(*[Fault("cut body")] * 3)
    limit = worst(asked) * 2
    made = bench(tmp_path, budgets=f"case {limit.normalize():f}")
    with pytest.raises(BudgetError):
        made.ask(asked)
    assert made.unknown() == 2 * worst(asked) == limit
    assert len(server.requests) == 2
