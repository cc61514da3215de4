"""Extents as decoded text, in windows that fit in memory, with the bytes and lines that each character lies at.

Here a file's encoding ends and characters begin; what is a section, record or row belongs to the chunkers. A byte
order mark stays in the text as U+FEFF, so that encoding a text gives the bytes that it was read from.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO

from mesh_assets.chunks.protocol import Source

# Bytes read at once. A window costs about ten times this in memory, for the token sums; 256 KiB stays within the caches
# and is a third faster than 4 MiB (logs, Markdown and plain text alike).
WINDOW_BYTES = 1 << 18

# Decoding for these replaces bad code units one by one, each by a character of the same size.
_FIXED_ORDER = {
    "utf-16": (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16-le"),
    "utf-32": (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32-le"),
}
_WIDE = frozenset({"utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})
# East Asian encodings without state: a character has the same bytes wherever it stands.
_EAST_ASIAN = frozenset("big5 cp932 shift_jis cp949 euc_kr johab euc_jp gb2312 gbk gb18030".split())


@dataclass(frozen=True, slots=True)
class Codec:
    """How the bytes of an extent are read, without loss of place: text of any part encodes to as many bytes."""

    name: str
    errors: str
    one_byte: bool = False

    def decode(self, data: bytes) -> str:
        """The text of `data`; undecodable bytes as surrogates, in UTF-16 and UTF-32 as U+FFFD."""
        return data.decode(self.name, self.errors)

    def size(self, text: str) -> int:
        """Bytes of `text` in the extent."""
        if self.one_byte or (self.name == "utf-8" and text.isascii()):
            return len(text)
        return len(text.encode(self.name, self.errors))


@cache
def _codec(encoding: str) -> Codec:
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        name = "utf-8"
    if name in _WIDE:
        return Codec(name, "replace")
    if name in _EAST_ASIAN:
        return Codec(name, "surrogateescape")
    if name not in ("utf-8", "utf-8-sig") and _is_one_byte(name):
        return Codec(name, "surrogateescape", one_byte=True)
    return Codec("utf-8", "surrogateescape")


def _is_one_byte(name: str) -> bool:
    every = bytes(range(256))
    try:
        text = every.decode(name, "surrogateescape")
        return len(text) == 256 and text.encode(name, "surrogateescape") == every
    except (UnicodeError, LookupError):
        return False


def codec_for(encoding: str | None, head: bytes = b"") -> Codec:
    """The codec of an extent that intake found to be in `encoding` and that begins with `head`.

    UTF-8, UTF-16, UTF-32, East Asian encodings and every encoding of one byte a character are read as themselves,
    anything else as UTF-8 with its undecodable bytes marked. UTF-16 and UTF-32 without a mark are little-endian.
    """
    name = (encoding or "utf-8").lower().replace("_", "-")
    if name in _FIXED_ORDER:
        mark, big, little = _FIXED_ORDER[name]
        name = big if head.startswith(mark) else little
    return _codec(name)


@dataclass(slots=True)
class Window:
    """Consecutive text of an extent. Its reader sets `held` to the characters at its end that it wants to see again,
    never all of them, or a window would grow without end.

    `byte_start` and `byte_stop` count from the start of the extent, `line` is the number of its first line from 1.
    """

    text: str
    byte_start: int
    byte_stop: int
    line: int
    codec: Codec
    final: bool
    held: int = 0


def head_text(source: Source) -> str:
    """The text at the start of the file of `source`; errors as `Source.head`."""
    head = source.head()
    return codec_for(source.encoding, head[:4]).decode(head)


def text_windows(source: Source, *, size: int = WINDOW_BYTES, line_limit: int = 0) -> Iterator[Window]:
    """The whole of `source` as windows that end at a line's end, or anywhere in a line longer than a window.

    A window grows until it holds a line's end or `line_limit` characters.
    """
    with source.open() as stream:
        data = _read(stream, size)
        codec = codec_for(source.encoding, data[:4])
        if len(data) < size and len(data) == source.stop - source.start:  # the whole extent, as nearly always
            if text := codec.decode(data):
                yield Window(text, 0, len(data), 1, codec, final=True)
            return
        decoder = codecs.getincrementaldecoder(codec.name)(codec.errors)
        text, byte, line, read = "", 0, 1, 0
        while True:
            read += len(data)
            following = _read(stream, size)
            text += decoder.decode(data, not following)
            if following:
                stop = text.rfind("\n") + 1 or (len(text) if len(text) >= line_limit else 0)
                byte_stop = read - len(decoder.getstate()[0]) - codec.size(text[stop:])
            else:
                stop, byte_stop = len(text), read
            if stop:
                window = Window(text[:stop], byte, byte_stop, line, codec, final=not following)
                yield window
                held = window.held if following else 0
                byte = byte_stop - codec.size(text[stop - held : stop])
                line += text.count("\n", 0, stop - held)
                text = text[stop - held :]
            if not following:
                return
            data = following


def _read(stream: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end: an unbuffered stream may give less at a time."""
    data = stream.read(size)
    while data and len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data
