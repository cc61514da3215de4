"""One question to one node: the only place that calls a node, and so the only one that reserves and books money.

In this order: what was kept under the same key, or is being asked by another; the node's limits, over all processes;
money set aside for the worst case; the call, with a deadline; its usage booked; the completion kept; then its end and
its form are looked at. A retry goes through all of it again. Which node is asked belongs to `routing`, several cases at
once to `execution`.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast
from weakref import WeakValueDictionary

from blake3 import blake3

from mesh_assets.errors import BudgetError, LakeError, LedgerError, ModelError, NodeError
from mesh_assets.mesh.costs import known_price, worst_case
from mesh_assets.mesh.json_schema import check_schema
from mesh_assets.mesh.leaving import recorded, redacted
from mesh_assets.mesh.protocol import (
    Billed,
    CallLog,
    Client,
    Completion,
    Finish,
    Kept,
    Leaving,
    Ledger,
    Node,
    Pace,
    Price,
    Reason,
    Redact,
    Request,
    Reservation,
    Scope,
    Usage,
)
from mesh_assets.mesh.replies import read_reply
from mesh_assets.mesh.shapes import Depth

# How often who waits for the answer to the same question looks whether another process has it.
_POLL_SECONDS = 0.5
# What a reservation outlives its call by: ending a connection and booking take no longer.
_GRACE_SECONDS = 10.0
_OUTCOMES: Mapping[Finish, str] = {"stop": "answered", "length": "cut off", "refusal": "refused", "other": "unfinished"}
# Failures that say that a node is down, not that it is busy or that the request is wrong.
_DOWN = frozenset({"overloaded", "timeout", "connection", "server"})


@dataclass(frozen=True, slots=True)
class Policy:
    """How long and how often one question is put to one node; times in seconds.

    `longest_pause` caps what a server may ask to wait: who asks for an hour is left, and another node is asked.
    `asks_rejected_again`: a completion that was rejected is else remembered as such, and costs nothing again.
    """

    attempts: int = 4
    seconds: float = 600.0
    first_pause: float = 1.0
    longest_pause: float = 60.0
    asks_rejected_again: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, so that tests have their own. `monotonic` and `wall` in seconds, `chance` from 0 to 1."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Question:
    """A request and what it is asked for: its case, depth and budgets. A `private` one is for local nodes only."""

    case_id: str
    depth: Depth
    request: Request
    scopes: tuple[Scope, ...]
    prompt_version: str = ""
    private: bool = False

    @property
    def dataset(self) -> str:
        """Keys of the datasets that it is about, `;` between them, empty where none is among its budgets."""
        return ";".join(sorted({scope.name for scope in self.scopes if scope.kind == "dataset"}))


@dataclass(frozen=True, slots=True)
class Called:
    """What came of a call: a `value` in the form of the schema, or why the completion was `rejected`.

    `text` is the completion as it came, with what was redacted read back. `receipts` name what was billed for it, also
    for tries whose completion was not taken; none where it came from what was kept. `completion` is the receipt of the
    completion itself, whenever that was paid for, empty where it was free.
    """

    node: str
    value: Mapping[str, object]
    rejected: str
    text: str
    receipts: tuple[str, ...]
    is_cached: bool
    is_repaired: bool
    attempts: int
    completion: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls nodes on one ledger, one pace and one log, which all processes share.

    `redact` makes what goes to `may-leave` nodes; nothing goes to one by another way, nor as it was.
    """

    ledger: Ledger
    pace: Pace
    log: CallLog
    redact: Redact = redacted
    policy: Policy = Policy()
    clock: Clock = field(default_factory=Clock)
    # One lock a question that is being asked in this process, by event loop and key.
    _asking: WeakValueDictionary[tuple[int, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary[tuple[int, str], asyncio.Lock], init=False, repr=False, compare=False
    )

    async def call(self, node: Node, client: Client, question: Question) -> Called:
        """What `node` says. NodeError where it gives nothing within the policy, BudgetError where money lacks.

        What may have been billed stays counted whatever happens, also when the task is cancelled. Of several that ask
        the same at one time, in any process, one does and the others wait for what it is told.
        """
        check_schema(question.request.schema)
        leaving = self.leaving(node, question)
        key = request_key(node, leaving.request, question.prompt_version)
        asked = _Call(self, node, client, question, leaving, key)
        known = asked.known()
        if known is not None:
            return known
        async with self._asking.setdefault((id(asyncio.get_running_loop()), key), asyncio.Lock()):
            return await asked.run()

    def key(self, node: Node, question: Question) -> str:
        """Under which a completion of `question` by `node` is kept. NodeError where it may not go there."""
        return request_key(node, self.leaving(node, question).request, question.prompt_version)

    def known(self, node: Node, question: Question) -> Called | None:
        """What was kept of the same question to `node`; None where it is to be asked. NodeError where it may not go."""
        leaving = self.leaving(node, question)
        return self.kept(node, leaving, request_key(node, leaving.request, question.prompt_version))

    def kept(self, node: Node, leaving: Leaving, key: str) -> Called | None:
        """What was kept under `key`, read back by `leaving`; None where there is nothing that counts."""
        kept = self.log.find(key)
        if kept is None or (kept.rejected and self.policy.asks_rejected_again):
            return None
        return _called(node, kept, leaving, receipts=(), attempts=0)

    def leaving(self, node: Node, question: Question) -> Leaving:
        """The question as it may go to `node`; NodeError where it may not."""
        if node.policy == "local":
            return Leaving(question.request, lambda text: text)
        if question.private:
            raise NodeError(
                f"The case is private, and {node.name} is not on this machine.",
                remedy="Ask a node whose policy is `local`.",
                failure="refused",
            )
        return self.redact(question.request)


def request_key(node: Node, request: Request, prompt_version: str) -> str:
    """32 hex digits of all that a completion depends on: model, prompt, parameters, schema, prompt version."""
    said = [node.provider, node.base_url, node.model, node.takes_schema, prompt_version, request.system]
    said += [request.stable, request.asked, request.max_tokens, dict(request.parameters), request.schema]
    text = json.dumps(said, sort_keys=True, ensure_ascii=True)
    return blake3(text.encode()).hexdigest(length=16)


@dataclass(frozen=True, slots=True)
class _Bill:
    """What a try is booked as, and the money set aside for it; none for a node that costs nothing."""

    billed: Billed
    reservation: Reservation | None

    @property
    def attempt(self) -> str:
        """Our name of the try; empty for a node that costs nothing."""
        return self.reservation.id if self.reservation is not None else ""


@dataclass(slots=True)
class _Call:
    """The tries of one call, until one gives a completion or the policy ends them."""

    caller: Caller
    node: Node
    client: Client
    question: Question
    leaving: Leaving
    key: str
    receipts: list[str] = field(default_factory=list[str])
    attempt: str = ""

    def known(self) -> Called | None:
        """What was kept of the same question; None where it is to be asked."""
        return self.caller.kept(self.node, self.leaving, self.key)

    async def run(self) -> Called:
        """Ask, or wait for the answer to whoever asks the same."""
        until = self.caller.clock.monotonic() + self.caller.policy.seconds
        if self.node.is_free:  # nothing is paid twice
            return self.known() or await self._ask(until)
        holder = uuid.uuid4().hex
        known = await self._wait(holder, until)
        if known is not None:
            return known
        is_kept = False
        try:
            known = self.known()  # it may have come just before
            if known is not None:
                return known
            called = await self._ask(until)
            is_kept = True
            return called
        finally:
            if not is_kept:
                self.caller.log.release(self.key, holder)

    async def _wait(self, holder: str, until: float) -> Called | None:
        """What another one was told meanwhile; None once it is for `holder` to ask."""
        clock, log = self.caller.clock, self.caller.log
        while True:
            left = until - clock.monotonic()
            wait = log.claim(self.key, holder, max(left, 0.0) + _GRACE_SECONDS)
            if not wait:
                return None
            if left <= 0:
                raise NodeError(
                    f"Another process asks {self.node.name} the same, and has no answer yet.",
                    remedy="Ask again later: its answer will be there.",
                    failure="timeout",
                    may_pass=True,
                )
            await clock.sleep(min(wait, _POLL_SECONDS * (0.5 + clock.chance())))
            known = self.known()
            if known is not None:
                return known

    async def _ask(self, until: float) -> Called:
        policy, clock = self.caller.policy, self.caller.clock
        attempt = 1
        while True:
            try:
                kept = await self._attempt(until)
                return _called(self.node, kept, self.leaving, receipts=self.receipts, attempts=attempt)
            except BudgetError as error:
                error.receipts = tuple(self.receipts)
                raise
            except NodeError as error:
                error.receipts = tuple(self.receipts)
                if error.failure == "resting":
                    raise  # nothing was tried
                self.caller.log.fail(self.node.name, error.failure, self.attempt)
                pause = self._pause(error, attempt)
                if not error.may_pass or attempt >= policy.attempts or pause > policy.longest_pause:
                    raise
                if clock.monotonic() + pause >= until:
                    raise
            await clock.sleep(pause)
            attempt += 1

    def _pause(self, error: NodeError, attempt: int) -> float:
        """Seconds until the next try: twice as long each time, a random part of it, and never sooner than asked for."""
        policy = self.caller.policy
        grown = min(policy.first_pause * 2.0 ** (attempt - 1), policy.longest_pause)
        return max(grown * (0.5 + 0.5 * self.caller.clock.chance()), error.retry_after or 0.0)

    async def _attempt(self, until: float) -> Kept:
        """One try: NodeError where it gave no completion."""
        price = known_price(self.node)
        seconds, slot = await self._enter(until)
        tokens: int | None = 0
        is_down: bool | None = None
        rest = 0.0
        try:
            bill = self._reserve(price, seconds)
            self.attempt = bill.attempt
            tokens = None  # from here on unknown, until the node says it
            completion = await self._complete(bill, seconds)
            is_down = False
            tokens = _tokens(completion.usage) if completion.usage is not None else None
            try:
                receipt = self._settle(bill, completion)
            except LedgerError:
                # It was paid for: who asks again has it. Until somebody settles it, its worst case counts.
                self._keep(completion, bill.attempt)
                raise
            return self._keep(completion, receipt)
        except NodeError as error:
            is_down = True if error.failure in _DOWN else None if error.failure == "limit" else False
            rest = error.retry_after or 0.0
            raise
        finally:
            self.caller.pace.leave(self.node, slot, tokens=tokens, is_down=is_down, rest=rest)

    async def _enter(self, until: float) -> tuple[float, str]:
        """Seconds that the call may take, and its slot, once the node's limits let it in."""
        clock = self.caller.clock
        while True:
            left = until - clock.monotonic()
            entry = self.caller.pace.enter(self.node, tokens=_likely_tokens(self.leaving.request))
            if entry.slot:
                return min(left, self.node.limits.seconds), entry.slot
            if entry.is_resting or entry.wait > min(left, self.caller.policy.longest_pause):
                raise NodeError(
                    f"{entry.reason}, for {entry.wait:.0f} s more.",
                    remedy="Ask another node, or later; `limits` in mesh.yaml says what the node takes.",
                    failure="resting",
                    may_pass=True,
                    retry_after=entry.wait,
                )
            await clock.sleep(entry.wait * (1.0 + 0.2 * clock.chance()))

    def _reserve(self, price: Price, seconds: float) -> _Bill:
        question = self.question
        billed = Billed(self.node.name, self.node.model, question.case_id, question.depth, None, price)
        if self.node.is_free:
            return _Bill(billed, None)
        amount = worst_case(self.node, self.leaving.request)
        return _Bill(
            billed,
            self.caller.ledger.reserve(amount, question.scopes, seconds=seconds + _GRACE_SECONDS, node=self.node.name),
        )

    async def _complete(self, bill: _Bill, seconds: float) -> Completion:
        """What the client says. Of a call that may have been billed the money stays reserved, whatever ended it:
        cancelled, or a defect, the server may go on.
        """
        question, caller = self.question, self.caller
        reason = Reason(question.case_id, question.depth, question.prompt_version, bill.attempt)
        try:
            with recorded(caller.log, caller.clock.wall, dataset=question.dataset, reasons=[reason]):
                return await self.client.complete(self.leaving.request, seconds=seconds, attempt=bill.attempt)
        except NodeError as error:
            if not error.may_be_billed:
                self._release(bill)
            raise
        except (ModelError, LakeError):  # a local model that cannot be run, a record that cannot be written
            self._release(bill)
            raise

    def _release(self, bill: _Bill) -> None:
        if bill.reservation is not None:
            self.caller.ledger.release(bill.reservation)

    def _settle(self, bill: _Bill, completion: Completion) -> str:
        """The receipt of a completion; none for a node that is free."""
        if bill.reservation is None:
            return ""
        receipt = self.caller.ledger.settle(bill.reservation, billed_for(bill.billed, completion)).id
        self.receipts.append(receipt)
        return receipt

    def _keep(self, completion: Completion, receipt: str) -> Kept:
        """Keep the completion with what it is worth. NodeError where it is the answer to another call."""
        log = self.caller.log
        before = log.delivered(self.node.name, completion.request_id)
        is_double = before is not None and before.text == completion.text
        reply = read_reply(completion.text, completion.finish, self.leaving.request.schema)
        kept = Kept(
            key="" if is_double else self.key,
            dataset=self.question.dataset,
            node=self.node.name,
            model=self.node.model,
            text=completion.text,
            request_id=completion.request_id,
            rejected=f"delivered before, as {completion.request_id}" if is_double else reply.rejected,
            receipt=receipt,
            at=self.caller.clock.wall(),
        )
        log.keep(kept)
        if is_double:
            raise NodeError(
                f"{self.node.name} sent the answer to another call again.",
                remedy="It is asked again; if this happens often, look at what stands between here and the server.",
                failure="answer",
                may_pass=True,
            )
        return kept


def billed_for(billed: Billed, completion: Completion) -> Billed:
    """What a completion is booked as. A usage that cannot be true counts as not said."""
    outcome, usage = _OUTCOMES[completion.finish], completion.usage
    if usage is None or not _is_plausible(usage, completion):
        usage, outcome = None, f"{outcome}, usage unknown"
    return replace(billed, usage=usage, outcome=outcome, request_id=completion.request_id)


def _called(node: Node, kept: Kept, leaving: Leaving, *, receipts: Sequence[str], attempts: int) -> Called:
    # What was kept is read anew, so that the value is what the present rules make of the text.
    reply = read_reply(kept.text, "stop", leaving.request.schema) if not kept.rejected else None
    return Called(
        node=node.name,
        value=cast("Mapping[str, object]", _restored(reply.value, leaving.restore)) if reply is not None else {},
        rejected=kept.rejected if reply is None else reply.rejected,
        text=leaving.restore(kept.text),
        receipts=tuple(receipts),
        is_cached=attempts == 0,
        is_repaired=reply is not None and reply.is_repaired,
        attempts=attempts,
        completion=kept.receipt,
    )


def _restored(value: object, restore: Callable[[str], str]) -> object:
    """A JSON value with what was redacted read back: after parsing, since it may hold quotation marks."""
    if isinstance(value, str):
        return restore(value)
    if isinstance(value, dict):
        return {name: _restored(inner, restore) for name, inner in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_restored(inner, restore) for inner in cast("list[object]", value)]
    return value


def _likely_tokens(request: Request) -> int:
    """About how many tokens a request takes, for limits a minute: four bytes of most texts are one."""
    said = (request.system, request.stable, request.asked)
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in said) // 4 + request.max_tokens


def _tokens(usage: Usage) -> int:
    return usage.input + usage.cached_input + usage.cache_write + usage.output


def _is_plausible(usage: Usage, completion: Completion) -> bool:
    """Whether tokens could be these: none below nothing, some of a prompt, and some where something was said."""
    counts = (usage.input, usage.cached_input, usage.cache_write, usage.output, usage.reasoning)
    asked = usage.input + usage.cached_input + usage.cache_write
    return min(counts) >= 0 and asked > 0 and (usage.output > 0 or not completion.text)
