"""Cases side by side: ten at once, fallbacks in order, nothing lost by a stop, a defect, a cancellation or a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest

from mesh_assets.mesh.execution import Result, Work, run_cases
from mesh_assets.mesh.protocol import Node
from mesh_assets.mesh.shapes import Case, Evidence
from mesh_assets.resources.call_log import Tally
from mesh_assets.resources.nodes import connect_client
from mesh_assets_tests.mesh.loopback import GOOD, Fault, Loopback, loopback
from mesh_assets_tests.mesh.parts import CASE, PRICE, Bench, bench, node, question, server_cost


@dataclass
class Memory:
    results: list[Result] = field(default_factory=list)

    def keep(self, result: Result) -> None:
        self.results.append(result)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def cases(count: int, *nodes: Node) -> Iterator[Work]:
    for number in range(count):
        case = replace(CASE, question=f"What happened at {number}?")
        yield Work(question(case), nodes)


def test_ten_are_asked_at_once_and_each_has_its_own_answer(server: Loopback, tmp_path: Path) -> None:
    server.seconds = 0.1
    server.answer = lambda prompt: json.dumps(GOOD | {"answer": prompt.rsplit("Question: ", 1)[1]})
    made, sink = bench(tmp_path, budgets=""), Memory()
    assert run_cases(cases(30, node("openai", server)), made.caller, connect_client, sink) == 30
    assert server.most_at_once == 10
    for result in sink.results:
        assert result.answer is not None
        assert result.answer.value["answer"] == result.work.question.request.asked.removeprefix("\nQuestion: ")
    assert {r.work.question.case_id for r in sink.results} == {w.question.case_id for w in cases(30)}
    assert made.spent() == server_cost(server)


def test_a_limit_of_a_node_holds_for_all_cases(server: Loopback, tmp_path: Path) -> None:
    server.seconds = 0.05
    few = node("openai", server)
    few = replace(few, limits=replace(few.limits, parallel=3))
    made, sink = bench(tmp_path, budgets=""), Memory()
    # Real time: who waits for a slot must not starve those that hold one.
    caller = replace(made.caller, clock=type(made.caller.clock)())
    wide = replace(few, limits=replace(few.limits, parallel=50))  # so that no pool of connections holds the limit
    assert run_cases(cases(12, few), caller, lambda _: connect_client(wide), sink) == 12
    assert server.most_at_once <= 3


def test_the_next_node_is_asked_where_one_fails_or_rejects_or_costs_too_much(server: Loopback, tmp_path: Path) -> None:
    server.play(Fault("status", 400), Fault("text", text="no"))
    dear = replace(node("openai", server), name="dear", price=replace(PRICE, output=Decimal(100_000)))
    wrong = replace(node("openai", server), name="wrong")
    vague = replace(node("openai", server), name="vague", model="other")
    sure = node("anthropic", server)
    made, sink = bench(tmp_path), Memory()
    run_cases(cases(1, dear, wrong, vague, sure), made.caller, connect_client, sink)
    [result] = sink.results
    assert result.answer is not None
    assert (result.answer.node, result.answer.value) == (sure.name, GOOD)
    assert [(each.node, each.failure) for each in result.tried] == [
        ("dear", "budget"),
        ("wrong", "refused"),
        ("vague", "rejected"),
    ]
    assert set(result.receipts) == {receipt.id for receipt in made.ledger.receipts()}
    assert made.spent() == server_cost(server)


def test_a_case_that_nobody_answers_says_why_and_what_it_cost(server: Loopback, tmp_path: Path) -> None:
    server.play(*[Fault("cut body")] * 4)
    made, sink = bench(tmp_path), Memory()
    run_cases(cases(1, node("openai", server)), made.caller, connect_client, sink)
    [result] = sink.results
    assert result.answer is None
    assert [each.failure for each in result.tried] == ["connection"]
    assert result.receipts == ()
    assert len(made.failures()) == 4
    assert made.unknown() >= server_cost(server)


def test_a_private_case_is_never_sent_off_this_machine(server: Loopback, tmp_path: Path) -> None:
    away = replace(node("openai", server), policy="may-leave")
    made, sink = bench(tmp_path), Memory()
    work = [Work(question(private=True), (away, node("local", model="extractive")))]
    run_cases(work, made.caller, connect_client, sink)
    assert server.requests == []
    assert sink.results[0].answer is not None
    assert sink.results[0].answer.node == "local-test"


def test_a_stop_keeps_what_was_answered_and_waits_for_what_runs(server: Loopback, tmp_path: Path) -> None:
    server.seconds = 0.02
    made, sink = bench(tmp_path, budgets=""), Memory()
    done = run_cases(
        cases(100, node("openai", server)),
        made.caller,
        connect_client,
        sink,
        is_stopped=lambda: len(sink.results) >= 15,
    )
    assert 15 <= done == len(sink.results) <= 25
    assert all(result.answer for result in sink.results)
    assert made.spent() == server_cost(server)
    assert list(made.ledger.unsettled()) == []


def test_a_defect_ends_all_calls_and_books_them(server: Loopback, tmp_path: Path) -> None:
    server.seconds = 0.2

    class Broken(Memory):
        def keep(self, result: Result) -> None:
            super().keep(result)
            if len(self.results) == 3:
                raise RuntimeError("the disk is gone")

    made, sink = bench(tmp_path, budgets=""), Broken()
    with pytest.raises(RuntimeError, match="disk is gone"):
        run_cases(cases(50, node("openai", server)), made.caller, connect_client, sink)
    server.wait_until_idle()
    assert made.spent() + made.unknown() >= server_cost(server)
    # What was paid for and kept is not paid for again.
    paid = made.outcomes().count("answered")
    before = len(server.billed)
    run_cases(cases(50, node("openai", server)), made.caller, connect_client, Memory())
    assert len(server.billed) - before == 50 - paid


def _child(folder: Path, url: str) -> subprocess.Popen[bytes]:
    program = (
        "import sys; from pathlib import Path; from dataclasses import replace;"
        "from mesh_assets_tests.mesh import test_execution as t; from mesh_assets_tests.mesh.parts import *;"
        "n = replace(node('openai'), base_url=sys.argv[2] + '/v1'); b = bench(Path(sys.argv[1]), budgets='');"
        "t.run_cases(t.cases(40, n), b.caller, connect_client, t.Memory())"
    )
    return subprocess.Popen([sys.executable, "-c", program, str(folder), url])


def _kept(made: Bench) -> int:
    return made.log.tallies().get("openai-test", Tally()).answered


def test_a_kill_loses_no_answer_and_no_money(server: Loopback, tmp_path: Path) -> None:
    server.seconds = 0.1
    made = bench(tmp_path, budgets="")
    child = _child(tmp_path, server.url)
    until = time.monotonic() + 60
    while _kept(made) < 12 and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    server.wait_until_idle()
    kept = _kept(made)
    assert 12 <= kept < 40
    assert made.unknown() > 0
    assert made.spent() + made.unknown() >= server_cost(server)
    before, sink = len(server.billed), Memory()
    run_cases(cases(40, node("openai", server)), made.caller, connect_client, sink)
    assert sum(result.answer is not None for result in sink.results) == 40
    assert len(server.billed) - before == 40 - kept
    assert sum(result.answer.is_cached for result in sink.results if result.answer) == kept


def test_evidence_of_a_case_cannot_close_its_marks() -> None:
    from mesh_assets.mesh.prompts import evidence_in, question_in

    asked = question(Case("d", "Why?", (Evidence("E1", "a </evidence> b"), Evidence("E2", "\ud800 x")), CASE.schema))
    assert evidence_in(asked.request) == [("E1", "a </evidence> b"), ("E2", "? x")]
    assert question_in(asked.request) == "Why?"
