"""Many cases side by side, each put to its nodes in order until one answers.

Everything that runs ends before the function returns: a defect or a cancellation ends all calls, and what each may have
cost is booked. Without a ledger no new call begins, and those that run are waited for. Results are handed to a sink as
they come, so what was answered is kept whatever ends the rest; after a kill the same cases are answered from what was
kept, without paying again. Which nodes, in which order, belongs to `routing`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mesh_assets.errors import BudgetError, LedgerError, ModelError, NodeError
from mesh_assets.mesh.calls import Called, Caller, Question
from mesh_assets.mesh.protocol import Client, Node

# Answers take seconds and cost this machine nothing meanwhile; more would only meet the limits of the nodes.
PARALLEL = 10


class Way(Protocol):
    """Several calls that together answer one question, as a research technique."""

    async def answer(
        self, caller: Caller, client: Callable[[Node], Client], is_stopped: Callable[[], bool]
    ) -> WayResult | None:
        """What they end in; None where `is_stopped` ended them, to be gone on with later.

        What a call lacks (money, a node, a form) ends them, and is no error.
        """
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """A question and the nodes to ask, in order: the later ones where those before fail, reject or cost too much.

    With a `way` it is gone first, and the nodes are asked where it gives no answer.
    """

    question: Question
    nodes: tuple[Node, ...]
    way: Way | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """A node that gave no answer, and why."""

    node: str
    failure: str
    reason: str


@dataclass(frozen=True, slots=True)
class WayResult:
    """What came of a way: an answer, or what it `lacked`; and the receipts of all of its calls."""

    answer: Called | None
    lacked: Tried | None
    receipts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one piece of work: an answer, or None after all nodes were tried. `receipts` are of all tries."""

    work: Work
    answer: Called | None
    tried: tuple[Tried, ...]
    receipts: tuple[str, ...]


class Sink(Protocol):
    """Where results go as they come."""

    def keep(self, result: Result) -> None:
        """Keep a result, durably, when this returns."""
        ...


def run_cases(
    work: Iterable[Work],
    caller: Caller,
    connect: Callable[[Node], Client],
    sink: Sink,
    *,
    parallel: int = PARALLEL,
    is_stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Put each piece of work to its nodes, `parallel` at once; how many were done.

    Once `is_stopped` says so no new call begins, and those that run are waited for. Work is taken as it is needed, so
    it may be a generator. What a case lacks (money, a node, a form) is its result; any other error ends all and is
    raised.
    """
    return asyncio.run(_run(iter(work), caller, connect, sink, parallel, is_stopped))


async def _run(
    work: Iterator[Work],
    caller: Caller,
    connect: Callable[[Node], Client],
    sink: Sink,
    parallel: int,
    is_stopped: Callable[[], bool],
) -> int:
    clients = _Clients(connect)
    done = 0
    broken: list[LedgerError] = []

    def is_over() -> bool:
        return bool(broken) or is_stopped()

    async def worker() -> None:
        nonlocal done
        while not is_over():
            piece = next(work, None)
            if piece is None:
                return
            try:
                result = await _answer(piece, caller, clients, is_over)
            except LedgerError as error:
                broken.append(error)
                return
            if result is not None:
                sink.keep(result)
                done += 1

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(parallel):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        # The first is the cause: the others were ended for it.
        raise errors.exceptions[0] from errors
    finally:
        await clients.close()
    if broken:
        raise broken[0]
    return done


async def _answer(work: Work, caller: Caller, clients: _Clients, is_stopped: Callable[[], bool]) -> Result | None:
    """What becomes of it; None where a way was stopped, to be gone on with."""
    tried: list[Tried] = []
    receipts: list[str] = []
    if work.way is not None:
        gone = await work.way.answer(caller, clients.of, is_stopped)
        if gone is None:
            return None
        receipts += gone.receipts
        if gone.answer is not None:
            return Result(work, gone.answer, (), tuple(receipts))
        tried += [gone.lacked] if gone.lacked is not None else []
    for node in work.nodes:
        if tried and is_stopped():
            break
        called = await _called(node, work, caller, clients, receipts)
        if isinstance(called, Called):
            return Result(work, called, tuple(tried), tuple(receipts))
        tried.append(called)
    return Result(work, None, tuple(tried), tuple(receipts))


async def _called(node: Node, work: Work, caller: Caller, clients: _Clients, receipts: list[str]) -> Called | Tried:
    """An answer of one node, or why it gave none; what was billed is added to `receipts`."""
    try:
        called = await caller.call(node, clients.of(node), work.question)
    except NodeError as error:
        receipts += error.receipts
        return Tried(node.name, error.failure, str(error))
    except BudgetError as error:
        receipts += error.receipts
        return Tried(node.name, "budget", str(error))
    except ModelError as error:
        return Tried(node.name, "model", str(error))
    receipts += called.receipts
    return called if not called.rejected else Tried(node.name, "rejected", called.rejected)


class _Clients:
    """One client a node, for all cases."""

    def __init__(self, connect: Callable[[Node], Client]) -> None:
        self._connect = connect
        self._open: dict[str, Client] = {}

    def of(self, node: Node) -> Client:
        if node.name not in self._open:
            self._open[node.name] = self._connect(node)
        return self._open[node.name]

    async def close(self) -> None:
        for client in self._open.values():
            await client.close()
