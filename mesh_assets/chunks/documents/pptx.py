"""Presentations (Office Open XML) as blocks: slide by slide its title, text, tables, charts and the speaker's notes.

Source of the element names: ECMA-376 part 1, PresentationML and DrawingML.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh_assets.chunks.documents.blocks import Block, Break, Heading, Item, Paragraph, Picture, Table
from mesh_assets.chunks.documents.packages import Element, Package, below, child, held, name_of, opened_package
from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject

_TITLES = frozenset({"title", "ctrTitle"})
# A text of one line and at most so many characters is a title where no shape is called one.
_TITLE = 80
# What every slide has: it says nothing of this one.
_FURNITURE = frozenset({"sldNum", "dt", "ftr", "hdr"})
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def pptx_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a presentation."""
    with opened_package(source) as package:
        main = next((name for kind, name in package.relations("").values() if kind == "officeDocument"), "")
        if main not in package.names:
            raise FormatError(
                "broken pptx",
                f"{source.path} is an archive without a presentation.",
                remedy="If it is an archive of files, call it .zip; else open it with PowerPoint and save it anew.",
            )
        relations = package.relations(main)
        listed = child(package.xml(main), "sldIdLst")
        for number, entry in enumerate(listed if listed is not None else (), 1):
            _, name = relations.get(_relation_id(entry), ("", ""))
            slide = package.xml_or_none(name)
            if slide is not None and held(slide, "show") != "0":
                yield Break("slide", number)
                yield from _slide(package, name, slide, number)


def _is_short(shape: Element) -> bool:
    """Whether a shape's text can stand for the title that a slide has not."""
    return name_of(shape) == "sp" and 0 < len(_text(shape)) <= _TITLE and "\n" not in _text(shape)


def _relation_id(entry: Element) -> str:
    """The id of a relation, and not the entry's own."""
    return entry.get(_RELATION) or next(
        (str(value) for key, value in entry.attrib.items() if str(key).endswith("}id")), ""
    )


def _slide(package: Package, name: str, slide: Element, number: int) -> Iterator[Block]:
    relations = package.relations(name)
    tree = child(slide, "cSld", "spTree")
    shapes = list(_shapes(tree)) if tree is not None else []
    title = next((shape for shape in shapes if _placeholder(shape) in _TITLES and _text(shape)), None)
    title = title if title is not None else next(filter(_is_short, shapes), None)
    yield Heading(_text(title) if title is not None else f"Slide {number}", 1)
    for shape in shapes:
        if shape is not title and _placeholder(shape) not in _FURNITURE:
            yield from _shape(package, relations, shape)
    notes = next((part for kind, part in relations.values() if kind == "notesSlide"), None)
    tree = package.xml_or_none(notes)
    words = [_text(shape) for shape in below(tree, "sp") if _placeholder(shape) == "body"] if tree is not None else []
    if any(words):
        yield Paragraph("Notes: " + "\n".join(filter(None, words)))


def _shapes(holder: Element) -> Iterator[Element]:
    """The shapes in order, those of groups among them."""
    for element in holder:
        name = name_of(element)
        if name in ("sp", "pic", "graphicFrame", "cxnSp"):
            yield element
        elif name in ("grpSp", "AlternateContent", "Choice"):
            yield from _shapes(element)


def _placeholder(shape: Element) -> str:
    """What a shape is there for in the layout, empty where it has no place there."""
    for properties in ("nvSpPr", "nvPicPr", "nvGraphicFramePr"):
        place = child(shape, properties, "nvPr", "ph")
        if place is not None:
            return held(place, "type") or "obj"
    return ""


def _shape(package: Package, relations: dict[str, tuple[str, str]], shape: Element) -> Iterator[Block]:
    name = name_of(shape)
    if name == "pic":
        own = next(below(shape, "cNvPr"), None)
        yield Picture((held(own, "descr") or "") if own is not None else "")
    elif name == "graphicFrame":
        for table in below(shape, "tbl"):
            yield _table(table)
        yield from _drawn(package, relations, shape)
    else:
        yield from _paragraphs(shape)


def _drawn(package: Package, relations: dict[str, tuple[str, str]], frame: Element) -> Iterator[Block]:
    """The words of a chart or diagram, which are in a part of its own."""
    for element in below(frame, "chart", "relIds"):
        wanted = _relation_id(element) or (held(element, "dm") or "")
        kind, part = relations.get(wanted, ("", ""))
        tree = package.xml_or_none(part)
        if tree is None:
            continue
        if kind == "chart":
            yield from _chart(tree)
        else:
            for paragraph in below(tree, "p"):
                yield Item(_line(paragraph))


def _chart(tree: Element) -> Iterator[Block]:
    """A chart's title, and its series as a table with the categories as columns."""
    title = next(below(tree, "title"), None)
    if title is not None:
        yield Paragraph(" ".join(filter(None, (_line(each) for each in below(title, "p")))))
    rows: list[list[str]] = []
    for series in below(tree, "ser"):
        cells = [_values(child(series, part)) for part in ("tx", "cat", "val")]
        if not rows and cells[1]:
            rows.append(["", *cells[1]])
        rows.append([" ".join(cells[0]), *cells[2]])
    if rows:
        yield Table(rows)


def _values(holder: Element | None) -> list[str]:
    return [(each.text or "").strip() for each in below(holder, "v")] if holder is not None else []


def _table(table: Element) -> Table:
    rows: list[list[str]] = []
    for row in below(table, "tr"):
        cells: list[str] = []
        for cell in row:
            if name_of(cell) != "tc":
                continue
            above = rows[-1] if rows and held(cell, "vMerge") in ("1", "true") else []
            cells.append(above[len(cells)] if len(cells) < len(above) else _text(cell))
        rows.append(cells)
    return Table(rows)


def _paragraphs(shape: Element) -> Iterator[Block]:
    """The text of a shape: one paragraph as that, more or deeper ones as a list."""
    body = child(shape, "txBody")
    if body is None:
        return
    found = [(_line(each), _depth(each)) for each in body if name_of(each) == "p"]
    found = [(text, depth) for text, depth in found if text]
    is_list = len(found) > 1 and _placeholder(shape) in ("body", "obj", "subTitle")
    for text, depth in found:
        yield Item(text, depth) if is_list or depth else Paragraph(text)


def _depth(paragraph: Element) -> int:
    properties = child(paragraph, "pPr")
    level = held(properties, "lvl") if properties is not None else None
    return min(int(level), 8) if level and level.isdecimal() else 0


def _text(holder: Element) -> str:
    return "\n".join(filter(None, (_line(each) for each in below(holder, "p"))))


def _line(paragraph: Element) -> str:
    """A paragraph's text; a line break in it is a space."""
    return "".join(" " if name_of(each) == "br" else each.text or "" for each in below(paragraph, "t", "br")).strip()
