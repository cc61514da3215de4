"""What both SDKs of model providers share: one HTTP client, which records what leaves, one deadline, and failures as
NodeError.

A request that the server turned away (4xx, 503 and 529 in its own words) was not billed; where it may have done the
work, as after a deadline, a cut connection, a 500 or a gateway's page, it may have been.
"""

import asyncio
import email.utils
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from pydantic import BaseModel, ValidationError

from mesh_assets.errors import MeshError, NodeError
from mesh_assets.mesh.leaving import record
from mesh_assets.mesh.protocol import Node

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
# The log of calls that OpenAI keeps, and gateways too, has our name of a call from this header.
ATTEMPT_HEADER = "X-Client-Request-Id"
_CONNECT_SECONDS = 10.0
# Of what a server says of a failure; it may quote the whole prompt.
_SAID_CHARACTERS = 300
_KEY_REMEDY = "See that the variable of the node's key holds a valid key that may use this model."
_REQUEST_REMEDY = "See `model`, `base_url`, `output_tokens` and `takes_schema` of the node in mesh.yaml."
_LATER = "It is asked again by itself; if this goes on, look at the provider's status page, or ask another node."
# Out of money, not of patience: asking again changes nothing.
_NO_CREDIT = ("insufficient_quota", "billing", "credit balance", "spend limit", "spend_limit")


@dataclass(frozen=True, slots=True)
class SdkErrors:
    """The exceptions of one SDK: a deadline, a connection, an answer with a status of failure, and any of them."""

    timeout: type[Exception]
    connection: type[Exception]
    status: type[Exception]
    any: type[Exception]


class Sdk(Protocol):
    """What the clients of both SDKs have."""

    async def close(self) -> None:
        """End connections."""
        ...


S = TypeVar("S", bound=Sdk)


class SdkNode(ABC, Generic[S]):
    """A node behind an SDK, whose client is made at its first use. `key` may be empty where the server wants none."""

    def __init__(self, node: Node, key: str) -> None:
        self.node = node
        self.key = key or "none"
        self._sdk: S | None = None

    @abstractmethod
    def connected(self) -> S:
        """A new client of the SDK, without retries of its own."""

    @abstractmethod
    async def listed(self, timeout: "httpx2.Timeout") -> object:
        """What the server answers to who asks for its models, as it came."""

    @abstractmethod
    def errors(self) -> SdkErrors:
        """The exceptions of the SDK."""

    def opened(self) -> S:
        """The client of the SDK."""
        if self._sdk is None:
            self._sdk = self.connected()
        return self._sdk

    async def asked(self, ask: Callable[[], Awaitable[T]], *, seconds: float) -> T:
        """The answer within `seconds`; NodeError says how it failed."""
        return await asked(self.node, ask, seconds=seconds, errors=self.errors())

    async def check(self, *, seconds: float) -> str:
        """Empty where the server answers and lists the model, or lists none."""
        return missing_model(self.node, await self.asked(lambda: self.listed(timeouts(seconds)), seconds=seconds))

    async def close(self) -> None:
        """End connections."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.close()


def http_client(node: Node) -> "httpx2.AsyncClient":
    """A client that follows no redirect, since a prompt goes where mesh.yaml says and nowhere else.

    A node on this machine or its network is not asked through the proxy of the environment. Each body that goes to
    another is recorded as its bytes are, whatever the SDK made of the request.
    """
    import httpx2

    async def before(request: httpx2.Request) -> None:
        content = await request.aread()
        if content:
            record(node, str(request.url), content)

    return httpx2.AsyncClient(
        follow_redirects=False,
        trust_env=node.policy != "local",
        limits=httpx2.Limits(max_connections=node.limits.parallel, keepalive_expiry=60.0),
        event_hooks={} if node.policy == "local" else {"request": [before]},
    )


def timeouts(seconds: float) -> "httpx2.Timeout":
    """Limits of the steps of a call; `asked` holds its whole to `seconds`."""
    import httpx2

    return httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


async def asked(node: Node, ask: Callable[[], Awaitable[T]], *, seconds: float, errors: SdkErrors) -> T:
    """The answer within `seconds`, counted to the last byte of its body; NodeError says how it failed."""
    import httpx2

    try:
        answer = ask()  # the SDK is loaded by its first call, which is not the server's time
        async with asyncio.timeout(seconds):
            return await answer
    except (TimeoutError, errors.timeout) as error:
        # Nothing was sent where there was no connection yet.
        sent = not isinstance(error.__cause__, httpx2.ConnectTimeout | httpx2.PoolTimeout)
        raise _failure(node, f"did not answer within {seconds:.0f} s", "timeout", may_be_billed=sent) from error
    except errors.status as error:
        raise _status_failure(node, error) from error
    except errors.connection as error:
        if isinstance(error.__cause__, MeshError):  # it could not be recorded, so it was not sent
            raise error.__cause__ from None
        raise _connection_failure(node, error.__cause__ or error) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _connection_failure(node, error) from error
    except (ValueError, errors.any) as error:  # a body that is no JSON, a key that is no header
        raise unreadable(node, str(error)) from error


def unreadable(node: Node, why: str) -> NodeError:
    """The failure of an answer that has not the form of its API; it was billed all the same."""
    return _failure(node, f"sent what is no answer: {_short(why)}", "answer", may_be_billed=True)


def read_body(node: Node, body: bytes, form: type[Model]) -> Model:
    """The answer in `body`; NodeError where it has not the form of its API."""
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        said = body[:_SAID_CHARACTERS].decode("utf-8", "replace")
        raise unreadable(node, f"{error.errors()[0]['msg']}: {said}") from error


class _Listed(BaseModel):
    id: str


class Models(BaseModel):
    """What both APIs answer to who asks for their models."""

    data: list[_Listed]


def missing_model(node: Node, listed: object) -> str:
    """What to say where a server lists its models and that of the node is not among them."""
    models = read_part(listed, Models)
    if models is None or not models.data or any(model.id == node.model for model in models.data):
        return ""
    return f"it answers, but does not list the model {node.model}"


def read_part(given: object, form: type[Model]) -> Model | None:
    """A part of an answer without which it is still one; None where it has not its form."""
    try:
        return form.model_validate(given)
    except ValidationError:
        return None


def failed_in_batch(node: Node, said: object) -> NodeError:
    """A request of a batch that failed, ran out of time or was cancelled: providers do not bill those."""
    return NodeError(
        f"{node.name} ({node.model}) gave no answer in a batch: {_short(str(said))}.",
        remedy="It may be asked again, alone or in another batch.",
        failure="server",
        may_pass=True,
    )


def _failure(node: Node, what: str, failure: str, *, may_be_billed: bool = False) -> NodeError:
    return NodeError(
        f"{node.name} ({node.model}) {what}.",
        remedy=_LATER,
        failure=failure,
        may_pass=True,
        may_be_billed=may_be_billed,
    )


def _connection_failure(node: Node, cause: BaseException) -> NodeError:
    import httpx2

    wrong = (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.LocalProtocolError, ValueError, TypeError)
    if isinstance(cause, wrong):
        return NodeError(
            f"{node.name} cannot be asked: {_short(str(cause))}.",
            remedy="See `base_url` of the node in mesh.yaml, and that its key is one line.",
            failure="refused",
        )
    if isinstance(cause, httpx2.ConnectError):
        return _failure(
            node, f"cannot be reached at {node.base_url or 'its provider'}: {_short(str(cause))}", "connection"
        )
    what = f"was cut off while it answered ({type(cause).__name__}: {_short(str(cause))})"
    return _failure(node, what, "connection", may_be_billed=True)


def _status_failure(node: Node, error: Exception) -> NodeError:
    """The failure that a status means. `error` is an APIStatusError of either SDK."""
    response = cast("httpx2.Response", getattr(error, "response"))  # noqa: B009  # of two unrelated classes
    status, body = response.status_code, cast("object", getattr(error, "body", None))
    said = f"answered {status}: {_short(_said(body) or response.text)}"
    if status in (401, 403):
        return NodeError(f"{node.name} ({node.model}) {said}.", remedy=_KEY_REMEDY, failure="refused")
    if status == 429 and not any(word in said.lower() for word in _NO_CREDIT):
        return _told(node, said, "limit", response)
    if status >= 500:
        # A gateway that lost its server knows nothing: what stands behind it may have answered, and billed.
        turned_away = status in (503, 529) and bool(_said(body))
        failure = _told(node, said, "overloaded" if status in (503, 529) else "server", response)
        failure.may_be_billed = not turned_away
        return failure
    if status in (408, 409):
        return _told(node, said, "server", response)
    remedy = "Add credit at the provider, or ask another node." if status in (402, 429) else _REQUEST_REMEDY
    return NodeError(f"{node.name} ({node.model}) {said}.", remedy=remedy, failure="refused")


def _told(node: Node, said: str, failure: str, response: "httpx2.Response") -> NodeError:
    error = _failure(node, said, failure)
    error.retry_after = retry_after(response.headers)
    return error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, by `retry-after-ms` or `retry-after` (seconds or a date), or None."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        return max(0.0, email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _said(body: object) -> str:
    """The sentence of an error body; both APIs, and those that imitate them, have it under `error` or bare."""
    inner = body
    if isinstance(inner, dict):
        fields = cast("dict[str, object]", inner)
        inner = fields.get("error", fields)
    if isinstance(inner, dict):
        fields = cast("dict[str, object]", inner)
        parts = (fields.get("type"), fields.get("code"), fields.get("message"))
        return " ".join(part for part in parts if isinstance(part, str))
    return inner if isinstance(inner, str) and isinstance(body, dict) else ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SAID_CHARACTERS else f"{text[:_SAID_CHARACTERS]} ..."
