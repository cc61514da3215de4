"""OpenAI's batch endpoint: a file of requests goes up, a file of answers comes down within a day, at half the price."""

import json
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ValidationError

from mesh_assets.errors import NodeError
from mesh_assets.mesh.protocol import Completion, Node, Request
from mesh_assets.resources.http_calls import failed_in_batch, timeouts
from mesh_assets.resources.openai_node import OpenAINode

# How the batch is found again that was sent while nobody could note its name.
_NAME = "mesh_batch"
_ENDED = {"completed", "failed", "expired", "cancelled"}
# Batches of an account that are looked through for ours, newest first.
_LISTED = 100


class _Response(BaseModel):
    status_code: int
    body: object = None


class _Line(BaseModel):
    custom_id: str
    response: _Response | None = None
    error: object = None


class OpenAIBatches:
    """A BatchClient for a node of the provider `openai`."""

    def __init__(self, node: Node, key: str) -> None:
        self._client = OpenAINode(node, key)
        self._node = node

    async def submit(self, requests: Mapping[str, Request], *, name: str, seconds: float) -> str:
        """Send requests; the id of the batch. NodeError where it may or may not have been taken says which."""
        content = "\n".join(json.dumps(self._line(key, request)) for key, request in requests.items()).encode()
        wait = timeouts(seconds)

        async def send() -> str:
            sdk = self._client.opened()
            file = await sdk.files.create(file=(f"{name}.jsonl", content), purpose="batch", timeout=wait)
            batch = await sdk.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={_NAME: name},
                timeout=wait,
            )
            return batch.id

        return await self._client.asked(send, seconds=seconds)

    async def find(self, name: str, *, seconds: float) -> str:
        """The id of the batch that carries our name."""

        async def look() -> str:
            page = await self._client.opened().batches.list(limit=_LISTED, timeout=timeouts(seconds))
            return next((each.id for each in page.data if (each.metadata or {}).get(_NAME) == name), "")

        return await self._client.asked(look, seconds=seconds)

    async def collect(self, provider_id: str, *, seconds: float) -> Mapping[str, Completion | NodeError] | None:
        """What became of each request; those of which the files of an ended batch say nothing are missing."""

        async def fetch() -> list[str] | None:
            sdk = self._client.opened()
            batch = await sdk.batches.retrieve(provider_id, timeout=timeouts(seconds))
            if batch.status not in _ENDED:
                return None
            files = [each for each in (batch.output_file_id, batch.error_file_id) if each]
            return [(await sdk.files.content(each, timeout=timeouts(seconds))).text for each in files]

        texts = await self._client.asked(fetch, seconds=seconds)
        return None if texts is None else dict(self._results("\n".join(texts)))

    async def close(self) -> None:
        """End connections."""
        await self._client.close()

    def _line(self, key: str, request: Request) -> dict[str, object]:
        body = {"model": self._node.model, "messages": self._client.messages(request)}
        body |= self._client.parameters(request)
        return {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}

    def _results(self, text: str) -> Iterator[tuple[str, Completion | NodeError]]:
        for each in text.splitlines():
            try:
                line = _Line.model_validate_json(each)
            except ValidationError:
                continue  # whose it is cannot be told: its reservation stays
            if line.response is not None and line.response.status_code == 200:
                try:
                    yield line.custom_id, self._client.read(json.dumps(line.response.body).encode())
                except NodeError as error:
                    yield line.custom_id, error
            else:
                yield line.custom_id, failed_in_batch(self._node, line.error or line.response)
