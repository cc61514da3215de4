"""One contract for all clients of nodes; then what each provider is sent, and reads, in its own way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mesh_assets.errors import ModelError, NodeError, SettingsError
from mesh_assets.mesh.prompts import ANSWER_SCHEMA
from mesh_assets.mesh.protocol import Client, Completion, Node, Request, Usage
from mesh_assets.resources.anthropic_node import AnthropicNode
from mesh_assets.resources.http_calls import retry_after
from mesh_assets.resources.local_node import ExtractiveNode, LocalNode
from mesh_assets.resources.nodes import connect_client
from mesh_assets.resources.openai_node import OpenAINode
from mesh_assets.resources.recorded_node import RecordedNode, RecordingNode
from mesh_assets_tests.mesh.loopback import GOOD, Fault, Loopback, loopback
from mesh_assets_tests.mesh.parts import node, question
from mesh_assets_tests.mesh.tiny_causal import make_tiny_causal

ASKED = question().request


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_causal(tmp_path_factory.mktemp("causal"))


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def complete(client: Client, request: Request = ASKED, *, seconds: float = 30.0, attempt: str = "try-1") -> Completion:
    async def run() -> Completion:
        try:
            return await client.complete(request, seconds=seconds, attempt=attempt)
        finally:
            await client.close()

    return asyncio.run(run())


def check(client: Client) -> str:
    async def run() -> str:
        try:
            return await client.check(seconds=5.0)
        finally:
            await client.close()

    return asyncio.run(run())


@pytest.fixture(params=["openai", "anthropic", "extractive", "local", "recorded", "recording"])
def client(request: pytest.FixtureRequest, server: Loopback, tmp_path: Path) -> Client:
    if request.param == "local":
        return connect_client(node("local", model=str(request.getfixturevalue("tiny"))))
    if request.param == "extractive":
        return connect_client(node("local", model="extractive"))
    if request.param in ("openai", "anthropic"):
        return connect_client(node(request.param, server))
    recording = RecordingNode(connect_client(node("openai", server)), "m", tmp_path / "said.jsonl")
    if request.param == "recording":
        return recording
    complete(recording, replace(ASKED, max_tokens=40))
    return connect_client(node("recorded", base_url=str(tmp_path / "said.jsonl")))


class TestEveryClient:
    def test_answers_the_same_to_the_same_request_and_counts_tokens(self, client: Client) -> None:
        asked = replace(ASKED, max_tokens=40)
        first = complete(client, asked)
        assert complete(client, asked).text == first.text
        assert first.finish in ("stop", "length")
        assert first.text
        assert first.usage is not None
        assert first.usage.input > 0
        assert first.usage.output > 0

    def test_says_whether_it_is_there(self, client: Client) -> None:
        assert check(client) == ""

    def test_can_be_cancelled(self, client: Client, server: Loopback) -> None:
        server.seconds = 20.0
        began = time.monotonic()

        async def run() -> None:
            task = asyncio.create_task(client.complete(replace(ASKED, max_tokens=40), seconds=30.0, attempt=""))
            await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):  # what had its answer at once is done
                await task
            await client.close()

        asyncio.run(run())
        assert time.monotonic() - began < 10


def test_openai_is_sent_what_it_knows_and_others_what_they_know(server: Loopback) -> None:
    complete(OpenAINode(node("openai", server), ""))
    complete(
        OpenAINode(node("openai", server, takes_schema=True), "key"), replace(ASKED, parameters={"temperature": 0.5})
    )
    plain, held = server.requests
    assert plain["max_tokens"] == 500
    assert "response_format" not in plain
    assert json.dumps(ANSWER_SCHEMA, sort_keys=True) in plain["messages"][0]["content"]
    assert held["response_format"]["json_schema"] == {"name": "answer", "schema": ANSWER_SCHEMA, "strict": True}
    assert "JSON schema" not in held["messages"][0]["content"]
    assert held["temperature"] == 0.5
    assert server.headers[1]["authorization"] == "Bearer key"


def test_a_schema_that_strict_mode_refuses_is_sent_without_it(server: Loopback) -> None:
    loose = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"]}
    complete(OpenAINode(node("openai", server, takes_schema=True), ""), replace(ASKED, schema=loose))
    assert server.requests[0]["response_format"]["json_schema"]["strict"] is False


def test_anthropic_is_sent_the_stable_part_first_and_told_to_keep_it(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "of something else")
    made = node("anthropic", server, takes_schema=True, has_prompt_cache=True)
    complete(AnthropicNode(made, "key"), replace(ASKED, parameters={"temperature": 0.2}))
    [sent] = server.requests
    first, last = sent["messages"][0]["content"]
    assert first == {"type": "text", "text": ASKED.stable, "cache_control": {"type": "ephemeral"}}
    assert last == {"type": "text", "text": ASKED.asked}
    assert sent["output_config"] == {"format": {"type": "json_schema", "schema": ANSWER_SCHEMA}}
    assert (sent["temperature"], sent["max_tokens"]) == (0.2, 500)
    # The node's own key, whatever else lies in the environment.
    assert server.headers[0].get("authorization", "Bearer key") == "Bearer key"
    assert "key" in (server.headers[0].get("x-api-key"), server.headers[0].get("authorization", "")[7:])


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}, Usage(100, 0, 0, 20, 0)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
                "completion_tokens_details": {"reasoning_tokens": 15},
            },
            Usage(30, 60, 10, 20, 15),
        ),
        # Reasoning that is only in the total is output all the same.
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 170,
                "completion_tokens_details": {"reasoning_tokens": 50},
            },
            Usage(100, 0, 0, 70, 50),
        ),
        ({"prompt_tokens": "many"}, None),
        ([], None),
        (None, Usage),
    ],
)
def test_tokens_are_counted_once(server: Loopback, usage: Any, read: Any) -> None:
    server.play(Fault("usage", usage=usage))
    found = complete(OpenAINode(node("openai", server), "")).usage
    assert found == read or (read is Usage and isinstance(found, Usage))


def test_a_deadline_holds_for_a_body_that_comes_drop_by_drop(server: Loopback) -> None:
    server.play(Fault("drip", seconds=20.0))
    began = time.monotonic()
    with pytest.raises(NodeError, match="within 1 s") as failed:
        complete(OpenAINode(node("openai", server), ""), seconds=0.6)
    assert failed.value.may_be_billed
    assert time.monotonic() - began < 5


def test_a_key_that_is_no_header_is_refused_before_anything_is_sent(server: Loopback) -> None:
    with pytest.raises(NodeError) as failed:
        complete(OpenAINode(node("openai", server), "two\nlines"))
    assert (failed.value.failure, failed.value.may_be_billed) == ("refused", False)
    assert server.requests == []


@pytest.mark.parametrize("url", ["nonsense", "http://[::1", "ftp://127.0.0.1/"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(NodeError) as failed:
        complete(OpenAINode(node("openai", base_url=url), ""))
    assert failed.value.failure == "refused"
    assert not failed.value.may_pass


def test_retry_after_is_read_in_each_of_its_forms() -> None:
    assert retry_after({"retry-after": "3600"}) == 3600
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after": "Sat, 28 Nov 2020 12:00:00 GMT"}) == 0
    assert retry_after({"retry-after": "-4"}) == 0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({"retry-after": "nan"}) is None
    assert retry_after({}) is None


def test_a_server_that_lists_other_models_says_so(server: Loopback) -> None:
    assert check(OpenAINode(node("openai", server, model="gone"), "")) == "it answers, but does not list the model gone"


def test_the_extractive_answerer_quotes_what_the_question_is_about() -> None:
    said = json.loads(complete(ExtractiveNode()).text)
    assert said["claims"] == [
        {
            "statement": "The database was locked by a report.",
            "citations": [{"label": "E1", "quote": "The database was locked by a report."}],
        }
    ]
    assert "Extracted, not composed" in said["answer"]
    nothing = json.loads(complete(ExtractiveNode(), replace(ASKED, asked="\nQuestion: Zebras?")).text)
    assert nothing["claims"] == []
    with pytest.raises(NodeError, match="form"):
        complete(ExtractiveNode(), replace(ASKED, schema={"type": "object", "required": ["steps"]}))


def test_a_local_model_stops_in_time_and_says_what_it_cannot(tiny: Path, tmp_path: Path) -> None:
    client = LocalNode(node("local", model=str(tiny)))
    with pytest.raises(NodeError, match="in time"):
        complete(client, seconds=0.0)
    with pytest.raises(NodeError, match="holds 1024 tokens"):
        complete(client, replace(ASKED, max_tokens=2000))
    with pytest.raises(NodeError, match="does not know seed"):
        complete(client, replace(ASKED, parameters={"seed": 1}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        complete(LocalNode(node("local", model=str(tmp_path))))


def test_a_local_model_without_a_chat_template_is_asked_in_plain_text(tmp_path: Path) -> None:
    made = make_tiny_causal(tmp_path, chat=False)
    assert complete(LocalNode(node("local", model=str(made))), replace(ASKED, max_tokens=5)).usage


def test_a_record_replays_what_was_said_and_nothing_else(server: Loopback, tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    said = complete(RecordingNode(OpenAINode(node("openai", server), ""), "m", path))
    replayed = RecordedNode(node("recorded", base_url=str(path)))
    assert complete(replayed) == replace(said, request_id="")
    assert json.loads(complete(replayed).text) == GOOD
    with pytest.raises(NodeError, match="holds no answer"):
        complete(replayed, replace(ASKED, asked="another"))
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(SettingsError, match="Line 2"):
        complete(RecordedNode(node("recorded", base_url=str(path))))


def test_the_nodes_of_each_provider_have_their_client() -> None:
    made: list[tuple[Node, type]] = [
        (node("openai"), OpenAINode),
        (node("anthropic"), AnthropicNode),
        (node("local", model="extractive"), ExtractiveNode),
        (node("local", model="/somewhere"), LocalNode),
        (node("recorded", base_url="x"), RecordedNode),
    ]
    for each, kind in made:
        assert isinstance(connect_client(each), kind)
