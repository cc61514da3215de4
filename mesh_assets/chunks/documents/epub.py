"""E-books (EPUB 2 and 3) as blocks: the parts of the spine in their order, each read as a page of HTML.

Source of the layout: EPUB 3.3, package document and container. The book's title is the top of every heading path.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh_assets.chunks.documents.blocks import Block, Break, Heading
from mesh_assets.chunks.documents.html import markup_blocks
from mesh_assets.chunks.documents.packages import Package, below, encrypted, held, opened_package, within
from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject

_PAGES = ("application/xhtml+xml", "text/html")
_RIGHTS = "META-INF/rights.xml"


def epub_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a book."""
    with opened_package(source) as package:
        if _RIGHTS in package.names:
            raise encrypted(source)
        title, parts = _spine(package)
        if title:
            yield Heading(title, 1)
        for number, name in enumerate(parts, 1):
            if name not in package.names:
                continue
            yield Break("part", number)
            blocks = list(markup_blocks(package.read(name), None, in_book=True))
            # A part's own headings are told apart, but its highest is a chapter's, whatever it is called there.
            levels = [block.level for block in blocks if isinstance(block, Heading) and block.text != title]
            top = min(levels, default=1) - bool(title)
            for block in blocks:
                if not isinstance(block, Heading):
                    yield block
                elif block.text != title:
                    yield Heading(block.text, block.level - top + 1)


def _spine(package: Package) -> tuple[str, list[str]]:
    """The title of a book and the names of its parts in the order of reading."""
    container = package.xml_or_none("META-INF/container.xml")
    roots = below(container, "rootfile") if container is not None else iter(())
    main = next((held(root, "full-path") or "" for root in roots), "")
    tree = package.xml_or_none(main)
    if tree is None:
        raise FormatError(
            "broken epub",
            f"{package.source.path} does not say what it consists of.",
            remedy="Take it from its source again, or open it with a reader of e-books and save it anew.",
        )
    folder = main.rpartition("/")[0]
    items = {held(item, "id"): item for item in below(tree, "item")}
    parts: list[str] = []
    for reference in below(tree, "itemref"):
        item = items.get(held(reference, "idref"))
        is_contents = item is not None and "nav" in (held(item, "properties") or "").split()
        if item is not None and held(item, "media-type") in _PAGES and not is_contents:
            parts.append(within(folder, held(item, "href") or ""))
    title = next((each.text or "" for each in below(tree, "title")), "")
    return " ".join(title.split()), parts
