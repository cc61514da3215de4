"""Nodes that replay completions from a JSON-lines file, for tests and benchmarks without keys or money; and recording.

A line holds the hash of a request and the completion that was given to it.
"""

import json
import os
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from blake3 import blake3
from pydantic import BaseModel, ValidationError

from mesh_assets.errors import NodeError, SettingsError
from mesh_assets.mesh.protocol import Client, Completion, Finish, Node, Request, Usage

_REMEDY = "Record it with a node that answers, or give another file as `base_url` of the node."


class _Tokens(BaseModel):
    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0


class _Line(BaseModel):
    request: str
    text: str
    finish: Finish
    usage: _Tokens | None = None


def request_hash(model: str, request: Request) -> str:
    """32 hex digits of the model and the whole request."""
    said = json.dumps([model, asdict(request)], sort_keys=True, ensure_ascii=True, default=dict)
    return blake3(said.encode()).hexdigest(length=16)


class RecordedNode:
    """A Client that replays the file `node.base_url`; of two lines for one request the later one counts."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._path = Path(node.base_url).expanduser()

    async def complete(self, request: Request, *, seconds: float, attempt: str) -> Completion:
        """What was recorded; NodeError where nothing was, SettingsError where the file is none."""
        line = self._lines.get(request_hash(self._node.model, request))
        if line is None:
            raise NodeError(f"{self._path} holds no answer to this request.", remedy=_REMEDY, failure="refused")
        # Without the provider's name of the call, which was another one.
        return Completion(line.text, line.finish, Usage(**line.usage.model_dump()) if line.usage else None)

    async def check(self, *, seconds: float) -> str:
        """Empty where the file holds answers; SettingsError where it is none."""
        return "" if self._lines else f"{self._path} holds no answer"

    async def close(self) -> None:
        """Nothing is open."""

    @cached_property
    def _lines(self) -> dict[str, _Line]:
        try:
            texts = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{self._path} cannot be read: {error}.", remedy=_REMEDY) from error
        found: dict[str, _Line] = {}
        for number, text in enumerate(texts, 1):
            try:
                line = _Line.model_validate_json(text)
            except ValidationError as error:
                raise SettingsError(
                    f"Line {number} of {self._path} is no recorded completion: {error.errors()[0]['msg']}.",
                    remedy="Remove the line; each is an object with `request`, `text`, `finish` and `usage`.",
                ) from error
            found[line.request] = line
        return found


class RecordingNode:
    """A Client that asks `client` and appends what it says to the file `path`, for a RecordedNode of `model`."""

    def __init__(self, client: Client, model: str, path: Path) -> None:
        self._client = client
        self._model = model
        self._path = path

    async def complete(self, request: Request, *, seconds: float, attempt: str) -> Completion:
        """What the client says, once it is recorded."""
        completion = await self._client.complete(request, seconds=seconds, attempt=attempt)
        line = {"request": request_hash(self._model, request), "text": completion.text, "finish": completion.finish}
        line |= {"usage": asdict(completion.usage) if completion.usage else None}
        # One write to the end of the file, so that lines of several processes do not mix.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, (json.dumps(line) + "\n").encode())
        finally:
            os.close(descriptor)
        return completion

    async def check(self, *, seconds: float) -> str:
        """What the client says of itself."""
        return await self._client.check(seconds=seconds)

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()
