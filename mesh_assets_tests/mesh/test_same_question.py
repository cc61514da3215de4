"""The same question asked twice at one moment is paid once, in one process and in several; a kill holds nobody up."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_assets.errors import NodeError
from mesh_assets.mesh.calls import Called, Clock, Policy, Question, request_key
from mesh_assets.mesh.protocol import Node
from mesh_assets.resources.call_log import SqliteCallLog
from mesh_assets.resources.nodes import connect_client
from mesh_assets_tests.mesh.loopback import GOOD, Fault, Loopback, loopback
from mesh_assets_tests.mesh.parts import CASE, Bench, bench, node, question, server_cost


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def on_the_clock(folder: Path, **changes: object) -> Bench:
    """A bench whose waiting takes time."""
    log = SqliteCallLog(folder / "calls.sqlite")
    return replace(bench(folder, budgets="", clock=Clock(), log=log, **changes), log=log)  # type: ignore[arg-type]


def together(made: Bench, asked: Node, *questions: Question) -> list[Called | BaseException]:
    async def run() -> list[Called | BaseException]:
        client = connect_client(asked)
        try:
            calls = (made.caller.call(asked, client, each) for each in questions)
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await client.close()

    return asyncio.run(run())


def test_in_one_process_the_others_wait_for_the_first(server: Loopback, tmp_path: Path) -> None:
    server.seconds = 0.2
    made = on_the_clock(tmp_path)
    other = question(replace(CASE, question="And what else?"))
    found = together(made, node("openai", server), question(), question(), other, question())
    assert [each.value for each in found if isinstance(each, Called)] == [GOOD] * 4
    assert sorted(each.is_cached for each in found if isinstance(each, Called)) == [False, False, True, True]
    assert len(server.billed) == 2 and server.most_at_once == 2
    assert made.spent() == server_cost(server)


def test_who_waits_asks_where_the_first_fails(server: Loopback, tmp_path: Path) -> None:
    server.play(Fault("status", 400, message="no"))
    server.seconds = 0.1
    first, second = together(on_the_clock(tmp_path), node("openai", server), question(), question())
    assert isinstance(first, NodeError)
    assert isinstance(second, Called) and second.value == GOOD and not second.is_cached


def test_who_waits_asks_where_the_first_is_cancelled(server: Loopback, tmp_path: Path) -> None:
    server.seconds = 0.3
    made, asked = on_the_clock(tmp_path), node("openai", server)

    async def run() -> Called:
        client = connect_client(asked)
        first = asyncio.create_task(made.caller.call(asked, client, question()))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(made.caller.call(asked, client, question()))
        await asyncio.sleep(0.05)
        first.cancel()
        try:
            return await second
        finally:
            await client.close()

    assert asyncio.run(run()).value == GOOD


_CHILD = (
    "import sys; from pathlib import Path; from dataclasses import replace;"
    "from mesh_assets_tests.mesh.test_same_question import *;"
    "made = on_the_clock(Path(sys.argv[1])); print('ready', flush=True);"
    "slow = replace(node('openai').limits, seconds=60.0);"
    "print(made.ask(replace(node('openai'), base_url=sys.argv[2] + '/v1', limits=slow)).is_cached)"
)


def child(folder: Path, server: Loopback) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _CHILD, str(folder), server.url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for_a_request(server: Loopback) -> None:
    until = time.monotonic() + 60
    while not server.bodies and time.monotonic() < until:
        time.sleep(0.02)


def test_of_two_processes_one_pays(server: Loopback, tmp_path: Path) -> None:
    both_ask = threading.Event()

    def answer(prompt: str) -> str:
        assert both_ask.wait(60)
        return json.dumps(GOOD)

    server.answer = answer
    children = [child(tmp_path, server) for _ in range(2)]
    assert [each.stdout.readline() for each in children if each.stdout] == ["ready\n"] * 2
    wait_for_a_request(server)
    time.sleep(1.0)  # the other one is about to look whether the answer is there
    both_ask.set()
    said = sorted(each.communicate(timeout=90)[0].strip() for each in children)
    assert said == ["False", "True"]
    assert len(server.billed) == 1
    assert on_the_clock(tmp_path).spent() == server_cost(server)


def test_a_killed_process_holds_nobody_up(server: Loopback, tmp_path: Path) -> None:
    server.seconds = 2.0
    made = on_the_clock(tmp_path)
    gone = child(tmp_path, server)
    wait_for_a_request(server)
    os.kill(gone.pid, signal.SIGKILL)
    gone.communicate()
    began = time.monotonic()
    server.seconds = 0.0
    assert not made.ask(node("openai", server)).is_cached
    assert time.monotonic() - began < 30, "and not until the claim would have run out"


def test_a_claim_is_held_by_one_and_ends_by_its_time(tmp_path: Path) -> None:
    now = [1000.0]
    log = SqliteCallLog(tmp_path / "calls.sqlite", clock=lambda: now[0])
    assert log.claim("k", "a", 60) == 0
    assert log.claim("k", "b", 60) == 60
    assert log.claim("k", "a", 90) == 0, "whoever holds it may hold it longer"
    assert log.claim("other", "b", 60) == 0
    log.release("k", "b")
    assert log.claim("k", "b", 60) == 90
    now[0] += 91
    assert log.claim("k", "b", 60) == 0
    log.release("k", "b")
    assert log.claim("k", "c", 60) == 0


def test_a_log_of_before_there_were_claims_goes_on(tmp_path: Path) -> None:
    log = SqliteCallLog(tmp_path / "calls.sqlite")
    log.fail("n", "timeout", "")
    with sqlite3.connect(tmp_path / "calls.sqlite") as connection:
        connection.execute("DROP TABLE claims")
        connection.execute("PRAGMA user_version = 1")
    assert log.claim("k", "a", 60) == 0
    assert log.tallies()["n"].failed == 1


def test_who_waited_too_long_is_told(server: Loopback, tmp_path: Path) -> None:
    made = bench(tmp_path, policy=Policy(seconds=30))
    asked = node("openai", server)
    client = connect_client(asked)
    made.log.claim(request_key(asked, question().request, ""), "another", 1e6)
    with pytest.raises(NodeError, match="asks openai-test the same"):
        made.ask(asked, client=client)
    assert server.bodies == []
