"""Text that is written as base64 or as hexadecimal digits, and where it stands. Escapes of single characters: `views`.

Only what decodes to readable text is found: a key in other bytes is a word without sense, which `randomness` tells.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import NamedTuple


class Encoded(NamedTuple):
    """Characters `start` up to `stop` of a text, and the readable text that they stand for."""

    start: int
    stop: int
    text: str


# Four characters of base64 are three bytes. For bytes of readable ASCII, tabs, line breaks, and the zeros of characters
# of two bytes, each of the first three is one of these, at any alignment: so text is found without decoding anything.
_READABLE = r"[ACDI-Za-f][ACDEFGHQSTUVWXgijklmnwyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
_BASE64 = re.compile(rf"{_READABLE}(?:{_READABLE}){{2,}}+[A-Za-z0-9+/_-]{{0,3}}={{0,2}}")
# Two hexadecimal digits are a byte of readable ASCII; signs may stand between them.
_BYTE = r"(?:[2-7][0-9A-Fa-f]|0[9AaDd]|00)"
_HEX = re.compile(rf"[2-7][0-9A-Fa-f](?:[ :,-]{{0,2}}(?:0x)?{_BYTE}){{7,}}+")
_URL_SAFE = str.maketrans("-_", "+/")


def encoded_texts(text: str) -> Iterator[Encoded]:
    """The readable texts in `text`, at least nine bytes of base64 or eight of hexadecimal digits each."""
    for match in _BASE64.finditer(text):
        yield Encoded(*match.span(), _of_base64(match[0]))
    for match in _HEX.finditer(text):
        data = bytes.fromhex(re.sub(r"0x|[^0-9A-Fa-f]", "", match[0]))
        yield Encoded(*match.span(), data.replace(b"\0", b"").decode("latin-1"))


def _of_base64(run: str) -> str:
    run = run.rstrip("=").translate(_URL_SAFE)
    run = run[: len(run) - 1] if len(run) % 4 == 1 else run
    return base64.b64decode(run + "=" * (-len(run) % 4)).decode("latin-1").replace("\0", "")
