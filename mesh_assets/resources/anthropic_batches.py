"""Anthropic's batch endpoint: requests go up in one call, results are read within a day, at half the price."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from mesh_assets.errors import NodeError
from mesh_assets.mesh.protocol import Completion, Node, Request
from mesh_assets.resources.anthropic_node import AnthropicNode
from mesh_assets.resources.http_calls import failed_in_batch, timeouts

if TYPE_CHECKING:
    from anthropic.types.messages import MessageBatchIndividualResponse
    from anthropic.types.messages.batch_create_params import Request as BatchRequest


class AnthropicBatches:
    """A BatchClient for a node of the provider `anthropic`."""

    def __init__(self, node: Node, key: str) -> None:
        self._client = AnthropicNode(node, key)
        self._node = node

    async def submit(self, requests: Mapping[str, Request], *, name: str, seconds: float) -> str:
        """Send requests; the id of the batch."""
        body = [
            {"custom_id": key, "params": {**self._client.parameters(request), **self._client.beyond(request)}}
            for key, request in requests.items()
        ]

        async def send() -> str:
            batches = self._client.opened().messages.batches
            return (await batches.create(requests=cast("list[BatchRequest]", body), timeout=timeouts(seconds))).id

        return await self._client.asked(send, seconds=seconds)

    async def find(self, name: str, *, seconds: float) -> str:
        """Empty: this endpoint keeps no name of ours."""
        return ""

    async def collect(self, provider_id: str, *, seconds: float) -> Mapping[str, Completion | NodeError] | None:
        """What became of each request."""

        async def fetch() -> "list[MessageBatchIndividualResponse] | None":
            batches = self._client.opened().messages.batches
            batch = await batches.retrieve(provider_id, timeout=timeouts(seconds))
            if batch.processing_status != "ended":
                return None
            return [each async for each in await batches.results(provider_id, timeout=timeouts(seconds))]

        said = await self._client.asked(fetch, seconds=seconds)
        return None if said is None else {each.custom_id: self._result(each) for each in said}

    async def close(self) -> None:
        """End connections."""
        await self._client.close()

    def _result(self, said: "MessageBatchIndividualResponse") -> Completion | NodeError:
        if said.result.type != "succeeded":
            return failed_in_batch(self._node, said.result.to_dict())
        try:
            return self._client.read(json.dumps(said.result.message.to_dict(), default=str).encode())
        except NodeError as error:
            return error
