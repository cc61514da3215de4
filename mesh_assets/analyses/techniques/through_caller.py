"""Techniques on real nodes: each of their calls goes through the Caller, with its ledger, pace, log and redaction."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal

from mesh_assets.analyses.techniques.asking import ANSWERING, Reply, Role
from mesh_assets.errors import NodeError
from mesh_assets.mesh.calls import Called, Caller, Question
from mesh_assets.mesh.costs import worst_case
from mesh_assets.mesh.prompts import encodable
from mesh_assets.mesh.protocol import Client, Node

# The form of what a node says that gives no answer; the technique reads it.
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
# Tokens of a reply that is no answer, thoughts of the node among them.
TALK_TOKENS = 1_500


def role_question(question: Question, prompt: str, role: Role) -> Question:
    """`question` as it is put in a role: answers have the form that it asks for, other replies are short texts."""
    request = replace(question.request, asked=encodable(prompt))
    if role not in ANSWERING:
        request = replace(request, schema=SCHEMA, max_tokens=min(request.max_tokens, TALK_TOKENS))
    return replace(question, request=request)


@dataclass(frozen=True, slots=True)
class NodeAsk:
    """An `Ask` of one node. `question` gives case, depth, scopes, form and limits; its prompt is replaced."""

    caller: Caller
    node: Node
    client: Client
    question: Question

    @property
    def name(self) -> str:
        """That of the node."""
        return self.node.name

    def most(self, prompt: str, role: Role) -> Decimal:
        """USD of the worst case of one try, nothing where the reply was kept; further tries reserve their own money."""
        asked = role_question(self.question, prompt, role)
        if self.node.is_free or self.caller.known(self.node, asked) is not None:
            return Decimal(0)
        return self._worst(asked)

    def _worst(self, asked: Question) -> Decimal:
        return worst_case(self.node, self.caller.leaving(self.node, asked).request)

    async def ask(self, prompt: str, role: Role) -> Reply:
        """Its reply; a completion in another form is an empty one that answers nothing.

        `usd` is the worst case of what has receipts; what it was exactly, they say.
        """
        asked = role_question(self.question, prompt, role)
        called = await self.caller.call(self.node, self.client, asked)
        return _reply(called, role, self._worst(asked) * len(called.receipts) if called.receipts else Decimal(0))


@dataclass(slots=True)
class KeptAsk:
    """An `Ask` that knows what a node was told before and asks nobody; `is_whole` until something was not kept."""

    caller: Caller
    node: Node
    question: Question
    is_whole: bool = True

    @property
    def name(self) -> str:
        """That of the node."""
        return self.node.name

    def most(self, prompt: str, role: Role) -> Decimal:
        """Nothing: what was kept is paid."""
        del prompt, role
        return Decimal(0)

    async def ask(self, prompt: str, role: Role) -> Reply:
        """The reply that was kept; NodeError where there is none."""
        called = self.caller.known(self.node, role_question(self.question, prompt, role))
        if called is None:
            self.is_whole = False
            raise NodeError("It was not asked this before.", remedy="Ask it.", failure="unknown")
        return _reply(called, role, Decimal(0))


def _reply(called: Called, role: Role, usd: Decimal) -> Reply:
    paid = (called.receipts, called.completion)
    if called.rejected:
        return Reply("", None, usd, *paid)
    if role not in ANSWERING:
        return Reply(str(called.value.get("text", "")), None, usd, *paid)
    answer = encodable(json.dumps(called.value, ensure_ascii=False, sort_keys=True))
    return Reply(answer, answer, usd, *paid)
