"""Source code: Python by its outline, everything else by blocks of lines between blank ones.

A Python function, with its decorators and the comments above it, is one chunk if it fits, and so is a class; a larger
class becomes its head and its methods, a larger function is cut between its statements. Other statements are grouped
while they fit. All cuts are at line starts, so a semicolon splits nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, fitted_context, grouped, line_cuts
from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.chunks.python_scan import MAX_CONTEXT, Unit, line_starts, scanned_units
from mesh_assets.chunks.windows import Window, text_windows

# A larger file is no source that a person wrote: it is cut by lines, without the memory that a syntax tree takes.
MAX_PARSED_BYTES = 4 << 20


class LineChunker:
    """Cuts source code of any language into blocks of lines."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Piece]:
        """Blocks between blank lines, grouped while they fit; a larger block is cut at lines."""
        for window in text_windows(source):
            cutter = Cutter.of(window, "code")
            yield from _blocks(cutter, len(window.text), chunk_tokens)


class PythonChunker:
    """Cuts Python; a file that is too large for a syntax tree is cut as any other code."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Piece]:
        """Functions, classes and groups of statements. `symbol` is the dotted path.

        `context` is the class's signature for a method, the function's for its later parts, else the first line of the
        module's docstring. Lines that do not parse are statements.
        """
        if source.stop - source.start > MAX_PARSED_BYTES:
            yield from LineChunker().chunk(source, chunk_tokens=chunk_tokens)
            return
        for window in text_windows(source, size=MAX_PARSED_BYTES + 1):
            yield from _python_pieces(window, chunk_tokens)


def _blocks(
    cutter: Cutter, stop: int, limit: int, context: tuple[str, int] = ("", 0), symbol: str | None = None
) -> Iterator[Piece]:
    """Pieces up to the character `stop`, cut between blocks, else lines."""
    text, start = cutter.window.text, cutter.start
    ends: list[int] = []
    at = text.find("\n\n", start, stop)
    while at >= 0:
        ends.append(at + 2)
        at = text.find("\n\n", at + 2, stop)
    if not ends or ends[-1] < stop:
        ends.append(stop)
    for _, last in grouped(text, ends, start, cutter.meter, limit):
        for cut in line_cuts(text, cutter.meter, cutter.start, ends[last - 1], limit):
            yield cutter.cut(cut, context=context, symbol=symbol)


def _python_pieces(window: Window, limit: int) -> Iterator[Piece]:
    text = window.text
    cutter = Cutter.of(window, "code")
    lines = line_starts(cutter.meter.codes)
    units = scanned_units(text, lines, cutter.meter, limit)
    if units is None:
        from mesh_assets.chunks.python_tree import parsed_units

        units = parsed_units(text, lines, cutter.meter, limit)
    stops = [lines[unit.row] for unit in units[1:]] + [len(text)]
    index = 0
    while index < len(units):
        unit = units[index]
        count = 1 if unit.whole else _joined(units, stops, index, cutter, limit)
        stop = stops[index + count - 1]
        index += count
        if cutter.meter.fits(cutter.start, stop, limit):
            room = limit - cutter.meter.tokens(cutter.start, stop)
            yield cutter.cut(stop, context=fitted_context(unit.context, room, "code"), symbol=unit.symbol)
        else:
            yield from _cut_unit(cutter, unit, [lines[row] for row in unit.cuts if lines[row] < stop], stop, limit)


def _joined(units: list[Unit], stops: list[int], index: int, cutter: Cutter, limit: int) -> int:
    """How many statements from `index` on fit together."""
    count = 1
    while index + count < len(units):
        following = units[index + count]
        if following.whole or following.symbol != units[index].symbol:
            break
        if not cutter.meter.fits(cutter.start, stops[index + count], limit):
            break
        count += 1
    return count


def _cut_unit(cutter: Cutter, unit: Unit, cuts: list[int], stop: int, limit: int) -> Iterator[Piece]:
    """A unit that does not fit: cut before the last of its statements that does not fit any more, else at lines."""
    text = cutter.window.text
    context = fitted_context(unit.context, limit // CONTEXT_SHARE, "code")
    later = context
    if unit.whole:
        signature = text[cutter.start : stop].split("\n", 1)[0][:MAX_CONTEXT].strip()
        later = fitted_context(f"{unit.context}\n{signature}".strip(), limit // CONTEXT_SHARE, "code")
    ends = [*cuts, stop]
    for _, last in grouped(text, ends, cutter.start, cutter.meter, limit - later[1]):
        for cut in line_cuts(text, cutter.meter, cutter.start, ends[last - 1], limit - later[1]):
            yield cutter.cut(cut, context=context, symbol=unit.symbol)
            context = later
