"""Formats with dangerous readers are read in a child: what a file does to it is a reject, and the next one goes on."""

from __future__ import annotations

import io
import json
import os
import socket
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from mesh_assets.chunks import confined
from mesh_assets.chunks.code import GuardedChunker
from mesh_assets.chunks.confined import ConfinedChunker, close_reader
from mesh_assets.chunks.frames import frames, parts_of
from mesh_assets.chunks.protocol import Attached, Part, Piece, Source
from mesh_assets.errors import FormatError, SourceChangedError
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.sources import source

# What the child of these tests does with a file; its first word says which.
_HOSTILE = """
import os, resource, signal, socket, sys, time
from mesh_assets.chunks import confined_child, registry
from mesh_assets.chunks.protocol import Piece
from mesh_assets.errors import SourceError

class Hostile:
    def chunk(self, source, *, chunk_tokens):
        with source.open() as stream:
            word = stream.read().decode()
        if word == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if word == "late crash":
            yield Piece("x" * 200_000, 0, 200_000, 1, 1, 1)
            os._exit(3)
        if word == "swell":
            held = bytearray(8 << 30)
        if word == "loop":
            resource.setrlimit(resource.RLIMIT_CPU, (1, resource.RLIM_INFINITY))
            while True:
                pass
        if word == "flood":
            for n in range(1000):
                yield Piece("x" * 1_000_000, n, n + 1, 1, 1, 1)
        if word == "odd":
            raise ZeroDivisionError("of a library")
        if word == "refuse":
            raise SourceError("encrypted", "It has a password.", remedy="Remove it.")
        if word == "net":
            try:
                socket.create_connection(("127.0.0.1", int(os.environ["TEST_PORT"])), 2)
                word = "reached"
            except OSError as error:
                word = "unreachable"
        if word == "files":
            tried = {"home": os.environ["TEST_FOLDER"] + "/secret.txt", "temporary": os.environ["TMPDIR"] + "/mine"}
            word = ""
            for name, path in tried.items():
                for mode in ("a", "r"):
                    try:
                        open(path, mode).close()
                        word += f"{name} {mode}, "
                    except OSError:
                        pass
        if word == "env":
            word = " ".join(sorted(os.environ))
        yield Piece(word, 0, len(word), 1, 1, 1)

registry._CONFINED["text"] = registry._CONFINED["code"] = {"hostile": Hostile()}
confined_child.main()
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The next child is one with a chunker that does what its file says."""
    script = tmp_path / "child.py"
    script.write_text(_HOSTILE)
    monkeypatch.setattr(confined, "CHILD", (str(script),))
    close_reader()
    yield
    close_reader()


def hostile(word: str) -> list[Part]:
    return list(ConfinedChunker().chunk(source(word, "text", "hostile"), chunk_tokens=64))


@pytest.mark.usefixtures("child")
@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("crash", "its reader broke on this hostile"),
        ("late crash", "its reader broke on this hostile"),
        ("swell", "needs too much memory"),
        ("loop", "its reader broke on this hostile"),
        ("flood", "reads as too much"),
        ("odd", "broken hostile"),
        ("refuse", "encrypted"),
    ],
)
def test_a_file_that_breaks_its_reader_is_refused_and_the_next_one_is_read(word: str, reason: str) -> None:
    assert hostile("fine") == [Piece("fine", 0, 4, 1, 1, 1)]
    with pytest.raises(FormatError) as refused:
        hostile(word)
    assert refused.value.reason == reason
    assert refused.value.remedy
    assert hostile("fine") == [Piece("fine", 0, 4, 1, 1, 1)]


_ELSEWHERE = {"path": "b.zip!/x", "kind": "text", "format": "plain", "encoding": None, "language": None}


@pytest.mark.parametrize(
    "answer",
    [
        *(b"nonsense", b"[1]", b"[[]]", b"\xff", b"[" * 100_000, b'[["evil", 1]]', b'[["piece", ["text"]]]'),
        b'[["piece", [3, 0, 1, 1, 1, 1, "", null, null, null, null, null, null]]]',
        json.dumps([["source", _ELSEWHERE | {"start": 0, "stop": 1}]]).encode(),
        b'[["reject", {"path": "x"}]]',
        b'[["attached", ["symbols"]]]',
    ],
    ids=range(11),
)
def test_answers_that_make_no_sense_are_a_reject(answer: bytes) -> None:
    with pytest.raises(FormatError, match="makes no sense"):
        list(parts_of(answer, source("x", "unknown", "zip", path="a.zip")))


@pytest.mark.usefixtures("child")
@pytest.mark.parametrize("word", ["crash", "late crash", "swell", "odd"])
def test_a_program_that_breaks_its_parser_is_cut_by_lines_and_says_so(word: str) -> None:
    given = source(word, "code", "hostile")
    piece, reject = GuardedChunker().chunk(given, chunk_tokens=64)
    assert isinstance(piece, Piece) and isinstance(reject, Reject)
    assert (piece.text, reject.reason) == (word, "does not parse as hostile, cut by lines")
    assert (reject.byte_start, reject.byte_stop) == (0, len(word))
    assert list(GuardedChunker().chunk(source("fine", "code", "hostile"), chunk_tokens=64)) == hostile("fine")


@pytest.mark.usefixtures("child")
def test_a_child_that_refused_a_file_reads_the_next() -> None:
    hostile("fine")
    process = confined._children.process
    for word in ("odd", "refuse"):
        with pytest.raises(FormatError):
            hostile(word)
    hostile("fine")
    assert confined._children.process is process is not None


@pytest.mark.usefixtures("child")
def test_the_child_reaches_no_network_and_sees_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("TEST_PORT", str(server.getsockname()[1]))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        (piece,) = hostile("net")
    assert isinstance(piece, Piece)
    if piece.text == "reached":
        pytest.skip("this kernel or container does not let a process leave its network")
    assert piece.text == "unreachable"
    (piece,) = hostile("env")
    assert isinstance(piece, Piece)
    assert "TEST_PORT" in piece.text
    assert "KEY" not in piece.text


@pytest.mark.usefixtures("child")
def test_the_child_opens_no_file_of_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        (Path(folder) / "secret.txt").write_text("secret")
        monkeypatch.setenv("TEST_FOLDER", folder)
        (piece,) = hostile("files")
    assert isinstance(piece, Piece)
    if "home" in piece.text:
        pytest.skip("this kernel has no Landlock")
    assert piece.text == "temporary a, temporary r, "


@pytest.mark.usefixtures("child")
def test_who_stops_reading_leaves_no_child_and_no_answers_for_the_next() -> None:
    parts = ConfinedChunker().chunk(source("flood", "text", "hostile"), chunk_tokens=64)
    next(parts)
    parts.close()  # type: ignore[attr-defined]
    assert hostile("fine") == [Piece("fine", 0, 4, 1, 1, 1)]
    close_reader()
    assert not [p for p in psutil.Process().children(recursive=True) if "child.py" in " ".join(p.cmdline())]


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.md", "# a\n")
    path.write_bytes(content.getvalue())
    size = path.stat().st_size
    given = Source("s", "a.zip", "unknown", "zip", None, None, 0, size, "h", 0, open=lambda: path.open("rb"))
    parts = ConfinedChunker().chunk(given, chunk_tokens=64)
    assert isinstance(next(parts), Source)
    os.truncate(path, size - 1)
    with pytest.raises(SourceChangedError):
        list(parts)
    close_reader()


def test_parts_come_through_as_they_were() -> None:
    when = datetime(2026, 11, 28, 8, 0, 0, 5, tzinfo=UTC)
    outer = source("x", "unknown", "zip", path="a.zip")
    inner = source("yy", "text", "plain", path="a.zip!/b\udcff.txt")
    parts: list[Part] = [
        inner,
        Piece("\udc80 ü\n", 0, 4, 1, 1, 2, "c", "s", 0, 2, when, when, "page 3"),
        Attached("previews", {"image": b"\x00\xff", "taken": when, "width": 3, "none": None}),
        Reject("a.zip!/b", "reason", "remedy", "detail", 0, 5),
    ]
    found = [part for frame in frames(iter(parts)) for part in parts_of(frame[4:], outer)]
    assert found[1:] == parts[1:]
    assert isinstance(found[0], Source)
    assert (found[0].path, found[0].kind, found[0].stop) == (inner.path, "text", 2)
