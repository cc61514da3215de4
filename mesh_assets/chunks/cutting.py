"""Where texts are cut, and pieces that cover a window without gap: shared by the chunkers.

What a unit is (section, function, record, row) belongs to each chunker.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from zlib import crc32

from mesh_assets.chunks.protocol import Piece
from mesh_assets.chunks.tokens import MAX_CHARACTERS_PER_TOKEN, PARTS, TokenKind, TokenMeter, estimate_tokens
from mesh_assets.chunks.windows import Window

# A context of fewer tokens than this, left beside a large unit, says nothing.
MIN_CONTEXT_TOKENS = 8
# Context may take this share of a chunk that is cut anyway.
CONTEXT_SHARE = 4

# One unit in so many is an anchor, told by its first characters: rarer ones realign later, and cost fewer chunks.
UNITS_PER_ANCHOR = 32
ANCHOR_HEAD = 64
_ANCHORS = (1 << 32) // UNITS_PER_ANCHOR
_SPREAD = 0x9E3779B1

# What does not fit is cut into parts of at most this share of it: a passage is found better by what it says where it
# says less beside it. (Of five sixths to a half, the best recall on two of the corpora of Chroma's evaluation.)
PROSE_SHARE = 3 / 4

_NONE = (None, None)
# Its fields in order as one tuple: a third of the time of a call by name, and there is one for each chunk.
_PIECE = partial(tuple.__new__, Piece)
# Where a piece ends (character), what all before that is worth (`TokenMeter.before`), context with tokens, and symbol.
Span = tuple[int, int, tuple[str, int], str | None]
_NOT_SPACE = re.compile(r"\S")
# How paragraphs end, and how sentences do.
ProseEnds = tuple[tuple[str, ...], tuple[str, ...]]
# Lines of more characters than this in the mean are not broken to fit a page: each is a paragraph.
_LONG_LINES = 120
_PROSE_ENDS: ProseEnds = (("\n\n", "\n\r\n"), (". ", ".\n", "? ", "! ", '." ', ".\r\n", "。"))


@dataclass(slots=True)
class Cutter:
    """Cuts one window into pieces, each beginning where the one before it ended.

    `by_character` says that each character of the window is one byte of the extent.
    """

    window: Window
    meter: TokenMeter
    start: int
    byte: int
    line: int
    by_character: bool

    @classmethod
    def of(cls, window: Window, kind: TokenKind) -> Cutter:
        """A cutter at the start of `window`, with tokens as texts of `kind` have them."""
        by_character = window.codec.one_byte or (window.codec.name == "utf-8" and window.text.isascii())
        return cls(window, TokenMeter(window.text, kind), 0, window.byte_start, window.line, by_character)

    def skip(self, stop: int) -> str:
        """The text from here to the character `stop`; what follows begins there."""
        whole = self.window.text
        text = whole[self.start : stop]
        if stop == len(whole):
            # Bytes at the end of an extent that make no whole character are in no text, but belong to the last piece.
            self.byte = self.window.byte_stop
        else:
            self.byte += len(text) if self.by_character else self.window.codec.size(text)
        self.line += text.count("\n")
        self.start = stop
        return text

    def cut(
        self,
        stop: int,
        *,
        context: tuple[str, int] = ("", 0),
        symbol: str | None = None,
        rows: tuple[int, int] | None = None,
        times: tuple[datetime, datetime] | None = None,
        place: str | None = None,
    ) -> Piece:
        """The piece from here to the character `stop`; `context` comes with its tokens."""
        start, byte, line = self.start, self.byte, self.line
        text = self.skip(stop)
        # A piece that ends with its line break does not reach into the next line.
        last = self.line - 1 if self.line > line and text[-1] == "\n" else self.line
        row_start, row_stop = rows or _NONE
        time_start, time_stop = times or _NONE
        return _PIECE(
            (
                text, byte, self.byte, line, last, self.meter.tokens(start, stop) + context[1], context[0], symbol,
                row_start, row_stop, time_start, time_stop, place,
            )
        )  # fmt: skip

    def pieces(self, spans: Iterable[Span]) -> Iterator[Piece]:
        """As `cut` for each of `spans`, which begin where this cutter is: the fast way for many small pieces."""
        window, start, byte, line = self.window, self.start, self.byte, self.line
        whole, size = window.text, None if self.by_character else window.codec.size
        length, at = len(whole), self.meter.before(start)
        for stop, worth, (context, tokens), symbol in spans:
            text = whole[start:stop]
            byte_stop = window.byte_stop if stop == length else byte + (stop - start if size is None else size(text))
            following = last = line + text.count("\n")
            if last > line and text[-1] == "\n":
                last -= 1
            tokens -= (at - worth) // PARTS
            yield _PIECE(
                (text, byte, byte_stop, line, last, tokens, context, symbol, None, None, None, None, None)
            )  # fmt: skip
            start, byte, line, at = stop, byte_stop, following, worth
        self.start, self.byte, self.line = start, byte, line


def grouped(text: str, ends: Sequence[int], start: int, meter: TokenMeter, limit: int) -> Iterator[tuple[int, int]]:
    """Units that end at the characters `ends`, grouped in order as long as a group fits: (first, stop) of each.

    A unit larger than `limit` is a group of its own. A group that is half full ends before an anchor: a unit that its
    own content makes one. So groups of equally long rows meet again soon after a row was inserted, and keep their ids.
    """
    return grouped_by(text, ends, meter.before_each(ends), start, meter.before(start), limit)


def grouped_by(
    text: str, ends: Sequence[int], worths: Sequence[int], start: int, at: int, limit: int
) -> Iterator[tuple[int, int]]:
    """As `grouped`, for who knows what all before each of `ends` (`worths`) and before `start` (`at`) is worth."""
    first, count = 0, len(ends)
    encode = str.encode if text.isascii() else _encoded
    while first < count:
        stop = _last_within(ends, worths, first, count, start, at, limit)
        if stop > first + 1:
            half_full = _last_within(ends, worths, first, stop, start, at, limit // 2)
            edge = ends[half_full - 1]
            for unit in range(half_full, min(stop, count)):
                # A CRC is linear: of counting lines it alone would pick every one or none. The multiplication
                # (Fibonacci hashing, Knuth, The Art of Computer Programming 3, 6.4) breaks that up.
                head = text[edge : edge + ANCHOR_HEAD] if (end := ends[unit]) > edge + ANCHOR_HEAD else text[edge:end]
                if crc32(encode(head)) * _SPREAD & 0xFFFFFFFF < _ANCHORS:
                    stop = unit
                    break
                edge = end
        yield first, stop
        start, at = ends[stop - 1], worths[stop - 1]
        first = stop


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _last_within(
    ends: Sequence[int], worths: Sequence[int], first: int, count: int, start: int, at: int, tokens: int
) -> int:
    """Behind the last of the units from `first` to `count` that fits with all since `start`; the first always does."""
    last = bisect_right(worths, at + tokens * PARTS, first, count)
    if last > first and ends[last - 1] - start > tokens * MAX_CHARACTERS_PER_TOKEN:
        last = bisect_right(ends, start + tokens * MAX_CHARACTERS_PER_TOKEN, first, last)
    return last if last > first else first + 1


def prose_ends(text: str) -> ProseEnds:
    """The ends of paragraphs and sentences that there may be in `text`: fewer to look for, cut by cut."""
    paragraphs, sentences = _PROSE_ENDS
    if len(text) > _LONG_LINES * (text.count("\n") + 1):
        paragraphs = ("\n",)  # each line is a paragraph, with or without a blank one behind it
    elif "\r" not in text:
        paragraphs = paragraphs[:1]
    if "\r" not in text:
        sentences = tuple([end for end in sentences if "\r" not in end])
    return paragraphs, sentences[:-1] if text.isascii() else sentences


def prose_cuts(
    text: str, meter: TokenMeter, start: int, stop: int, limit: int, ends: ProseEnds = _PROSE_ENDS
) -> Iterator[tuple[int, int]]:
    """Where the text from `start` to `stop` is cut so that each part fits; the last cut is `stop`.

    Each part ends at the last paragraph within `PROSE_SHARE` of what fits, else at the first one behind that, else at
    its last sentence, else line, else word, else anywhere. So a paragraph or sentence that fits is never split. Each
    cut comes with what all before it is worth (`TokenMeter.before`).
    """
    before, reach, rfind = meter.before, meter.reach_from, text.rfind
    paragraph, share = ends[0][0], int(limit * PROSE_SHARE)
    at, whole = before(start), before(stop)
    while (furthest := reach(start, at, limit, stop, whole)) < stop:
        first = _content_start(text, start, furthest) if text[start].isspace() else start
        usual = reach(start, at, share, stop, whole)
        if usual <= first:
            usual = furthest
        cut = rfind(paragraph, first, usual)
        start = cut + len(paragraph) if cut >= 0 else _prose_cut(text, first, (usual, furthest), ends)
        at = before(start)
        yield start, at
    yield stop, whole


def line_cuts(text: str, meter: TokenMeter, start: int, stop: int, limit: int) -> Iterator[int]:
    """As `prose_cuts`, but each part ends at its last line, else word, else anywhere."""
    while (furthest := meter.reach(start, limit, stop)) < stop:
        start = _line_cut(text, _content_start(text, start, furthest), furthest)
        yield start
    yield stop


def _content_start(text: str, start: int, stop: int) -> int:
    """Where white space at `start` ends: a cut within it would make a piece of nothing else."""
    if not text[start].isspace():
        return start
    word = _NOT_SPACE.search(text, start, stop)
    return stop if word is None else word.start()


def _prose_cut(text: str, start: int, reach: tuple[int, int], ends: ProseEnds) -> int:
    """The cut in a text that has no paragraph of the first kind of end within the first `reach`."""
    usual, furthest = reach
    paragraphs, sentences = ends
    for end in paragraphs[1:]:
        at = text.rfind(end, start, usual)
        if at >= 0:
            return at + len(end)
    for end in paragraphs:
        at = text.find(end, max(usual - len(end), start), furthest)
        if at >= 0:
            return at + len(end)
    best = start
    for end in sentences:
        at = text.rfind(end, best, usual)
        if at >= 0:
            best = at + len(end)
    return best if best > start else _line_cut(text, start, furthest)


def _line_cut(text: str, start: int, furthest: int) -> int:
    for end in ("\n", " ", ","):
        at = text.rfind(end, start, furthest)
        if at >= 0:
            return at + 1
    return furthest


def fitted_context(context: str, room: int, kind: TokenKind) -> tuple[str, int]:
    """`context` with its tokens, shortened to `room` tokens; none where the room is too small to say anything."""
    if not context:
        return "", 0
    tokens = estimate_tokens(context, kind)
    if tokens > room and room < MIN_CONTEXT_TOKENS:
        return "", 0
    while tokens > room:
        context = context[: min(len(context) - 1, len(context) * room // tokens)].rstrip()
        tokens = estimate_tokens(context, kind)
    return context, tokens
