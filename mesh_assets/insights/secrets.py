"""Secrets in text: where they are, and text with them masked. What they look like is in `secret_forms`.

Whatever leaves this stage with words of a drop in it (keyphrases, entities, quotes, templates) passes through `mask`
first. Only found secrets are masked here; redaction of personal data before a model call is another matter.
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mesh_assets.insights.byte_text import BLANK, ByteText, Hashes, Places
from mesh_assets.insights.secret_forms import (
    LITERALS,
    SOMEWHERE,
    Secret,
    Words,
    assigned_in,
    forms_at,
    literals_at,
    lower,
    without_overlaps,
)

# Lines of a key's body whose header lies in another chunk; also attachments, so they are hidden, not reported.
_BASE64_BODY = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{60,}={0,2}(?![A-Za-z0-9+/=])")
_LITERALS = Words(LITERALS)
# Characters around a quote that decide whether it shows a part of a secret.
_SURROUNDINGS = 400


# The words that `ASSIGNED` begins with: of each its last eight letters at most, as a number, and where those begin in
# one of eight bytes. Then their last letters.
_KEYS = [f"{kind}{join}key" for kind in ("api", "access", "private", "secret", "account") for join in ("", "_", "-")]
_ENDINGS = [word[-8:] for word in ("password", "passwd", "pwd", "passphrase", "secret", "token", *_KEYS)]
_TAILS = tuple(
    (np.uint64(int.from_bytes(word.encode(), "little")), np.uint64(64 - 8 * len(word)))
    for word in sorted(set(_ENDINGS))
)
_LAST = np.zeros(256, np.bool_)
_LAST[[ord(word[-1]) for word in _ENDINGS]] = True


def may_hold_secrets(texts: pl.Series, text: ByteText) -> NDArray[np.bool_]:
    """Which of a column of texts are worth a call of `find_secrets`; it finds none in the others.

    `text` are the same texts.
    """
    found = texts.str.contains(SOMEWHERE).to_numpy().copy()
    found[text.rows_of(_assigned(text))] = True
    kelvin = text.leads[text.data[text.leads] == 0xE2]  # its sign is a `k` in lower case
    found[text.rows_of(kelvin[(text.data[kelvin + 1] == 0x84) & (text.data[kelvin + 2] == 0xAA)])] = True
    return found


def _assigned(text: ByteText) -> Places:
    """Where a word ends that `ASSIGNED` begins with, and a sign of an assignment follows: told backwards from that."""
    stops = np.sort(np.concatenate((text.places("="), text.places(":"))))
    for _ in range(3):
        stops = stops - ((text.classes[stops - 1] & BLANK) != 0)
    stops -= (text.data[stops - 1] == ord('"')) | (text.data[stops - 1] == ord("'"))
    stops = stops[_LAST[text.lowered[stops - 1]]]
    windows: Hashes = np.ndarray((len(text.data) - 7,), np.dtype("<u8"), buffer=text.lowered.data, strides=(1,))
    last = windows[stops - 8]
    ends = np.zeros(len(last), np.bool_)
    for word, shift in _TAILS:
        ends |= (last >> shift) == word
    return stops[ends]


def find_secrets(text: str) -> list[Secret]:
    """The secrets of `text` in order, none overlapping."""
    places = _LITERALS.places(text, lower(text))
    found = [secret for secret, _ in forms_at(text, literals_at(text, places))]
    found += assigned_in(text)
    return without_overlaps(found) if found else found


def mask(text: str, start: int = 0, stop: int | None = None, *, filler: str = "****") -> str:
    """The characters `start` up to `stop` of `text`, secrets (or the parts of them that lie there) replaced.

    What surrounds the part is read too, for it may begin within a secret, or after the word that makes it one. Long
    runs of base64 are hidden as well: they may be the body of a key whose header lies elsewhere.
    """
    stop = len(text) if stop is None else stop
    left, right = max(0, start - _SURROUNDINGS), min(len(text), stop + _SURROUNDINGS)
    window = text[left:right]
    hidden = find_secrets(window) + [Secret("base64", *match.span()) for match in _BASE64_BODY.finditer(window)]
    if not hidden:
        return text[start:stop]
    parts: list[str] = []
    at = start
    for secret in without_overlaps(hidden):
        first, last = max(secret.start + left, at), min(secret.stop + left, stop)
        if first < last:
            parts += (text[at:first], filler)
            at = last
    return "".join((*parts, text[at:stop]))
