"""Markdown, reStructuredText and plain text: sections by their headings, cut at paragraphs and sentences.

A section that fits is one chunk. A section of less than an eighth of a chunk joins the next one while they fit
together, if that is its own subsection, or is as small and has the same parent: a list of short headings does not
become hundreds of chunks. A larger section is cut at its last paragraph, else sentence, line or word that fits.
Paragraphs without any heading are grouped while they fit. Where headings are is found in `headings`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, fitted_context, prose_cuts
from mesh_assets.chunks.headings import Outline, Section, markdown_sections, rst_sections
from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.chunks.windows import Window, text_windows

# A section of less than this share of a chunk joins its neighbours.
TINY_SHARE = 8


class TextChunker:
    """Cuts texts whose format is markdown, rst or plain."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Piece]:
        """The sections of `source`. `symbol` and `context` are the heading path, written `A > B > C`."""
        outline = Outline()
        for window in text_windows(source):
            cutter = Cutter.of(window, "text")
            sections = _sections(source.format, window, cutter, outline)
            pieces = list(_pieces(cutter, sections, chunk_tokens))
            if pieces and _is_held(pieces[-1], window, sections, outline):
                pieces.pop()
            yield from pieces


def _sections(form: str, window: Window, cutter: Cutter, outline: Outline) -> list[Section]:
    sections = [Section(0, outline.path)]
    if form == "markdown":
        sections += markdown_sections(window.text, cutter.meter.codes, outline, first=window.byte_start == 0)
    elif form == "rst":
        sections += rst_sections(window.text, cutter.meter.codes, outline)
    if len(sections) > 1 and not window.text[: sections[1].start].strip():
        # Nothing but white space before the first heading belongs to its section.
        sections[:2] = [Section(0, sections[1].path, heads=True)]
    return sections


def _is_held(last: Piece, window: Window, sections: list[Section], outline: Outline) -> bool:
    """Whether the last piece of a window is left to be cut again, together with what follows it.

    Its headings are then met again, which changes nothing. Where it starts with one no fence was open; elsewhere a
    fence that it opens or closes would be met twice, so such a piece is not held.
    """
    start = len(window.text) - len(last.text)
    heads = any(section.start == start and section.heads for section in reversed(sections))
    if window.final or start == 0 or not (heads or ("```" not in last.text and "~~~" not in last.text)):
        return False
    if heads:
        outline.fence = ""
    window.held = len(last.text)
    return True


def _pieces(cutter: Cutter, sections: list[Section], limit: int) -> Iterator[Piece]:
    stops = [section.start for section in sections[1:]] + [len(cutter.window.text)]
    index = 0
    while index < len(sections):
        count = _joined(cutter, sections, stops, index, limit)
        stop = stops[index + count - 1]
        path = sections[index].path if count == 1 else _common_path(sections[index : index + count])
        symbol = " > ".join(path) or None
        if cutter.meter.fits(cutter.start, stop, limit):
            room = limit - cutter.meter.tokens(cutter.start, stop)
            yield cutter.cut(stop, context=fitted_context(symbol or "", room, "text"), symbol=symbol)
        else:
            context = fitted_context(symbol or "", limit // CONTEXT_SHARE, "text")
            for cut in prose_cuts(cutter.window.text, cutter.meter, cutter.start, stop, limit - context[1]):
                yield cutter.cut(cut, context=context, symbol=symbol)
        index += count


def _joined(cutter: Cutter, sections: list[Section], stops: list[int], index: int, limit: int) -> int:
    """How many sections from `index` on make one chunk together; the rule is the module's."""
    meter, first = cutter.meter, sections[index]
    tiny = max(limit // TINY_SHARE, 1)
    count = 1
    all_tiny = meter.tokens(first.start, stops[index]) < tiny
    while all_tiny and index + count < len(sections):
        section, stop = sections[index + count], stops[index + count]
        all_tiny = meter.tokens(section.start, stop) < tiny
        below = section.path[: len(first.path)] == first.path
        beside = section.path[: len(first.path) - 1] == first.path[:-1]
        if not (below or (beside and all_tiny)) or not meter.fits(first.start, stop, limit):
            break
        count += 1
    return count


def _common_path(sections: list[Section]) -> tuple[str, ...]:
    """The path of joined sections: the first one's, or that of its parent where its siblings follow it."""
    path = next((section.path for section in sections if section.path), ())
    if len(path) > 1 and any(section.path[: len(path)] != path for section in sections if section.path):
        return path[:-1]
    return path
