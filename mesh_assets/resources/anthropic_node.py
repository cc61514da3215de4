"""Nodes that speak Anthropic's messages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel

from mesh_assets.mesh.prompts import system_words
from mesh_assets.mesh.protocol import Completion, Finish, Request, Usage
from mesh_assets.resources.http_calls import (
    ATTEMPT_HEADER,
    SdkErrors,
    SdkNode,
    http_client,
    read_body,
    read_part,
    timeouts,
)

if TYPE_CHECKING:
    import httpx2
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


class AnthropicNode(SdkNode["AsyncAnthropic"]):
    """A Client for a node of the provider `anthropic`."""

    async def complete(self, request: Request, *, seconds: float, attempt: str) -> Completion:
        """The completion, within `seconds`; NodeError where there is none."""
        raw = await self.asked(
            lambda: self.opened().messages.with_raw_response.create(
                **self.parameters(request),
                # Version 2 of the SDK knows no `temperature`: parameters go into the body as they are.
                extra_body=self.beyond(request),
                extra_headers={ATTEMPT_HEADER: attempt} if attempt else {},
                timeout=timeouts(seconds),
            ),
            seconds=seconds,
        )
        return self.read(await raw.read())

    def connected(self) -> "AsyncAnthropic":
        """A new client of the SDK."""
        from anthropic import AsyncAnthropic

        return AsyncAnthropic(
            api_key=self.key,
            base_url=self.node.base_url or _ANTHROPIC,
            max_retries=0,
            http_client=http_client(self.node),
        )

    async def listed(self, timeout: "httpx2.Timeout") -> object:
        """What the server answers to who asks for its models."""
        return await self.opened().get("/v1/models", cast_to=object, options={"timeout": timeout})

    def errors(self) -> SdkErrors:
        """The exceptions of the SDK."""
        import anthropic

        return SdkErrors(
            anthropic.APITimeoutError, anthropic.APIConnectionError, anthropic.APIStatusError, anthropic.AnthropicError
        )

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
