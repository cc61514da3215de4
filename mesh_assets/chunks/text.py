"""Markdown, reStructuredText and plain text: sections by their headings, cut at paragraphs and sentences.

A section that fits is one chunk. A section of less than an eighth of a chunk joins the next one while they fit
together, if that is its own subsection, or is as small and has the same parent: a list of short headings does not
become hundreds of chunks. A larger section is cut as `cutting.prose_cuts` cuts, and so are paragraphs without any
heading; headings stay with the first part of what they are above. Where headings are is found in `headings`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, ProseEnds, Span, fitted_context, prose_cuts, prose_ends
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
        section, count = sections[index], 1
        heads = section.heads
        after = before(starts[index + 1])
        if after - at <= tiny:
            section, count = joined(meter, sections, starts, index, limit)
            after = before(starts[index + count])
        index += count
        stop = starts[index]
        _, path, title, worths, _ = section
        if after - at <= most and stop - start <= longest:
            tokens, room = -(-worths // PARTS), limit + (at - after) // PARTS
            context = (title, tokens) if tokens <= room else fitted_context(title, room, "text")
            yield stop, after, context, title or None
        else:
            context = fitted_context(title, limit // CONTEXT_SHARE, "text")
            if heads:
                # The part that begins with the heading needs only those above it.
                above = fitted_context(path_title(path[:-1]), limit // CONTEXT_SHARE, "text")
                start, at = _headed_cut(text, meter, start, stop, limit - above[1], ends)
                yield start, at, above, title or None
            if start < stop:
                for cut, worths in prose_cuts(text, meter, start, stop, limit - context[1], ends):
                    yield cut, worths, context, title or None
        start, at = stop, after


def _headed_cut(text: str, meter: TokenMeter, start: int, stop: int, limit: int, ends: ProseEnds) -> tuple[int, int]:
    """The first cut in a section that does not fit. Its headings are not cut off from what they are above."""
    cut, worths = next(prose_cuts(text, meter, start, stop, limit, ends))
    head = worths - meter.before(start)
    if cut == stop or head > tiny_worth(limit):
        return cut, worths
    return next(prose_cuts(text, meter, cut, stop, limit - -(-head // PARTS), ends))


def tiny_worth(limit: int) -> int:
    """A section that is worth no more than this, in 64ths of a token, joins its neighbours."""
    return (max(limit // TINY_SHARE, 1) - 1) * PARTS


def joined(
    meter: TokenMeter, sections: list[Section], starts: list[int], index: int, limit: int
) -> tuple[Section, int]:
    """The section that those from `index` on, a tiny one, make together by the rules of the module; and how many.

    `starts` are those of all sections, and the end of the last one.
    """
    start, path = sections[index][:2]
    tiny = tiny_worth(limit)
    depth, above = len(path), path[:-1]
    before = meter.before(start)
    most, longest = before + limit * PARTS, start + limit * MAX_CHARACTERS_PER_TOKEN
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
    made = _together(sections[index : index + count])
    if at - before <= tiny and index + count < len(sections):
        below = sections[index + count]
        if path and below.path[: len(made.path)] == made.path:
            # Headings alone: they go with the first part of the large section that they are above.
            return below, count + 1
    return made, count


def _together(sections: list[Section]) -> Section:
    """Joined sections as one: below the first one's path, or that of its parent where its siblings follow it."""
    first = next((section for section in sections if section.path), sections[0])
    path = first.path
    if len(path) > 1 and any(section.path[: len(path)] != path for section in sections if section.path):
        path = path[:-1]
    title = path_title(path)
    return Section(sections[0].start, path, title, worth(title, "text"), sections[0].heads)
