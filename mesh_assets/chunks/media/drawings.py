"""Chunker of drawings in SVG: their words, colours and size. They are XML, but nobody looks for their coordinates.

Nothing is drawn: no renderer is among the libraries, so there is no preview either.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from mesh_assets.chunks.media.colours import WORDS, colour_shares, colour_words
from mesh_assets.chunks.media.facts import picture_line
from mesh_assets.chunks.media.reading import Reading, clean, one_line
from mesh_assets.chunks.protocol import Part, Source
from mesh_assets.errors import FormatError

FORMAT = "svg"
_SHAPES = frozenset({"path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "image", "use"})
_NUMBER = re.compile(r"\s*(\d{1,6}(?:\.\d+)?)\s*(?:px)?\s*")
_COLOUR = re.compile(r"#([0-9a-f]{6}|[0-9a-f]{3})\b", re.IGNORECASE)
_NAMED = re.compile(rf"(?:fill|stroke|stop-color)\s*[:=]?\s*[\"']?({'|'.join(WORDS)}|gray)\b")
_MOST_TEXT = 200_000
_PAINTED = ("fill", "stroke", "stop-color", "style")


@dataclass(slots=True)
class _Drawing:
    """What was met of one drawing so far."""

    size: tuple[int, int] = (0, 0)
    shapes: int = 0
    texts: list[str] = field(default_factory=list[str])
    characters: int = 0
    told: dict[str, str] = field(default_factory=dict[str, str])
    colours: Counter[str] = field(default_factory=Counter[str])


class DrawingChunker:
    """Chunks SVG."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        """One piece, or more where there is much text. FormatError where the XML is broken."""
        drawing = _read(source)
        lines = [picture_line("Vector drawing", form=FORMAT, size=drawing.size, colours=_colours(drawing.colours))]
        lines += [f"{name}: {text}" for name, text in drawing.told.items()]
        lines.append(f"{drawing.shapes:,} shapes.")
        if drawing.texts:
            lines += ["Text in the picture:", *drawing.texts]
        yield from Reading.of(source.path, chunk_tokens).write("\n".join(lines))


def _read(source: Source) -> _Drawing:
    etree: Any = import_module("lxml.etree")
    drawing = _Drawing()
    with source.open() as stream:
        try:
            events = etree.iterparse(
                stream, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False
            )
            depth = 0
            for event, element in events:
                name = etree.QName(element).localname
                if event == "start":
                    _begin(drawing, name, {str(key): str(value) for key, value in element.attrib.items()}, depth)
                    depth += 1
                    continue
                depth -= 1
                if name in ("title", "desc", "text"):
                    _words(drawing, name, " ".join(map(str, element.itertext())), depth)
                if name not in ("tspan", "textPath", "a"):  # whose words belong to the text around them
                    element.clear()
        except (etree.XMLSyntaxError, ValueError) as error:
            raise FormatError(
                "broken svg",
                f"{source.path} is no complete XML: {one_line(str(error), 300)}.",
                remedy="Open it with the program that drew it and save it anew, or leave it out.",
            ) from error
    return drawing


def _begin(drawing: _Drawing, name: str, attributes: dict[str, str], depth: int) -> None:
    if not depth:
        box = [part for part in re.split(r"[\s,]+", attributes.get("viewBox", "").strip()) if part]
        sides = attributes.get("width", ""), attributes.get("height", "")
        numbers = [_NUMBER.fullmatch(side) for side in (*sides, *box[2:4])]
        found = [round(float(number[1])) for number in numbers if number]
        if len(found) >= 2:
            drawing.size = found[0], found[1]
    drawing.shapes += name in _SHAPES
    for key in _PAINTED:
        if value := attributes.get(key):
            drawing.colours.update(code.lower() for code in _COLOUR.findall(value))
            drawing.colours.update(_NAMED.findall(f"{key}:{value}"))


def _words(drawing: _Drawing, name: str, text: str, depth: int) -> None:
    said = clean(one_line(text))
    if not said or drawing.characters > _MOST_TEXT:
        return
    if depth == 1 and name != "text":
        drawing.told.setdefault("Title" if name == "title" else "Description", said)
        return
    drawing.texts.append(said)
    drawing.characters += len(said)


def _colours(found: Counter[str]) -> str:
    """The colours by how often they are used; a drawing that names none is black."""
    shares = np.zeros(len(WORDS))
    for code, count in found.items():
        if code in WORDS or code == "gray":
            shares[WORDS.index("grey" if code == "gray" else code)] += count
        else:
            whole = code if len(code) == 6 else "".join(digit * 2 for digit in code)
            pixel = np.array([list(bytes.fromhex(whole))], np.uint8)
            shares += count * colour_shares(pixel)
    if not shares.any():
        shares[WORDS.index("black")] = 1
    return colour_words(shares / shares.sum())
