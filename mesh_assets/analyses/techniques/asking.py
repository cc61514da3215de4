"""What every technique asks through: one bounded record of calls, so that no node can make one cost more than allowed.

A technique decides what to ask; here it is counted, bounded and kept. Billing, retries and form are the Caller's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

from mesh_assets.errors import BudgetError, NodeError

# What a reply may bring into the next prompt; a node that talks without end must not fill the context of others.
MAX_REPLY_CHARS = 8_000
_ANSWER = re.compile(r"\banswer(?: is)?\s*:[ \t]*(\S[^\n]*)", re.IGNORECASE)
Role = Literal["attempt", "propose", "value", "reflect", "critique", "revise", "argue", "judge"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a node said, and what it cost; `receipts` name what was billed."""

    text: str
    usd: Decimal = Decimal(0)
    receipts: tuple[str, ...] = ()


class Ask(Protocol):
    """One node with all that a call to it needs."""

    def most(self, prompt: str) -> Decimal:
        """USD that the call may cost at most."""
        ...

    async def ask(self, prompt: str) -> Reply:
        """What it says. NodeError or BudgetError where it says nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one use of a technique may take: calls, and USD in all."""

    calls: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a technique: what was asked, what was said, or the `failure` that there was instead."""

    role: Role
    prompt: str
    text: str
    usd: Decimal
    receipts: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """What a verifier found: `score` 0..1, 1 where everything holds, and `notes` on what does not."""

    score: float
    notes: str = ""


Verify = Callable[[str], Check]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a technique ends with: its `answer`, None where nobody gave one, and the `evidence` for it, 0..1.

    `evidence` is what the technique can say (a verifier's score, a share of votes), no calibrated probability.
    """

    technique: str
    answer: str | None
    evidence: float
    why: str
    trace: tuple[Step, ...]

    @property
    def usd(self) -> Decimal:
        """What all calls cost."""
        return sum((step.usd for step in self.trace), Decimal(0))


@dataclass(slots=True)
class Session:
    """The calls of one use of a technique, within its bounds."""

    bounds: Bounds
    trace: list[Step] = field(default_factory=list[Step])
    ended: str = ""

    async def ask(self, node: Ask, role: Role, prompt: str) -> str | None:
        """What `node` says, at most MAX_REPLY_CHARS of it; None where the bounds or the node end the session."""
        spent = sum((step.usd for step in self.trace), Decimal(0))
        if not self.ended and len(self.trace) >= self.bounds.calls:
            self.ended = f"its {self.bounds.calls} calls are used"
        if not self.ended and spent + node.most(prompt) > self.bounds.usd:
            self.ended = f"another call may pass its {self.bounds.usd} USD"
        if self.ended:
            return None
        try:
            reply = await node.ask(prompt)
        except (NodeError, BudgetError) as error:
            self.ended = error.message
            # What failed may have been billed: its worst case counts.
            receipts = tuple(error.receipts)
            usd = node.most(prompt) if receipts else Decimal(0)
            self.trace.append(Step(role, prompt, "", usd, receipts, error.message))
            return None
        text = reply.text[:MAX_REPLY_CHARS]
        self.trace.append(Step(role, prompt, text, reply.usd, reply.receipts))
        return text

    def outcome(self, technique: str, answer: str | None, evidence: float, why: str) -> Outcome:
        """What it ends with; `why` is followed by what ended it early, if anything did."""
        said = f"{why}; {self.ended}" if self.ended else why
        return Outcome(technique, answer, evidence if answer is not None else 0.0, said, tuple(self.trace))


def answer_in(text: str) -> str | None:
    """What a reply names as its answer, on the last line that says `Answer:`; None where it names none."""
    found = _ANSWER.findall(text)
    return found[-1].strip().strip("*").rstrip(".").strip() or None if found else None


def no_check(answer: str) -> Check:
    """For questions that nothing can verify: says neither right nor wrong."""
    return Check(0.5)
