"""HTML as blocks: what a reader of the page sees of its text, in order. Parsed by lexbor as browsers do.

Marks are put around the elements that make blocks, then the text of the whole tree is taken at once and read mark by
mark: the time of Python goes by blocks, not by every link and span, and depth of nesting costs nothing. Left out are
scripts, hidden elements and what is for finding one's way (navigation, footers of the page, forms), unless nothing else
is there. A table that only arranges things is no table.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate, islice
from typing import TYPE_CHECKING

import numpy as np

from mesh_assets.chunks.documents.blocks import Block, Heading
from mesh_assets.chunks.documents.html_scan import MARK, PageScan
from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_DECLARED_WITHIN = 4096

# b: a block. s: left out. n: left out unless asked for. f: as n, unless it is of a text. Digits: headings.
_BY_LETTER = {
    **{str(level): f"h{level}" for level in range(1, 7)},
    "l": "ul menu",
    "o": "ol",
    "i": "li dt",
    "e": "dd",
    "t": "table",
    "a": "caption",
    "r": "tr",
    "d": "td",
    "h": "th",
    "c": "pre listing xmp",
    "k": "br",
    "p": "img",
    "f": "footer",
    "n": "nav button",
    "b": "p div section article main aside header blockquote figure figcaption details summary address hgroup fieldset "
    "legend center body form dl",
    "s": "script style head noscript svg iframe object canvas audio video title annotation annotation-xml textarea "
    "select datalist template noframes rp",
}
# Their ends. A block's is only one more place where text is parted; rows and cells end where the next ones start.
_ENDS = (
    {"b": "b"} | dict.fromkeys("krdh", "") | {each: each.upper() for each in "loietcsa"} | dict.fromkeys("123456", "Q")
)
_HIDDEN = '[hidden],[aria-hidden="true"],[style*="display:none"],[style*="display: none"]'
# Ways around the page, and signs for editors; the last are MediaWiki's and Sphinx's.
_CHROME = (
    '[role="navigation"],[role="search"],[role="banner"] nav,[role="contentinfo"],a.headerlink,a.anchor,.skip-link,'
    ".mw-editsection,.mw-jump-link,.mw-portlet,.mw-logo"
)
_SPANS = "td[rowspan],td[colspan],th[rowspan],th[colspan]"
# Below these a footer belongs to a text, and not to the page.
_TEXTS = frozenset({"article", "main", "blockquote", "section"})
_ANCESTORS = 50
# To open an element takes lexbor as long as that is deep: seconds at twenty thousand, minutes beyond.
_TOO_DEEP = 20_000
_OPEN, _SLASH = b"</"
_NESTING = re.compile(
    rb"<(/?)(?!(?:p|li|td|th|tr|dt|dd|br|hr|img|input|meta|link|option|col|tbody|area|wbr|source|track|base|embed)\b)[a-z]",
    re.IGNORECASE,
)
# Browsers nest 512 elements; every so manieth is looked at for deeper ones.
_MAX_DEPTH, _DEPTH_SAMPLE = 1000, 256


def html_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a page."""
    with source.open() as stream:
        data = stream.read()
    yield from markup_blocks(data, source.encoding)


def markup_blocks(data: bytes, encoding: str | None, *, in_book: bool = False) -> Iterator[Block]:
    """The blocks of HTML that is in `encoding`, or else in what it says itself.

    A page `in_book` has a title that nobody sees: it is a heading only where there is no other.
    """
    content = _utf8(data, encoding).replace(MARK.encode(), b"")
    depth = _depth(content)
    if depth > _TOO_DEEP:
        raise FormatError(
            "nested too deeply",
            f"Elements lie in elements, more than {_TOO_DEEP:,} deep.",
            remedy="It was made by a broken program or to exhaust a reader; save its text in another way.",
        )
    is_deep = depth > _MAX_DEPTH
    title, blocks = _read(content, is_deep, chrome=False)
    if not blocks:
        title, blocks = _read(content, is_deep, chrome=True)
    has_headings = any(isinstance(block, Heading) for block in blocks)
    yield from blocks if in_book and has_headings else _titled(blocks, title)


def decoded(data: bytes, encoding: str | None) -> str:
    """The text of a page. What is UTF-8 is read as that, whatever it says of itself, because hardly any other is."""
    for mark, codec in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if data.startswith(mark):
            return data.decode(codec, "replace")
    if encoding is not None and encoding.startswith("utf-16"):
        return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = _DECLARED.search(data, 0, _DECLARED_WITHIN)
        return declared_text(data, declared[1].decode("ascii") if declared else encoding or "cp1252")


def declared_text(data: bytes, name: str) -> str:
    """`data` in the encoding that it is said to be in. What is called Latin-1 is Windows's nearly always.

    Source: WHATWG Encoding Standard, names and labels.
    """
    try:
        codec = codecs.lookup(name).name
        return data.decode("cp1252" if codec in ("iso8859-1", "ascii") else codec, "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def _utf8(data: bytes, encoding: str | None) -> bytes:
    if encoding in (None, "utf-8") and (data.isascii() or _is_utf8(data)):
        return data
    return decoded(data, encoding).encode("utf-8", "replace")


def _depth(content: bytes) -> int:
    """About how deep elements lie in each other, or less where that is not deep at all."""
    codes = np.frombuffer(content, np.uint8)
    after = codes[np.flatnonzero(codes[:-1] == _OPEN) + 1]
    # Letters open, a slash closes; what needs no closing lets this run up, and is left out in a closer look.
    deepest = int(np.cumsum(np.where(after == _SLASH, -1, after > _SLASH), dtype=np.int64).max(initial=0))
    if deepest <= _TOO_DEEP:
        return deepest
    return max(accumulate(-1 if tag[1] else 1 for tag in _NESTING.finditer(content)), default=0)


def _is_utf8(data: bytes) -> bool:
    try:
        codecs.utf_8_decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _read(content: bytes, is_deep: bool, *, chrome: bool) -> tuple[str, list[Block]]:
    """The title of a page, and its blocks."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(content)
    title = tree.css_first("head > title")
    named = " ".join(title.text().split()) if title is not None else ""
    scan = PageScan()
    scan.read(_marked_text(tree, content, is_deep, chrome=chrome))
    return named, scan.blocks


def _marked_text(tree: LexborHTMLParser, content: bytes, is_deep: bool, *, chrome: bool) -> str:
    root = tree.root
    if root is None:
        return ""
    if is_deep and _is_deep(root):
        # To put a mark somewhere takes as long as that is deep: each piece of text is a block.
        tree.strip_tags(_BY_LETTER["s"].split())
        return root.text(separator=f"{MARK}b")
    _mark(tree, root, chrome=chrome)
    if b"span=" in content.lower():
        _mark_spans(tree)
    return root.text()


def _is_deep(root: LexborNode) -> bool:
    """Whether elements lie deeper than in any page that a person made, as far as a sample of them shows."""
    for node in islice(root.traverse(), 0, None, _DEPTH_SAMPLE):
        above: LexborNode | None = node
        for _ in range(_MAX_DEPTH):
            above = above.parent
            if above is None:
                break
        else:
            return True
    return False


def _titled(blocks: list[Block], title: str) -> list[Block]:
    """The blocks below the page's title, where they do not say it themselves as a heading."""
    if not title or not blocks:
        return blocks
    heads = [block for block in blocks if isinstance(block, Heading)]
    top = min((head.level for head in heads), default=1)
    words = title.casefold()
    for head in heads:
        said = head.text.casefold()
        if head.level == top and (said in words or words in said):
            return blocks
    return [
        Heading(title, 1),
        *(Heading(block.text, block.level + 1) if isinstance(block, Heading) else block for block in blocks),
    ]


@cache
def _letters() -> dict[int, str]:
    """The letter of each element of `_BY_LETTER` by the number that lexbor gives it."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser("")
    return {tree.create_node(name).tag_id: letter for letter, names in _BY_LETTER.items() for name in names.split()}


def _mark(tree: LexborHTMLParser, root: LexborNode, *, chrome: bool) -> None:
    """Put marks around elements. Without `chrome`, what is for finding one's way is marked as to be left out."""
    letters = _letters()
    left_out = tree.css(_HIDDEN if chrome else f"{_HIDDEN},{_CHROME}")
    for node in root.traverse():
        letter = letters.get(node.tag_id)
        if letter is None:
            continue
        if letter in _ENDS:
            node.insert_before(MARK + letter)
            if end := _ENDS[letter]:
                node.insert_after(MARK + end)
        elif letter == "p":
            _mark_picture(node)
        elif not chrome and (letter == "n" or not _is_of_text(node)):
            left_out.append(node)
    for node in left_out:
        if node.tag not in ("html", "body"):
            node.insert_before(f"{MARK}s")
            node.insert_after(f"{MARK}S")


def _mark_spans(tree: LexborHTMLParser) -> None:
    """Say in cells how far they stretch."""
    for node in tree.css(_SPANS):
        held = node.attributes
        node.insert_child(f"{MARK}n{held.get('rowspan') or 1},{held.get('colspan') or 1}{MARK}k")


def _mark_picture(node: LexborNode) -> None:
    words = " ".join((node.attributes.get("alt") or "").split())
    if words:
        node.insert_before(f" [image: {words}] ")


def _is_of_text(node: LexborNode) -> bool:
    above = node.parent
    for _ in range(_ANCESTORS):
        if above is None:
            break
        if above.tag in _TEXTS:
            return True
        above = above.parent
    return False
