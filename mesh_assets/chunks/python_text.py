"""A Python text as its logical lines, and without what its strings and comments say: for whoever looks for structure.

What does not fit the picture (a bracket or quote that is not closed, an indent of tabs) is not guessed at: there are no
logical lines then. What they define belongs to `python_scan` and `python_symbols`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.tokens import MAX_CHARACTERS_PER_TOKEN, PARTS, TokenMeter, numbers

# Signatures and docstrings beyond this many characters are no context.
MAX_CONTEXT = 300

_STRING = (
    r'"(?:""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+"""|[^"\\\n]*+(?:\\.[^"\\\n]*+)*+")'
    r"|'(?:''[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+'''|[^'\\\n]*+(?:\\.[^'\\\n]*+)*+')"
)
STRINGS = re.compile(f"({_STRING}|#[^\n]*+)", re.DOTALL)
# What a string is in `Logical.masked`: no character of a program.
_MASK = "$"
# Most strings have none of these before them.
_LAST_OF_FORMATTED = frozenset("fFtTrR")
_FORMATTED = re.compile(r"(?<!\w)(?:[fFtT][rR]?|[rR][fFtT])\Z")
# Formatted strings within formatted strings are followed this deep.
_MAX_FORMATTED = 4
# Where an expression may begin in a formatted string, and where it may end.
_BRACES = re.compile(r"\{\{|[{}]")
_INNER = re.compile(rf"[{{}}()\[\]:]|!(?!=)|{_STRING}", re.DOTALL)
# Brackets, all alike, and line breaks; everything else is 0.
_OPENS, _CLOSES, _BREAKS = 1, 2, 3
_TOLD = bytes(
    _OPENS if code in b"([{" else _CLOSES if code in b")]}" else _BREAKS if code == 10 else 0 for code in range(256)
)
_DEPTH = np.array([0, 1, -1, 0], np.int32)
_NEWLINE, _RETURN, _SPACE, _TAB, _HASH, _OTHER, _BACKSLASH = b"\n\r \t#?\\"
# Indents of anything but spaces and tabs; a character that is none of Latin-1 may be white space too.
_IS_ODD = np.isin(np.arange(256), list(b"\f\v\x1c\x1d\x1e\x1f\x85\xa0"))
_IS_CONTENT = ~np.isin(np.arange(256), (_NEWLINE, _RETURN))


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a text: where each starts (character) and what all before it is worth; the text's end is the last.

    A text that ends with a line break has an empty line behind it.
    """

    places: NDArray[np.int64]
    starts: Sequence[int]
    worths: Sequence[int]

    @classmethod
    def of(cls, meter: TokenMeter) -> Lines:
        """The lines of the text of `meter`."""
        (breaks,) = (meter.codes == _NEWLINE).nonzero()
        places = np.zeros(len(breaks) + 2, np.int64)
        np.add(breaks, 1, out=places[1:-1])
        places[-1] = len(meter.codes)
        return cls(places, numbers(places), numbers(meter.before_all(places)))

    def fits(self, row: int, stop: int, limit: int) -> bool:
        """Whether the lines from `row` up to `stop` are within `limit` tokens, as `TokenMeter.fits`."""
        worths, starts = self.worths, self.starts
        return (
            worths[stop] - worths[row] <= limit * PARTS
            and starts[stop] - starts[row] <= limit * MAX_CHARACTERS_PER_TOKEN
        )

    def line(self, text: str, row: int) -> str:
        """The line without white space behind it, up to `MAX_CONTEXT` characters."""
        start = self.starts[row]
        return text[start : min(self.starts[row + 1], start + MAX_CONTEXT)].rstrip()


@dataclass(frozen=True, slots=True)
class Logical:
    """The logical lines of a text that are not blank, comments included, an entry for each property.

    `masked` is the text, character by character, with blanks for comments and `$` for strings; what is computed in a
    formatted string stays.
    `rows` are the first lines and `lasts` the last ones, `at` the first characters behind the indents, `leads` what
    those are in Latin-1. The indent of a comment is that of the block which it belongs to.
    """

    masked: str
    rows: list[int]
    lasts: Sequence[int]
    at: Sequence[int]
    indents: NDArray[np.int64]
    leads: bytes

    @classmethod
    def of(cls, text: str, lines: Lines, codes: NDArray[np.uint8]) -> Logical | None:
        """Those of `text`, of which `codes` are the characters in Latin-1; None where it is not as expected."""
        hidden = masked(text)
        stops = _logical_stops(hidden) if hidden is not None else None
        if hidden is None or stops is None:
            return None  # a bracket or a quote is not closed, or closed too often
        if "\r" in text and text.count("\r") != text.count("\r\n"):
            return None  # a return that ends no line
        has_mark = text.startswith("\ufeff")
        at, leads = _contents(lines, codes, has_mark=has_mark)
        if _IS_ODD[leads].any() or any(text[place].isspace() for place in at[leads == _OTHER].tolist()):
            return None
        rows = np.zeros(len(stops) + 1, np.int64)
        rows[1:] = lines.places[:-1].searchsorted(stops)
        (kept,) = _IS_CONTENT[leads[rows[:-1]]].nonzero()
        lasts = rows[kept + 1] - 1
        rows = rows[kept]
        at, leads = at[rows], leads[rows]
        if "\t" in text and not _is_one_indent(lines, codes, rows, at):
            return None  # nobody says how wide a tab is
        indents = at - lines.places[rows]
        if has_mark and at[:1].tolist() == [1]:
            indents[0] = 0
        return cls(
            masked=hidden,
            rows=rows.tolist(),
            lasts=numbers(lasts),
            at=numbers(at),
            indents=_with_comments(indents, leads == _HASH),
            leads=leads.tobytes(),
        )


def masked(text: str, depth: int = 0) -> str | None:
    """`text`, which may be within `depth` formatted strings, as `Logical.masked`; None where a quote is not closed."""
    if depth > _MAX_FORMATTED:
        return None
    parts = STRINGS.split(text)
    hidden = [(" " if token[0] == "#" else _MASK) * len(token) for token in parts[1::2]]
    for at, before in enumerate(parts[:-1:2]):
        # (The first test is for speed.)
        if before[-1:] in _LAST_OF_FORMATTED and before and _FORMATTED.search(before[-3:]):
            shown = _computed(parts[2 * at + 1], depth)
            if shown is None:
                return None
            hidden[at] = shown
    parts[1::2] = hidden
    whole = "".join(parts)
    return None if '"' in whole or "'" in whole else whole


def _computed(token: str, depth: int) -> str | None:
    """A formatted string with only what is computed in it, in one line; None where that has no end."""
    if "(" not in token or "{" not in token:
        return _MASK * len(token)  # what is computed is only looked at for calls
    spans = _expressions(token)
    if spans is None:
        return None
    shown: list[str] = []
    at = 0
    for start, stop in spans:
        inner = masked(token[start:stop], depth + 1)
        if inner is None:
            return None
        shown += (_MASK * (start - at), inner.replace("\n", " ").replace("\r", " "))
        at = stop
    return "".join(shown) + _MASK * (len(token) - at)


def _expressions(token: str) -> list[tuple[int, int]] | None:
    """From where to where a formatted string has expressions, inner ones of formats too; None where one has no end."""
    spans: list[tuple[int, int]] = []
    # For each expression that is open the brackets that are open in it, -1 in its format.
    around: list[int] = []
    start = at = 0
    while found := (_INNER if around and around[-1] >= 0 else _BRACES).search(token, at):
        what, at = found[0], found.end()
        if not around or around[-1] < 0:
            if what == "}" and around:
                around.pop()
            elif what == "{" or (what == "{{" and around):
                start = at = found.start() + 1
                around.append(0)
        elif what in "([{":
            around[-1] += 1
        elif what in ")]}" and around[-1]:
            around[-1] -= 1
        elif what in ")]":
            return None
        elif what in "}:!" and not around[-1]:
            spans.append((start, found.start()))
            around[-1] = -1
            if what == "}":
                around.pop()
    return None if around else spans


def _logical_stops(hidden: str) -> NDArray[np.int64] | None:
    """Behind the end of each logical line of a masked text; None where brackets are not closed, or too often."""
    codes = hidden.encode("latin-1", "replace")
    told = np.frombuffer(codes.translate(_TOLD), np.uint8)
    places = np.flatnonzero(told)
    told = told[places]
    depth = _DEPTH[told].cumsum()
    if len(depth) and (depth.min() < 0 or depth[-1]):
        return None
    ends = places[(told == _BREAKS) & (depth == 0)]
    if "\\" in hidden:
        before = np.frombuffer(b"  " + codes, np.uint8)
        last, second = before[ends + 1], before[ends]
        ends = ends[(last != _BACKSLASH) & ((last != _RETURN) | (second != _BACKSLASH))]
    if not len(ends) or ends[-1] < len(hidden) - 1:
        ends = np.append(ends, len(hidden))
    return ends + 1


def _contents(lines: Lines, codes: NDArray[np.uint8], *, has_mark: bool) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Where each line has its first character that is no space, and which one; the text's end is a line break."""
    padded = np.full(len(codes) + 1, _NEWLINE, np.uint8)
    padded[:-1] = codes
    is_other = padded != _SPACE
    is_other &= padded != _TAB
    is_other[0] &= not has_mark
    (others,) = is_other.nonzero()
    at = others[others.searchsorted(lines.places[:-1])]
    return at, padded[at]


def _is_one_indent(lines: Lines, codes: NDArray[np.uint8], rows: NDArray[np.int64], at: NDArray[np.int64]) -> bool:
    """Whether the lines `rows`, with their first characters `at`, are all indented by spaces, or all by tabs."""
    (tabs,) = (codes == _TAB).nonzero()
    starts = lines.places[rows]
    counts = tabs.searchsorted(at) - tabs.searchsorted(starts)
    return not counts.any() or bool((counts == at - starts).all())


def _with_comments(indent: NDArray[np.int64], is_comment: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indents with those of comments set to the block that they belong to.

    That is the block of the following statement, unless that ends blocks and the comment is indented as one of them.
    """
    code = np.flatnonzero(~is_comment)
    if len(code) == len(indent) or not len(code):
        return indent
    comments = np.flatnonzero(is_comment)
    after = np.searchsorted(code, comments)
    around = np.concatenate((np.zeros(1, np.int64), indent[code], np.zeros(1, np.int64)))
    before, following = around[after], around[after + 1]
    own = indent[comments]
    within = (following < before) & (own > following)
    indent[comments] = np.where(within, np.minimum(own, before), following)
    return indent
