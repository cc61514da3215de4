"""A server that is not ours and speaks chat completions: `transformers serve`, with a tiny model that the test makes.

Its model talks nonsense, as a user's first server may do: each answer is used or cleanly rejected, and booked.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_assets.errors import NodeError
from mesh_assets.mesh.protocol import Limits
from mesh_assets_tests.mesh.parts import bench, node, question
from mesh_assets_tests.mesh.tiny_causal import make_tiny_causal


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URL and model name of the server."""
    model = make_tiny_causal(tmp_path_factory.mktemp("served"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    child = subprocess.Popen(command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}/health", child)
        yield f"http://127.0.0.1:{port}/v1", str(model)
    finally:
        child.terminate()
        child.wait(30)


def _wait(url: str, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail("the server did not start")


def test_each_answer_is_used_or_rejected_and_booked(served: tuple[str, str], tmp_path: Path) -> None:
    url, model = served
    asked = node("openai", base_url=url, model=model, limits=Limits(seconds=120))
    made = bench(tmp_path)
    request = question().request
    for tokens in (8, 40):
        called = made.ask(asked, replace(question(), request=replace(request, max_tokens=tokens)))
        assert called.rejected.startswith(("cut off", "no JSON", "wrong form", "empty"))
        [*_, receipt] = made.ledger.receipts()
        assert receipt.billed.usage is not None
        assert receipt.billed.usage.input > 100
        assert 0 < receipt.billed.usage.output <= tokens
        assert called.receipts == (receipt.id,)
    assert [kept.text for kept in made.log.rejects()]


def test_what_it_cannot_do_is_said(served: tuple[str, str], tmp_path: Path) -> None:
    url, _ = served
    with pytest.raises(NodeError):
        bench(tmp_path).ask(node("openai", base_url=url, model="/no/such/model", limits=Limits(seconds=60)))
