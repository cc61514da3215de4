"""Techniques on a server are billed, bounded and remembered as every other call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from mesh_assets.analyses.techniques.asking import Bounds, Outcome
from mesh_assets.analyses.techniques.sampling import self_consistency
from mesh_assets.analyses.techniques.through_caller import NodeAsk
from mesh_assets.resources.nodes import connect_client
from mesh_assets_tests.mesh.loopback import Loopback, loopback
from mesh_assets_tests.mesh.parts import Bench, bench, node, question


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def sampled(made: Bench, server: Loopback, usd: str) -> Outcome:
    asked = node("openai", server)

    async def run() -> Outcome:
        client = connect_client(asked)
        try:
            speaker = NodeAsk(made.caller, asked, client, question())
            return await self_consistency("What held it?", speaker, Bounds(5, Decimal(usd)), samples=3)
        finally:
            await client.close()

    return asyncio.run(run())


def test_chains_are_billed_as_the_outcome_says_or_less_and_cost_nothing_again(server: Loopback, tmp_path: Path) -> None:
    said: dict[str, object] = {"answer": "A report.", "claims": [], "confidence": 0.5}
    server.answer = lambda prompt: json.dumps(said)
    made = bench(tmp_path)
    found = sampled(made, server, "1")
    assert (json.loads(found.answer or ""), len(found.trace)) == (said, 2)
    assert Decimal(0) < made.spent() <= found.usd
    assert {name for step in found.trace for name in step.receipts} == {each.id for each in made.ledger.receipts()}
    spent = made.spent()
    again = sampled(made, server, "1")
    assert (again.answer, again.usd, made.spent()) == (found.answer, Decimal(0), spent)
    assert [step.completion for step in again.trace] == [step.completion for step in found.trace]


def test_replies_in_another_form_are_paid_for_and_give_no_answer(server: Loopback, tmp_path: Path) -> None:
    server.answer = lambda prompt: "Answer: trust me"
    found = sampled(bench(tmp_path), server, "1")
    assert found.answer is None
    assert found.usd > 0


def test_a_call_that_may_pass_the_bound_is_not_made(server: Loopback, tmp_path: Path) -> None:
    found = sampled(bench(tmp_path), server, "0.000001")
    assert (found.answer, found.trace) == (None, ())
    assert "may pass its 0.000001 USD" in found.why
    assert not server.requests
