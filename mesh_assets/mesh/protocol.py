"""What a node is to the mesh, what is asked of one, and who keeps the money: the seams between the parts.

How a provider is spoken to belongs to `providers`, money to `ledger`, which node is asked to `routing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

from mesh_assets.budgets import ScopeKind
from mesh_assets.errors import NodeError
from mesh_assets.mesh.shapes import Depth

Provider = Literal["openai", "anthropic", "local", "recorded"]
# `local`: what is sent stays on this machine. `may-leave`: it goes out, redacted, and never for a private dataset.
DataPolicy = Literal["local", "may-leave"]
# Why a node stopped: it was done; it ran into the limit of tokens; it refused; anything else.
Finish = Literal["stop", "length", "refusal", "other"]


@dataclass(frozen=True, slots=True)
class Price:
    """USD for a million tokens. `source` says where the price comes from, and as of when.

    `batch_share` is the part of it that a call of a batch costs; `reasoning` is None where it costs what output does.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal
    cache_write: Decimal
    batch_share: Decimal
    source: str
    reasoning: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a node takes: requests and tokens a minute (0: no limit), calls at once, seconds for one call."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    parallel: int = 4
    seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Node:
    """One model that answers cases, as `mesh.yaml` describes it.

    `key_variable` is the environment variable of its key, empty where none is needed. `price` is None where it is not
    known: such a node is refused, not guessed. `context_tokens` holds prompt and answer together. `takes_schema` says
    that the server itself holds answers to a JSON schema; else the schema is part of the prompt. A node of the provider
    `recorded` has the file of its answers as `base_url`, one of `local` the folder of its weights as `model`.
    """

    name: str
    provider: Provider
    model: str
    purpose: str
    specialities: tuple[str, ...]
    depths: tuple[Depth, ...]
    policy: DataPolicy
    context_tokens: int
    output_tokens: int
    base_url: str = ""
    key_variable: str = ""
    price: Price | None = None
    limits: Limits = Limits()
    has_batch: bool = False
    has_prompt_cache: bool = False
    takes_schema: bool = False

    @property
    def is_free(self) -> bool:
        """Whether its tokens cost nothing, so that no money is reserved for it."""
        price = self.price
        return price is not None and not any(
            (price.input, price.output, price.cached_input, price.cache_write, price.reasoning)
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One call: `system` and `stable` come first and are the same for many calls (prompt caches), `asked` last.

    `schema` is the JSON schema that the answer must have.
    """

    system: str
    stable: str
    asked: str
    schema: Mapping[str, object]
    max_tokens: int
    parameters: Mapping[str, float | int | str] = field(default_factory=dict[str, float | int | str])


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a call is billed for, each counted once: `input` without cached ones and those written to a cache.

    `output` is with `reasoning`, which says how many of them.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What a node gave back, as it came: nothing is parsed. `request_id` is the provider's name for the call.

    `usage` is None where the server did not say it.
    """

    text: str
    finish: Finish
    usage: Usage | None
    request_id: str = ""


class Client(Protocol):
    """Speaks to one node, once for each call: no retry, no billing, no parsing.

    Calls are coroutines, so that a cancelled one ends its connection and a deadline holds for the whole of a body that
    comes drop by drop.
    """

    async def complete(self, request: Request, *, seconds: float, attempt: str) -> Completion:
        """The completion, within `seconds`. NodeError says what kind of failure it was and whether it may pass.

        `attempt` is our name for this call; providers that keep a log of calls are told it.
        """
        ...

    async def check(self, *, seconds: float) -> str:
        """What is wrong, although the node answers; empty where nothing is. NodeError where it does not answer.

        Nothing is asked that costs.
        """
        ...

    async def close(self) -> None:
        """End connections; the next call opens them again."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """A budget that a call counts against, such as (`case`, `0a1b…`). Kinds nest in the order of `SCOPES`."""

    kind: ScopeKind
    name: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one call, until it is settled or released.

    `id` names the attempt and is told to the provider, so that its log can be compared with ours. After `expires`
    (seconds since 1970) nobody is expected to do either: the call may have been billed, so its money stays counted and
    is shown as unsettled. A late word is taken at any time.
    """

    id: str
    amount: Decimal
    expires: float


@dataclass(frozen=True, slots=True)
class Billed:
    """What a call was: what its receipt says beside the cost. `price` is what it was calculated with.

    `usage` is None where the node did not say it: then the whole reservation is booked.
    """

    node: str
    model: str
    case_id: str
    depth: Depth
    usage: Usage | None
    price: Price
    is_batch: bool = False
    outcome: str = "answered"
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One billed call: `id` is that of its reservation, `at` when it was settled.

    A `cost` above what was `reserved` is what the node says all the same: it is booked in full.
    """

    id: str
    at: float
    cost: Decimal
    reserved: Decimal
    scopes: tuple[Scope, ...]
    billed: Billed


class Ledger(Protocol):
    """The one place that knows of money. Each verb is one transaction, and all processes share it.

    LedgerError where it cannot be read or written: then no call is made.
    """

    def reserve(self, amount: Decimal, scopes: Sequence[Scope], *, seconds: float, node: str = "") -> Reservation:
        """Set `amount` USD aside in all `scopes`, for a call to `node` that takes `seconds` at most.

        It counts in the present month too, and a call's limit holds for each attempt. BudgetError names the budget that
        lacks the money, and nothing is kept. What costs nothing passes any budget.
        """
        ...

    def reserve_all(
        self, asked: Sequence[tuple[Decimal, Sequence[Scope]]], *, seconds: float, node: str = ""
    ) -> Sequence[Reservation]:
        """`reserve` for many calls in one transaction, in their order, up to the first that a budget lacks money for.

        BudgetError where that is the first of all.
        """
        ...

    def settle(self, reservation: Reservation, billed: Billed) -> Receipt:
        """Replace what was reserved by what the call cost, also late, also after a release.

        The same receipt where it was settled before, unless that one did not know the usage.
        """
        ...

    def release(self, reservation: Reservation) -> None:
        """Give back what was set aside: the call was never made, or it is certain that nothing was billed for it.

        Where that is not certain, leave it. What was settled stays.
        """
        ...

    def left(self, scopes: Sequence[Scope], *, for_one_call: bool = True) -> Decimal | None:
        """USD that may still be reserved in all of `scopes` and the present month, by one call or by several.

        None where nothing limits them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """Whether a call may begin: `slot` names it until it leaves; without one, what to wait for, and how many seconds.

    `is_resting`: the node failed so often that nobody asks it for that long.
    """

    slot: str = ""
    wait: float = 0.0
    reason: str = ""
    is_resting: bool = False


class Pace(Protocol):
    """Keeps all processes together within what each node takes, and away from a node that is down."""

    def enter(self, node: Node, *, tokens: int) -> Entry:
        """Begin a call of about `tokens` tokens where the limits of `node` allow it now."""
        ...

    def leave(self, node: Node, slot: str, *, tokens: int | None, is_down: bool | None, rest: float = 0.0) -> None:
        """End it. `tokens` are those that it took, where known; for `rest` seconds nobody is to ask the node.

        `is_down` is None where the call does not tell, as one that was cancelled.
        """
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A completion that was paid for, with what became of it: `rejected` is why it is no answer, empty where it is one.

    `key` is the hash of all that the completion depends on; `receipt` the id of its receipt, empty where it was free.
    `dataset` has the keys of those that its case is about, `;` between them: with any of them it is forgotten.
    """

    key: str
    dataset: str
    node: str
    model: str
    text: str
    request_id: str
    rejected: str
    receipt: str
    at: float


@dataclass(frozen=True, slots=True)
class Reason:
    """What bytes left for: a case at a depth, by a brief. `attempt` is the id of the reservation, empty for none."""

    case_id: str
    depth: Depth
    brief: str
    attempt: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The body of one HTTP request to a node outside this machine, as it goes: to whom, when, and for which cases.

    `dataset` has the keys of those that they show, `;` between them: with any of them it is forgotten. `batch` is our
    name of the batch that it belongs to.
    """

    id: str
    at: float
    node: str
    model: str
    address: str
    dataset: str
    batch: str
    reasons: tuple[Reason, ...]
    content: bytes = field(repr=False)


class CallLog(Protocol):
    """Every completion as it came, kept before anything is made of it, every failure, and every byte that left: all
    processes share it.
    """

    def sending(self, sent: Sent) -> None:
        """Keep what is about to leave, durably, when this returns; LakeError where that fails, and then it stays."""
        ...

    def find(self, key: str) -> Kept | None:
        """What was kept last under `key`."""
        ...

    def claim(self, key: str, holder: str, seconds: float) -> float:
        """Be the one who asks under `key`, for `seconds` at most: 0 where `holder` is, else how long another may be.

        It ends with a completion that is kept under `key`, or by `release`; that of a process that is gone is none.
        """
        ...

    def release(self, key: str, holder: str) -> None:
        """End a claim: who waits for it may ask."""
        ...

    def keep(self, kept: Kept) -> None:
        """Keep a completion, durably, when this returns."""
        ...

    def delivered(self, node: str, request_id: str) -> Kept | None:
        """What was kept of the call that the provider calls `request_id`."""
        ...

    def fail(self, node: str, failure: str, attempt: str) -> None:
        """Count a call that gave nothing. `attempt` is the id of its reservation, empty where there was none."""
        ...


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One question of a batch: its reservation, and what is needed to keep and to bill what is said to it.

    Without a `key` its dataset was forgotten meanwhile: it is billed, but not kept.
    """

    reservation: Reservation
    key: str
    dataset: str
    case_id: str
    depth: Depth
    schema: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions that were sent together, begun `at` (seconds since 1970).

    `provider_id` is the provider's name of it, empty until that is known.
    """

    name: str
    node: str
    provider_id: str
    items: tuple[BatchItem, ...]
    at: float


class BatchLog(Protocol):
    """The batches that wait for their results: what a crash must not lose. All processes share it."""

    def begin(self, batch: Batch) -> None:
        """Keep it before it is sent, durably."""
        ...

    def sent(self, name: str, provider_id: str) -> None:
        """Keep the provider's name of it."""
        ...

    def waiting(self, node: str) -> Sequence[Batch]:
        """Those of a node that were begun and not ended, oldest first."""
        ...

    def end(self, name: str) -> None:
        """Forget it: all of its results are kept and booked."""
        ...


class BatchClient(Protocol):
    """Speaks to the batch endpoint of one node: no billing, no parsing. NodeError says how something failed."""

    async def submit(self, requests: Mapping[str, Request], *, name: str, seconds: float) -> str:
        """Send requests by the ids of their reservations; the provider's name of the batch that is ours by `name`."""
        ...

    async def find(self, name: str, *, seconds: float) -> str:
        """The provider's name of the batch that was sent as `name`, empty where it has none or cannot tell."""
        ...

    async def collect(self, provider_id: str, *, seconds: float) -> Mapping[str, Completion | NodeError] | None:
        """What became of each request, by id; None while the provider is at work."""
        ...

    async def close(self) -> None:
        """End connections."""
        ...


@dataclass(frozen=True, slots=True)
class Leaving:
    """A request as it may leave the machine, and how its answer is read back."""

    request: Request
    restore: Callable[[str], str]


Redact = Callable[[Request], Leaving]
