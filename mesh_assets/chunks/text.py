"""Markdown, reStructuredText and plain text: sections by their headings, cut at paragraphs and sentences.

A section that fits is one chunk. A section of less than an eighth of a chunk joins the next one while they fit
together, if that is its own subsection, or is as small and has the same parent: a list of short headings does not
become hundreds of chunks. A larger section is cut at its last paragraph, else sentence, line or word that fits.
Paragraphs without any heading are grouped while they fit. Where headings are is found in `headings`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, Span, fitted_context, prose_cuts, prose_ends
from mesh_assets.chunks.headings import Outline, Section, markdown_sections, path_title, rst_sections
from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.chunks.tokens import MAX_CHARACTERS_PER_TOKEN, PARTS, TokenMeter, worth
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
            pieces = cutter.pieces(_spans(window.text, cutter.meter, sections, chunk_tokens))
            if window.final:
                yield from pieces
                return
            pieces = list(pieces)
            if pieces and _is_held(pieces[-1], window, sections, outline):
                pieces.pop()
            yield from pieces


def _sections(form: str, window: Window, cutter: Cutter, outline: Outline) -> list[Section]:
    sections = [outline.here(0)]
    if form == "markdown":
        sections += markdown_sections(window.text, cutter.meter.codes, outline, first=window.byte_start == 0)
    elif form == "rst":
        sections += rst_sections(window.text, cutter.meter.codes, outline)
    if len(sections) > 1 and not window.text[: sections[1].start].strip():
        # Nothing but white space before the first heading belongs to its section.
        sections[:2] = [sections[1]._replace(start=0)]
    return sections


def _is_held(last: Piece, window: Window, sections: list[Section], outline: Outline) -> bool:
    """Whether the last piece of a window is left to be cut again, together with what follows it.

    Its headings are then met again, which changes nothing. Where it starts with one no fence was open; elsewhere a
    fence that it opens or closes would be met twice, so such a piece is not held.
    """
    start = len(window.text) - len(last.text)
    heads = any(section.start == start and section.heads for section in reversed(sections))
    if start == 0 or not (heads or ("```" not in last.text and "~~~" not in last.text)):
        return False
    if heads:
        outline.fence = ""
    window.held = len(last.text)
    return True


def _spans(text: str, meter: TokenMeter, sections: list[Section], limit: int) -> Iterator[Span]:
    """Where the text is cut, section by section."""
    before = meter.before
    most, longest = limit * PARTS, limit * MAX_CHARACTERS_PER_TOKEN
    tiny, ends = tiny_worth(limit), prose_ends(text)
    starts = [section[0] for section in sections]
    starts.append(len(text))
    start = at = index = 0
    while index < len(sections):
        section = sections[index]
        stop = starts[index + 1]
        after = before(stop)
        if after - at <= tiny and index + 2 < len(starts):
            count = joined(meter, sections, starts, index, limit)
            if count > 1:
                section, stop = together(sections[index : index + count]), starts[index + count]
                after = before(stop)
                index += count - 1
        _, _, title, worths, _ = section
        if after - at <= most and stop - start <= longest:
            tokens, room = -(-worths // PARTS), limit + (at - after) // PARTS
            context = (title, tokens) if tokens <= room else fitted_context(title, room, "text")
            yield stop, after, context, title or None
        else:
            context = fitted_context(title, limit // CONTEXT_SHARE, "text")
            for cut, worths in prose_cuts(text, meter, start, stop, limit - context[1], ends):
                yield cut, worths, context, title or None
        start, at = stop, after
        index += 1


def tiny_worth(limit: int) -> int:
    """A section that is worth no more than this, in 64ths of a token, joins its neighbours."""
    return (max(limit // TINY_SHARE, 1) - 1) * PARTS


def joined(meter: TokenMeter, sections: list[Section], starts: list[int], index: int, limit: int) -> int:
    """How many sections from `index` on, a tiny one, make one chunk together; the rule is the module's."""
    start, path = sections[index][:2]
    tiny = tiny_worth(limit)
    depth, above = len(path), path[:-1]
    most = meter.before(start) + limit * PARTS
    longest = start + limit * MAX_CHARACTERS_PER_TOKEN
    count, all_tiny, at = 1, True, meter.before(starts[index + 1])
    while all_tiny and index + count < len(sections):
        own, stop = sections[index + count][1], starts[index + count + 1]
        after = meter.before(stop)
        all_tiny = after - at <= tiny
        is_near = own[:depth] == path or (all_tiny and own[: max(depth - 1, 0)] == above)
        if not is_near or after > most or stop > longest:
            break
        at = after
        count += 1
    return count


def together(sections: list[Section]) -> Section:
    """Joined sections as one: below the first one's path, or that of its parent where its siblings follow it."""
    first = next((section for section in sections if section.path), sections[0])
    path = first.path
    if len(path) > 1 and any(section.path[: len(path)] != path for section in sections if section.path):
        path = path[:-1]
    title = path_title(path)
    return Section(sections[0].start, path, title, worth(title, "text"), sections[0].heads)
