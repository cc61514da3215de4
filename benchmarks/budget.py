"""Whether many processes keep to one budget: `python benchmarks/budget.py [--ledger sqlite] [--kills 150] [--month 3]`.

Workers ask cases of two nodes, with retries and a fallback, until the money of the month is gone; meanwhile one after
another is killed (SIGKILL) at a random moment and started again. Budgets of cases, runs and datasets lie within that of
the month. The nodes are a loopback server that speaks the wire format of OpenAI's chat completions, plays faults (429,
529, 500 billed and not, too slow, cut-off bodies, no usage, dropped connections), and keeps its own count of what it
billed, in integers, by the id of each attempt and by our scopes: what is compared with the ledger is that count.

When the money is gone, the ledger is told what only the server knows, and what turns out not to be spent is spent, too.

`--ledger postgresql` keeps money and pace in a PostgreSQL server that is started for it, with the settings that such a
server has, and `--ledger postgresql://...` in a database of yours, in schemas that are dropped at the end.

`overspend_usd` is what the server billed beyond the limit of each budget, summed over all budgets.

`ledger_error_usd` is the sum over all attempts of the difference between ledger and server, after the ledger was told
what only the server knows: calls that were cut off are settled, or released, by the server's log, and receipts without
a usage corrected. Before that the ledger can but count the worst case of such calls. By how much that was too much is
printed as `not_known_usd`, and by how much attempts were counted for less than was billed, which must never happen, as
`understated_usd`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import re
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesh_assets.budgets import Budgets
from mesh_assets.errors import BudgetError, NodeError
from mesh_assets.mesh.calls import Caller, Policy, Question
from mesh_assets.mesh.protocol import Billed, Leaving, Limits, Node, Price, Request, Reservation, Scope, Usage
from mesh_assets.mesh.sql_ledger import SqlLedger
from mesh_assets.resources.call_log import SqliteCallLog
from mesh_assets.resources.nodes import connect_client
from mesh_assets_tests.mesh.ledgers import Place
from mesh_assets_tests.postgres import server as postgres_server

DEADLINE, TOO_SLOW = 1.5, 2.5
LIMITS = Limits(parallel=64, seconds=DEADLINE)
ATTEMPTS = 2
# After each the ledger is told what the server's log says, so that in the end nearly all of the money is spent.
ROUNDS = 4
DATASETS = ("a", "b", "c")
# Faults that the server plays, in hundredths of all calls; the rest is answered.
FAULTS = {
    "limit": 8,
    "overloaded": 4,
    "error": 4,
    "billed error": 3,
    "slow": 3,
    "cut off": 4,
    "no usage": 3,
    "dropped": 3,
}
# The server's own prices, in 1e-12 USD a token: read, cached, written. Ours are the same in USD a million tokens.
SERVER_PRICES = {"small-1": (1_100_000, 110_000, 4_400_000), "large-1": (10_000_000, 2_500_000, 30_000_000)}
_TOKEN = re.compile(r"\w{1,6}|[^\w\s]")


def _node(name: str) -> Node:
    read, cached, written = (Decimal(units) / 1_000_000 for units in SERVER_PRICES[f"{name}-1"])
    price = Price(read, written, cached, read, Decimal(1), "benchmarks/budget.py")
    return Node(name, "openai", f"{name}-1", "", (), ("deep",), "may-leave", 32_000, 300, price=price, limits=LIMITS)


NODES = (_node("small"), _node("large"))


# The server.


class Server(ThreadingHTTPServer):
    """Answers, plays faults, and counts what it bills."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.chance = random.Random(seed)
        self.lock = threading.Lock()
        self.seen: set[str] = set()
        self.billed: list[dict[str, Any]] = []
        self.faults: Counter[str] = Counter()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no error here."""

    def fault(self) -> str:
        """Which fault the next call gets; empty for none."""
        with self.lock:
            drawn = self.chance.randrange(100)
            for name, share in FAULTS.items():
                drawn -= share
                if drawn < 0:
                    self.faults[name] += 1
                    return name
            return ""

    def bill(self, attempt: str, body: dict[str, Any]) -> dict[str, Any]:
        """Count a call; its usage as OpenAI tells it."""
        prefix, asked = (message["content"] for message in body["messages"])
        with self.lock:
            cached = len(_TOKEN.findall(prefix)) if prefix in self.seen else 0
            self.seen.add(prefix)
            read = len(_TOKEN.findall(prefix + asked))
            reasoning = self.chance.randint(0, body["max_tokens"] // 2)
            written = self.chance.randint(reasoning, body["max_tokens"])
            prices = SERVER_PRICES[body["model"]]
            units = (read - cached) * prices[0] + cached * prices[1] + written * prices[2]
            usage = {
                "prompt_tokens": read,
                "prompt_tokens_details": {"cached_tokens": cached},
                "completion_tokens": written,
                "completion_tokens_details": {"reasoning_tokens": reasoning},
                "total_tokens": read + written,
            }
            bill = {
                "id": attempt,
                "model": body["model"],
                "units": units,
                "scopes": json.loads(body["metadata"]),
                "usage": usage,
            }
            self.billed.append(bill)
        return usage


class Handler(BaseHTTPRequestHandler):
    """One call."""

    server: Server

    def log_message(self, *_: object) -> None:
        """Nothing: a thousand calls are made."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        fault = self.server.fault()
        time.sleep(random.uniform(0.01, 0.06))
        if fault == "dropped":
            self.close_connection = True
            return
        if fault in ("limit", "overloaded", "error"):
            self._send({"limit": 429, "overloaded": 529, "error": 500}[fault], {"error": {"message": fault}})
            return
        usage = self.server.bill(self.headers["x-client-request-id"], body)
        if fault == "slow":
            time.sleep(TOO_SLOW)
        answer = {
            "id": f"chatcmpl-{uuid.uuid4()}",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"answer": "Yes."}'}}
            ],
        }
        if fault == "billed error":
            self._send(500, {"error": {"message": "after the work was done"}})
        else:
            self._send(200, answer if fault == "no usage" else answer | {"usage": usage}, cut=fault == "cut off")

    def _send(self, status: int, answer: dict[str, Any], *, cut: bool = False) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if status == 429:
            self.send_header("retry-after", "0.05")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = True


def serve(seed: int, pipe: Connection) -> None:
    """Tell the port, and whenever asked what was billed so far and which faults were played."""
    server = Server(seed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(server.server_port)
    while True:
        pipe.recv()
        with server.lock:
            pipe.send((list(server.billed), dict(server.faults)))


# The workers.


def usage_of(told: dict[str, Any]) -> Usage:
    """Tokens as OpenAI tells them: those of the prompt with cached ones."""
    cached = told["prompt_tokens_details"]["cached_tokens"]
    return Usage(
        input=told["prompt_tokens"] - cached,
        cached_input=cached,
        output=told["completion_tokens"],
        reasoning=told["completion_tokens_details"]["reasoning_tokens"],
    )


def billed(node: str, usage: Usage | None) -> Billed:
    """What a receipt says of a call."""
    found = next(each for each in NODES if each.name == node)
    assert found.price is not None
    return Billed(node, found.model, "", "deep", usage, found.price)


def work(port: int, place: Place, budgets: Budgets, seed: int) -> None:
    """Ask cases until the month's money is gone, each call by the way of all calls, with OpenAI's SDK."""
    asyncio.run(_work(port, place, budgets, random.Random(seed)))


async def _work(port: int, place: Place, budgets: Budgets, chance: random.Random) -> None:
    caller = Caller(
        place.ledger(budgets),
        place.pace(),
        SqliteCallLog(place.folder / "calls.sqlite"),
        redact=lambda request: Leaving(request, lambda text: text),
        policy=Policy(attempts=ATTEMPTS, first_pause=0.01),
    )
    nodes = tuple(replace(node, base_url=f"http://127.0.0.1:{port}/v1") for node in NODES)
    clients = {node.name: connect_client(node) for node in nodes}
    run = f"run-{chance.randrange(8)}"
    while True:
        question = _question(chance, run)
        try:
            for node in nodes if chance.random() < 0.9 else nodes[::-1]:
                try:
                    await caller.call(node, clients[node.name], question)
                    break
                except NodeError:
                    await asyncio.sleep(0.02)
        except BudgetError as error:
            if error.kind == "month":
                return
            run = f"run-{chance.randrange(8)}"
            await asyncio.sleep(0.02)


def _question(chance: random.Random, run: str) -> Question:
    dataset = chance.choice(DATASETS)
    case = f"{dataset}-{chance.randrange(400)}"
    scopes = (Scope("case", case), Scope("run", run), Scope("dataset", dataset))
    words = " ".join(f"fact {chance.randrange(10**6)}" for _ in range(chance.randrange(20, 200)))
    counted = json.dumps({scope.kind: scope.name for scope in scopes})
    system = "You answer from the evidence below. " * 20
    request = Request(system, "", words, {}, max_tokens=300, parameters={"metadata": counted})
    return Question(case, "deep", request, scopes)


def drive(port: int, place: Place, budgets: Budgets, arguments: argparse.Namespace, most: int) -> int:
    """Run the workers to their end, killing at most so many and starting them again; how many kills there were."""
    context, chance = multiprocessing.get_context("fork"), random.Random(arguments.seed + most)
    seeds = iter(range((arguments.seed + most) * 100_000, sys.maxsize))

    def start() -> Any:
        worker = context.Process(target=work, args=(port, place, budgets, next(seeds)))
        worker.start()
        return worker

    workers = [start() for _ in range(arguments.processes)]
    kills = 0
    while any(worker.is_alive() for worker in workers):
        time.sleep(chance.uniform(0.02, 0.3))
        number = chance.randrange(len(workers))
        if kills < most and workers[number].is_alive():
            workers[number].kill()
            workers[number].join()
            kills += 1
            workers[number] = start()
    failed = [worker.exitcode for worker in workers if worker.exitcode]
    if failed:
        raise SystemExit(f"workers failed: {failed}")
    return kills


# What is compared.


@dataclass(frozen=True)
class Comparison:
    """Ledger against server, in USD; `counted` is what the ledger has of each attempt."""

    counted: dict[str, Decimal]
    server: dict[str, Decimal]

    @property
    def understated(self) -> Decimal:
        """By how much attempts are counted for less than was billed."""
        nothing = Decimal(0)
        missing = (max(cost - self.counted.get(key, nothing), nothing) for key, cost in self.server.items())
        return sum(missing, nothing)

    @property
    def error(self) -> Decimal:
        """The sum of the differences of all attempts."""
        nothing = Decimal(0)
        keys = self.counted.keys() | self.server.keys()
        return sum((abs(self.counted.get(k, nothing) - self.server.get(k, nothing)) for k in keys), nothing)


def compared(ledger: SqlLedger, bills: list[dict[str, Any]]) -> Comparison:
    counted = {each.reservation.id: each.reservation.amount for each in ledger.unsettled()}
    counted |= {receipt.id: receipt.cost for receipt in ledger.receipts()}
    server: dict[str, Decimal] = defaultdict(Decimal)
    for bill in bills:
        server[bill["id"]] += bill["units"] * Decimal("1e-12")
    return Comparison(counted, server)


def reconcile(ledger: SqlLedger, bills: list[dict[str, Any]]) -> None:
    """Tell the ledger what the server's log says of attempts that were cut off, or whose usage was not said."""
    log = {bill["id"]: bill for bill in bills}
    for each in ledger.unsettled():
        bill = log.get(each.reservation.id)
        if bill is None:
            ledger.release(each.reservation)
        else:
            ledger.settle(each.reservation, billed(each.node, usage_of(bill["usage"])))
    for receipt in ledger.receipts():
        if receipt.billed.usage is None:
            late = Reservation(receipt.id, receipt.reserved, 0.0)
            ledger.settle(late, billed(receipt.billed.node, usage_of(log[receipt.id]["usage"])))


def overspend(budgets: Budgets, bills: list[dict[str, Any]]) -> Decimal:
    """What the server billed beyond each limit."""
    spent: dict[tuple[str, str], int] = defaultdict(int)
    for bill in bills:
        for scope in (*bill["scopes"].items(), ("month", "")):
            spent[scope] += bill["units"]
    beyond = Decimal(0)
    for (kind, name), units in spent.items():
        limit = budgets.limit(kind, name)
        if limit is not None:
            beyond += max(units * Decimal("1e-12") - limit, Decimal(0))
    return beyond


@dataclass
class Told:
    """What was learned before each time that the ledger was told the server's log."""

    not_known: Decimal = Decimal(0)
    understated: Decimal = Decimal(0)
    cut_off: int = 0
    without_usage: int = 0
    kills: int = 0


@contextmanager
def somewhere(ledger: str) -> Generator[Place]:
    """Where the ledger is, as `--ledger` says, and nothing of it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        if ledger == "sqlite":
            yield Place(Path(folder))
        elif ledger == "postgresql":
            with postgres_server() as started:
                yield Place(Path(folder), started.url, "mesh_ledger")
        else:
            import psycopg

            place = Place(Path(folder), ledger, f"mesh_budget_{uuid.uuid4().hex[:8]}")
            try:
                yield place
            finally:
                with psycopg.connect(ledger, autocommit=True) as connection:
                    for schema in (place.schema, f"{place.schema}_pace"):
                        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())


def later(place: Place, budgets: Budgets) -> SqlLedger:
    """The ledger as it is a minute later, when nobody can be at work on what is reserved now."""
    return place.ledger(budgets, lambda: time.time() + 60)


def rounds(place: Place, budgets: Budgets, arguments: argparse.Namespace, server: Connection) -> tuple[Told, Any]:
    """Spend the month's money; what cut-off calls did not cost is there again when the server's log was told."""
    port, ledger, told = server.recv(), later(place, budgets), Told()
    for _ in range(ROUNDS):
        told.kills += drive(port, place, budgets, arguments, arguments.kills - told.kills)
        time.sleep(TOO_SLOW + DEADLINE)  # what is under way at the server is billed, too
        server.send(None)
        bills, faults = server.recv()
        before, waiting = compared(ledger, bills), ledger.unsettled()
        told.not_known += before.error
        told.understated += before.understated
        told.cut_off += len(waiting)
        told.without_usage += sum(receipt.billed.usage is None for receipt in ledger.receipts())
        month = ledger.month()
        print(f"  spent {month.spent:.6f}, reserved {month.held:.6f}, billed {sum(before.server.values()):.6f} USD")
        reconcile(ledger, bills)
    return told, (bills, faults)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--kills", type=int, default=150)
    parser.add_argument("--month", default="3", help="USD of the month, which all processes share")
    parser.add_argument("--ledger", default="sqlite", help="sqlite, postgresql, or the URL of a PostgreSQL database")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    month = Decimal(arguments.month)
    budgets = Budgets.parse(f"case 0.09; run {month / 4}; dataset a {month / 5}; dataset b {month / 4}; month {month}")
    import openai  # noqa: F401  # once for all workers, which are forked
    import psycopg  # noqa: F401

    with somewhere(arguments.ledger) as place:
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("fork").Process(target=serve, args=(arguments.seed, theirs), daemon=True)
        server.start()
        began = time.monotonic()
        try:
            told, (bills, faults) = rounds(place, budgets, arguments, ours)
        finally:
            server.kill()
        ledger = later(place, budgets)
        found, month = compared(ledger, bills), ledger.month()
        billed_usd = sum(found.server.values())
        assert month.spent == sum(found.counted.values()), "the sum of the month is not that of its receipts"
    rows = {
        "kills": f"{told.kills} of {arguments.processes} processes, in {time.monotonic() - began:.0f} s",
        "faults": ", ".join(f"{count} {name}" for name, count in sorted(faults.items())),
        "server": f"{len(found.server):,} attempts billed, {billed_usd:f} of {month.limit} USD",
        "ledger": f"{month.spent:f} USD in receipts, {month.held:f} reserved",
        "not known before": f"{told.cut_off} attempts cut off, {told.without_usage} receipts without a usage",
        "not_known_usd": f"{told.not_known:f}",
        "understated_usd": f"{told.understated:f}",
    }
    for name, value in rows.items():
        print(f"{name:17} {value}")
    print(f"overspend_usd={overspend(budgets, bills):f} ledger_error_usd={found.error:f}")


if __name__ == "__main__":
    main()
