"""Rich text (RTF) as blocks: its paragraphs, and the rows of its tables. Read by striprtf, which knows no headings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast

from mesh_assets.chunks.documents.blocks import Block, Item, Paragraph, Table
from mesh_assets.chunks.protocol import Source
from mesh_assets.schemas.rejects import Reject

# Pictures are written as endless hexadecimal digits, and would take striprtf a minute for 50 MB.
_HEXADECIMAL = re.compile(r"[0-9a-fA-F\s]{512,}")
_BULLET = re.compile(r"[•·▪◦\uf0b7]\s*")


def rtf_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a text."""
    from striprtf.striprtf import rtf_to_text  # pyright: ignore[reportUnknownVariableType]  # has no types

    read = cast("Callable[..., str]", rtf_to_text)

    with source.open() as stream:
        written = stream.read().decode("latin-1")
    text = read(_HEXADECIMAL.sub(" ", written), errors="replace")
    rows: list[list[str]] = []
    for line in text.split("\n"):
        words = line.strip()
        if words.endswith("|"):
            rows.append([cell.strip() for cell in words[:-1].split("|")])
            continue
        if rows:
            yield Table(rows)
            rows = []
        bullet = _BULLET.match(words)
        yield Item(words[bullet.end() :]) if bullet else Paragraph(words)
    if rows:
        yield Table(rows)
