"""Asks the child that reads source code (`code_child`) about file after file; where it dies, the next goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mesh_assets.chunks.walls import open_environment

# Of data: a syntax tree takes some hundred times its text.
MEMORY_BYTES = 2 << 30
# A longer file was made by a program, and CPU seconds for one file.
MAX_CHARACTERS, CPU_SECONDS = 2_000_000, 30
PYTHON = (".py", ".pyi", ".pyw")
TOOLS = ("bandit", "lizard", "vulture")


@dataclass(frozen=True, slots=True)
class FileReport:
    """What the tools say of one file, lines counted from 1.

    `functions` are name, first and last line, cyclomatic complexity and lines of code; `risks` are bandit's test, line,
    severity, confidence and words; `mistakes` as `code_mistakes.Mistake`; `defined` are name, type, first and last
    line; `unreachable` are first and last line and why; `imports` are module, level and names;
    `inheriting` are first and last line of classes with a base class; `depths` and `handed` (lines, each alone) are
    as `code_flows` tells them.
    """

    functions: list[tuple[str, int, int, int, int]] = field(default_factory=list[tuple[str, int, int, int, int]])
    risks: list[tuple[str, int, str, str, str]] = field(default_factory=list[tuple[str, int, str, str, str]])
    mistakes: list[tuple[str, str, int, int]] = field(default_factory=list[tuple[str, str, int, int]])
    defined: list[tuple[str, str, int, int]] = field(default_factory=list[tuple[str, str, int, int]])
    unreachable: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])
    imports: list[tuple[str, int, list[str]]] = field(default_factory=list[tuple[str, int, list[str]]])
    inheriting: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    depths: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    handed: list[tuple[int]] = field(default_factory=list[tuple[int]])
    failed: list[str] = field(default_factory=list[str])


class CodeTools:
    """The child, started when the first file needs it. `missing` are tools that are not installed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.missing: tuple[str, ...] = ()

    def read(self, path: str, text: str) -> FileReport | None:
        """What the tools say; None where they broke on the file, took too long, or it is too long."""
        if len(text) > MAX_CHARACTERS:
            return None
        process = self._started()
        request = {"path": path, "text": text, "seconds": CPU_SECONDS}
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answer = self._line(process)
        except BrokenPipeError:
            answer = b""
        if not answer:
            self.close()
            return None
        found: dict[str, Any] = json.loads(answer)
        failed: list[str] = found.pop("failed")
        return FileReport(failed=failed, **{name: [tuple(each) for each in rows] for name, rows in found.items()})

    def close(self) -> None:
        """End the child now."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            environment = open_environment()
            environment["PYTHONHASHSEED"] = "0"
            command = [sys.executable, "-P", "-m", "mesh_assets.insights.code_child", str(MEMORY_BYTES)]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )
            there = json.loads(self._line(self._process) or b"[]")
            self.missing = tuple(name for name in TOOLS if name not in there)
        return self._process

    @staticmethod
    def _line(process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None
        return process.stdout.readline()


@contextmanager
def code_tools() -> Generator[CodeTools]:
    """The tools for the files of a slice; nothing of them outlives it."""
    tools = CodeTools()
    try:
        yield tools
    finally:
        tools.close()
