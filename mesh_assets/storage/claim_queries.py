"""Runs queries that a model wrote, in a child process (`claim_child`): what they do to DuckDB, they do to it alone.

The child is given the files of the datasets that a case may see and opens no other. One child answers for as long as
the datasets stay the same; where a query ends it, by time or by memory, the next one gets a new child.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from mesh_assets.analyses.checkable import QUERIED
from mesh_assets.chunks.walls import open_environment
from mesh_assets.mesh.trials import Ran
from mesh_assets.schemas import ATTACHED, TABLES
from mesh_assets.storage.lake import Lake

# Of data, as the kernel counts it; and what one query may take, with its two controls.
MEMORY_BYTES, CPU_SECONDS, SECONDS = 1 << 30, 10, 60.0
# After so many that took too much, a node that writes such queries has no other one run.
MAX_ENDED = 3
# A claim is about a handful of rows; more are not looked at.
MAX_ROWS = 100


class ClaimQueries:
    """Queries over the lake of one state folder. Close it: it has a process."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._datasets: frozenset[str] = frozenset()
        self._ended = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def run(self, sql: str, datasets: Collection[str]) -> Ran:
        """What `sql` gives of the tables of these datasets; `lack` says why where it gives nothing."""
        if "\0" in sql or not sql.strip():
            return Ran(sql, lack="it is no text of a query.")
        if self._ended >= MAX_ENDED:
            return Ran(sql, lack=f"{self._ended} queries before it took too much time or memory.")
        process = self._started(frozenset(datasets))
        if process is None:
            return Ran(sql, lack="there are no tables of the dataset yet.")
        answer, why = self._asked(process, {"sql": sql, "limit": MAX_ROWS, "seconds": CPU_SECONDS})
        if answer is None:
            self._ended += 1
            self.close()
            return Ran(sql, lack=why)
        return Ran(sql, **answer)

    def close(self) -> None:
        """End the child now; the next query starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def tables(self, datasets: Collection[str]) -> dict[str, list[Path]]:
        """The files of each table that a query may read, by its name; a table without files is left out."""
        keys = [key for dataset in sorted(datasets) for key in sorted(self._lake.slices(dataset))]
        found: dict[str, list[Path]] = {}
        for asset in QUERIED:
            paths = [path for key in keys if (path := self._lake.path(asset, key)).exists()]
            if paths:
                found[(TABLES | ATTACHED)[asset].name] = paths
        return found

    def _started(self, datasets: frozenset[str]) -> subprocess.Popen[bytes] | None:
        if self._process is not None and self._datasets == datasets:
            return self._process
        self.close()
        tables = self.tables(datasets)
        if not tables:
            return None
        environment = open_environment()
        self._folder = tempfile.TemporaryDirectory(prefix="mesh-")
        environment["TMPDIR"] = self._folder.name
        self._datasets = datasets
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mesh_assets.storage.claim_child", str(MEMORY_BYTES), str(self._lake.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment,
        )
        with suppress(BrokenPipeError):
            root = self._lake.root
            self._told(self._process, {k: [str(p.relative_to(root)) for p in paths] for k, paths in tables.items()})
        return self._process

    def _asked(self, process: subprocess.Popen[bytes], request: dict[str, object]) -> tuple[dict[str, Any] | None, str]:
        """The answer of the child, else how it ended, as a sentence."""
        line = b""
        with suppress(BrokenPipeError):
            self._told(process, request)
            line = self._line(process)
        if line.endswith(b"\n"):
            return json.loads(line), ""
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        if process.returncode is None or process.returncode == -signal.SIGXCPU:
            return None, "it takes too much time."
        return None, "it takes too much memory, or breaks DuckDB."

    @staticmethod
    def _told(process: subprocess.Popen[bytes], message: object) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()

    @staticmethod
    def _line(process: subprocess.Popen[bytes]) -> bytes:
        """The next line, or what there is of it when the time is over or the child is gone."""
        assert process.stdout is not None
        descriptor, until = process.stdout.fileno(), time.monotonic() + SECONDS
        blocks: list[bytes] = []
        while not blocks or not blocks[-1].endswith(b"\n"):
            if not select.select([descriptor], [], [], max(until - time.monotonic(), 0.0))[0]:
                break
            block = os.read(descriptor, 1 << 20)
            if not block:
                break
            blocks.append(block)
        return b"".join(blocks)
