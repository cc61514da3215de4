"""Nodes that speak OpenAI's chat completions: OpenAI itself and every server that imitates it.

Nothing but chat completions is used, since little else is imitated, and the answer is read leniently: what a server
leaves out is missing, not wrong.
"""

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
    unreadable,
)

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionMessageParam

_OPENAI = "https://api.openai.com/v1"
_FINISH: Mapping[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "refusal"}


class _PromptDetails(BaseModel):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _AnswerDetails(BaseModel):
    reasoning_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _AnswerDetails | None = None

    def tokens(self) -> Usage:
        """Each token once. Servers that leave reasoning out of the completion count it in the total."""
        prompt = self.prompt_tokens_details or _PromptDetails()
        cached, written = prompt.cached_tokens or 0, prompt.cache_write_tokens or 0
        output = max(self.completion_tokens, (self.total_tokens or 0) - self.prompt_tokens)
        reasoning = (self.completion_tokens_details or _AnswerDetails()).reasoning_tokens or 0
        return Usage(self.prompt_tokens - cached - written, cached, written, output, reasoning)


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Answered(BaseModel):
    id: str | None = None
    choices: list[_Choice]
    # Anything, so that an answer is not lost for a usage that is none.
    usage: object = None


class OpenAINode(SdkNode["AsyncOpenAI"]):
    """A Client for a node of the provider `openai`; `key` may be empty where the server wants none."""

    async def complete(self, request: Request, *, seconds: float, attempt: str) -> Completion:
        """The completion, within `seconds`; NodeError where there is none."""
        raw = await self.asked(
            lambda: self.opened().chat.completions.with_raw_response.create(
                model=self.node.model,
                messages=self.messages(request),
                extra_body=self.parameters(request),
                extra_headers={ATTEMPT_HEADER: attempt} if attempt else {},
                timeout=timeouts(seconds),
            ),
            seconds=seconds,
        )
        return self.read(raw.content)

    def connected(self) -> "AsyncOpenAI":
        """A new client of the SDK."""
        from openai import AsyncOpenAI

        return AsyncOpenAI(
            api_key=self.key,
            base_url=self.node.base_url or _OPENAI,
            max_retries=0,
            http_client=http_client(self.node),
        )

    async def listed(self, timeout: "httpx2.Timeout") -> object:
        """What the server answers to who asks for its models."""
        return await self.opened().get("/models", cast_to=object, options={"timeout": timeout})

    def errors(self) -> SdkErrors:
        """The exceptions of the SDK."""
        import openai

        return SdkErrors(openai.APITimeoutError, openai.APIConnectionError, openai.APIStatusError, openai.OpenAIError)

    def messages(self, request: Request) -> "list[ChatCompletionMessageParam]":
        """The request as turns of a chat, what is the same for many first."""
        return [
            {"role": "system", "content": system_words(self.node, request)},
            {"role": "user", "content": f"{request.stable}\n{request.asked}".strip()},
        ]

    def parameters(self, request: Request) -> dict[str, object]:
        """What else belongs to the body of the request."""
        # OpenAI's newer models refuse `max_tokens`; those who imitate it know no other word.
        limit = "max_tokens" if self.node.base_url else "max_completion_tokens"
        extra: dict[str, object] = {limit: request.max_tokens, **request.parameters}
        if self.node.takes_schema:
            form = {"name": "answer", "schema": request.schema, "strict": _is_strict(request.schema)}
            extra["response_format"] = {"type": "json_schema", "json_schema": form}
        return extra

    def read(self, body: bytes) -> Completion:
        """The completion in a body; NodeError where there is none."""
        answered = read_body(self.node, body, _Answered)
        if not answered.choices:
            raise unreadable(self.node, "no choices")
        choice = answered.choices[0]
        finish = _FINISH.get(choice.finish_reason or "", "other")
        if choice.message.refusal:
            finish = "refusal"
        usage = read_part(answered.usage, _Usage)
        text = choice.message.content or choice.message.refusal or ""
        return Completion(text, finish, usage.tokens() if usage else None, answered.id or "")


def _is_strict(schema: object) -> bool:
    """Whether each object of a schema requires all its properties and forbids others: OpenAI's strict mode."""
    if isinstance(schema, list):
        return all(_is_strict(each) for each in cast("list[object]", schema))
    if not isinstance(schema, Mapping):
        return True
    part = cast("Mapping[str, object]", schema)
    if part.get("type") == "object":
        named = cast("Mapping[str, object]", part.get("properties", {}))
        required = cast("list[str]", part.get("required", []))
        if part.get("additionalProperties") is not False or set(named) != set(required):
            return False
    return all(_is_strict(inner) for inner in part.values())
