"""Where the message of a log line begins: what stands before it has the same form in (nearly) every line.

Columns of a date, a host, a process or a level are told by their form, from a sample of lines; behind them a component
may be named up to a colon or in brackets. What a timestamp means belongs to `chunks.timestamps`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from mesh_assets.chunks.log_records import LEVELS
from mesh_assets.insights.template_miner import Shape, shape_of, templates_of

# Lines that show the layout, spread over the log.
SAMPLE_LINES = 120
# Columns of a head; the longest that is known (of a supercomputer's event log) has nine.
MAX_COLUMNS = 12
# Shares of the lines in which a column has one form, only numbers in whatever form, or one word; and in which a
# component is named.
_ONE_FORM, _NUMERIC, _ONE_WORD, _TAGGED = 0.8, 0.97, 0.95, 0.85
# A head stands before many messages. So many show it, and of them, each counted once, it stands before this share:
# lines that belong to the record before them may be messages of their own.
_LEAST_MESSAGES, _OF_MESSAGES = 4, 0.5

# Blanks are those that `template_miner` ends words at. A quote ends the head: what it holds has blanks of its own.
_BLANK, _WORD = r"[\x00-\x20]", r'[^\x00-\x20"]'
_SPLIT = re.compile(rf"{_BLANK}+")
_SAYS = re.compile(r'["{]')
_DIGITS = re.compile(r"[0-9]+")
_IN_BRACKETS = re.compile(r"\[.*\]:?")
_LETTERS = re.compile(r"[A-Za-z]+")
_LEVEL_WORDS = frozenset((*LEVELS, "WARNING", "ERR", "CRIT", "FAILURE", *"VDIWEF"))
# `sshd(pam_unix)[19939]: `, `dfs.DataNode$PacketResponder: `
_NAME = r"[^\x00-\x20\":\[\]{}<>=,;|']+"
_TAG = rf"(?:{_NAME}(?:\[[^\x00-\x20\"\[\]]*\])?:{_BLANK}+|{_NAME}\[[^\x00-\x20\"\[\]]*\]:{_BLANK}*)"
_TAGGED_LINE = re.compile(f"^({_TAG})")
_TAG_ENDS = re.compile(r"(?:\[[^\[\]]*\])?:?$")
# Signs around the name of a component.
_AROUND = "[]{}<>:,;|-"


@dataclass(frozen=True, slots=True)
class LogLayout:
    """The head of the lines of one log: so many `columns` of words, then a component where it is `tagged`.

    `source` is the column that says what wrote a line, counted from 0; it is `columns` where the log is tagged, and
    None where nothing says it.
    """

    columns: int
    source: int | None = None

    @property
    def tagged(self) -> bool:
        """Whether a component is named behind the columns."""
        return self.source is not None and self.source == self.columns

    @property
    def has_head(self) -> bool:
        """Whether anything stands before the message."""
        return self.columns > 0 or self.tagged

    @classmethod
    def detect(cls, lines: Sequence[str]) -> LogLayout:
        """The layout of the log that `lines` are of; those without one have no column and no tag."""
        sample = _begun_alike([line for line in lines[:: max(1, len(lines) // SAMPLE_LINES)] if line.strip()])
        if not sample:
            return cls(0)
        rows = [_words(line) for line in sample]
        shown = [rows[place] for place in _of_each_message(sample)]
        if len(shown) < _LEAST_MESSAGES:
            columns = next((at for at, column in enumerate(_columns(rows)) if not _says_no_message(column)), 0)
        else:
            shares = zip(_columns(rows), _columns(shown), strict=True)
            heads = [
                at + 1 for at, (every, each) in enumerate(shares) if _is_head(every) and _is_head(each, _OF_MESSAGES)
            ]
            # Where every line says the same, its words are no head.
            columns = next((at for at in reversed(heads) if _are_followed(sample, at)), 0)
        for before in (columns, columns - 1):  # a component that wrote every line looks like a column
            if before >= 0 and _are_tagged([cls(before).message(line) for line in sample]):
                return cls(before, before)
        naming = (at for at, column in enumerate(_columns(rows)) if at < columns and _names(column))
        return cls(columns, next(naming, None))

    def message(self, line: str) -> str:
        """The message of `line`: what stands behind its head, all of it where it has no such head."""
        return line[self._head(line) :]

    def _head(self, line: str) -> int:
        found = _HEADS[self.columns].match(line)
        stop = found.end() if found else 0
        if self.tagged:
            tag = _TAGGED_LINE.match(line[stop:])
            stop += tag.end() if tag else 0
        return stop

    def messages(self, lines: pl.Series) -> pl.Series:
        """The messages of `lines` (strings), as `message` gives each."""
        found = lines.str.replace(_HEADS[self.columns].pattern, "")
        return found.str.replace(_TAGGED_LINE.pattern, "") if self.tagged else found

    def source_of(self, line: str) -> str | None:
        """What wrote `line`: a component, a class, a process; None where the log does not say it."""
        if self.source is None:
            return None
        if self.tagged:
            head = _HEADS[self.columns].match(line)
            tag = _TAGGED_LINE.match(line[head.end() if head else 0 :])
            word = _TAG_ENDS.sub("", tag[0].strip()) if tag else ""
        else:
            words = _words(line)
            word = words[self.source] if len(words) > self.source else ""
        return word.strip(_AROUND) or None


_HEADS = tuple(
    re.compile(rf"^{_BLANK}*(?:{_WORD}+(?:{_BLANK}+|$)){{{columns}}}" if columns else rf"^{_BLANK}*")
    for columns in range(MAX_COLUMNS + 1)
)


def _begun_alike(lines: list[str]) -> list[str]:
    """Those of the lines whose first word looks like that of most: others belong to the record before them."""
    forms = [_LETTERS.sub("a", _DIGITS.sub("0", line.split(None, 1)[0])) for line in lines]
    most = Counter(forms).most_common(1)
    if not most or most[0][1] <= len(lines) // 2:
        return lines
    return [line for line, form in zip(lines, forms, strict=True) if form == most[0][0]]


def _words(line: str) -> list[str]:
    """The first words of a line, up to a quote or a brace, one more than a head may have."""
    head = _SAYS.split(line, 1)[0]
    return [word for word in _SPLIT.split(head, MAX_COLUMNS + 1) if word][: MAX_COLUMNS + 1]


def _of_each_message(lines: Sequence[str]) -> list[int]:
    """The places of lines that show a message each."""
    alike: dict[str, int] = {}
    for place, line in enumerate(lines):
        alike.setdefault(_DIGITS.sub("0", line), place)
    shapes: dict[Shape, int] = {}
    for place in alike.values():
        shapes.setdefault(shape_of(lines[place]), place)
    first: dict[Shape, int] = {}
    for shape, template in templates_of(shapes).items():
        if shape in shapes:
            first.setdefault(template, shapes[shape])
    return list(first.values())


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """The words of each column, an empty one where a line is shorter."""
    for at in range(MAX_COLUMNS):
        yield [row[at] if at < len(row) else "" for row in rows]


def _is_head(words: Sequence[str], least: float = 1.0) -> bool:
    """Whether a column is part of the head: nearly all its words have one form or are in brackets, or say the level.

    With `least`, whether it may be: that share of the words is enough.
    """
    count, distinct = len(words), Counter(words)
    word, most = distinct.most_common(1)[0]
    if word and most > min(_ONE_WORD, least) * count:
        return True
    in_brackets = sum(number for word, number in distinct.items() if _IN_BRACKETS.fullmatch(word))
    if in_brackets > min(_NUMERIC, least) * count:  # threads: `[main]`, `[http-7]`
        return True
    forms = Counter[str]()
    for word, number in distinct.items():
        forms[_form(word)] += number
    plain = forms.pop("", 0)
    return bool(forms) and (
        forms.most_common(1)[0][1] > min(_ONE_FORM, least) * count or count - plain > min(_NUMERIC, least) * count
    )


def _says_no_message(words: Sequence[str]) -> bool:
    """Whether a column holds times, numbers, levels or signs only."""
    return all(word and (_form(word) or not word.upper().isupper()) for word in words)


def _are_followed(lines: Sequence[str], columns: int) -> bool:
    """Whether something stands behind so many columns in most lines."""
    heads = ((line, _HEADS[columns].match(line)) for line in lines)
    return sum(head is not None and head.end() < len(line) for line, head in heads) > len(lines) // 2


def _are_tagged(messages: Sequence[str]) -> bool:
    return sum(_TAGGED_LINE.match(message) is not None for message in messages) > _TAGGED * len(messages)


def _names(words: Sequence[str]) -> bool:
    """Whether a column names what wrote the lines: words without digits that are no level, not all of them one."""
    distinct = Counter(word.strip(_AROUND) for word in words)
    named = sum(number for word, number in distinct.items() if word and not _form(word) and word.upper().isupper())
    return named > _ONE_WORD * len(words) and distinct.most_common(1)[0][1] <= _ONE_WORD * len(words)


@lru_cache(maxsize=4096)
def _form(word: str) -> str:
    """What a word looks like: runs of digits and letters as one sign, all levels alike; empty for an ordinary word."""
    if _DIGITS.search(word):
        return _LETTERS.sub("a", _DIGITS.sub("0", word))
    return "level" if word.strip("[]():<>").upper() in _LEVEL_WORDS else ""
