"""Techniques on real nodes: each of their calls goes through the Caller, with its ledger, pace, log and redaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from mesh_assets.analyses.techniques.asking import Reply
from mesh_assets.mesh.calls import Caller, Question
from mesh_assets.mesh.costs import worst_case
from mesh_assets.mesh.protocol import Client, Node

# The form of every reply of a technique; what it says is read by the technique.
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class NodeAsk:
    """An `Ask` of one node. `question` gives case, depth, scopes and limits; its prompt is replaced by each call's."""

    caller: Caller
    node: Node
    client: Client
    question: Question

    def most(self, prompt: str) -> Decimal:
        """USD of the worst case of every try that the Caller may make."""
        if self.node.is_free:
            return Decimal(0)
        leaving = self.caller.leaving(self.node, self._asked(prompt))
        return worst_case(self.node, leaving.request) * self.caller.policy.attempts

    async def ask(self, prompt: str) -> Reply:
        """Its reply; a completion in another form is an empty one.

        `usd` is the worst case of what has receipts; what it was exactly, they say.
        """
        called = await self.caller.call(self.node, self.client, self._asked(prompt))
        usd = self.most(prompt) * len(called.receipts) / self.caller.policy.attempts
        return Reply(str(called.value.get("text", "")), usd, called.receipts)

    def _asked(self, prompt: str) -> Question:
        request = replace(self.question.request, asked=prompt, schema=SCHEMA)
        return replace(self.question, request=request)
