"""OpenDocument texts and presentations as blocks: headings, paragraphs, lists, tables and notes in order.

Source of the element names: OASIS OpenDocument 1.3, part 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mesh_assets.chunks.documents.blocks import Block, Break, Heading, Item, Paragraph, Table
from mesh_assets.chunks.documents.packages import Element, child, encrypted, held, name_of, opened_package
from mesh_assets.chunks.protocol import Source
from mesh_assets.schemas.rejects import Reject

# What is no text of the document: what was deleted, margin notes, the shapes of pages.
_SKIPPED = frozenset({"tracked-changes", "annotation", "sequence-decls", "forms", "index-title-template", "settings"})
_DEPTH = 8
# Empty cells and rows are written once with a count that goes to the end of the sheet.
_MAX_REPEATED = 64


def odf_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a text or presentation."""
    with opened_package(source) as package:
        if b"encryption-data" in (package.read("META-INF/manifest.xml") if _has_manifest(package.names) else b""):
            raise encrypted(source)
        body = child(package.xml("content.xml"), "body")
        reader = _Reader()
        for content in body if body is not None else ():
            yield from reader.blocks(content)


def _has_manifest(names: frozenset[str]) -> bool:
    return "META-INF/manifest.xml" in names


@dataclass(slots=True)
class _Reader:
    slide: int = 0
    # Notes and frames that the paragraph that is being read calls or holds.
    behind: list[Element] = field(default_factory=list[Element])

    def blocks(self, holder: Element, depth: int = -1) -> Iterator[Block]:
        """The blocks in an element; `depth` lists deep, -1 outside of any."""
        for element in holder:
            name = name_of(element)
            if name in ("p", "h"):
                yield from self._paragraph(element, depth)
            elif name == "list":
                yield from self.blocks(element, min(depth + 1, _DEPTH))
            elif name == "table":
                yield self._table(element)
            elif name == "page":
                self.slide += 1
                yield Break("slide", self.slide)
                yield from self.blocks(element)
            elif name == "notes":
                words = " ".join(filter(None, (self._text(p).strip() for p in element.iter("{*}p"))))
                if words:
                    yield Paragraph(f"Notes: {words}")
            elif name not in _SKIPPED:
                yield from self.blocks(element, depth)

    def _paragraph(self, element: Element, depth: int) -> Iterator[Block]:
        outer, self.behind = self.behind, []
        text = self._text(element).strip()
        behind, self.behind = self.behind, outer
        if text:
            level = held(element, "outline-level") if name_of(element) == "h" else None
            if name_of(element) == "h":
                yield Heading(text, int(level) if level and level.isdecimal() else 1)
            elif held(element, "style-name") == "Title":
                yield Heading(text, 1)
            else:
                yield Item(text, depth) if depth >= 0 else Paragraph(text)
        for each in behind:
            if name_of(each) == "note":
                mark, body = child(each, "note-citation"), child(each, "note-body")
                words = " ".join(self._text(p).strip() for p in body.iter("{*}p")) if body is not None else ""
                yield Paragraph(f"[{(mark.text or '') if mark is not None else ''}] {words}")
            else:
                yield from self.blocks(each)

    def _table(self, element: Element) -> Table:
        rows: list[list[str]] = []
        header = 0
        for row in element.iter("{*}table-row"):
            if next(row.iterancestors("{*}table"), None) is not element:
                continue
            cells: list[str] = []
            for cell in row:
                if name_of(cell) in ("table-cell", "covered-table-cell"):
                    repeated = held(cell, "number-columns-repeated") or "1"
                    words = " ".join(filter(None, (self._text(p).strip() for p in cell.iter("{*}p"))))
                    cells += [words] * (min(int(repeated), _MAX_REPEATED) if repeated.isdecimal() else 1)
            rows.append(cells)
            header += next(row.iterancestors("{*}table-header-rows"), None) is not None
        return Table(rows, header if 0 < header < len(rows) else 1)

    def _text(self, element: Element) -> str:
        found: list[str] = [element.text or ""]
        for each in element:
            name = name_of(each)
            if name == "s":
                count = held(each, "c") or "1"
                found.append(" " * (min(int(count), 80) if count.isdecimal() else 1))
            elif name in ("tab", "line-break"):
                found.append("\t" if name == "tab" else "\n")
            elif name == "note":
                mark = child(each, "note-citation")
                found.append(f"[{(mark.text or '') if mark is not None else ''}]")
                self.behind.append(each)
            elif name in ("frame", "custom-shape", "g"):
                self.behind.append(each)
                alt = child(each, "desc") if child(each, "desc") is not None else child(each, "title")
                found.append(f"[image: {alt.text}]" if alt is not None and alt.text else "")
            elif name not in _SKIPPED:
                found.append(self._text(each))
            found.append(each.tail or "")
        return "".join(found)
