"""Secrets in text: where they are, and text with them masked.

Whatever leaves this stage with words of a drop in it (keyphrases, entities, quotes, templates) passes through `mask`
first. Only found secrets are masked here; redaction of personal data before a model call is another matter.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mesh_assets.insights.byte_text import BLANK, ByteText, Hashes, Places


class Secret(NamedTuple):
    """Characters `start` up to `stop` of a text that must not be shown; `name` says what they are."""

    name: str
    start: int
    stop: int


# Each with literals of which one must occur, so that most texts are never searched.
_TOKENS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    (
        "private key",
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:(?:\s|\\r|\\n){1,8}[A-Za-z0-9+/=]{40,100}){0,200}"
            r"(?:(?:\s|\\r|\\n){1,8}[A-Za-z0-9+/=]{1,76}(?=(?:\s|\\r|\\n){0,8}-----END))?"
        ),
    ),
    ("AWS access key", ("AKIA", "ASIA"), re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("API key", ("sk-",), re.compile(r"\bsk-[A-Za-z0-9_-]{16,200}")),
    ("payment key", ("k_live_", "k_test_"), re.compile(r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,200}")),
    (
        "GitHub token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(r"\b(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,255}"),
    ),
    ("GitLab token", ("glpat-",), re.compile(r"\bglpat-[A-Za-z0-9_-]{16,100}")),
    ("Slack token", ("xox",), re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,200}")),
    ("Google API key", ("AIza",), re.compile(r"\bAIza[0-9A-Za-z_-]{30,60}")),
    ("Hugging Face token", ("hf_",), re.compile(r"\bhf_[A-Za-z0-9]{30,60}")),
    (
        "JSON web token",
        ("eyJ",),
        re.compile(r"\beyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,4000}(?:\.[A-Za-z0-9_-]{1,2000})?"),
    ),
    ("password in a URL", ("://",), re.compile(r"://[^\s/:@]{1,80}:(?P<value>[^\s/@]{1,200})@")),
    (
        "authorization header",
        ("earer ", "asic "),
        re.compile(r"\b(?:[Bb]earer|[Bb]asic) (?P<value>[A-Za-z0-9+/=._~-]{16,4000})"),
    ),
)
_BY_LITERAL = [(literal, name, pattern) for name, literals, pattern in _TOKENS for literal in literals]
_ASSIGNED_WORDS = ("passw", "pwd", "passphrase", "secret", "token", "key")
# Searched in the lower-cased text: a case-insensitive pattern is several times slower.
_ASSIGNED = re.compile(
    r"(?:passw(?:or)?d|pwd|passphrase|secret|token|(?:api|access|private|secret|account)[_-]?key)"
    r"(?P<operator>[\"']?[ \t]{0,3}(?:=>|:=|=|:)[ \t]{0,3})(?P<quote>[\"'`]?)(?P<value>[^\s\"'`,;<>&|]{4,400})"
)
# What stands where a secret would, and is none.
_PLACEHOLDER = re.compile(
    r"(?:none|null|nil|true|false|undefined|required|optional|string|str|bytes|int|bool|any|x{3,}|\*{3,}|\.{3,}|(?:your|my|the)[_-].*)",
    re.IGNORECASE,
)
_CODE_VALUE = re.compile(r"[\[\](){}$]|^[\w]+(?:\.[\w]+)+$|^[%\\]")
# Lines of a key's body whose header lies in another chunk; also attachments, so they are hidden, not reported.
_BASE64_BODY = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{60,}={0,2}(?![A-Za-z0-9+/=])")
# Characters around a quote that decide whether it shows a part of a secret.
_SURROUNDINGS = 400


# Whether a text can hold a secret at all, told for a whole column at once by a linear engine that is a hundred times
# faster: what each pattern above needs, without the looks around that this engine does not know. The patterns are
# searched only where one of these is found.
_FORM_SOMEWHERE = (
    r"PRIVATE KEY|A[KS]IA[0-9A-Z]{16}|sk-[A-Za-z0-9_-]{16}|k_(?:live|test)_[A-Za-z0-9]{10}|gh[pousr]_[A-Za-z0-9_]{20}"
    r"|github_pat_|glpat-|xox[abeoprs]-|AIza[0-9A-Za-z_-]{30}|hf_[A-Za-z0-9]{30}|eyJ[A-Za-z0-9_-]{10}"
    r"|://[^\s/:@]{1,80}:[^\s/@]{1,200}@|(?:earer|asic) [A-Za-z0-9+/=._~-]{16}"
)
# The words that `_ASSIGNED` begins with: of each its last eight letters at most, as a number, and where those begin in
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
    found = texts.str.contains(_FORM_SOMEWHERE).to_numpy().copy()
    found[text.rows_of(_assigned(text))] = True
    kelvin = text.leads[text.data[text.leads] == 0xE2]  # its sign is a `k` in lower case
    found[text.rows_of(kelvin[(text.data[kelvin + 1] == 0x84) & (text.data[kelvin + 2] == 0xAA)])] = True
    return found


def _assigned(text: ByteText) -> Places:
    """Where a word ends that `_ASSIGNED` begins with, and a sign of an assignment follows: told backwards from that."""
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
    found: list[Secret] = []
    for literal, name, pattern in _BY_LITERAL:
        if literal in text:
            group = "value" if "value" in pattern.groupindex else 0
            found += [Secret(name, *match.span(group)) for match in pattern.finditer(text)]
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters lower to two characters, which would shift every offset
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    if any(word in lowered for word in _ASSIGNED_WORDS):
        found += [
            Secret("password or key", *match.span("value"))
            for match in _ASSIGNED.finditer(lowered)
            if _is_value(match["value"], literal=bool(match["quote"]), tight=not match["operator"].strip("=:"))
        ]
    return _without_overlaps(found) if found else found


def _is_value(value: str, *, literal: bool, tight: bool) -> bool:
    """Whether an assigned value is a secret rather than code or a placeholder. `tight`: no blanks around `=`."""
    if _PLACEHOLDER.fullmatch(value):
        return False
    if literal:
        return True
    if _CODE_VALUE.search(value):
        return False
    return tight or any(c.isdigit() for c in value)


def _without_overlaps(found: list[Secret]) -> list[Secret]:
    kept: list[Secret] = []
    for secret in sorted(found, key=lambda s: (s.start, -s.stop)):
        if kept and secret.start < kept[-1].stop:
            kept[-1] = kept[-1]._replace(stop=max(kept[-1].stop, secret.stop))
        else:
            kept.append(secret)
    return kept


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
    for secret in _without_overlaps(hidden):
        first, last = max(secret.start + left, at), min(secret.stop + left, stop)
        if first < last:
            parts += (text[at:first], filler)
            at = last
    return "".join((*parts, text[at:stop]))
