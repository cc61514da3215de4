"""A server on loopback that speaks OpenAI's chat completions and Anthropic's messages, and plays faults by a script.

It counts what it bills by its own count, which is what a provider's invoice would say. Faults are taken from the script
in order, one a request; then all requests are answered well.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Kind = Literal[
    "status",  # an error with a body, as providers send them: nothing was done
    "gateway",  # a proxy's page: what stands behind it did the work, and bills it
    "slow",  # answers after `seconds`
    "drip",  # the body comes byte by byte for `seconds`
    "cut body",  # the connection ends within the body
    "half a body",  # the body is half of the JSON
    "cut answer",  # the model ran into its limit of tokens
    "text",  # the model said `text`
    "refusal",
    "tool call",  # the model calls a tool that nobody gave it, with `text` as its arguments
    "usage",  # the usage is `usage`
    "duplicate",  # the answer to the request before, again; nothing is done
    "redirect",
]
GOOD = {"answer": "The database was locked.", "claims": [], "confidence": 0.8}


@dataclass(frozen=True)
class Fault:
    kind: Kind
    status: int = 500
    retry_after: str | None = None
    seconds: float = 0.0
    text: str = ""
    usage: Any = None
    message: str = "scripted"


@dataclass(frozen=True)
class Bill:
    """One billed call, by the server's count."""

    id: str
    input: int
    output: int


@dataclass
class Loopback:
    """`url` is where it listens. `answer` makes the text of an answer from the prompt."""

    script: deque[Fault] = field(default_factory=deque)
    answer: Callable[[str], str] = lambda prompt: json.dumps(GOOD)
    seconds: float = 0.0
    billed: list[Bill] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    # Of each POST its path and its body, batches too.
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    most_at_once: int = 0
    port: int = 0
    # Batches by their id: the requests in them, by custom id; they are done once `is_ready`.
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    is_ready: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _at_once: int = 0
    _last: bytes = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_idle(self) -> None:
        """Until what is under way, also for those who are gone, is done and billed."""
        time.sleep(0.1)
        while self._at_once:
            time.sleep(0.02)

    def play(self, *faults: Fault) -> None:
        self.script.extend(faults)

    def next_fault(self, body: dict[str, Any], headers: dict[str, str]) -> Fault | None:
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            return self.script.popleft() if self.script else None

    def bill(self, prompt: str, text: str) -> Bill:
        bill = Bill(f"call-{uuid.uuid4().hex[:12]}", len(prompt) // 4 + 1, len(text) // 4 + 1)
        with self._lock:
            self.billed.append(bill)
        return bill


def _prompt(body: dict[str, Any]) -> str:
    system = body.get("system", "")
    said = [system if isinstance(system, str) else json.dumps(system)]
    for message in body["messages"]:
        content = message["content"]
        said.append(content if isinstance(content, str) else "\n".join(block["text"] for block in content))
    return "\n".join(said)


def _chat(bill: Bill, text: str, finish: str, usage: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if finish == "refusal":
        message, finish = {"role": "assistant", "content": None, "refusal": text}, "stop"
    if finish == "tool_calls":
        call = {"id": "t", "type": "function", "function": {"name": "write_file", "arguments": text}}
        message["tool_calls"] = [call]
    said = {
        "id": bill.id,
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    counted = {"prompt_tokens": bill.input, "completion_tokens": bill.output, "total_tokens": bill.input + bill.output}
    given = counted if usage is None else usage
    return said | ({} if given == "missing" else {"usage": given})


def _message(bill: Bill, text: str, finish: str, usage: Any) -> dict[str, Any]:
    reason = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}.get(finish, finish)
    said: dict[str, Any] = {
        "id": bill.id,
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}],
        "stop_reason": reason,
        "stop_sequence": None,
    }
    if finish == "tool_calls":
        said["content"] = [{"type": "tool_use", "id": "t", "name": "write_file", "input": {"arguments": text}}]
    if isinstance(usage, dict):
        usage = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
    given = {"input_tokens": bill.input, "output_tokens": bill.output} if usage is None else usage
    return said | ({} if given == "missing" else {"usage": given})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        state, path = self.server.state, self.path.partition("?")[0]
        name = path.rsplit("/", 1)[-1]
        if path.endswith("/models"):
            self._send(200, {"data": [{"id": "m"}], "object": "list"})
        elif path.endswith("/content"):
            self._write(200, state.files[path.split("/")[-2]].encode())
        elif path.endswith("/results"):
            self._write(200, state.files[path.split("/")[-2]].encode(), {"content-type": "application/x-jsonl"})
        elif path == "/v1/batches":
            self._send(200, {"object": "list", "data": list(state.batches.values()), "has_more": False})
        else:
            self._send(200, self._batch(state, name, is_chat="/messages/" not in path))

    def _batch(self, state: Loopback, name: str, *, is_chat: bool) -> dict[str, Any]:
        """A batch, worked on once it is ready."""
        batch = state.batches[name]
        if state.is_ready and batch["asked"]:
            lines = [self._result(state, each, is_chat=is_chat) for each in batch["asked"]]
            batch["asked"] = []
            state.files[name] = "\n".join(json.dumps(line) for line in lines if line)
            batch |= {"status": "completed", "processing_status": "ended", "output_file_id": name}
            batch["results_url"] = f"{state.url}/v1/messages/batches/{name}/results"
        return batch

    def _result(self, state: Loopback, asked: dict[str, Any], *, is_chat: bool) -> dict[str, Any] | None:
        fault = state.script.popleft() if state.script else None
        if fault and fault.kind == "gateway":
            return None  # the provider never says what became of it
        key, body = asked["custom_id"], asked["body" if is_chat else "params"]
        if fault and fault.kind == "status":
            if is_chat:
                return {"custom_id": key, "response": None, "error": {"code": "batch_expired", "message": "late"}}
            return {"custom_id": key, "result": {"type": "expired"}}
        prompt = _prompt(body)
        text = fault.text if fault else state.answer(prompt)
        bill = state.bill(prompt, text)
        if is_chat:
            said = _chat(bill, text, "stop", None)
            return {"custom_id": key, "response": {"status_code": 200, "body": said}, "error": None}
        return {"custom_id": key, "result": {"type": "succeeded", "message": _message(bill, text, "stop", None)}}

    def _begin(self, content: bytes) -> None:
        """An upload or a new batch."""
        state, name = self.server.state, uuid.uuid4().hex
        kinds = ("status", "cut body") if self.path.endswith("/batches") else ("status",)
        fault = state.script.popleft() if state.script and state.script[0].kind in kinds else None
        if fault and fault.kind == "status":
            self._send(fault.status, {"error": {"message": fault.message}})
            return
        if self.path.endswith("/files"):
            lines = [line for line in content.decode().splitlines() if line.startswith('{"custom_id"')]
            state.files[name] = "\n".join(lines)
            self._send(200, {"id": name, "object": "file"})
            return
        body = json.loads(content)
        batch = {"id": name, "status": "in_progress", "processing_status": "in_progress"}
        batch |= {"type": "message_batch", "metadata": body.get("metadata")}
        asked = body.get("requests") or [json.loads(e) for e in state.files[body["input_file_id"]].splitlines()]
        state.batches[name] = batch | {"asked": asked}
        if fault:  # it is taken, but who sent it never learns that
            self._head(200, 100)
            self.close_connection = True
        else:
            self._send(200, batch)

    def do_POST(self) -> None:
        state = self.server.state
        content = self.rfile.read(int(self.headers["Content-Length"]))
        with state._lock:
            state.bodies.append((self.path, content))
        if self.path.endswith(("/files", "/batches")):
            self._begin(content)
            return
        body = json.loads(content)
        fault = state.next_fault(body, {name.lower(): value for name, value in self.headers.items()})
        with state._lock:
            state._at_once += 1
            state.most_at_once = max(state.most_at_once, state._at_once)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked is gone
                time.sleep(state.seconds)
                self._answer(state, body, fault)
        finally:
            with state._lock:
                state._at_once -= 1

    def _answer(self, state: Loopback, body: dict[str, Any], fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if fault and kind == "status":
            headers = {"retry-after": fault.retry_after} if fault.retry_after is not None else {}
            error = {"type": "error", "error": {"type": "scripted_error", "message": fault.message}}
            self._send(fault.status, error, headers)
        elif fault and kind == "redirect":
            self._send(307, {}, {"location": fault.text})
        elif kind == "duplicate":
            self._write(200, state._last)
        else:
            self._work(state, body, fault)

    def _work(self, state: Loopback, body: dict[str, Any], fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        prompt = _prompt(body)
        text = fault.text if fault and kind in ("text", "refusal", "tool call") else state.answer(prompt)
        finish = {"cut answer": "length", "refusal": "refusal", "tool call": "tool_calls"}.get(kind, "stop")
        if kind == "cut answer":
            text = text[: len(text) // 2]
        bill = state.bill(prompt, text)
        form = _chat if self.path.endswith("/chat/completions") else _message
        content = json.dumps(form(bill, text, finish, fault.usage if fault else None)).encode()
        if kind != "duplicate":
            state._last = content
        if fault and kind == "gateway":
            self._write(502, b"<html>Bad Gateway</html>", {"content-type": "text/html"})
        elif fault and kind == "cut body":
            self._head(200, len(content))
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        elif kind == "half a body":
            self._write(200, content[: len(content) // 2])
        elif fault and kind == "drip":
            self._head(200, len(content))
            for byte in content:
                self.wfile.write(bytes([byte]))
                time.sleep(fault.seconds / len(content))
        else:
            time.sleep(fault.seconds if fault else 0.0)
            self._write(200, content)

    def _send(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        self._write(status, json.dumps(value).encode(), headers)

    def _write(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(content), headers)
        self.wfile.write(content)

    def _head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (
            {"content-type": "application/json", "content-length": str(length)} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, state: Loopback) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def loopback(script: Iterable[Fault] = ()) -> Generator[Loopback]:
    """A running server with a script, until the block ends."""
    state = Loopback(deque(script))
    server = _Server(state)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
