"""Word documents (Office Open XML) as blocks: the body in order, headings by their styles, notes where they are called.

Source of the element names: ECMA-376 part 1, WordprocessingML; both its namespaces (transitional and strict) are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mesh_assets.chunks.documents.blocks import Block, Code, Heading, Item, Paragraph, Table
from mesh_assets.chunks.documents.packages import Element, Package, below, child, held, name_of, opened_package
from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject

# Elements that hold blocks, and those that hold runs of a paragraph: both are looked through.
_HOLDERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag", "body", "document"})
# What a paragraph shows only as a second way to draw the same, or not at all.
_SKIPPED = frozenset({"Fallback", "del", "moveFrom", "instrText", "delText", "rPr", "pPr", "sdtPr"})
_BREAKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
# Signs before parts of formulas: what is below a fraction line, raised or lowered; formulas are words of their own.
_MATH = {"den": "/", "sup": "^", "sub": "_", "oMath": " "}
_BULLETS = frozenset({"bullet", "none"})
# Styles of text whose spaces count.
_CODE_NAMES = frozenset({"code", "preformatted", "verbatim"})
# A style is based on another, that on a third: more are a circle.
_MAX_BASES = 12


def docx_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a document."""
    with opened_package(source) as package:
        main = _main_part(package)
        reader = _Reader(package, package.relations(main))
        yield from reader.code_together(reader.blocks(package.xml(main)))
        yield from reader.comments()


def _main_part(package: Package) -> str:
    for kind, name in package.relations("").values():
        if kind == "officeDocument" and name in package.names:
            return name
    if "word/document.xml" in package.names:
        return "word/document.xml"
    raise FormatError(
        "broken docx",
        f"{package.source.path} is an archive without a text document.",
        remedy="If it is an archive of files, call it .zip; else open it with Word and save it anew.",
    )


@dataclass(frozen=True, slots=True)
class _Style:
    """What a paragraph style says: heading level (0 none), list (number id and depth), code."""

    level: int = 0
    number: str | None = None
    depth: int = 0
    code: bool = False


@dataclass(slots=True)
class _Reader:
    package: Package
    relations: dict[str, tuple[str, str]]
    styles: dict[str, _Style] = field(init=False)
    lists: dict[tuple[str, int], str] = field(init=False)
    notes: dict[tuple[str, str], Element] = field(init=False)
    counts: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    # A title stands above the headings, so they are one level lower behind it.
    shift: int = 0
    called: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    boxes: list[Element] = field(default_factory=list[Element])

    def __post_init__(self) -> None:
        self.styles = _styles(self._part("styles"))
        self.lists = _lists(self._part("numbering"))
        self.notes = {}
        for kind in ("footnote", "endnote"):
            tree = self._part(f"{kind}s")
            for note in below(tree, kind) if tree is not None else ():
                self.notes[kind, held(note, "id") or ""] = note

    def _part(self, kind: str) -> Element | None:
        return self.package.xml_or_none(next((name for own, name in self.relations.values() if own == kind), None))

    def blocks(self, holder: Element) -> Iterator[Block]:
        """The blocks in an element, in order."""
        for element in holder:
            name = name_of(element)
            if name == "p":
                yield from self._paragraph(element)
            elif name == "tbl":
                yield from self._table(element)
            elif name in _HOLDERS:
                yield from self.blocks(element)

    def comments(self) -> Iterator[Block]:
        """What readers noted in the margin, behind the text."""
        tree = self._part("comments")
        for comment in below(tree, "comment") if tree is not None else ():
            text = " ".join(filter(None, (self._text(p).strip() for p in below(comment, "p"))))
            if text:
                yield Paragraph(f"Comment by {held(comment, 'author') or 'unknown'}: {text}")

    @staticmethod
    def code_together(blocks: Iterator[Block]) -> Iterator[Block]:
        """The blocks, those of code that follow each other as one."""
        lines: list[str] = []
        for block in blocks:
            if isinstance(block, Code):
                lines.append(block.text)
                continue
            if lines:
                yield Code("\n".join(lines))
                lines = []
            yield block
        if lines:
            yield Code("\n".join(lines))

    def _paragraph(self, element: Element) -> Iterator[Block]:
        outer = self.boxes, self.called
        self.boxes, self.called = [], []
        text = self._text(element)
        boxes, called = self.boxes, self.called
        self.boxes, self.called = outer
        if text.strip():
            yield self._block(element, text)
        for box in boxes:
            yield from self.blocks(box)
        for kind, number in called:
            note = self.notes.get((kind, number))
            words = " ".join(self._text(p).strip() for p in below(note, "p")) if note is not None else ""
            if words.strip():
                yield Paragraph(f"[{number}] {words.strip()}")

    def _block(self, element: Element, text: str) -> Block:
        own = child(element, "pPr")
        named = child(own, "pStyle")
        style = self.styles.get(held(named, "val") or "", _Style()) if named is not None else _Style()
        level = _outline_level(own) or style.level
        if level:
            if level == 1 and style.number == "title":
                self.shift = 1
                return Heading(text, 1)
            return Heading(text, level + self.shift)
        number, depth = _number(own)
        number, depth = (number, depth) if number is not None else (style.number, style.depth)
        if number not in (None, "0", "title"):
            assert number is not None
            return Item(text.strip(), depth, self._mark(number, depth))
        return Code(text) if style.code else Paragraph(text)

    def _mark(self, number: str, depth: int) -> str:
        form = self.lists.get((number, depth), "bullet")
        if form in _BULLETS:
            return "-"
        self.counts[number, depth] += 1
        for deeper in range(depth + 1, 9):
            del self.counts[number, deeper]
        return f"{self.counts[number, depth]}."

    def _table(self, element: Element) -> Iterator[Block]:
        rows = [row for row in below(element, "tr") if _table_of(row) is element]
        cells = [[cell for cell in below(row, "tc") if _row_of(cell) is row] for row in rows]
        if all(len(row) <= 1 for row in cells):
            # A frame around text, and no table.
            for row in cells:
                for cell in row:
                    yield from self.blocks(cell)
            return
        texts: list[list[str]] = []
        header = 0
        for row, own in zip(rows, cells, strict=True):
            texts.append(self._row(own, texts[-1] if texts else []))
            if header == len(texts) - 1 and child(row, "trPr", "tblHeader") is not None:
                header += 1
        yield Table(texts, header if 0 < header < len(texts) else 1)

    def _row(self, cells: list[Element], above: list[str]) -> list[str]:
        """The texts of a row; a cell that goes on from above says the same."""
        texts: list[str] = []
        for cell in cells:
            merged = child(cell, "tcPr", "vMerge")
            if merged is not None and (held(merged, "val") or "continue") == "continue":
                texts.append(above[len(texts)] if len(texts) < len(above) else "")
            else:
                texts.append(" ".join(filter(None, (self._text(p).strip() for p in below(cell, "p")))))
            span = held(wide, "val") if (wide := child(cell, "tcPr", "gridSpan")) is not None else None
            texts += [""] * (min(int(span), 64) - 1 if span and span.isdecimal() else 0)
        return texts

    def _text(self, element: Element) -> str:
        """The text of a paragraph; what it calls (notes) and holds (text boxes) is kept for behind it."""
        found: list[str] = []
        self._collect(element, found)
        return "".join(found)

    def _collect(self, element: Element, found: list[str]) -> None:
        for each in element:
            name = name_of(each)
            if name == "t":
                found.append(each.text or "")
            elif name in _BREAKS:
                found.append(_BREAKS[name])
            elif name in ("footnoteReference", "endnoteReference"):
                note = (name.removesuffix("Reference"), held(each, "id") or "")
                self.called.append(note)
                found.append(f"[{note[1]}]")
            elif name == "txbxContent":
                self.boxes.append(each)
            elif name == "docPr":
                words = " ".join((held(each, "descr") or "").split())
                found.append(f"[image: {words}] " if words else "")
            elif name not in _SKIPPED:
                found.append(_MATH.get(name, ""))
                self._collect(each, found)


def _table_of(row: Element) -> Element | None:
    return next(row.iterancestors("{*}tbl"), None)


def _row_of(cell: Element) -> Element | None:
    return next(cell.iterancestors("{*}tr"), None)


def _outline_level(properties: Element | None) -> int:
    """The heading level that properties of a paragraph or style give, 0 for none."""
    outline = child(properties, "outlineLvl")
    level = held(outline, "val") if outline is not None else None
    return int(level) + 1 if level and level.isdecimal() and int(level) < 9 else 0


def _number(properties: Element | None) -> tuple[str | None, int]:
    """The list that properties put a paragraph into, and how deep."""
    numbering = child(properties, "numPr")
    number, depth = child(numbering, "numId"), child(numbering, "ilvl")
    deep = held(depth, "val") if depth is not None else None
    return (held(number, "val") if number is not None else None), (
        min(int(deep), 8) if deep and deep.isdecimal() else 0
    )


def _styles(tree: Element | None) -> dict[str, _Style]:
    """The paragraph styles by their ids, with what they take from those that they are based on."""
    found: dict[str, Element] = {}
    for style in below(tree, "style") if tree is not None else ():
        found[held(style, "styleId") or ""] = style
    return {key: _style(key, found) for key in found}


def _style(key: str, styles: dict[str, Element]) -> _Style:
    level, number, depth, code = 0, None, 0, False
    for _ in range(_MAX_BASES):
        element = styles.get(key)
        if element is None:
            break
        named = child(element, "name")
        name = (held(named, "val") or "").lower() if named is not None else ""
        if name == "title" and not level:
            return _Style(1, "title")
        last = name.rpartition("heading ")[2]
        properties = child(element, "pPr")
        by_name = int(last) if name.startswith("heading ") and last.isdecimal() and len(last) == 1 else 0
        level = level or by_name or _outline_level(properties)
        if number is None:
            number, depth = _number(properties)
        code = code or not _CODE_NAMES.isdisjoint(name.split())
        base = child(element, "basedOn")
        key = held(base, "val") or "" if base is not None else ""
    return _Style(level, number, depth, code)


def _lists(tree: Element | None) -> dict[tuple[str, int], str]:
    """How items are numbered, by list and depth: `bullet`, `decimal` ..."""
    found: dict[tuple[str, int], str] = {}
    if tree is None:
        return found
    forms: dict[str, dict[int, str]] = {}
    for abstract in below(tree, "abstractNum"):
        levels = forms.setdefault(held(abstract, "abstractNumId") or "", {})
        for level in below(abstract, "lvl"):
            form, depth = child(level, "numFmt"), held(level, "ilvl") or ""
            if form is not None and depth.isdecimal():
                levels[int(depth)] = held(form, "val") or ""
    for number in below(tree, "num"):
        abstract = child(number, "abstractNumId")
        levels = forms.get(held(abstract, "val") or "", {}) if abstract is not None else {}
        found |= {(held(number, "numId") or "", depth): form for depth, form in levels.items()}
    return found
