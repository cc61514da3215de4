"""The batches of all nodes as a run sees them: what waits in one, what came of those before, what is handed in now.

How a batch is sent, booked and kept belongs to `batches`, which cases may wait to the ladder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mesh_assets.errors import BudgetError, NodeError
from mesh_assets.mesh.batches import Batcher
from mesh_assets.mesh.calls import Question
from mesh_assets.mesh.protocol import BatchClient, Node

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BatchDesk:
    """`connect` gives the client of a node's batch endpoint."""

    batcher: Batcher
    connect: Callable[[Node], BatchClient]

    def datasets(self, nodes: Iterable[Node]) -> frozenset[str]:
        """Keys of the datasets of which questions wait in a batch of one of the nodes."""
        waiting = (item for node in nodes for batch in self.batcher.batches.waiting(node.name) for item in batch.items)
        return frozenset(key for item in waiting for key in item.dataset.split(";") if key)

    def collect(self, nodes: Iterable[Node], *, seconds: float | None = None) -> str:
        """Take what is done, within so many seconds a node; why that failed, as a sentence, empty where it did not."""
        lacking: list[str] = []
        for node in nodes:
            if not self.batcher.batches.waiting(node.name):
                continue
            try:
                self._speaking(node, lambda client, node=node: self.batcher.collect(node, client), seconds)
            except NodeError as error:  # it is done later: nothing is lost
                lacking.append(f"{node.name}: {error.message}")
            except TimeoutError:
                lacking.append(f"{node.name} did not hand out its results in {seconds:.0f} s.")
        return " ".join(lacking)

    def under_way(self, asked: Mapping[str, tuple[Question, Sequence[Node]]]) -> dict[str, Node]:
        """Of cases with their question and the nodes that it may go to, those in a batch, with its node."""
        nodes = {node.name: node for _, others in asked.values() for node in others if node.has_batch}
        found: dict[str, Node] = {}
        for node in nodes.values():
            keys = {item.key for batch in self.batcher.batches.waiting(node.name) for item in batch.items}
            for case, (question, others) in asked.items():
                if keys and node in others and self.batcher.caller.key(node, question) in keys:
                    found[case] = node
        return found

    def hand_in(self, node: Node, questions: Sequence[Question]) -> str:
        """Send them as a batch, as far as the money goes; why that failed, as a sentence, empty where it did not."""
        try:
            self._speaking(node, lambda client: self.batcher.submit(node, client, questions), None)
        except (NodeError, BudgetError) as error:
            return error.message
        return ""

    def _speaking(self, node: Node, work: Callable[[BatchClient], Awaitable[T]], seconds: float | None) -> T:
        async def run() -> T:
            client = self.connect(node)
            try:
                return await asyncio.wait_for(work(client), seconds)
            finally:
                await client.close()

        return asyncio.run(run())
