"""Marked text of a page as blocks: what is a paragraph, an item, code, or a table and what only arranges others.

Where marks are put belongs to `html`. What they say: b, a block; k, a line break; digits and Q, a heading; l, o and L,
O, a list without and with numbers; i and e, an item and what is below it; t, r, d, h, a table, its rows, cells and
header cells; a, a caption; n, how far a cell stretches; c, code; s, what is left out. Capitals are ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mesh_assets.chunks.documents.blocks import Block, Code, Heading, Item, Paragraph, Table

# A mark is this character, which no page has, and a letter: small where an element starts, capital where it ends.
MARK = "\x01"
# Stands for a line break until the spaces of a block are joined: a control character that white space is not.
_BREAK = "\x02"
# Characters whose marks are read at once.
_STEP = 1 << 20
_PERMALINKS = "¶§#🔗 "
# A table in a cell of another is words of that cell up to so many rows, columns and characters.
_SMALL, _SMALL_CELL = 10, 300
# A cell of more characters than this holds text that a table arranges.
_LONG_CELL = 2000
# Cells that one may stretch over, and all that a table may have for it.
_MAX_SPAN = 100
_MAX_CELLS = 1 << 20


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
class PageScan:
    """Reads marked text to `blocks`. Marks that do not fit are passed over: a page may hold anything."""

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
            stop = text.find(MARK, start + _STEP)
            self._read(text[start : stop if stop >= 0 else len(text)])
            start = stop if stop >= 0 else len(text)
        self._flush()

    def _read(self, text: str) -> None:
        first, *parts = text.split(MARK)
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
        if letter == "i" and self.lists and self.lists[-1] >= 0:
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
