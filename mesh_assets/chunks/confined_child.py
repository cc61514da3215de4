"""The process that reads formats whose parsers may crash or swell: one file after another, with limits.

It gets each file as an open descriptor, so that it needs no path, and answers with frames of parts. Before the first
file it gives up the network, and all files but those of the system (`walls`), where the kernel lets it. Started by
`confined`; nothing else imports this.
"""

from __future__ import annotations

import gc
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
from mesh_assets.chunks.protocol import LocalModels, Part, Source, one_by_one
from mesh_assets.chunks.registry import direct_chunker
from mesh_assets.chunks.streams import another
from mesh_assets.chunks.walls import raise_walls
from mesh_assets.errors import SourceError


def main() -> None:
    """Answer requests on the socket that is standard input until it is closed."""
    confined.is_child = True
    memory = int(sys.argv[1])
    _, hardest = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory if hardest == resource.RLIM_INFINITY else min(memory, hardest)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    raise_walls(sys.argv[2:])
    gc.freeze()  # modules live as long as the process: no collection need look through them
    with socket.socket(fileno=os.dup(0)) as parent:
        while True:
            request, descriptors, _, _ = socket.recv_fds(parent, 1 << 16, 1)
            if not request or not descriptors:
                return
            with os.fdopen(descriptors[0], "rb") as file:
                for frame in _answer(json.loads(request), file):
                    parent.sendall(frame)


def _answer(request: dict[str, Any], file: BinaryIO) -> Iterator[bytes]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    # The kernel ends the process at this; the parent then says so of the file.
    resource.setrlimit(
        resource.RLIMIT_CPU,
        (int(used.ru_utime + used.ru_stime) + request.pop("cpu_seconds"), resource.RLIM_INFINITY),
    )
    tokens = request.pop("chunk_tokens")
    models = LocalModels(*request.pop("models"))
    source = Source(**request, models=models, open=lambda: another(file.fileno()))
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
        yield from one_by_one(chunker.chunk(replace(source, room=room_of(source)), chunk_tokens=chunk_tokens))


if __name__ == "__main__":
    main()
