"""The pages of the HTTP server as a browser gets them: served by a thread of this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from mesh_assets.serving.app import build_app
from mesh_assets.settings import Settings

# What a drop may hold: it runs nothing, wherever it is shown.
EVIL = "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>"


@contextmanager
def served(settings: Settings, port: int) -> Generator[None]:
    """The server of a state folder on a port, while the block runs."""
    server = uvicorn.Server(uvicorn.Config(build_app(settings), port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    _wait_for(port)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(20)


def _wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server does not answer")
