"""Jupyter notebooks (nbformat 3 and 4) as blocks: prose, programs, what they printed; pictures as files of their own.

Source of the layout: the nbformat documentation. Of an output that is there in several forms, the plain one is read.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import cast

from mesh_assets.chunks.documents.blocks import Attachment, Block, Break, Code, Heading, Paragraph, part_reject
from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.+?)[ \t#]*")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
# What colours an error message on a terminal.
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PICTURES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/svg+xml": "svg"}
# How nbformat 3 names the forms of an output.
_OLD_FORMS = {"text": "text/plain", "png": "image/png", "jpeg": "image/jpeg", "svg": "image/svg+xml"}

_Json = dict[str, object]


def notebook_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a notebook, its cells being its places. FormatError where it is JSON, but no notebook."""
    with source.open() as stream:
        book = _object(json.loads(stream.read().decode(source.encoding or "utf-8-sig")))
    cells = _objects(book.get("cells"))
    for sheet in _objects(book.get("worksheets")):
        cells += _objects(sheet.get("cells"))
    if not cells and "cells" not in book and "worksheets" not in book:
        raise FormatError(
            "no notebook",
            f"{source.path} is JSON without the cells of a notebook.",
            remedy="Give it the name of what it is (`.json`), or save the notebook anew.",
        )
    pictures: list[Attachment] = []
    for number, cell in enumerate(cells, 1):
        yield Break("cell", number)
        yield from _cell(cell)
        for output in _objects(cell.get("outputs")):
            yield from _printed(output)
            pictures += _pictures(output, f"cell {number} picture {len(pictures) + 1}")
        for name, forms in _object(cell.get("attachments")).items():
            pictures += _pictures({"data": forms}, f"cell {number} {name}")
    for picture in pictures:
        if picture.data:
            yield picture
        else:
            yield part_reject(source, "broken picture", picture.name, "Run the cell again and save the notebook.")


def _object(value: object) -> _Json:
    return cast("_Json", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _objects(value: object) -> list[_Json]:
    return [cast("_Json", each) for each in _list(value) if isinstance(each, dict)]


def _text(value: object, between: str = "") -> str:
    """A text, which notebooks write as one string or as lines."""
    return value if isinstance(value, str) else between.join(each for each in _list(value) if isinstance(each, str))


def _cell(cell: _Json) -> Iterator[Block]:
    kind, written = cell.get("cell_type"), _text(cell.get("source", cell.get("input")))
    if kind == "markdown":
        yield from _markdown(written)
    elif kind == "heading":
        level = cell.get("level")
        yield Heading(written, level if isinstance(level, int) else 1)
    elif kind == "raw":
        yield Paragraph(written)
    else:
        yield Code(written)


def _markdown(text: str) -> Iterator[Block]:
    """Headings, fenced code, and paragraphs of all else; lists and tables are paragraphs as they are written."""
    held: list[str] = []
    fence = ""
    for line in [*text.splitlines(), ""]:
        mark, title = _FENCE.match(line), None if fence else _HEADING.fullmatch(line)
        ends = fence and line.strip().startswith(fence)
        if not fence and held and (mark or title or not line.strip()):
            yield Paragraph("\n".join(held))
            held = []
        if title:
            yield Heading(title[2], len(title[1]))
        elif ends:
            yield Code("\n".join(held))
            fence, held = "", []
        elif fence or (line.strip() and not mark):
            held.append(line)
        elif mark:
            fence = mark[1]
    if held:  # a fence that nothing closes
        yield Code("\n".join(held))


def _forms(output: _Json) -> _Json:
    """An output by media type."""
    return _object(output.get("data")) or {_OLD_FORMS[name]: output[name] for name in _OLD_FORMS if name in output}


def _printed(output: _Json) -> Iterator[Block]:
    """What a cell printed, returned or failed with."""
    if output.get("output_type") in ("error", "pyerr"):
        said = _text(output.get("traceback"), "\n") or f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
    else:
        said = _text(output.get("text")) or _text(_forms(output).get("text/plain"))
    if said.strip():
        yield Code(_COLOURS.sub("", said))


def _pictures(output: _Json, name: str) -> Iterator[Attachment]:
    """The first form of a picture, without data where that cannot be decoded."""
    forms = _forms(output)
    kind = next((kind for kind in _PICTURES if kind in forms), None)
    if kind is None:
        return
    written = _text(forms[kind])
    try:
        data = (
            written.encode() if kind == "image/svg+xml" else base64.b64decode("".join(written.split()), validate=True)
        )
    except (binascii.Error, ValueError):
        data = b""
    yield Attachment(name if "." in name else f"{name}.{_PICTURES[kind]}", data)
