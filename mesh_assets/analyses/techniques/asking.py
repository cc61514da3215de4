"""What every technique asks through: one bounded record of calls, so that no node can make one cost more than allowed.

A technique decides what to ask; here it is counted, bounded and kept. Billing, retries and form are the Caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, Protocol

from mesh_assets.errors import BudgetError, ModelError, NodeError
from mesh_assets.mesh.prompts import marked

# What a reply may bring into the next prompt; a node that talks without end must not fill the context of others.
MAX_REPLY_CHARS = 6_000
Role = Literal["attempt", "propose", "value", "reflect", "critique", "revise", "argue", "judge"]
Technique = Literal["self-consistency", "tree of thought", "reflexion", "constitutional review", "debate"]
# Why a technique ended that is to be gone on with.
STOPPED = "stopped"
# In these roles a node gives an answer, in the form that the question asks for; in the others it talks.
ANSWERING: frozenset[Role] = frozenset({"attempt", "propose", "revise", "argue"})


@dataclass(frozen=True, slots=True)
class Reply:
    """What a node said, the `answer` that this is, if it is one, and what it cost; `receipts` name what was billed.

    `completion` is the receipt of the completion itself, also where that was paid for before.
    """

    text: str
    answer: str | None = None
    usd: Decimal = Decimal(0)
    receipts: tuple[str, ...] = ()
    completion: str = ""


class Ask(Protocol):
    """One node with all that a call to it needs."""

    @property
    def name(self) -> str:
        """That of the node."""
        ...

    def most(self, prompt: str, role: Role) -> Decimal:
        """USD that one try of the call may cost at most."""
        ...

    async def ask(self, prompt: str, role: Role) -> Reply:
        """What it says. NodeError or BudgetError where it says nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one use of a technique may take: calls, and USD in all; and whether it is to stop between two calls."""

    calls: int
    usd: Decimal
    is_stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a technique: what was asked, what was said, or the `failure` that there was instead.

    `receipts` are of this call, `completion` that of what was said, whenever it was paid for.
    """

    role: Role
    node: str
    prompt: str
    text: str
    usd: Decimal
    answer: str | None = None
    receipts: tuple[str, ...] = ()
    completion: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """What a verifier found: `score` 0..1, 1 where everything holds, and `notes` on what does not."""

    score: float
    notes: str = ""


Verify = Callable[[str], Check]
# Whether two answers say the same.
Same = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a technique ends with: its `answer`, None where nobody gave one, and the `evidence` for it, 0..1.

    `evidence` is what the technique can say (a verifier's score, a share of votes), no calibrated probability.
    `agreement` is the share of samples or nodes that say so, None where only one was asked. `failure` is the kind of
    what ended it early, empty where nothing did.
    """

    technique: Technique
    answer: str | None
    evidence: float
    why: str
    trace: tuple[Step, ...]
    agreement: float | None = None
    failure: str = ""

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
    failure: str = ""

    async def ask(self, node: Ask, role: Role, prompt: str) -> Reply | None:
        """What `node` says, at most MAX_REPLY_CHARS of it; None where the bounds or the node end the session."""
        spent = sum((step.usd for step in self.trace), Decimal(0))
        if not self.ended and len(self.trace) >= self.bounds.calls:
            self.ended = f"its {self.bounds.calls} calls are used"
        most = node.most(prompt, role) if not self.ended else Decimal(0)
        if not self.ended and spent + most > self.bounds.usd:
            self.ended, self.failure = f"another call may pass its {self.bounds.usd} USD", "budget"
        if not self.ended and self.trace and self.bounds.is_stopped():
            self.ended = self.failure = STOPPED
        if self.ended:
            return None
        try:
            reply = await node.ask(prompt, role)
        except (NodeError, BudgetError, ModelError) as error:
            self.ended = error.message
            self.failure = _kind(error)
            # What failed may have been billed: its worst case counts.
            receipts = () if isinstance(error, ModelError) else tuple(error.receipts)
            self.trace.append(
                Step(role, node.name, prompt, "", most * len(receipts), receipts=receipts, failure=error.message)
            )
            return None
        reply = replace(reply, text=reply.text[:MAX_REPLY_CHARS])
        self.trace.append(
            Step(role, node.name, prompt, reply.text, reply.usd, reply.answer, reply.receipts, reply.completion)
        )
        return reply

    def outcome(
        self, technique: Technique, answer: str | None, evidence: float, why: str, *, agreement: float | None = None
    ) -> Outcome:
        """What it ends with; `why` is followed by what ended it early, if anything did."""
        said = f"{why}; {self.ended}" if self.ended else why
        found = evidence if answer is not None else 0.0
        return Outcome(technique, answer, found, said, tuple(self.trace), agreement, self.failure)


def _kind(error: NodeError | BudgetError | ModelError) -> str:
    if isinstance(error, NodeError):
        return error.failure
    return "budget" if isinstance(error, BudgetError) else "model"


def told(*texts: str) -> str:
    """What nodes said, as data of the next prompt."""
    return marked("said", *texts)


def same_words(one: str, other: str) -> bool:
    """Whether the letters are the same: for answers that are said in one way only."""
    return one.casefold().split() == other.casefold().split()


def no_check(answer: str) -> Check:
    """For questions that nothing can verify: says neither right nor wrong."""
    del answer
    return Check(0.5)
