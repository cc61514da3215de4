"""Nodes that speak Anthropic's messages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel

from mesh_assets.mesh.prompts import system_words
from mesh_assets.mesh.protocol import Completion, Finish, Node, Request, Usage
from mesh_assets.resources.http_calls import (
    ATTEMPT_HEADER,
    SdkErrors,
    asked,
    http_client,
    missing_model,
    read_body,
    read_part,
    timeouts,
)

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types import MessageParam
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

_ANTHROPIC = "https://api.anthropic.com"
_FINISH: Mapping[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class _Details(BaseModel):
    thinking_tokens: int | None = None


class _Usage(BaseModel):
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _Details | None = None

    def tokens(self) -> Usage:
        """Each token once, as Anthropic counts them."""
        cached, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        reasoning = (self.output_tokens_details or _Details()).thinking_tokens or 0
        return Usage(self.input_tokens, cached, written, self.output_tokens, reasoning)


class _Block(BaseModel):
    type: str
    text: str = ""


class _Answered(BaseModel):
    id: str | None = None
    content: list[_Block]
    stop_reason: str | None = None
    usage: object = None


class AnthropicNode:
    """A Client for a node of the provider `anthropic`."""

    def __init__(self, node: Node, key: str) -> None:
        self.node = node
        self._key = key
        self._sdk: AsyncAnthropic | None = None

    async def complete(self, request: Request, *, seconds: float, attempt: str) -> Completion:
        """The completion, within `seconds`; NodeError where there is none."""
        raw = await asked(
            self.node,
            lambda: self.opened().messages.with_raw_response.create(
                **self.parameters(request),
                # Version 2 of the SDK knows no `temperature`: parameters go into the body as they are.
                extra_body=self.beyond(request),
                extra_headers={ATTEMPT_HEADER: attempt} if attempt else {},
                timeout=timeouts(seconds),
            ),
            seconds=seconds,
            errors=sdk_errors(),
        )
        return self.read(await raw.read())

    async def check(self, *, seconds: float) -> str:
        """Empty where the server answers and lists the model, or lists none."""
        listed = await asked(
            self.node,
            lambda: self.opened().get("/v1/models", cast_to=object, options={"timeout": timeouts(seconds)}),
            seconds=seconds,
            errors=sdk_errors(),
        )
        return missing_model(self.node, listed)

    async def close(self) -> None:
        """End connections."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.close()

    def opened(self) -> "AsyncAnthropic":
        """The SDK's client, made at its first use."""
        if self._sdk is None:
            from anthropic import AsyncAnthropic

            self._sdk = AsyncAnthropic(
                api_key=self._key or "none",
                base_url=self.node.base_url or _ANTHROPIC,
                max_retries=0,
                http_client=http_client(self.node),
            )
        return self._sdk

    def _asked(self, request: Request) -> list[dict[str, object]]:
        """The evidence, up to which a prompt cache holds the request, then the question."""
        blocks: list[dict[str, object]] = []
        if request.stable.strip():
            blocks.append({"type": "text", "text": request.stable})
            if self.node.has_prompt_cache:
                blocks[0]["cache_control"] = {"type": "ephemeral"}
        if request.asked.strip():
            blocks.append({"type": "text", "text": request.asked})
        return blocks

    def parameters(self, request: Request) -> "MessageCreateParamsNonStreaming":
        """The body of the request as the SDK knows it."""
        return {
            "model": self.node.model,
            "max_tokens": request.max_tokens,
            "system": system_words(self.node, request),
            "messages": cast("list[MessageParam]", [{"role": "user", "content": self._asked(request)}]),
        }

    def beyond(self, request: Request) -> dict[str, object]:
        """What else belongs to it."""
        extra: dict[str, object] = dict(request.parameters)
        if self.node.takes_schema:
            extra["output_config"] = {"format": {"type": "json_schema", "schema": request.schema}}
        return extra

    def read(self, body: bytes) -> Completion:
        """The completion in a body; NodeError where there is none."""
        answered = read_body(self.node, body, _Answered)
        text = "".join(block.text for block in answered.content if block.type == "text")
        finish = _FINISH.get(answered.stop_reason or "", "other")
        usage = read_part(answered.usage, _Usage)
        return Completion(text, finish, usage.tokens() if usage else None, answered.id or "")


def sdk_errors() -> SdkErrors:
    """The exceptions of Anthropic's SDK."""
    import anthropic

    return SdkErrors(
        anthropic.APITimeoutError, anthropic.APIConnectionError, anthropic.APIStatusError, anthropic.AnthropicError
    )
