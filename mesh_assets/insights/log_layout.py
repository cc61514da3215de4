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
from mesh_assets.insights.template_miner import CALENDAR, Shape, shape_of, templates_of

# Lines that show the layout, spread over the log.
SAMPLE_LINES = 100
# Columns of a head; the longest that is known (of a supercomputer's event log) has nine.
MAX_COLUMNS = 12
# Shares of the lines in which the words of a column have a form (digits, a level, a day, brackets) or are one word, and
# in which a component is named.
_FORMED, _ONE_WORD, _TAGGED = 0.95, 0.95, 0.85
# A word that is in so many of the lines is no name.
_FREQUENT = 0.05
# A head stands before many messages. So many show it, and of them, each counted once, it stands before this share:
# lines that belong to the record before them may be messages of their own.
_LEAST_MESSAGES, _OF_MESSAGES = 4, 0.7

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
        each = [rows[place] for place in _of_each_message(sample)]
        columns = list(_columns(rows))
        if len(each) < _LEAST_MESSAGES:
            heads = range(1, next((at for at, column in enumerate(columns) if not _says_no_message(column)), 0) + 1)
        else:
            shares = zip(columns, _columns(each), strict=True)
            heads = [at for at, (every, few) in enumerate(shares, 1) if _is_head(every) and _is_head(few, _OF_MESSAGES)]
        stop = next((at for at in reversed(heads) if _are_followed(sample, at)), 0)
        # A component with its process looks like a column. Words that are in every line stand before the message where
        # a component is named behind them: the host.
        for before in range(max(0, stop - 1), MAX_COLUMNS + 1):
            if _are_tagged([cls(before).message(line) for line in sample]):
                return cls(before, before)
            if before == MAX_COLUMNS or (before >= stop and not _is_one_word(columns[before])):
                break
        return cls(stop, next((at for at, column in enumerate(columns[:stop]) if _names(column)), None))

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
    """The places of lines that show a message each: their templates have the same frequent words.

    Names in two places of a message may be too many for a template to be seen in a sample, but they are not frequent.
    """
    said = [shape_of(line) for line in lines]
    templates = templates_of(set(said))
    counts = Counter(word for shape in said for word in set(templates[shape]))
    least = max(2, _FREQUENT * len(lines))
    first: dict[Shape, int] = {}
    for place, shape in enumerate(said):
        first.setdefault(tuple(word for word in templates[shape] if counts[word] >= least), place)
    return list(first.values())


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """The words of each column, an empty one where a line is shorter."""
    for at in range(MAX_COLUMNS):
        yield [row[at] if at < len(row) else "" for row in rows]


def _is_head(words: Sequence[str], share: float = _FORMED) -> bool:
    """Whether a column is part of the head: of its words that share has a form. Threads are in brackets: `[main]`."""
    formed = sum(number for word, number in Counter(words).items() if _form(word) or _IN_BRACKETS.fullmatch(word))
    return formed > share * len(words)


def _is_one_word(words: Sequence[str]) -> bool:
    word, most = Counter(words).most_common(1)[0]
    return bool(word) and most > _ONE_WORD * len(words)


def _says_no_message(words: Sequence[str]) -> bool:
    """Whether a column holds times, numbers, levels or signs only."""
    return all(word and (_form(word) or not word.upper().isupper()) for word in words)


def _are_followed(lines: Sequence[str], columns: int) -> bool:
    """Whether something stands behind so many columns in most lines."""
    heads = ((line, _HEADS[columns].match(line)) for line in lines)
    return sum(head is not None and head.end() < len(line) for line, head in heads) > len(lines) // 2


def _are_tagged(messages: Sequence[str]) -> bool:
    """Whether nearly all name a component, which is no level, before they say something."""
    tags = (match[0] for message in messages if (match := _TAGGED_LINE.match(message)) is not None)
    return sum(_form(tag) != "level" and tag.upper().isupper() for tag in tags) > _TAGGED * len(messages)


def _names(words: Sequence[str]) -> bool:
    """Whether a column names what wrote the lines: words without digits that are no level, not all of them one."""
    distinct = Counter(word.strip(_AROUND) for word in words)
    named = sum(number for word, number in distinct.items() if word and not _form(word) and word.upper().isupper())
    return named > _ONE_WORD * len(words) and distinct.most_common(1)[0][1] <= _ONE_WORD * len(words)


@lru_cache(maxsize=4096)
def _form(word: str) -> str:
    """What a word is made of or names: digits, a day or month, a level; empty for an ordinary word."""
    if _DIGITS.search(word):
        return "digits"
    if word.strip("[(,") in CALENDAR:
        return "day"
    return "level" if word.strip("[]():<> ").upper() in _LEVEL_WORDS else ""
