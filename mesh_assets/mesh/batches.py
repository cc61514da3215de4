"""Questions that can wait: sent together to a batch endpoint, which costs less, and collected hours later.

What comes back is kept in the log of calls, so that the same questions, asked by `calls` afterwards, are answered from
there and cost nothing: this module returns no answers. A batch is on record before it is sent, so a crash at any point
loses neither money nor answers: what may have been sent stays reserved until the provider's word.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mesh_assets.errors import LakeError, NodeError
from mesh_assets.mesh.calls import Caller, Question, billed_for, request_key
from mesh_assets.mesh.costs import known_price, worst_case
from mesh_assets.mesh.json_schema import check_schema
from mesh_assets.mesh.leaving import recorded
from mesh_assets.mesh.protocol import (
    Batch,
    BatchClient,
    BatchItem,
    BatchLog,
    Billed,
    Completion,
    Kept,
    Node,
    Reason,
    Request,
    Reservation,
)
from mesh_assets.mesh.replies import read_reply

# Providers end a batch within 24 hours, and keep its results for longer.
_WINDOW_SECONDS = 26 * 3600.0
# An upload of a batch, or a download of its results.
_TRANSFER_SECONDS = 300.0
# How long others wait for who sends a batch, where it is not known to be gone, and how often they look.
_TURN_SECONDS, _POLL_SECONDS = 2 * _TRANSFER_SECONDS, 0.5


@dataclass(frozen=True, slots=True)
class Collected:
    """How many questions of a node's batches were answered, gave nothing, or still wait.

    Of `unknown` ones nobody says what became of them: their money stays reserved.
    """

    answered: int = 0
    failed: int = 0
    waiting: int = 0
    unknown: int = 0

    def __add__(self, other: Collected) -> Collected:
        """Both together."""
        return Collected(
            self.answered + other.answered,
            self.failed + other.failed,
            self.waiting + other.waiting,
            self.unknown + other.unknown,
        )


@dataclass(frozen=True, slots=True)
class _Ready:
    """A question with its money set aside, as it may leave, and the brief that it comes from."""

    item: BatchItem
    request: Request
    brief: str


@dataclass(frozen=True, slots=True)
class Batcher:
    """Batches on the ledger, the log and the redaction of `caller`."""

    caller: Caller
    batches: BatchLog

    async def submit(self, node: Node, client: BatchClient, questions: Sequence[Question]) -> int:
        """Send those that were neither answered nor sent before, as far as the money goes; how many.

        Each dataset has a batch of its own, so that the record of one can be forgotten without the others'. BudgetError
        where the money is not enough for the first, NodeError where a batch was not taken: those before it were.
        """
        known_price(node)
        # One process at a time sends to a node: the next one sees what was sent.
        log, turn, holder = self.caller.log, f"batches of {node.name}", uuid.uuid4().hex
        while wait := log.claim(turn, holder, _TURN_SECONDS):
            await self.caller.clock.sleep(min(wait, _POLL_SECONDS))
        by_dataset: dict[str, list[_Ready]] = {}
        try:
            for each in self._reserved(node, self._unasked(node, questions)):
                by_dataset.setdefault(each.item.dataset, []).append(each)
            count = sum(map(len, by_dataset.values()))
            while by_dataset:
                log.claim(turn, holder, _TURN_SECONDS)
                await self._send(node, client, *by_dataset.popitem())
        except BaseException:
            self._release([each.item for others in by_dataset.values() for each in others])
            raise
        finally:
            log.release(turn, holder)
        return count

    def _unasked(self, node: Node, questions: Sequence[Question]) -> dict[str, tuple[Question, Request]]:
        """By their keys those that were neither answered nor sent before, as they may leave."""
        under_way = {item.key for batch in self.batches.waiting(node.name) for item in batch.items}
        found: dict[str, tuple[Question, Request]] = {}
        for question in questions:
            check_schema(question.request.schema)
            request = self.caller.leaving(node, question).request
            key = request_key(node, request, question.prompt_version)
            if key not in under_way and key not in found and self.caller.log.find(key) is None:
                found[key] = (question, request)
        return found

    def _reserved(self, node: Node, asked: Mapping[str, tuple[Question, Request]]) -> Iterator[_Ready]:
        """Those that there is money for, which is set aside in one transaction."""
        amounts = [worst_case(node, request, is_batch=True) for _, request in asked.values()]
        if node.is_free:  # a name is needed all the same
            held = [Reservation(uuid.uuid4().hex, amount, 0.0) for amount in amounts]
        else:
            wanted = list(zip(amounts, (question.scopes for question, _ in asked.values()), strict=True))
            held = self.caller.ledger.reserve_all(wanted, seconds=_WINDOW_SECONDS, node=node.name)
        for reservation, (key, (question, request)) in zip(held, asked.items(), strict=False):
            item = BatchItem(reservation, key, question.dataset, question.case_id, question.depth, request.schema)
            yield _Ready(item, request, question.prompt_version)

    async def _send(self, node: Node, client: BatchClient, dataset: str, ready: Sequence[_Ready]) -> None:
        items = tuple(each.item for each in ready)
        log, wall = self.caller.log, self.caller.clock.wall
        batch = Batch(uuid.uuid4().hex, node.name, "", items, wall())
        reasons = [Reason(each.item.case_id, each.item.depth, each.brief, each.item.reservation.id) for each in ready]
        requests = {each.item.reservation.id: each.request for each in ready}
        self.batches.begin(batch)
        try:
            with recorded(log, wall, dataset=dataset, reasons=reasons, batch=batch.name):
                provider_id = await client.submit(requests, name=batch.name, seconds=_TRANSFER_SECONDS)
        except (NodeError, LakeError) as error:
            # What could not be recorded was not sent.
            if isinstance(error, LakeError) or not error.may_be_billed:
                self._release(items)
                self.batches.end(batch.name)
            raise
        self.batches.sent(batch.name, provider_id)

    def _release(self, items: Sequence[BatchItem]) -> None:
        for item in items:
            if item.reservation.expires:
                self.caller.ledger.release(item.reservation)

    async def collect(self, node: Node, client: BatchClient) -> Collected:
        """Book and keep what the batches of `node` gave, whoever sent them. May be called again at any time."""
        total = Collected()
        for batch in self.batches.waiting(node.name):
            provider_id = batch.provider_id or await client.find(batch.name, seconds=_TRANSFER_SECONDS)
            if not provider_id and self.caller.clock.wall() < batch.at + 2 * _TRANSFER_SECONDS:
                total += Collected(waiting=len(batch.items))  # another process may be sending it
                continue
            if not provider_id:
                # It is not known to have been sent: its money stays reserved, and its questions may be asked again.
                self.batches.end(batch.name)
                total += Collected(unknown=len(batch.items))
                continue
            said = await client.collect(provider_id, seconds=_TRANSFER_SECONDS)
            if said is None:
                total += Collected(waiting=len(batch.items))
                continue
            for item in batch.items:
                total += self._take(node, item, said.get(item.reservation.id))
            self.batches.end(batch.name)
        return total

    def _take(self, node: Node, item: BatchItem, said: Completion | NodeError | None) -> Collected:
        """One result. Taken again after a crash it is booked once and kept once more."""
        if said is None:
            return Collected(unknown=1)
        if isinstance(said, NodeError):
            if not said.may_be_billed:
                self._release([item])
            self.caller.log.fail(node.name, said.failure, item.reservation.id)
            return Collected(failed=1)
        receipt = self._settle(node, item, said)
        if not item.key:
            return Collected(answered=1)
        kept = Kept(
            key=item.key,
            dataset=item.dataset,
            node=node.name,
            model=node.model,
            text=said.text,
            request_id=said.request_id,
            rejected=read_reply(said.text, said.finish, item.schema).rejected,
            receipt=receipt,
            at=self.caller.clock.wall(),
        )
        before = self.caller.log.find(item.key)
        if before is None or replace(before, at=kept.at) != kept:
            self.caller.log.keep(kept)
        return Collected(answered=1)

    def _settle(self, node: Node, item: BatchItem, completion: Completion) -> str:
        if not item.reservation.expires:
            return ""
        billed = Billed(node.name, node.model, item.case_id, item.depth, None, known_price(node), is_batch=True)
        return self.caller.ledger.settle(item.reservation, billed_for(billed, completion)).id
