"""Makes an input of any size from a folder of real files: copies whose words, names and numbers are other ones.

Copy after copy, each word is exchanged for another one of the same length, case and rank of frequency that the folder
has: a shift within that class, another one for each file and copy. So it stays one-to-one within a file: a program
keeps its syntax, a log its templates. Each number is exchanged for another one of as many digits. Keywords, function
words, levels, months, dates and times stay. Names of functions and classes, and one word in `MARK_EVERY`, end in a
serial number in letters, as no real 2 GB repeat those of 40 MB; so texts are different everywhere, and the vocabulary
grows with the input.
"""

from __future__ import annotations

import builtins
import keyword
import re
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.log_records import LEVELS
from mesh_assets.indexes.words import STOP_WORDS
from mesh_assets.intake.kinds import SAMPLE_BYTES, detect

# One word in so many ends in a serial number, beside the names of functions and classes and the first word of a line
# that has few.
MARK_EVERY = 24
# Words of about equal frequency are exchanged among each other: this many most frequent ones of a class, then twice as
# many, and so on.
FIRST_BLOCK = 24
MAX_FILE = 64 << 20
_NO_DOCUMENTS = {"test", "tests", "testing", "data", "model", "models", "__pycache__"}
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec mon tue wed thu fri sat sun".split()
_FUTURE = "annotations division generators nested scopes absolute import print function unicode literals".split()
_KEPT = {
    *keyword.kwlist, *keyword.softkwlist, *STOP_WORDS, *_MONTHS, *_FUTURE, *(level.lower() for level in LEVELS),
    "warning", "err", "self", "cls", "true", "false", "null", "none", "coding", "utf", "latin", "http", "https", "www",
    "com", "org", "net", "begin", "end", "get", "post", "am", "pm", "utc", "gmt", "traceback", "future",
    *(name.lower() for name in dir(builtins) if len(name) < 8),
}  # fmt: skip
# A clock, with a fraction where it has one: two digits behind a comma are the next cell of a table.
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{3,9}(?![\d.]))?)?(?![\d:])"
_MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_TOKEN = re.compile(
    r"(?P<hex>\\x[0-9a-fA-F]{2}|0x[0-9a-fA-F]{2,16}\b)"
    r"|(?P<kept>\\N\{[^}\n]*\}|\\\w*"  # escapes in programs and JSON
    rf"|\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}(?:[T ]{_CLOCK}|-\d\d\.\d\d\.\d\d\.\d+)?"
    rf"|\d{{1,2}}/[A-Z][a-z]{{2}}/\d{{4}}:[\d:]+|{_CLOCK}"
    rf"|\b(?:{_MONTH}) +\d{{1,2}}\b|\b\d{{6}} \d{{6}}\b|\b\d{{2}}-\d{{2}} \d\d:[\d:.]+|\b1\d{{9}}(?:\.\d+|\d{{3}})?\b"
    r"|\b[urbfURBF]{1,2}(?=[\"'])|\d\w*[^\W\d]\w*|coding[:=][^\n]*)"
    r"|(?P<number>[0-9]+)"
    r"|(?P<name>(?:(?<=def )|(?<=class )|(?<=def _)|(?<=class _)|(?<=def __))[^\W\d_]+)|(?P<word>[^\W\d_]{3,})"
    r"|(?P<ruler>^[ \t]*+#[^\w\n\"']*+$)",
    re.MULTILINE,
)
# Markup of HTML stays, and so do programs in it.
_HTML_TOKEN = re.compile(
    r"(?P<markup>(?is:<(script|style)\b.*?</\2\s*>|<!--.*?-->|<[^<>]{1,2000}>|&#?\w{1,12};))|" + _TOKEN.pattern,
    re.MULTILINE,
)
_FIXED, _WORD, _NUMBER = 0, 1, 2
# Numbers of more digits than this are exchanged for one of a sample of so many.
_ALL_DIGITS, _SAMPLE = 4, 20_000
_HEAD_OF_LOG = re.compile(r"^.{1,32}", re.MULTILINE)


@dataclass
class Original:
    """A file as tokens: indices into the table of strings, and the places that get a serial number."""

    path: str
    kind: str
    format: str
    encoding: str | None
    tokens: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    marks: list[int] = field(default_factory=list)
    raw: bytes = b""


@dataclass
class _Table:
    """Distinct strings: `group` is the class within which one is exchanged, -1 for none."""

    strings: list[str] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    groups: dict[tuple[int, int, str], list[int]] = field(default_factory=dict)
    group_of: list[tuple[int, int, str] | None] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, text: str, what: int) -> int:
        found = self.index.get(text)
        if found is not None:
            self.counts[found] += 1
            return found
        number = self.index[text] = len(self.strings)
        self.strings.append(text)
        group = None
        if what == _WORD and text.lower() not in _KEPT:
            group = (_WORD, len(text), _case(text))
        elif what == _NUMBER and text[:2] in ("0x", "\\x"):
            group = (_NUMBER, len(text), text[:2])
        elif what == _NUMBER and text[0] != "0":
            group = (_NUMBER, len(text), "")
        self.group_of.append(group)
        self.counts.append(1)
        if group is not None:
            self.groups.setdefault(group, []).append(number)
        return number

    def complete_numbers(self) -> None:
        """Numbers of each length beyond those that the folder has, so that they are not a telling few."""
        generator = np.random.default_rng(7)
        for what, length, prefix in list(self.groups):
            if what == _NUMBER and prefix:
                digits = length - 2
                values = generator.integers(16 ** (digits - 1), min(16**digits, 1 << 62), _SAMPLE).tolist()
                for value in range(256) if digits == 2 else values:
                    self.add(f"{prefix}{value:0{digits}x}", _NUMBER)
            elif what == _NUMBER and length <= 18:
                low, high = 10 ** (length - 1), 10**length
                every = range(low, high) if length <= _ALL_DIGITS else generator.integers(low, high, _SAMPLE).tolist()
                for value in every:
                    self.add(str(value), _NUMBER)


def _case(word: str) -> str:
    ascii_only = "a" if word.isascii() else "u"
    if word.islower():
        return ascii_only + "lower"
    if word.isupper():
        return ascii_only + "upper"
    return ascii_only + ("title" if word.istitle() else "mixed")


class VariedInput:
    """Copies of the files of `folder`, the default library where it is None; only of one kind or format where given.

    What is no text stays as it is; behind a PDF comes a comment of its own, so that no two are equal.
    """

    def __init__(self, folder: Path | None, kind: str | None) -> None:
        self._table = _Table()
        self.originals: list[Original] = []
        self._texts: list[tuple[str, str]] = []
        for name, data in real_files(folder):
            found = detect(data[:SAMPLE_BYTES], name, whole=len(data) <= SAMPLE_BYTES)
            if kind in (None, found.kind, found.format):
                self.originals.append(self._tokenised(Original(name, found.kind, found.format, found.encoding), data))
                if found.format in ("markdown", "plain") and (text := _decoded(data, found.encoding)):
                    self._texts.append((found.format, text))
        self._table.complete_numbers()
        self._vectorise()
        self._serial = 0

    def texts(self) -> list[tuple[str, str]]:
        """Format and text of the folder's Markdown and plain texts, as they are."""
        return self._texts

    def _tokenised(self, original: Original, data: bytes) -> Original:
        text = _decoded(data, original.encoding)
        if text is None:
            original.raw = data
            return original
        add = self._table.add
        tokens: list[int] = []
        at = words = 0
        heads = {match.start(): match.end() for match in _HEAD_OF_LOG.finditer(text)} if original.kind == "log" else {}
        kept_until = 0
        lines = _line_starts(text)
        form = _HTML_TOKEN if original.format == "html" else _TOKEN
        for match in form.finditer(text):
            start, what = match.start(), match.lastgroup
            if start > at:
                tokens.append(add(text[at:start], _FIXED))
            at = match.end()
            if heads:
                line = lines[int(np.searchsorted(lines, start, "right")) - 1]
                kept_until = heads.get(int(line), 0)
            value = match[0]
            kept = what in ("kept", "markup") or start < kept_until
            code = _FIXED if kept or what == "ruler" else _NUMBER if what in ("number", "hex") else _WORD
            # One string may be met as a word and as part of what stays.
            number = add("\0" + value if code == _FIXED and value.isalnum() else value, code)
            tokens.append(number)
            if what in ("name", "ruler") and original.kind == "code":
                original.marks.append(len(tokens) - 1)
            elif code == _WORD and self._table.group_of[number] is not None and original.kind in ("text", "code"):
                words += 1
                if words % MARK_EVERY == 0 or _is_lonely(text, start, at):
                    original.marks.append(len(tokens) - 1)
        if at < len(text):
            tokens.append(add(text[at:], _FIXED))
        original.tokens = np.array(tokens, np.int32)
        return original

    def _vectorise(self) -> None:
        members: list[list[int]] = []
        self._group = np.full(len(self._table.strings), -1, np.int64)
        is_number: list[bool] = []
        for (what, _, _), group in self._table.groups.items():
            group.sort(key=lambda each: -self._table.counts[each])
            for block in [group] if what == _NUMBER else _by_rank(group):
                self._group[block] = len(members)
                members.append(block)
                is_number.append(what == _NUMBER)
        self._members = np.array([each for group in members for each in group] or [0], np.int64)
        self._sizes = np.array([len(group) for group in members] or [1], np.int64)
        self._bases = np.concatenate((np.zeros(1, np.int64), np.cumsum(self._sizes)[:-1]))
        self._is_number = np.array(is_number or [False])
        self._place = np.zeros(len(self._table.strings), np.int64)
        for group in members:
            self._place[group] = np.arange(len(group))
        self._strings = [text.removeprefix("\0") for text in self._table.strings]

    def files(self, size: int) -> Iterator[tuple[str, bytes]]:
        """Paths and contents, copy after copy, until they are `size` bytes together (the last one is not cut)."""
        if not self.originals:
            raise SystemExit("There are no such files in that folder.")
        made, copy = 0, 0
        while made < size:
            for number, original in enumerate(self.originals):
                content = self._copy(original, copy, number)
                yield f"copy{copy:04d}/{original.path}", content
                made += len(content)
                if made >= size:
                    return
            copy += 1

    def _copy(self, original: Original, copy: int, number: int) -> bytes:
        if original.raw:
            return original.raw + (b"\n%% copy %d\n" % copy if original.format == "pdf" else b"")
        generator = np.random.default_rng([copy, number])
        shifts = generator.integers(1, 1 << 40, len(self._sizes))
        tokens = original.tokens.astype(np.int64)
        group = self._group[tokens]
        changed = np.flatnonzero(group >= 0)
        of = group[changed]
        place = self._place[tokens[changed]] + shifts[of]
        place += np.where(self._is_number[of], generator.integers(0, 1 << 40, len(of)), 0)
        tokens[changed] = self._members[self._bases[of] + place % self._sizes[of]]
        parts = [self._strings[token] for token in tokens.tolist()]
        for mark in original.marks:
            parts[mark] += _letters(self._serial)
            self._serial += 1
        encoding = original.encoding or "latin-1"
        try:
            return "".join(parts).encode(encoding, "surrogateescape")
        except UnicodeEncodeError:  # a word of another file that this encoding lacks
            return "".join(parts).encode(encoding, "replace")


def _by_rank(group: list[int]) -> Iterator[list[int]]:
    """A class cut into blocks of about as frequent words: common words stay common, so texts stay as readable."""
    start, size = 0, FIRST_BLOCK
    while start < len(group):
        stop = len(group) if len(group) - start < 2 * size else start + size
        yield group[start:stop]
        start, size = stop, 2 * size


def _is_lonely(text: str, start: int, stop: int) -> bool:
    """Whether a word is in a line with little else: such lines are alike in many files."""
    begin = text.rfind("\n", 0, start) + 1
    end = text.find("\n", stop)
    return (end if end >= 0 else len(text)) - begin - (stop - start) < 12


def _letters(number: int) -> str:
    out = ""
    while True:
        number, digit = divmod(number, 26)
        out += chr(97 + digit)
        if not number:
            return out


def _line_starts(text: str) -> NDArray[np.int64]:
    return np.array([0, *(match.end() for match in re.finditer("\n", text))], np.int64)


def _decoded(data: bytes, encoding: str | None) -> str | None:
    if encoding is None:
        return None
    try:
        return data.decode(encoding, "surrogateescape")
    except UnicodeDecodeError:
        return None


def real_files(folder: Path | None) -> Iterator[tuple[str, bytes]]:
    """Paths and contents of the files of `folder`, as they are; those of the default library where it is None."""
    return _default_files() if folder is None else _files_of(folder)


def _files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and 0 < path.stat().st_size <= MAX_FILE:
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _default_files() -> Iterator[tuple[str, bytes]]:
    """Python's standard library, its documentation as far as it is installed, and that of the installed packages."""
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.rglob("*")):
        inside = path.relative_to(library)
        wanted = path.suffix == ".py" or _is_documentation(inside)
        if wanted and "site-packages" not in inside.parts and path.is_file() and path.stat().st_size:
            yield f"library/{inside.as_posix()}", path.read_bytes()
    from pydoc_data import topics

    for name, text in sorted(topics.topics.items()):
        yield f"documentation/{name}.txt", text.encode()
    packages = Path(sysconfig.get_paths()["purelib"])
    for path in sorted(packages.rglob("*")):
        if _is_documentation(path.relative_to(packages)) and path.is_file() and path.stat().st_size:
            yield f"packages/{path.relative_to(packages).as_posix()}", path.read_bytes()


def _is_documentation(path: Path) -> bool:
    """By its name, outside folders of test data and models: those hold tables of numbers that are called `.txt`."""
    return path.suffix in (".rst", ".md", ".txt", ".html") and not _NO_DOCUMENTS & set(path.parts)


def write_input(varied: VariedInput, folder: Path, size: int) -> int:
    """The files below `folder`; their bytes."""
    written = 0
    for name, content in varied.files(size):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written += len(content)
    return written


if __name__ == "__main__":
    sys.exit("This is a part of ingest.py.")
