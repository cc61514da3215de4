"""JSON lines, one object a line, and JSON documents by their elements.

A line that is no JSON is a reject, up to a number of them. What is too large to parse is cut as text, and so is a
document whose brackets do not match.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import cast

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, fitted_context, grouped, line_cuts
from mesh_assets.chunks.json_structure import Run, Structure, object_keys
from mesh_assets.chunks.protocol import Piece, Pieces, Source
from mesh_assets.chunks.tables import SAMPLE
from mesh_assets.chunks.timestamps import TimestampParser
from mesh_assets.chunks.units import Units, unit_pieces
from mesh_assets.chunks.windows import text_windows
from mesh_assets.schemas.rejects import Reject

# A larger document or line is cut as text; parsed JSON takes about ten times its size in memory.
MAX_PARSED_BYTES = 16 << 20
# Rejects of one extent, each ending a chunk: with more it is no damaged file but one of another format, and its
# further lines are text.
MAX_REJECTS = 1000

_NOTHING = object()
_DECODER = json.JSONDecoder(strict=False)


class JsonLinesChunker:
    """Cuts texts whose format is jsonl."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Pieces | Reject]:
        """Groups of lines, with the keys of the first object as context; a line that is no JSON is a reject.

        After `MAX_REJECTS` of them such lines are kept as text, and the last reject says so.
        """
        left = MAX_REJECTS
        context = ("", 0)
        parser: TimestampParser | None = None
        row = 0
        is_within = False
        for window in text_windows(source, line_limit=MAX_PARSED_BYTES):
            text = window.text
            if window.byte_start == 0:
                parser = TimestampParser.detect(text[:SAMPLE].splitlines(), latest=source.modified)
                if parser is not None and parser.format == "epoch":
                    parser = None
            cutter = Cutter.of(window, "structured")
            if is_within or not (window.final or text.endswith("\n")):
                # A line longer than a window may be, or the rest of one: nothing says whether it is JSON.
                stop = text.find("\n") + 1
                is_within = stop == 0
                yield from unit_pieces(cutter, Units([stop or len(text)], row=row), chunk_tokens)
                row += not is_within
            start = cutter.start
            ends, good = _lines(text, start, left)
            times = parser.moments(text, cutter.meter.codes) if parser else None
            if not context[0] and True in good:
                index = good.index(True)
                keys = object_keys(_value(text[ends[index - 1] if index else start : ends[index]]))
                context = fitted_context(keys, chunk_tokens // CONTEXT_SHARE, "structured")
            for first, last in _runs(good):
                if good[first]:
                    units = Units(ends[first:last], context, row, times)
                    row += yield from unit_pieces(cutter, units, chunk_tokens)
                else:
                    left -= 1
                    yield _bad_lines(cutter, source.path, ends[last - 1], is_last=left == 0)


class JsonChunker:
    """Cuts texts whose format is json."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Piece]:
        """Groups of elements of one list or object, as deep as they must be to fit.

        `symbol` is their path, as `$.orders[3:7]` or `$.shop.name`, `context` the keys of a list's first object. Rows
        are elements of a document that is a list.
        """
        if source.stop - source.start > MAX_PARSED_BYTES:
            for window in text_windows(source):
                yield from _by_lines(Cutter.of(window, "structured"), chunk_tokens)
            return
        for window in text_windows(source, size=MAX_PARSED_BYTES + 1):
            cutter = Cutter.of(window, "structured")
            structure = Structure(window.text, cutter.meter)
            if not structure.is_whole():
                yield from _by_lines(cutter, chunk_tokens)
                continue
            for run in structure.runs(chunk_tokens):
                yield from _run_pieces(cutter, run, chunk_tokens)


def _run_pieces(cutter: Cutter, run: Run, limit: int) -> Iterator[Piece]:
    text, meter = cutter.window.text, cutter.meter
    whole_context = fitted_context(run.context, limit // CONTEXT_SHARE, "structured")
    for first, last in grouped(text, run.ends, cutter.start, meter, limit - whole_context[1]):
        rows = (run.numbers[first], run.numbers[last - 1] + 1) if run.is_table else None
        symbol, stop = run.path(first, last), run.ends[last - 1]
        context, room = whole_context, limit - whole_context[1]
        if meter.fits(cutter.start, stop, limit):  # the context gives way to content
            left = limit - meter.tokens(cutter.start, stop)
            room, context = limit, context if context[1] <= left else fitted_context(context[0], left, "structured")
        for cut in line_cuts(text, meter, cutter.start, stop, room):
            yield cutter.cut(cut, context=context, symbol=symbol, rows=rows)


def _by_lines(cutter: Cutter, limit: int) -> Iterator[Piece]:
    text = cutter.window.text
    for cut in line_cuts(text, cutter.meter, 0, len(text), limit):
        yield cutter.cut(cut)


def _runs(flags: list[bool]) -> Iterator[tuple[int, int]]:
    """Runs of equal flags: (first, stop) of each."""
    first = 0
    for _, run in groupby(flags):
        stop = first + len(list(run))
        yield first, stop
        first = stop


def _lines(text: str, start: int, runs: int) -> tuple[list[int], list[bool]]:
    """Where each line from `start` (character) on ends, and whether it is JSON or comes after `runs` runs of bad ones.

    Blank lines belong to the line before, the first to that after.
    """
    ends: list[int] = []
    good: list[bool] = []
    at, length = start, len(text)
    while at < length:
        stop = text.find("\n", at) + 1 or length
        is_blank = text[at].isspace() and text[at:stop].isspace()
        if is_blank and ends:
            ends[-1] = stop
        elif not is_blank or stop == length:
            is_first = not good or good[-1]
            is_good = is_blank or (is_first and not runs) or _is_json(text, at, stop, alone=not is_first)
            runs -= is_first and not is_good
            ends.append(stop)
            good.append(is_good)
        at = stop
    return ends, good


def _is_json(text: str, start: int, stop: int, *, alone: bool) -> bool:
    """Whether the line is JSON, its white space and byte order mark aside.

    The parser reads on behind it, unless `alone`: behind lines that are none, each could lead it far.
    """
    if not alone:
        try:
            _, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = stop
        if end == stop - 1 and text[end] == "\n":  # as nearly always
            return True
    return _value(text[start:stop]) is not _NOTHING


def _value(text: str) -> object:
    """What `text` says in JSON, `_NOTHING` where it is none, or nested too deeply for a parser."""
    try:
        return cast("object", _DECODER.decode(text.strip("\ufeff \t\r\n")))
    except (ValueError, RecursionError):
        return _NOTHING


def _bad_lines(cutter: Cutter, path: str, stop: int, *, is_last: bool) -> Reject:
    """One reject for all lines up to the character `stop`: a file that is no JSON at all is not a million rejects."""
    line, start = cutter.line, cutter.byte
    text = cutter.skip(stop)
    last = line + text.rstrip().count("\n")
    where = f"line {line}" if last == line else f"lines {line} to {last}"
    return Reject(
        path=path,
        reason="not JSON",
        remedy="Correct or delete it; the other lines of the file are used.",
        detail=f"{where}; further lines that are no JSON are kept as text" if is_last else where,
        byte_start=start,
        byte_stop=cutter.byte,
    )
