"""Rows of the table `SYMBOLS`: what a file defines, each definition with its head, documentation and uses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blake3 import blake3

from mesh_assets.chunks.protocol import Source
from mesh_assets.chunks.python_symbols import PythonSymbols
from mesh_assets.chunks.syntax.cuts import one_line
from mesh_assets.chunks.syntax.outline import Outline, Uses
from mesh_assets.chunks.syntax.utf8 import Utf8, extent_bytes
from mesh_assets.chunks.windows import Window
from mesh_assets.schemas.rejects import printable

# A program of longer lines in the mean was written by a program: what it defines has names that say nothing.
MINIFIED_LINE = 300
_MAX_DOC = 600
_MAX_HEAD = 1200
# What comments begin and end with, and what their lines begin with.
_COMMENT = re.compile(r"^\s*(?:/\*+!?|//+[/!]?|#+!?|--+\[*\s?\|?|\{-+\s?\|?|%+|;+)\s?|\s*(?:\*+/|-\}|\]\])\s*$")
_STAR = re.compile(r"^\s*\*+(?!/)\s?")
_TAGS = re.compile(r"</?\w[^<>]{0,80}>")
_RETURNS = re.compile(r"\s*(?:@\w+|:param\b|:return|\\param\b|\\return)")
_STRING = re.compile(r"^[rRuUbBfF]{0,2}(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')\s*$")
_PARAGRAPHS = re.compile(r"\n[^\S\n]*\n")
_NO_DOC = re.compile(r"#!|.{0,400}?(?:copyright|licen[sc]e|spdx|coding[:=])", re.IGNORECASE | re.DOTALL)


def symbol_rows(source: Source, outline: Outline, content: Utf8) -> Iterator[tuple[int, dict[str, object]]]:
    """Rows of `SYMBOLS` in the order of their starts, each with the byte in the extent that it begins at.

    They lack what the stage adds. `content` is what the outline was made of.
    """
    data = outline.data
    file_uses, uses = outline.uses()
    ordinals: dict[str, int] = {}
    name = source.path.rpartition("/")[2]
    stop = source.stop - source.start
    yield 0, _row(
        source, ordinals, "", "module", printable(name), _file_doc(outline, file_uses), (0, stop),
        (1, content.line_at(max(len(data) - 1, 0))), file_uses.lists,
    )  # fmt: skip
    if len(data) > MINIFIED_LINE * (data.count(b"\n") + 1):
        return
    places = content.extent_bytes([place for each in outline.definitions for place in (each.start, each.stop)])
    for each, own in zip(outline.definitions, uses, strict=True):
        head = data[each.head : min(each.body, each.head + _MAX_HEAD)].decode("utf-8", "ignore")
        above = data[each.lead : each.start].decode("utf-8", "ignore")
        doc = _uncommented(above) if own.doc is None else _unquoted(own.doc, each.name)
        if own.doc is None and above[:1] in ('"', "'"):
            doc = _unquoted(above, each.name)
        lines = content.line_at(each.start), content.line_at(max(each.stop - 1, each.start))
        extent = places[each.start], places[each.stop]
        yield extent[0], _row(source, ordinals, each.symbol, each.type, one_line(head), doc, extent, lines, own.lists)


def python_rows(source: Source, window: Window, found: PythonSymbols) -> Iterator[tuple[int, dict[str, object]]]:
    """As `symbol_rows`, of a module that was looked through without a parser."""
    text, definitions = found.text, found.definitions
    ordinals: dict[str, int] = {}
    first = definitions[0].lead if definitions else len(text)
    doc = found.file_doc
    doc = _unquoted(doc, "") if doc is not None else _uncommented(_first_comments(text, found.comments(), first))
    breaks = text.count("\n")
    yield 0, _row(
        source, ordinals, "", "module", printable(source.path.rpartition("/")[2]), doc,
        (0, source.stop - source.start), (1, breaks + (text[-1:] != "\n")), (found.imports[0], found.calls[0], []),
    )  # fmt: skip
    if len(text) > MINIFIED_LINE * (breaks + 1):
        return
    places = extent_bytes(window, [place for each in definitions for place in (each.start, each.stop)])
    for number, each in enumerate(definitions, 1):
        doc = each.doc
        if doc is not None:
            doc = _unquoted(doc, each.name)
        elif each.lead < each.start:
            doc = _uncommented(text[each.lead : each.start])
        start = places[each.start]
        yield start, _row(
            source, ordinals, each.symbol, each.type, one_line(each.head), doc, (start, places[each.stop]),
            (each.row + 1, each.last_row + 1), (found.imports[number], found.calls[number], each.bases),
        )  # fmt: skip


def _row(
    source: Source,
    ordinals: dict[str, int],
    symbol: str,
    what: str,
    signature: str,
    doc: str | None,
    extent: tuple[int, int],
    lines: tuple[int, int],
    uses: tuple[list[str], list[str], list[str]],
) -> dict[str, object]:
    ordinal = ordinals.get(symbol, 0)
    ordinals[symbol] = ordinal + 1
    place = (source.dataset, source.path, symbol, str(ordinal))
    return {
        "symbol_id": blake3("\0".join(place).encode("utf-8", "surrogatepass")).hexdigest(16),
        "language": source.format,
        "symbol": symbol,
        "type": what,
        "signature": signature,
        "docstring": doc or None,
        "byte_start": source.start + extent[0],
        "byte_stop": source.start + extent[1],
        "line_start": lines[0],
        "line_stop": lines[1],
        "imports": uses[0],
        "calls": uses[1],
        "bases": uses[2],
    }


def _file_doc(outline: Outline, uses: Uses) -> str | None:
    if uses.doc is not None:
        return _unquoted(uses.doc, "")
    comments = sorted((node.start_byte, node.end_byte) for node in outline.captured.get("comment", ()))
    first = outline.definitions[0].lead if outline.definitions else len(outline.data)
    # As Latin-1, so that places are the same.
    raw = _first_comments(outline.data.decode("latin-1"), comments, first)
    return _uncommented(raw.encode("latin-1").decode("utf-8", "ignore"))


def _first_comments(text: str, comments: list[tuple[int, int]], first: int) -> str:
    """The comments that a file begins with, but for those that belong to its `first` definition."""
    at = 0
    raw = ""
    for start, stop in comments:
        between = text[at:start]
        if start >= first or between.strip(" \t\r\n\xef\xbb\xbf\ufeff"):
            break
        if between.count("\n") > 1 and raw:
            break
        piece = text[start:stop]
        if not _NO_DOC.match(piece):
            raw += piece if piece.endswith("\n") else piece + "\n"
        at = stop
    return raw


def _uncommented(raw: str) -> str | None:
    """The first paragraph of comments without their marks."""
    if not raw or raw.isspace():
        return None
    lines: list[str] = []
    for line in raw[: 4 * _MAX_DOC].splitlines():
        text = _TAGS.sub("", _STAR.sub("", _COMMENT.sub("", line))).strip()
        if line.lstrip().startswith(("@", "#[")):
            continue  # attributes
        if _RETURNS.match(text) or (not text and lines):
            break
        if text.strip("*/#-=+~ "):
            lines.append(text)
    return " ".join(lines)[:_MAX_DOC] or None


def _unquoted(raw: str, name: str) -> str | None:
    """The first paragraph of a string literal, but for one that only repeats how `name` is called."""
    paragraphs = _PARAGRAPHS.split(_STRING.sub("", raw).strip(), maxsplit=2)
    first = paragraphs[1] if len(paragraphs) > 1 and name and paragraphs[0].startswith(f"{name}(") else paragraphs[0]
    return " ".join(first.split())[:_MAX_DOC] or None
