"""Readers of dangerous formats run in a child process: what a file does to its parser, it does not do to the mesh.

One child for the files of a slice, with limits of memory, of time for each file and of what may come out of it. When it
dies, that is a reject of the file that it was reading, and the next file gets a new child. What the child does belongs
to `confined_child`, which formats are read there to `registry`.
"""

from __future__ import annotations

import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from mesh_assets.chunks.frames import LENGTH_BYTES, MAX_FRAME, parts_of
from mesh_assets.chunks.media.words import model_folders
from mesh_assets.chunks.members import MAX_RATIO, ROOM_FLOOR
from mesh_assets.chunks.protocol import Attached, LocalModels, Part, Piece, Source
from mesh_assets.chunks.walls import open_environment
from mesh_assets.errors import FormatError, SourceChangedError
from mesh_assets.schemas.rejects import printable

# Of data, as the kernel counts it: pages that a library reserves and never touches count as well.
MEMORY_BYTES = 2 << 30
# CPU seconds for one file: a minute, and as long again for each so many bytes (slow readers do 1 MB in a second).
CPU_SECONDS = 60
BYTES_PER_CPU_SECOND = 200_000
# With models more: what their weights take, and time for speech of which 2 kB are a second that takes two to be heard.
MODEL_BYTES = 6 << 30
MODEL_BYTES_PER_CPU_SECOND = 1_000
# Without a word from the child for so long, while it may run, it hangs.
SILENT_SECONDS = 900.0
CHILD = ("-m", "mesh_assets.chunks.confined_child")
# Set in the child: there, nothing is handed on to another.
is_child = False


@dataclass(frozen=True, slots=True)
class ConfinedChunker:
    """Lets the child cut what `registry.direct_chunker` gives for the kind and format of a source."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        """As the chunker in the child. FormatError where it refuses the file, dies of it, or passes a limit."""
        with source.open() as stream, _descriptor(stream) as file:
            before = os.fstat(file.fileno())
            yield from _children.read(source, file, chunk_tokens)
            if _identity(os.fstat(file.fileno())) != _identity(before):
                raise SourceChangedError(
                    "changed while read",
                    f"{printable(source.path)} was written to while it was read.",
                    remedy="Nothing to do: the next walk of the drop area takes it as it is then.",
                )


def close_reader() -> None:
    """End the child, if there is one: at the end of a slice, so that nothing outlives it."""
    _children.close()


def _descriptor(stream: BinaryIO) -> BinaryIO:
    """The stream itself where it is a file, else a file in memory with the same content (at most some MiB)."""
    try:
        stream.fileno()
    except (OSError, io.UnsupportedOperation):
        file = os.fdopen(os.memfd_create("source"), "w+b")
        file.write(stream.read())
        file.flush()
        return file
    return stream


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino


@dataclass(slots=True)
class _Children:
    """The child of this process, started when the first file needs it."""

    process: subprocess.Popen[bytes] | None = None
    line: socket.socket | None = None
    folder: tempfile.TemporaryDirectory[str] | None = None
    is_asked: bool = False
    models: LocalModels = field(default_factory=LocalModels)

    def read(self, source: Source, file: BinaryIO, chunk_tokens: int) -> Iterator[Part]:
        """What the child makes of `file`. One that dies of the files before it gets another try."""
        was_fresh = self._start(source.models)
        given = False
        try:
            for part in self._answers(source, file, chunk_tokens):
                given = True
                yield part
        except _DiedError as died:
            self.close()
            if given or was_fresh:
                raise _in_words(source, died) from died
            yield from self.read(source, file, chunk_tokens)
        finally:
            if self.is_asked:
                self.close()  # it still has answers to give that nobody waits for

    def close(self) -> None:
        """End the child now."""
        process, line, folder = self.process, self.line, self.folder
        self.process = self.line = self.folder = None
        self.is_asked = False
        if line is not None:
            line.close()
        if process is not None:
            process.kill()
            process.wait()
        if folder is not None:
            folder.cleanup()

    def _start(self, models: LocalModels) -> bool:
        """Make sure that there is a child that may read `models`; whether it has read nothing yet."""
        if self.process is not None and self.process.poll() is None and self.models == models:
            return False
        self.close()
        self.models = models
        memory = _memory(models)
        ours, theirs = socket.socketpair()
        folders = [str(folder) for name in models.named for folder in model_folders(name)]
        command = [sys.executable, "-P", *CHILD, str(memory), *folders]
        environment = open_environment()
        self.folder = tempfile.TemporaryDirectory(prefix="mesh-reader-")
        environment["TMPDIR"] = self.folder.name
        with theirs:
            self.process = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True, env=environment)
        self.line = ours
        return True

    def _answers(self, source: Source, file: BinaryIO, chunk_tokens: int) -> Iterator[Part]:
        assert self.line is not None
        size = source.stop - source.start
        request = {
            name: getattr(source, name)
            for name in (
                *("dataset", "path", "kind", "format", "encoding", "language"),
                *("start", "stop", "content_hash", "mtime_ns"),
            )
        }
        speed = MODEL_BYTES_PER_CPU_SECOND if source.models.named else BYTES_PER_CPU_SECOND
        request |= {"chunk_tokens": chunk_tokens, "cpu_seconds": CPU_SECONDS + size // speed}
        request["models"] = [source.models.speech, source.models.caption]
        self.is_asked = True
        try:
            socket.send_fds(self.line, [json.dumps(request).encode()], [file.fileno()])
        except OSError as error:
            raise _DiedError(self._end()) from error
        room = max(ROOM_FLOOR, MAX_RATIO * size)
        while (frame := self._frame()) is not None:
            if frame[:1] != b"[":
                self.is_asked = False
                _check_end(source, json.loads(frame))
                return
            for part in parts_of(frame, source):
                room -= _size(part)
                yield part
            if room < 0:
                raise FormatError(
                    "reads as too much",
                    f"{printable(source.path)} came out as more than {MAX_RATIO} times its own size.",
                    remedy="Nothing of it is lost: unpack or convert it yourself, and drop the result.",
                )

    def _frame(self) -> bytes | None:
        length = int.from_bytes(self._received(LENGTH_BYTES), "little")
        if length > MAX_FRAME:
            raise _DiedError("it answered with too much at once")
        return self._received(length)

    def _received(self, size: int) -> bytes:
        assert self.line is not None
        blocks: list[bytes] = []
        while size:
            if not select.select([self.line], [], [], SILENT_SECONDS)[0]:
                raise _DiedError(f"nothing came of it for {SILENT_SECONDS / 60:.0f} minutes")
            try:
                block = self.line.recv(min(size, 1 << 20))
            except OSError:
                block = b""
            if not block:
                raise _DiedError(self._end())
            blocks.append(block)
            size -= len(block)
        return b"".join(blocks)

    def _end(self) -> str:
        """How the child ended."""
        assert self.process is not None
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        code = self.process.returncode
        if code == -signal.SIGXCPU:
            return "it took too much time"
        if code is not None and code < 0:
            return f"its reader was ended by {signal.Signals(-code).name}"
        return f"its reader ended with {code}"


class _DiedError(Exception):
    """The child is gone, or must go; the text says how."""


def _in_words(source: Source, died: _DiedError) -> FormatError:
    return FormatError(
        f"its reader broke on this {source.format}",
        f"{printable(source.path)} cannot be read: {died}.",
        remedy="Open it with the program that it is of and save it anew, or leave it out; the rest goes on.",
    )


def _check_end(source: Source, message: object) -> None:
    if message == "done":
        return
    shown = printable(source.path)
    if isinstance(message, dict):
        said: dict[str, str] = message  # pyright: ignore[reportUnknownVariableType]
        raise FormatError(
            str(said.get("reason")),
            str(said.get("message")),
            remedy=str(said.get("remedy", "Open it with the program that it is of and save it anew, or leave it out.")),
        )
    raise FormatError(
        "needs too much memory",
        f"Reading {shown} takes more than {_memory(source.models) >> 30} GiB of memory.",
        remedy="Split it or convert it to a format that is read part by part, and drop the result.",
    )


def _memory(models: LocalModels) -> int:
    return MEMORY_BYTES + (MODEL_BYTES if models.named else 0)


def _size(part: Part) -> int:
    if isinstance(part, Piece):
        return len(part.text) + len(part.context)
    return len(repr(part.row)) if isinstance(part, Attached) else 100


_children = _Children()
