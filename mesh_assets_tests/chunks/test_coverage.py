"""Whatever the bytes, every chunker of a plain-text format gives each of them exactly once, and never fails."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.chunks import json_text, windows
from mesh_assets.chunks.protocol import Piece
from mesh_assets_tests.chunks.sources import checked, source

FORMATS = [
    ("text", "markdown"), ("text", "rst"), ("text", "plain"), ("code", "python"), ("code", "javascript"), ("code", "c"),
    ("log", "log"),     ("structured", "csv"), ("structured", "tsv"), ("structured", "jsonl"), ("structured", "json"),
    ("metric", "prometheus"), ("metric", "influx"),
]  # fmt: skip
ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-be",
    "utf-32",
    "latin-1",
    "cp1252",
    "koi8_r",
    "cp932",
    "gb18030",
    "no such encoding",
]

# Parts that mean something to one chunker or another, in an order that means nothing.
WORDS = [
    "# A\n", "## B\r\n", "Title\n=====\n", "***\n", "```\n", "~~~~\n", "def f(x):\n", "    return 1\n", "class C:\n",
    "@d\n", "# note\n", '"""', '"', "'", ",", "\t", ";", "{", "}", "[1,", '{"a": 1}\n', "null\n", "\n", "\n\n", "\r",
    " ", "2026-11-22 10:42:01 ERROR x\n", "Nov 22 10:42:01 h a: b\n", "\tat a.b(C.java)\n", "word ", "A sentence. ",
    "naïve ", "日本語。", "😀", "\ufeff", "\0", "x" * 300, " " * 900, "-\n",
]  # fmt: skip
texts = st.lists(st.sampled_from(WORDS), max_size=40).map("".join)


@pytest.mark.parametrize(("kind", "form"), FORMATS)
@settings(max_examples=40, deadline=None)
@given(text=texts, encoding=st.sampled_from(ENCODINGS), noise=st.binary(max_size=6), tokens=st.sampled_from([32, 256]))
def test_every_byte_is_given_once(kind: str, form: str, text: str, encoding: str, noise: bytes, tokens: int) -> None:
    data = (text.encode(encoding, "replace") if encoding != "no such encoding" else text.encode()) + noise
    checked(source(data, kind, form, encoding=encoding), tokens)


@pytest.mark.parametrize(("kind", "form"), FORMATS)
@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=400), encoding=st.sampled_from(ENCODINGS))
def test_any_bytes_do(kind: str, form: str, data: bytes, encoding: str) -> None:
    checked(source(data, kind, form, encoding=encoding), 32)


@pytest.mark.parametrize(("kind", "form"), FORMATS)
@settings(max_examples=25, deadline=None)
@given(text=texts, size=st.integers(7, 300), encoding=st.sampled_from(ENCODINGS[:4]))
def test_windows_lose_nothing(kind: str, form: str, text: str, size: int, encoding: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        small_windows(patch, size)
        checked(source(text.encode(encoding), kind, form, encoding=encoding), 32)


def small_windows(patch: pytest.MonkeyPatch, size: int) -> None:
    """Let every chunker read `size` bytes at a time, and parse no JSON longer than two such windows."""
    patch.setattr(windows.text_windows, "__kwdefaults__", {"size": size, "line_limit": 0})
    patch.setattr(json_text, "MAX_PARSED_BYTES", 2 * size)


def test_a_file_in_many_windows_gives_the_chunks_of_a_file_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    markdown = "".join(f"# Part {n}\n\nA sentence of part {n}. Another one.\n\n" for n in range(60))
    log = "".join(f"2026-11-22 10:42:{n:02} ERROR failed\n\tat a.B(B.java:{n})\n" for n in range(60))
    table = "name,value\n" + "".join(f'"a\nrow\n\n{n}",{n}\n' for n in range(200))
    given = [source(markdown, "text", "markdown"), source(log, "log", "log"), source(table, "structured", "csv")]
    whole = [checked(each, 64) for each in given]
    for size in (1200, 1500, 1777):
        small_windows(monkeypatch, size)
        assert [checked(each, 64) for each in given] == whole


def test_a_byte_order_mark_belongs_to_the_first_piece_and_heads_no_confusion() -> None:
    (piece,) = checked(source("\ufeff# Title\n\ntext\n".encode(), "text", "markdown", encoding="utf-8-sig"), 64)
    assert isinstance(piece, Piece)
    assert (piece.byte_start, piece.symbol) == (0, "Title")
