"""Source code: Python by its outline, some twenty languages by their syntax trees, others by blocks of lines.

A function, with its decorators and the comments above it, is one chunk if it fits, and so is a class; a larger class
becomes its head and its methods, a larger function is cut between its statements. Other statements are grouped while
they fit. Cuts are at line starts, but for lines that are longer than a person writes. What a file defines comes beside
its pieces as rows of `SYMBOLS`. What a language calls a function belongs to `syntax`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mesh_assets.chunks import confined
from mesh_assets.chunks.confined import ConfinedChunker
from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, Span, fitted_context, grouped, grouped_by, line_cuts
from mesh_assets.chunks.protocol import Attached, Part, Piece, Source
from mesh_assets.chunks.python_scan import Unit, scanned_units
from mesh_assets.chunks.python_symbols import PythonSymbols
from mesh_assets.chunks.python_text import MAX_CONTEXT, Lines, Logical
from mesh_assets.chunks.syntax.cuts import cuts_of
from mesh_assets.chunks.syntax.grammars import grammar_for
from mesh_assets.chunks.syntax.outline import parsed
from mesh_assets.chunks.syntax.rows import python_rows, symbol_rows
from mesh_assets.chunks.syntax.utf8 import Utf8
from mesh_assets.chunks.tokens import MAX_CHARACTERS_PER_TOKEN, PARTS, TokenMeter, estimate_tokens
from mesh_assets.chunks.windows import Window, text_windows
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import CUT_ANYWAY, Reject

# A larger file is no source that a person wrote: it is cut by lines, without the memory that a syntax tree takes (100
# times the bytes of a program without spaces).
MAX_PARSED_BYTES = 4 << 20
# A file of which more than this does not parse is something else than its name says.
MAX_ERROR_SHARE = 0.5


class LineChunker:
    """Cuts source code of any language into blocks of lines."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Piece]:
        """Blocks between blank lines, grouped while they fit; a larger block is cut at lines."""
        for window in text_windows(source):
            cutter = Cutter.of(window, "code")
            yield from _blocks(cutter, len(window.text), chunk_tokens)


class PythonChunker:
    """Cuts Python by its lines; where those do not tell, as the other languages."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        """Functions, classes and groups of statements. `symbol` is the dotted path.

        `context` is the class's signature for a method, the function's for its later parts, else the first line of the
        module's docstring.
        """
        if source.stop - source.start > MAX_PARSED_BYTES:
            yield from _too_large(source, chunk_tokens)
            return
        for window in text_windows(source, size=MAX_PARSED_BYTES + 1):
            parts = _python_parts(source, window, chunk_tokens)
            if parts is not None:
                yield from parts
            elif confined.is_child:
                yield from _tree_parts(source, window, chunk_tokens)
            else:
                yield from GuardedChunker().chunk(source, chunk_tokens=chunk_tokens)


class TreeChunker:
    """Cuts programs in the languages of `syntax.grammars` by their syntax trees."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        """As `PythonChunker`. What does not parse is cut by lines, and a part reject says so beside its pieces."""
        if source.stop - source.start > MAX_PARSED_BYTES:
            yield from _too_large(source, chunk_tokens)
            return
        for window in text_windows(source, size=MAX_PARSED_BYTES + 1):
            yield from _tree_parts(source, window, chunk_tokens)


class GuardedChunker:
    """Lets a child process cut programs by their syntax trees. One that breaks its parser there is cut by lines."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        """As the chunker of the language; a part reject says so where its parser died or passed a limit."""
        if source.stop - source.start > MAX_PARSED_BYTES:
            yield from _too_large(source, chunk_tokens)
            return
        try:
            # All of it before any is given, so that none is given twice.
            parts = list(ConfinedChunker().chunk(source, chunk_tokens=chunk_tokens))
        except FormatError as error:
            yield from LineChunker().chunk(source, chunk_tokens=chunk_tokens)
            yield _unparsed(source, 0, source.stop - source.start, error.message)
        else:
            yield from parts


def _too_large(source: Source, limit: int) -> Iterator[Part]:
    yield from LineChunker().chunk(source, chunk_tokens=limit)
    yield Reject(
        source.path,
        f"too large to parse as {source.format}, {CUT_ANYWAY}",
        "Nothing to do for data or a bundle; a program that people read is better in files of less than "
        f"{MAX_PARSED_BYTES >> 20} MiB.",
        f"{source.stop - source.start} bytes",
        0,
        source.stop - source.start,
    )


def _tree_parts(source: Source, window: Window, limit: int) -> Iterator[Part]:
    """The parts of a whole extent that is no larger than `MAX_PARSED_BYTES`."""
    name = grammar_for(source.format, source.path, window.text)
    content = Utf8.of(window)
    outline = parsed(content.data, name) if name is not None else None
    filled = len(window.text) - window.text.count(" ")
    cutter = Cutter.of(window, "code")
    if outline is None or outline.error_bytes > MAX_ERROR_SHARE * filled:
        detail = "the parser gave up" if outline is None else f"{outline.error_bytes} bytes are no {source.format}"
        yield _unparsed(source, 0, window.byte_stop, detail)
        yield from _blocks(cutter, len(window.text), limit)
        return
    cuts = cuts_of(window.text, outline, content.characters, cutter.meter, limit)
    for start, stop in cuts.broken:
        places = content.extent_bytes((start, stop))
        yield _unparsed(source, places[start], places[stop], f"line {content.line_at(start)}")
    pieces = cutter.pieces(_spans(window.text, cuts.lines, cutter.meter, cuts.units, limit, cuts.heads))
    yield from _with_symbols(pieces, symbol_rows(source, outline, content))


def _unparsed(source: Source, start: int, stop: int, detail: str) -> Reject:
    return Reject(
        source.path,
        f"does not parse as {source.format}, {CUT_ANYWAY}",
        "Nothing to do where it is a template or a dialect; else correct it, or name it after its language.",
        detail,
        start,
        stop,
    )


def _with_symbols(pieces: Iterator[Piece], rows: Iterator[tuple[int, dict[str, object]]]) -> Iterator[Piece | Attached]:
    """`pieces`, each with the rows of the symbols that begin in it behind it."""
    start, row = next(rows, (-1, None))
    for piece in pieces:
        yield piece
        while row is not None and start < piece.byte_stop:
            yield Attached("symbols", row)
            start, row = next(rows, (-1, None))


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


def _python_parts(source: Source, window: Window, limit: int) -> Iterator[Piece | Attached] | None:
    """The pieces of a module and its symbols; None where its lines do not tell."""
    cutter = Cutter.of(window, "code")
    lines = Lines.of(cutter.meter)
    # Undecodable bytes are surrogates in pieces, and question marks in what is said of them.
    text = window.text if window.text.isascii() else window.text.encode("utf-8", "replace").decode()
    logical = Logical.of(text, lines, cutter.meter.codes)
    units = scanned_units(text, lines, logical, limit) if logical is not None else None
    if logical is None or units is None:
        return None
    pieces = cutter.pieces(_spans(text, lines, cutter.meter, units, limit))
    return _with_symbols(pieces, python_rows(source, window, PythonSymbols(text, lines, logical)))


def _spans(
    text: str, lines: Lines, meter: TokenMeter, units: list[Unit], limit: int, heads: Mapping[int, str] | None = None
) -> Iterator[Span]:
    """Where the text is cut, unit by unit; statements are grouped while they fit.

    `heads` are what later parts of units have as context, by their rows; else it is their first line.
    """
    most, longest = limit * PARTS, limit * MAX_CHARACTERS_PER_TOKEN
    starts, worths = lines.starts, lines.worths
    rows = [unit[0] for unit in units]
    rows.append(len(starts) - 1)
    contexts = {"": 0}  # with their tokens: most units have that of the unit before
    start = at = index = 0
    while index < len(units):
        unit = units[index]
        _, symbol, context, whole, _ = unit
        index += 1
        stop, after = starts[rows[index]], worths[rows[index]]
        if not whole:
            while index < len(units) and _is_beside(units[index], symbol):
                row = rows[index + 1]
                if worths[row] - at > most or starts[row] - start > longest:
                    break
                stop, after = starts[row], worths[row]
                index += 1
        if after - at <= most and stop - start <= longest:
            tokens = contexts.get(context)
            if tokens is None:
                tokens = contexts[context] = estimate_tokens(context, "code")
            room = limit + (at - after) // PARTS
            yield stop, after, (context, tokens) if tokens <= room else fitted_context(context, room, "code"), symbol
        else:
            head = heads.get(unit.row) if heads is not None else None
            yield from _unit_spans(text, lines, meter, unit, (rows[index - 1], rows[index]), limit, head)
        start, at = stop, after


def _is_beside(following: Unit, symbol: str | None) -> bool:
    return not following.whole and following.symbol == symbol


def _unit_spans(
    text: str, lines: Lines, meter: TokenMeter, unit: Unit, rows: tuple[int, int], limit: int, head: str | None
) -> Iterator[Span]:
    """A unit that does not fit: cut before the last of its statements that does not fit any more, else at lines."""
    stop = rows[1]
    start, at = lines.starts[rows[0]], lines.worths[rows[0]]
    context = fitted_context(unit.context, limit // CONTEXT_SHARE, "code")
    later = context
    if unit.whole:
        signature = head or text[start : min(lines.starts[stop], start + MAX_CONTEXT)].split("\n", 1)[0].strip()
        later = fitted_context(f"{unit.context}\n{signature}".strip(), limit // CONTEXT_SHARE, "code")
    room = limit - later[1]
    cuts = [row for row in unit.cuts if row < stop]
    cuts.append(stop)
    ends, worths = [lines.starts[row] for row in cuts], [lines.worths[row] for row in cuts]
    for _, last in grouped_by(text, ends, worths, start, at, room):
        end, after = ends[last - 1], worths[last - 1]
        if after - at <= room * PARTS and end - start <= room * MAX_CHARACTERS_PER_TOKEN:
            yield end, after, context, unit.symbol
            context = later
        else:
            for cut in line_cuts(text, meter, start, end, room):
                yield cut, meter.before(cut), context, unit.symbol
                context = later
        start, at = end, after
