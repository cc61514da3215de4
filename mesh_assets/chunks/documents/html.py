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
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, islice
from typing import TYPE_CHECKING

import numpy as np

from mesh_assets.chunks.documents.blocks import Block, Code, Heading, Item, Paragraph, Table
from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

# A mark is this character, which no page has, and a letter: small where an element starts, capital where it ends.
_MARK = "\x01"
_DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_DECLARED_WITHIN = 4096
# Stands for a line break until the spaces of a block are joined: a control character that white space is not.
_BREAK = "\x02"

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
# Characters whose marks are read at once.
_STEP = 1 << 20
# Cells that one may stretch over, and all that a table may have for it.
_MAX_SPAN = 100
_MAX_CELLS = 1 << 20
# A cell of more characters than this holds text that a table arranges.
_LONG_CELL = 2000
# A table in a cell of another is words of that cell up to so many rows, columns and characters.
_SMALL, _SMALL_CELL = 10, 300
_PERMALINKS = "¶§#🔗 "


def html_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a page."""
    with source.open() as stream:
        data = stream.read()
    yield from markup_blocks(data, source.encoding)


def markup_blocks(data: bytes, encoding: str | None) -> Iterator[Block]:
    """The blocks of HTML that is in `encoding`, or else in what it says itself."""
    content = _utf8(data, encoding).replace(_MARK.encode(), b"")
    depth = _depth(content)
    if depth > _TOO_DEEP:
        raise FormatError(
            "nested too deeply",
            f"Elements lie in elements, more than {_TOO_DEEP:,} deep.",
            remedy="It was made by a broken program or to exhaust a reader; save its text in another way.",
        )
    is_deep = depth > _MAX_DEPTH
    yield from _read(content, is_deep, chrome=False) or _read(content, is_deep, chrome=True)


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
        name = declared[1].decode("ascii") if declared else encoding or "cp1252"
        try:
            return data.decode(name, "replace")
        except (LookupError, ValueError):
            return data.decode("cp1252" if encoding == "cp1252" else "utf-8", "replace")


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


def _read(content: bytes, is_deep: bool, *, chrome: bool) -> list[Block]:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(content)
    title = tree.css_first("head > title")
    named = " ".join(title.text().split()) if title is not None else ""
    scan = _Scan()
    scan.read(_marked_text(tree, content, is_deep, chrome=chrome))
    return _titled(scan.blocks, named)


def _marked_text(tree: LexborHTMLParser, content: bytes, is_deep: bool, *, chrome: bool) -> str:
    root = tree.root
    if root is None:
        return ""
    if is_deep and _is_deep(root):
        # To put a mark somewhere takes as long as that is deep: each piece of text is a block.
        tree.strip_tags(_BY_LETTER["s"].split())
        return root.text(separator=f"{_MARK}b")
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
            node.insert_before(_MARK + letter)
            if end := _ENDS[letter]:
                node.insert_after(_MARK + end)
        elif letter == "p":
            _mark_picture(node)
        elif not chrome and (letter == "n" or not _is_of_text(node)):
            left_out.append(node)
    for node in left_out:
        if node.tag not in ("html", "body"):
            node.insert_before(f"{_MARK}s")
            node.insert_after(f"{_MARK}S")


def _mark_spans(tree: LexborHTMLParser) -> None:
    """Say in cells how far they stretch."""
    for node in tree.css(_SPANS):
        held = node.attributes
        node.insert_child(f"{_MARK}n{held.get('rowspan') or 1},{held.get('colspan') or 1}{_MARK}k")


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


@dataclass(slots=True)
class _Grid:
    """A table that is being read: `first` is where the blocks in it start, in case it only arranges those."""

    first: int
    rows: list[list[str]] = field(default_factory=list[list[str]])
    cell: list[str] = field(default_factory=list[str])
    in_cell: bool = False
    names: bool = False
    span: tuple[int, int] = (1, 1)
    pending: dict[int, tuple[int, str]] = field(default_factory=dict[int, tuple[int, str]])
    headings: list[bool] = field(default_factory=list[bool])
    arranges: bool = False
    caption: str = ""
    count: int = 0

    def begin_row(self) -> None:
        """A new row."""
        self.end_row()
        self.rows.append([])
        self.headings.append(True)

    def end_cell(self) -> None:
        """The cell that was read goes to its row, and to the places in later rows that it stretches over."""
        if not self.in_cell:
            return
        if not self.rows:
            self.begin_row()
        row = self.rows[-1]
        self.headings[-1] &= self.names
        self._fill(row)
        text = " ".join(self.cell)
        down, across = self.span
        self.count += across
        if self.count > _MAX_CELLS:
            down = across = 1
        for extra in range(across):
            if down > 1:
                self.pending[len(row)] = (down - 1, text if not extra else "")
            row.append(text if not extra else "")
        self.cell, self.in_cell, self.span = [], False, (1, 1)

    def end_row(self) -> None:
        """Cells from above that are behind the last one."""
        if self.rows:
            self._fill(self.rows[-1])

    def _fill(self, row: list[str]) -> None:
        while (held := self.pending.get(len(row))) is not None:
            left, text = held
            if left > 1:
                self.pending[len(row)] = (left - 1, text)
            else:
                del self.pending[len(row)]
            row.append(text)
            self.count += 1

    def hold(self, inner: _Grid) -> None:
        """A table in the open cell: some words of it, or this table only arranges things."""
        words = ", ".join(cell for row in inner.rows[:_SMALL] for cell in row[:_SMALL] if cell)
        if inner.arranges or not self.in_cell or len(inner.rows) > _SMALL or len(words) > _SMALL_CELL:
            self.arranges = True
        elif words:
            self.cell.append(words)

    @property
    def is_table(self) -> bool:
        """Whether it has rows and columns of short cells."""
        rows = [row for row in self.rows if any(row)]
        if self.arranges or not rows or max(map(len, rows)) < 2:
            return False
        return all(len(cell) <= _LONG_CELL for row in rows for cell in row)

    @property
    def header(self) -> int:
        """How many rows at the top name columns: those of header cells only, else the first."""
        count = next((at for at, named in enumerate(self.headings) if not named), len(self.headings))
        return count if 0 < count < len(self.rows) else 1


@dataclass(slots=True)
class _Scan:
    """Reads marked text to blocks. Marks that do not fit are passed over: a page may hold anything."""

    blocks: list[Block] = field(default_factory=list[Block])
    run: list[str] = field(default_factory=list[str])
    grids: list[_Grid] = field(default_factory=list[_Grid])
    lists: list[int] = field(default_factory=list[int])
    hidden: int = 0
    fixed: int = 0
    captions: bool = False
    level: int = 0
    item: tuple[int, str] | None = None

    def read(self, text: str) -> None:
        """The blocks of `text`."""
        start = 0
        while start < len(text):
            stop = text.find(_MARK, start + _STEP)
            self._read(text[start : stop if stop >= 0 else len(text)])
            start = stop if stop >= 0 else len(text)
        self._flush()

    def _read(self, text: str) -> None:
        first, *parts = text.split(_MARK)
        if first:
            self.run.append(first)
        for part in parts:
            letter, rest = part[:1], part[1:]
            if letter == "k":
                self.run.append("\n" if self.fixed else _BREAK)
            elif letter == "n":
                self._note(rest)
                continue
            else:
                if self.run:
                    self._flush()
                if letter != "b":
                    self._turn(letter)
            if rest and not self.hidden and not rest.isspace():
                self.run.append(rest)

    def _turn(self, letter: str) -> None:
        """An element starts or ends."""
        if letter == "s":
            self.hidden += 1
        elif letter == "S":
            self.hidden = max(self.hidden - 1, 0)
        elif self.hidden:
            pass
        elif letter.islower() or letter.isdigit():
            self._start(letter)
        else:
            self._end(letter.lower())

    def _start(self, letter: str) -> None:
        if letter in "123456":
            self.level = int(letter)
        elif letter in "lo":
            self.lists.append(0 if letter == "o" else -1)
        elif letter in "ie":
            self._item(letter)
        elif letter == "c":
            self.fixed += 1
        elif letter == "a":
            self.captions = True
        elif letter in "trdh":
            self._table(letter)

    def _item(self, letter: str) -> None:
        depth = max(len(self.lists) - 1, 0) + (letter == "e")
        mark = "-"
        if self.lists and self.lists[-1] >= 0:
            self.lists[-1] += 1
            mark = f"{self.lists[-1]}."
        self.item = (depth, mark)

    def _table(self, letter: str) -> None:
        if letter == "t":
            self.grids.append(_Grid(len(self.blocks)))
        elif self.grids:
            grid = self.grids[-1]
            grid.end_cell()
            if letter == "r":
                grid.begin_row()
            else:
                grid.in_cell, grid.names = True, letter == "h"

    def _end(self, letter: str) -> None:
        if letter == "q":
            self.level = 0
        elif letter in "lo":
            if self.lists:
                self.lists.pop()
            self.item = None
        elif letter in "ie":
            self.item = None
        elif letter == "c":
            self.fixed = max(self.fixed - 1, 0)
        elif letter == "a":
            self.captions = False
        elif letter == "t" and self.grids:
            self._end_table()

    def _end_table(self) -> None:
        grid = self.grids.pop()
        grid.end_cell()
        grid.end_row()
        if grid.is_table:
            del self.blocks[grid.first :]
            if grid.caption:
                self.blocks.append(Paragraph(grid.caption))
            self.blocks.append(Table([row for row in grid.rows if any(row)], grid.header))
        if self.grids:
            self.grids[-1].hold(grid)

    def _note(self, part: str) -> None:
        """How far the open cell stretches."""
        if self.grids:
            down, _, across = part.partition(",")
            self.grids[-1].span = (_span(down), _span(across))

    def _flush(self) -> None:
        """The text since the last mark is a block."""
        if not self.run:
            return
        raw = self.run[0] if len(self.run) == 1 else "".join(self.run)
        self.run.clear()
        if self.fixed and not self.grids:
            lines = raw.rstrip().split("\n")
            first = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
            if first < len(lines):
                self.blocks.append(Code("\n".join(lines[first:])))
            return
        text = " ".join(raw.split()) if _BREAK not in raw else _lines(raw)
        if text:
            self._block(text)

    def _block(self, text: str) -> None:
        if self.grids and self.captions:
            self.grids[-1].caption = text
        elif self.grids and self.grids[-1].in_cell:
            self.grids[-1].cell.append(text)
        if self.level:
            text = text.rstrip(_PERMALINKS) or text
            if self.grids:
                self.grids[-1].arranges = True
            self.blocks.append(Heading(text, self.level))
        elif self.item is not None:
            depth, mark = self.item
            self.blocks.append(Item(text, depth, mark))
            self.item = (depth + 1, "-") if not self.grids else self.item
        else:
            self.blocks.append(Paragraph(text))


def _lines(raw: str) -> str:
    lines = (" ".join(line.split()) for line in raw.split(_BREAK))
    return "\n".join(line for line in lines if line)


def _span(number: str) -> int:
    try:
        return min(max(int(number), 1), _MAX_SPAN)
    except ValueError:
        return 1
