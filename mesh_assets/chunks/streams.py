"""Readers of one open file, each with a position of its own, where it may not be opened again by a path."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from typing_extensions import Buffer


def another(descriptor: int) -> BinaryIO:
    """The file that is open as `descriptor`, from its start. It ends with that descriptor, but closing it does not."""
    return io.BufferedReader(_AtOwnPosition(descriptor))


class _AtOwnPosition(io.RawIOBase):
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        if start is None:
            start = os.fstat(self._descriptor).st_size
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count
