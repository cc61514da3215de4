"""The profile of a machine: what is there, a model server among other servers, and numbers that say why."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mesh_assets.health.derived import derived, findings
from mesh_assets.health.hardware import found_hardware, model_server
from mesh_assets.machine import slice_bytes
from mesh_assets.settings import Settings

MODELS = b'{"object": "list", "data": [{"id": "llama-3.3-70b"}, {"id": "qwen"}]}'


@contextmanager
def serving(body: bytes, status: int = 200) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def test_a_model_server_is_found_and_named(tmp_path: Path) -> None:
    with serving(MODELS) as port:
        found = found_hardware([("MESH_STATE", tmp_path / "not" / "there")], [port])
    assert found.servers[0].models == ("llama-3.3-70b", "qwen")
    assert found.threads >= 1
    assert "all-MiniLM-L6-v2" in found.models
    assert list(tmp_path.iterdir()) == [], "a look leaves nothing behind"
    disk = found.disks[0]
    assert disk.write_speed is None or disk.write_speed > 0


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"data": 3}', b'{"data": [7]}', b'{"data": [{}]}', b"\xff" * 99])
def test_another_server_is_no_model_server(body: bytes) -> None:
    with serving(body) as port:
        assert model_server(port) is None
    with serving(MODELS, 404) as port:
        assert model_server(port) is None
    assert model_server(port) is None, "nobody listens any more"


def test_each_number_says_why_and_can_be_set(tmp_path: Path) -> None:
    usual = {number.name: number for number in derived(Settings(state=tmp_path))}
    by_hand = {
        number.name: number
        for number in derived(Settings(state=tmp_path, slice_mib=7, threads=3, cores=1, memory_gib=4))
    }
    assert all(number.why for number in usual.values())
    assert by_hand["size of a slice"].value == "7.34 MB"
    assert by_hand["size of a slice"].why == "set by hand"
    assert (by_hand["slices side by side"].value, by_hand["threads of a run's models"].value) == ("1", "3")
    assert slice_bytes(Settings(state=tmp_path)) in (64 << 20, 512 << 20)
    lines = list(findings(found_hardware([], []), list(usual.values())))
    assert {line.level for line in lines} == {"ok"}
