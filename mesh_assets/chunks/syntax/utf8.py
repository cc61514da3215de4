"""A text as the UTF-8 that a parser reads, with the places of its bytes in the text, its lines and its extent."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mesh_assets.chunks.tokens import numbers
from mesh_assets.chunks.windows import Window

_NEWLINE = 10


@dataclass(frozen=True, slots=True)
class Utf8:
    """`data` is the text of a whole extent; `characters` are the places in the text of each of its bytes and its end.

    Undecodable bytes are question marks in it, and NUL, which parsers take for an end, is a space.
    """

    window: Window
    data: bytes
    characters: Sequence[int]
    breaks: Sequence[int]

    @classmethod
    def of(cls, window: Window) -> Utf8:
        """The text of `window`, which is a whole extent."""
        text = window.text
        data = text.encode("utf-8", "replace").replace(b"\0", b" ")
        codes = np.frombuffer(data, np.uint8)
        breaks = numbers(np.flatnonzero(codes == _NEWLINE))
        if len(data) == len(text):
            return cls(window, data, range(len(data) + 1), breaks)
        characters = np.zeros(len(data) + 1, np.int64)
        np.cumsum(codes & 0xC0 != 0x80, out=characters[:-1])  # a byte within a character is none that begins one
        characters[:-1] -= 1
        characters[-1] = len(text)
        return cls(window, data, numbers(characters), breaks)

    def line_at(self, byte: int) -> int:
        """The number of the line, from 1, that this byte is in."""
        return bisect_right(self.breaks, byte - 1) + 1

    def extent_bytes(self, places: Iterable[int]) -> dict[int, int]:
        """For bytes of `data` the bytes of the extent."""
        if self.window.codec.name == "utf-8":
            return {place: place for place in places}
        characters = {place: self.characters[place] for place in places}
        found = extent_bytes(self.window, characters.values())
        return {place: found[character] for place, character in characters.items()}


def extent_bytes(window: Window, places: Iterable[int]) -> dict[int, int]:
    """For characters of the text of `window`, which is a whole extent, the bytes of the extent."""
    codec, text = window.codec, window.text
    if text.isascii() and codec.size("a") == 1:
        return {place: place for place in places}
    found: dict[int, int] = {}
    at = size = 0
    for place in sorted(set(places)):
        size += codec.size(text[at:place])
        at = place
        found[place] = min(size, window.byte_stop)  # the last character may be cut off: half a code unit
    return found
