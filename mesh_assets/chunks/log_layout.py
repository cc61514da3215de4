"""Where the message of a log line begins: what stands before it has the same form in (nearly) every line.

Columns of a date, a host, a process or a level are told by their form, from a sample of lines; behind them a component
may be named up to a colon or in brackets. What a timestamp means belongs to `timestamps`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from mesh_assets.chunks.log_records import LEVELS

# Lines that show the layout, spread over the log.
SAMPLE_LINES = 400
# Columns of a head; the longest that is known (of a supercomputer's event log) has nine.
MAX_COLUMNS = 12
# Shares of the lines in which a column has one form, only numbers in whatever form, or one word; and in which a
# component is named.
_ONE_FORM, _NUMERIC, _ONE_WORD, _TAGGED = 0.8, 0.97, 0.95, 0.85

_DIGITS = re.compile(r"[0-9]+")
_LETTERS = re.compile(r"[A-Za-z]+")
_LEVEL_WORDS = frozenset((*LEVELS, "WARNING", "ERR", "CRIT", "FAILURE", *"VDIWEF"))
# `sshd(pam_unix)[19939]: `, `dfs.DataNode$PacketResponder: `, `[thread-7]: `
_TAG = r"^(?:[\w.$/()#@-]+(?:\[\w*\])?:\s+|\S+\[\w*\]:\s*)"
_TAGGED_LINE = re.compile(_TAG)


@dataclass(frozen=True, slots=True)
class LogLayout:
    """The head of the lines of one log: so many `columns` of words, then a component where it is `tagged`."""

    columns: int
    tagged: bool

    @classmethod
    def detect(cls, lines: Sequence[str]) -> LogLayout:
        """The layout of the log that `lines` are of; those without one have no column and no tag."""
        step = max(1, len(lines) // SAMPLE_LINES)
        sample = [line for line in lines[::step] if line.strip()]
        if not sample:
            return cls(0, tagged=False)
        rows = [line.split(None, MAX_COLUMNS) for line in sample]
        heads = [at + 1 for at, column in enumerate(_columns(rows)) if _is_head(column)]
        # Where every line says the same, its words are no head.
        columns = next((at for at in reversed(heads) if sum(len(row) > at for row in rows) > len(rows) // 2), 0)
        rests = (line.split(None, columns)[columns:] for line in sample)
        tagged = sum(bool(rest) and _TAGGED_LINE.match(rest[0]) is not None for rest in rests)
        return cls(columns, tagged=tagged > _TAGGED * len(sample))

    def messages(self, lines: pl.Series) -> pl.Series:
        """The messages of `lines` (strings), each without its head; empty where a line ends within it."""
        head = rf"^\s*(?:\S+(?:\s+|$)){{{self.columns}}}" if self.columns else r"^\s*"
        found = lines.str.replace(head, "")
        return found.str.replace(_TAG, "") if self.tagged else found


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """The words of each column, an empty one where a line is shorter."""
    for at in range(MAX_COLUMNS):
        yield [row[at] if at < len(row) else "" for row in rows]


def _is_head(words: Sequence[str]) -> bool:
    """Whether a column is part of the head: nearly all its words have one form, or it says the level."""
    count, distinct = len(words), Counter(words)
    word, most = distinct.most_common(1)[0]
    if word and most > _ONE_WORD * count:
        return True
    forms = Counter[str]()
    for word, number in distinct.items():
        forms[_form(word)] += number
    plain = forms.pop("", 0)
    return bool(forms) and (forms.most_common(1)[0][1] > _ONE_FORM * count or count - plain > _NUMERIC * count)


def _form(word: str) -> str:
    """What a word looks like: runs of digits and letters as one sign, all levels alike; empty for an ordinary word."""
    if _DIGITS.search(word):
        return _LETTERS.sub("a", _DIGITS.sub("0", word))
    return "level" if word.strip("[]():<>").upper() in _LEVEL_WORDS else ""
