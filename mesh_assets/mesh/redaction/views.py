"""A text as other readers see it: escapes resolved, hidden characters gone, lines joined; and the way back.

Whoever gets a text can undo what hides a secret from a search, so each view is searched too, and what is found in one
leads back to characters of the original. What counts as a secret is no matter of this module.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

# An escape of an escape (JSON in JSON, %2540) is undone, but not for ever.
_ROUNDS = 3


@dataclass(frozen=True)
class View:
    """A text made of another one by replacing parts of it; without pieces it is the original itself.

    Piece `i` begins at `at[i]` here, and stands for `origins[i]` up to `ends[i]` of the text of `parent`, or of the
    original where that is None: character by character if both are as long, else as a whole. `joins` are the places,
    in order, where something was taken out without replacement.
    """

    text: str
    at: list[int] = field(default_factory=list[int])
    origins: list[int] = field(default_factory=list[int])
    ends: list[int] = field(default_factory=list[int])
    joins: list[int] = field(default_factory=list[int])
    parent: View | None = None
    is_joined: bool = False

    def original(self, start: int, stop: int) -> tuple[int, int]:
        """The characters of the original text that `start` up to `stop` (more than none) came from."""
        if self.at:
            first, last = bisect_right(self.at, start) - 1, bisect_right(self.at, stop - 1) - 1
            start = self.origins[first] + (start - self.at[first] if self._is_same(first) else 0)
            stop = self.origins[last] + (stop - self.at[last]) if self._is_same(last) else self.ends[last]
        return (start, stop) if self.parent is None else self.parent.original(start, stop)

    def _is_same(self, piece: int) -> bool:
        stop = self.at[piece + 1] if piece + 1 < len(self.at) else len(self.text)
        return stop - self.at[piece] == self.ends[piece] - self.origins[piece]

    def joins_in(self, start: int, stop: int) -> list[int]:
        """The joins strictly between `start` and `stop`."""
        return self.joins[bisect_right(self.joins, start) : bisect_left(self.joins, stop)]


def _replaced(parent: View, found: Iterable[re.Match[str]], said: Callable[[re.Match[str]], str | None]) -> View:
    """`parent` with matches replaced by what is `said` of each: one character, nothing, or None to leave it."""
    text = parent.text
    at, origins, ends, joins, parts = [0], [0], [len(text)], list[int](), list[str]()
    here = done = 0
    for match in found:
        new = said(match)
        if new is None:
            continue
        start, stop = match.span()
        ends[-1] = start
        parts += (text[done:start], new)
        here += start - done
        if new:
            at.append(here)
            origins.append(start)
            ends.append(stop)
            here += 1
        else:
            joins.append(here)
        at.append(here)
        origins.append(stop)
        ends.append(len(text))
        done = stop
    parts.append(text[done:])
    # A piece without characters is passed over by those that look for the last one that begins at a place.
    return View("".join(parts), at, origins, ends, joins, parent)


# Characters that nobody sees: they divide a word for a search only. Tags are ASCII that nobody sees.
_HIDDEN = (
    "\x00\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\uffa0"
)
_ALIKE = (
    "\u00a0\u2000-\u200a\u2010-\u2015\u202f\u205f\u2212\u3000\u3002\ufe52\ufe55\ufe58\ufe63\ufe6b\uff01-\uff5e"
    "\U0001d400-\U0001d7ff"
)
_DASHES = {*"\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63"}
_NAMED = "amp|lt|gt|quot|apos|commat|period|nbsp|hyphen|colon|sol|equals|lowbar|dash|plus|num|dollar|percnt"
# One set of characters to begin with is what the engine finds fast; what stands behind it is looked at then.
_ESCAPE = re.compile(
    rf"[{_HIDDEN}{_ALIKE}\U000e0000-\U000e007f\x1b\\%&=](?:"
    r"(?<=\\)(?:u(?P<unicode>[0-9A-Fa-f]{4})|u\{(?P<point>[0-9A-Fa-f]{1,6})\}|x(?P<byte>[0-9A-Fa-f]{2})"
    r"|(?P<sign>[nrt\"'/\\@.=+:_-]))"
    r"|(?<=%)(?P<percent>[0-9A-Fa-f]{2})"
    r"|(?<==)(?P<printable>40|2E|2D|3D|2B|3A|2F|5F)"
    rf"|(?<=&)(?P<entity>(?:#[0-9]{{1,7}}|#[xX][0-9A-Fa-f]{{1,6}}|{_NAMED});)"
    r"|(?<=&)(?P<nothing>(?:shy|ZeroWidthSpace|zwnj|zwj);)"
    r"|(?<=\x1b)(?P<colour>\[[0-9;]{0,12}[A-Za-z])"
    rf"|(?<=[{_HIDDEN}])(?P<hidden>)|(?<=[{_ALIKE}])(?P<alike>)|(?<=[\U000e0000-\U000e007f])(?P<tag>)"
    r")"
)
_SIGNS = {"n": "\n", "r": "\n", "t": "\t"}


def _resolved(match: re.Match[str]) -> str | None:
    group = match.lastgroup or ""
    if group in ("unicode", "point", "byte", "percent", "printable"):
        return _character(int(match[group], 16))
    if group == "alike":
        return "-" if match[0] in _DASHES else unicodedata.normalize("NFKC", match[0])[:1]
    if group == "tag":
        code = ord(match[0]) - 0xE0000
        return chr(code) if 0x20 < code < 0x7F else ""
    if group == "sign":
        return _SIGNS.get(match["sign"], match["sign"])
    if group == "entity":
        return html.unescape(match[0])[:1]
    return ""


def _character(code: int) -> str | None:
    """The character of a code; nothing for one that nobody sees, None where it is no text."""
    if code in (9, 10, 13):
        return "\t" if code == 9 else "\n"
    if code < 0x20 or code > 0x10FFFF or 0xD800 <= code < 0xE000 or 0x7F <= code < 0xA0:
        return "" if code == 0 else None
    return chr(code)


def resolved(view: View) -> View:
    """`view` with escapes of JSON, URLs, HTML, programs and mail resolved, and without hidden characters."""
    for _ in range(_ROUNDS):
        further = _replaced(view, _ESCAPE.finditer(view.text), _resolved)
        if len(further.at) == 1:
            break
        view = further
    return view


# Between two parts of one word: the end of a line (with what ends a text in quotes before, and what begins one, or a
# quoted or commented line, behind), or two texts in quotes that a program joins.
_PART = r"[A-Za-z0-9+/=_.@:~%$!#^*?&-]"
_CONCATENATED = r"(?:[+.&]|\.\.|\|\||<>)[ \t]*+"
_QUOTE = r"[fbru]{0,2}[\"'`]"
# Between two texts of a case, as chunks of one file are: a word may go on in the next.
BORDER = "\n\x1e\n"
# What stands behind a line break.
_BEHIND = (
    r"(?:\x1e\n)?+[ \t]*+(?:\r?\n[ \t]*+)?+(?:(?:\#|//|--|\*|>|\||;)[ \t]*+){0,2}+"
    rf"(?:(?:{_CONCATENATED})?+{_QUOTE}[ ]?+)?+"
)
_AGAIN = rf"(?:{_CONCATENATED})?+{_QUOTE}[ ]?+"
_BREAK = r"[\\=]?+\r?\n" + _BEHIND
# An equals sign at the end of a line is mail's own, but not behind a name that a secret is assigned to.
_NO_NAME = "".join(f"(?<!{end}=)(?<!{end.upper()}=)" for end in ("word", "oken", "cret", "key", "pass", "pwd"))
_AFTER_WORD = rf"(?:(?<={_PART}[\s\S])|(?<=[0-9]\)[\s\S]))"
_ENDED = rf"(?:{_CONCATENATED})?+(?:[,_][ \t]*+)?+{_BREAK}"
_TAG = r"(?:wbr|br)[ ]?/?>[ ]?+"
_JOIN = re.compile(
    rf"[ \t\"'`\\=\r\n<]{_AFTER_WORD}(?:(?<=\n){_BEHIND}|(?<=\r)\n{_BEHIND}|(?<=[\\=]){_NO_NAME}\r?\n{_BEHIND}"
    rf"|(?<=[ \t])[ \t]*+(?:(?:[\"'`][ \t]*+)?+{_ENDED}|[\"'`][ \t]*+{_AGAIN}|<{_TAG})"
    rf"|(?<=[\"'`])[ \t]*+(?:{_ENDED}|{_AGAIN})"
    rf"|(?<=<){_TAG})(?={_PART}|\)[ ]?[0-9])"
)


# A secret shows next to where it is divided: a digit, capitals within a word or many of them; an address farther off.
_NEAR, _NEAR_ADDRESS, _MANY = 20, 40, 6
# Stands for a join where it matters that a word may end there.
MARK = "\x1f"


def joined(view: View) -> tuple[View, View]:
    """`view` with words joined that a line break or a concatenation may have divided, if they can be secrets.

    In the first view nothing stands at a join, in the second `MARK`.
    """
    text = view.text
    spans = _telling(text, [match.span() for match in _JOIN.finditer(text)])
    origins, ends = [0, *(stop for _, stop in spans)], [*(start for start, _ in spans), len(text)]
    parts = [text[start:stop] for start, stop in zip(origins, ends, strict=True)]
    at = [0, *accumulate(map(len, parts[:-1]))]
    whole = View("".join(parts), at, origins, ends, at[1:], view, is_joined=True)
    places = [place + number for number, place in enumerate(at)]
    marks = [place - 1 for place in places[1:]]
    pieces = sorted([*zip(places, origins, ends, strict=True), *((m, *s) for m, s in zip(marks, spans, strict=True))])
    at, origins, ends = ([piece[column] for piece in pieces] for column in range(3))
    marked = View(MARK.join(parts), at, origins, ends, marks, view, is_joined=True)
    return whole, marked


def _telling(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of `spans` next to which a part of a secret may stand: all judged at once, by counts up to each place."""
    if not spans:
        return spans
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    upper = (codes >= ord("A")) & (codes <= ord("Z"))
    lower = (codes >= ord("a")) & (codes <= ord("z"))
    signs = (codes >= ord("0")) & (codes <= ord("9"))
    signs[1:] |= upper[1:] & lower[:-1]
    capitals = np.concatenate(([0], np.cumsum(upper)))
    signs[_MANY - 1 :] |= capitals[_MANY:] - capitals[:-_MANY] == _MANY
    starts, stops = np.array(spans).T
    near = _counts(signs, starts, stops, _NEAR) + _counts(codes == ord("@"), starts, stops, _NEAR_ADDRESS)
    return [span for span, count in zip(spans, near.tolist(), strict=True) if count]


def _counts(
    signs: NDArray[np.bool_], starts: NDArray[np.int64], stops: NDArray[np.int64], reach: int
) -> NDArray[np.int64]:
    """How many of `signs` stand within `reach` before each of `starts` or behind each of `stops`."""
    up_to = np.concatenate(([0], np.cumsum(signs)))
    before = up_to[starts] - up_to[np.maximum(starts - reach, 0)]
    return before + up_to[np.minimum(stops + reach, len(signs))] - up_to[stops]


# Characters kept on either side of a place, and what stands for those left out between.
_AROUND, _GAP = 120, "\x1d"


def near(view: View, places: Sequence[int]) -> View:
    """What stands near `places` of `view`, which are in order: the rest is as it is in its parent."""
    at, origins, ends, parts = list[int](), list[int](), list[int](), list[str]()
    here = done = 0
    for start, stop in _windows(places, len(view.text)):
        if start > done:
            at.append(here)
            origins.append(done)
            ends.append(start)
            parts.append(_GAP)
            here += 1
        at.append(here)
        origins.append(start)
        ends.append(stop)
        parts.append(view.text[start:stop])
        here += stop - start
        done = stop
    joins: list[int] = []
    for place in view.joins:
        piece = bisect_right(origins, place) - 1
        if piece >= 0 and place < ends[piece] and not (ends[piece] - origins[piece] > 1 and parts[piece] == _GAP):
            joins.append(at[piece] + place - origins[piece])
    return View("".join(parts), at, origins, ends, joins, view, is_joined=view.is_joined)


def _windows(places: Sequence[int], length: int) -> Iterator[tuple[int, int]]:
    start, stop = 0, -1
    for place in places:
        if stop < 0 or place - _AROUND > stop:
            if stop >= 0:
                yield start, stop
            start = max(0, place - _AROUND)
        stop = min(length, place + _AROUND)
    if stop >= 0:
        yield start, stop
