"""The process that reads formats whose parsers may crash or swell: one file after another, with limits.

It gets each file as an open descriptor, so that it needs no path, and answers with frames of parts. Before the first
file it gives up the network where the kernel lets it. Started by `confined`; nothing else imports this.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from mesh_assets.chunks import confined
from mesh_assets.chunks.frames import frames, pack
from mesh_assets.chunks.members import room_of
from mesh_assets.chunks.protocol import Part, Source
from mesh_assets.chunks.registry import direct_chunker
from mesh_assets.errors import SourceError

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def main() -> None:
    """Answer requests on the socket that is standard input until it is closed."""
    confined.is_child = True
    memory = int(sys.argv[1])
    _, hardest = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory if hardest == resource.RLIM_INFINITY else min(memory, hardest)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _leave_network()
    with socket.socket(fileno=os.dup(0)) as parent:
        while True:
            request, descriptors, _, _ = socket.recv_fds(parent, 1 << 16, 1)
            if not request or not descriptors:
                return
            with os.fdopen(descriptors[0], "rb") as file:
                for frame in _answer(json.loads(request), file):
                    parent.sendall(frame)


def _leave_network() -> None:
    """Into a network of its own, without any interface. Not every kernel or container allows that: then it stays."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _answer(request: dict[str, Any], file: BinaryIO) -> Iterator[bytes]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    # The kernel ends the process at this; the parent then says so of the file.
    resource.setrlimit(
        resource.RLIMIT_CPU,
        (int(used.ru_utime + used.ru_stime) + request.pop("cpu_seconds"), resource.RLIM_INFINITY),
    )
    tokens = request.pop("chunk_tokens")
    source = Source(**request, open=lambda: _again(file))
    try:
        yield from frames(_parts(source, tokens))
        yield pack("done")
    except SourceError as error:
        yield pack({"reason": error.reason, "message": error.message, "remedy": error.remedy})
    except MemoryError:
        yield pack("memory")
    except Exception as error:  # noqa: BLE001  # whatever a library does with a broken file is the file's fault
        yield pack({"reason": f"broken {source.format}", "message": f"{type(error).__name__}: {error}"[:500]})


def _parts(source: Source, chunk_tokens: int) -> Iterator[Part]:
    chunker = direct_chunker(source.kind, source.format)
    if chunker is not None:
        yield from chunker.chunk(replace(source, room=room_of(source)), chunk_tokens=chunk_tokens)


def _again(file: BinaryIO) -> BinaryIO:
    """The same open file once more, from its start and with a position of its own."""
    return open(f"/proc/self/fd/{file.fileno()}", "rb")  # noqa: PTH123  # no path of anybody's


if __name__ == "__main__":
    main()
