"""Tells the kind of a file from its first bytes, and only then from its name. Parses nothing whole.

Rules, in order: magic bytes; an encoding that decodes the sample; the structure of its lines (metrics, JSON lines, a
table, log records); the name; else plain text.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from dataclasses import dataclass
from typing import cast

from mesh_assets.intake.media_kinds import media_kind
from mesh_assets.intake.metric_kinds import metric_format

# What is read of a file to tell its kind: some hundred lines of most formats.
SAMPLE_BYTES = 64 << 10
_SAMPLE_LINES = 200
_HEAD = re.compile(rf"(?:[^\n]*+\n){{0,{_SAMPLE_LINES}}}+[^\n]*+")


@dataclass(frozen=True, slots=True)
class Detected:
    """Kind and format of a file; `encoding` is a Python codec, None for binary."""

    kind: str
    format: str
    encoding: str | None = None


# Formats with a record a line (or, of plain text, lines that stand alone), and encodings in which the byte of a line's
# end is nothing else: what may be cut between records, and only grows when it is written to.
_RECORD_FORMATS = frozenset({"log", "csv", "tsv", "jsonl", "plain", "prometheus", "influx"})
# Share of the bytes of a text that are no ASCII from which on its script is not Latin, and how much is asked for it.
_FOREIGN, _GUESSED_BYTES = 0.3, 8192
# Share of a text with zeros in it that is no zero.
_MOSTLY = 0.9
# Of encodings that agree on nearly all characters the one where a character never depends on the next.
_EVERYDAY = {
    **dict.fromkeys(("shift_jis", "shift_jis_2004", "shift_jisx0213"), "cp932"),
    **dict.fromkeys(("euc_jis_2004", "euc_jisx0213"), "euc_jp"),
    "big5hkscs": "big5",
    "cp1125": "cp866",
}
_LINE_ENCODINGS = frozenset({"utf-8", "cp1252"})


def is_appendable(found: Detected) -> bool:
    """Whether a file of this kind consists of records that end with a line."""
    return found.format in _RECORD_FORMATS and found.encoding in _LINE_ENCODINGS


# The mark of UTF-32 in little-endian order begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# (offset, bytes, kind, format); the first that fits counts.
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"PAR1", "structured", "parquet"),
    (0, b"ARROW1", "structured", "arrow"),
    (0, b"\xff\xff\xff\xff", "structured", "arrow"),
    (0, b"SQLite format 3\0", "structured", "sqlite"),
    (0, b"\x37\x7f\x06\x82", "unknown", "sqlite-wal"),
    (0, b"\x37\x7f\x06\x83", "unknown", "sqlite-wal"),
    (0, b"%PDF-", "text", "pdf"),
    (0, b"{\\rtf", "text", "rtf"),
    (0, b"PK\x03\x04", "unknown", "zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "unknown", "ole"),
    (0, b"\x1f\x8b", "unknown", "gzip"),
    (0, b"\x28\xb5\x2f\xfd", "unknown", "zstd"),
    (0, b"BZh", "unknown", "bzip2"),
    (0, b"\xfd7zXZ\0", "unknown", "xz"),
    (0, b"\x7fELF", "unknown", "elf"),
    (257, b"ustar", "unknown", "tar"),
)
# All of them at once, each a group, in their order.
_MAGIC_FORM = re.compile(b"|".join(b"(.{%d}%s)" % (at, re.escape(mark)) for at, mark, _, _ in _MAGIC), re.DOTALL)
# A magic of two or three letters that ordinary text may begin with counts only where the sample is binary.
_WEAK_MAGIC = frozenset({"bzip2"})
_ZIP_NAMES = {
    ".docx": "text",
    ".pptx": "text",
    ".epub": "text",
    ".odt": "text",
    ".odp": "text",
    ".xlsx": "structured",
    ".ods": "structured",
}
# What an archive that is a document says of itself: first entry of OpenDocument and e-books, folder of Office files.
_ZIP_TYPES = {
    b"application/epub+zip": ".epub",
    b"application/vnd.oasis.opendocument.text": ".odt",
    b"application/vnd.oasis.opendocument.presentation": ".odp",
    b"application/vnd.oasis.opendocument.spreadsheet": ".ods",
}
_ZIP_FOLDERS = {b"word": ".docx", b"ppt": ".pptx", b"xl": ".xlsx"}
_ZIP_ENTRY = re.compile(rb"PK\x03\x04.{22}(..).{2}(?=([ -~]{1,200}))", re.DOTALL)
_OFFICE_MARKS = frozenset({b"[Content_Types].xml", b"_rels/.rels"})
# Streams of compound files by which it is told whose they are, then endings where the sample does not reach them.
_OLE_STREAMS = (
    ("WordDocument", "text", "doc"),
    ("PowerPoint Document", "text", "ppt"),
    ("__properties_version1.0", "text", "msg"),
    ("Workbook", "structured", "xls"),
    ("Book", "structured", "xls"),
)
_OLE_NAMES = {".doc": "text", ".dot": "text", ".ppt": "text", ".msg": "text", ".xls": "structured"}
_TEXT_NAMES: dict[str, tuple[str, str]] = {
    **dict.fromkeys((".md", ".markdown", ".mkd"), ("text", "markdown")),
    ".rst": ("text", "rst"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), ("text", "html")),
    ".eml": ("text", "email"),
    ".ipynb": ("text", "ipynb"),
    ".tex": ("text", "latex"),
    **dict.fromkeys((".py", ".pyi", ".pyw"), ("code", "python")),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), ("code", "javascript")),
    **dict.fromkeys((".ts", ".mts", ".cts", ".tsx"), ("code", "typescript")),
    **dict.fromkeys((".c", ".h"), ("code", "c")),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".hpp", ".hh", ".hxx", ".cu", ".cuh"), ("code", "cpp")),
    **dict.fromkeys((".sh", ".bash", ".zsh"), ("code", "shell")),
    ".java": ("code", "java"),
    ".go": ("code", "go"),
    ".rs": ("code", "rust"),
    **dict.fromkeys((".rb", ".rake", ".gemspec"), ("code", "ruby")),
    **dict.fromkeys((".php", ".phtml"), ("code", "php")),
    ".cs": ("code", "csharp"),
    **dict.fromkeys((".scala", ".sc"), ("code", "scala")),
    **dict.fromkeys((".kt", ".kts"), ("code", "kotlin")),
    ".lua": ("code", "lua"),
    ".swift": ("code", "swift"),
    ".hs": ("code", "haskell"),
    ".jl": ("code", "julia"),
    **dict.fromkeys((".m", ".mm"), ("code", "objc")),
    **dict.fromkeys((".pl", ".pm"), ("code", "perl")),
    ".sql": ("code", "sql"),
    ".css": ("code", "css"),
    **dict.fromkeys((".yaml", ".yml"), ("code", "yaml")),
    ".toml": ("code", "toml"),
    **dict.fromkeys((".ini", ".cfg", ".conf"), ("code", "ini")),
    ".j2": ("code", "jinja"),
    ".xml": ("structured", "xml"),
    ".json": ("structured", "json"),
    **dict.fromkeys((".jsonl", ".ndjson"), ("structured", "jsonl")),
    ".csv": ("structured", "csv"),
    **dict.fromkeys((".tsv", ".tab"), ("structured", "tsv")),
    ".log": ("log", "log"),
}
# Programs and marked-up documents quote tables and logs: their names count before their lines.
_NAMED_KINDS = frozenset({"code", "text"})
_CODE_FILES = {"makefile": "make", "dockerfile": "docker", "rakefile": "ruby", "gemfile": "ruby"}
_SHEBANG = re.compile(
    r"#![^\n]{0,200}?\b(python|bash|dash|zsh|ksh|sh|nodejs|node|deno|bun|ruby|perl|php|lua|julia|runghc|swift|scala)"
)
_SHEBANG_FORMATS = {
    **dict.fromkeys(("bash", "dash", "zsh", "ksh", "sh"), "shell"),
    **dict.fromkeys(("nodejs", "node"), "javascript"),
    **dict.fromkeys(("deno", "bun"), "typescript"),
    "runghc": "haskell",
}
# A drawing as text: an XML document whose root is `svg`, behind its declarations and comments.
_SVG = re.compile(
    r"\s*+(?:<\?[^>]{0,500}+>\s*+|<!--.{0,4000}?-->\s*+|<!DOCTYPE[^>\[]{0,500}+(?:\[[^\]]{0,4000}+\]\s*+)?>\s*+)*+"
    r"<(?:svg:)?svg[\s>]",
    re.DOTALL,
)

# The headers that a mail begins with, one of them of those that nothing else has.
_MAIL = re.compile(
    r"(?=(?:[^\n]*+\n){0,60}?(?:MIME-Version: 1|Message-ID: <|Received: (?:from|by) ))"
    r"(?:Return-Path|Received|Delivered-To|Message-ID|MIME-Version|Date|From|To|Subject|Sender|Reply-To|X-[\w-]+): ",
    re.IGNORECASE,
)

# A moment at or near the start of a line, in the notations that logs use.
_MOMENT = re.compile(
    r"[^\n]{0,60}?(?:"
    r"\b\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d"
    r"|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d"
    r"|\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d"
    r"|\b\d\d[-/]\d\d(?:[-/]\d\d)? \d\d:\d\d:\d\d"
    r"|^\d{6} \d{6} "
    r"|^(?:\S{1,16} )?\[?1\d{9}(?:\.\d+|\d{3})?\b"
    r")"
)
# Seconds since 1970 among other columns: a telephone number may look like that, but not in nearly every line.
_EPOCH_COLUMN = re.compile(r"[^\n]{0,80}?\s1[0-9]{9}\s")
_EPOCH_SHARE = 0.9
_TABLE_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.{0,16})?|1\d{9}(?:\d{3})?|1\d{9}\.\d+")
# Stack traces and wrapped lines carry no moment, so not every line of a log has one; the first lines do.
_LOG_SHARE = 0.2
# Lines of two cells that are no table by chance.
_PAIRS = 5
_LOG_HEAD = 3


# Characters of a JSON value at the end of a sample that may be incomplete.
_CUT_VALUE = 4096


def detect(sample: bytes, path: str, *, whole: bool) -> Detected:
    """The kind of the file that begins with `sample` (at most `SAMPLE_BYTES`) and is called `path`.

    `whole` says that the sample is the complete file. Never raises: what fits nothing is `unknown`.
    """
    media = media_kind(sample)
    if media is not None:
        return Detected(*media)
    name = path.rpartition("/")[2]
    suffix = _suffix(name)
    form = _MAGIC_FORM.match(sample)
    magic = _MAGIC[(form.lastindex or 0) - 1][2:] if form else None
    if magic is not None and magic[1] not in _WEAK_MAGIC:
        return _opened(magic, sample, suffix)
    encoding = _encoding(sample, whole=whole)
    if encoding is None:
        return Detected(*(magic or ("unknown", "binary")))
    named = _TEXT_NAMES.get(suffix)
    if named is not None and named[0] in _NAMED_KINDS:
        return Detected(*named, encoding)
    text = sample.decode(encoding, "replace").removeprefix("\ufeff")
    if _SVG.match(text):
        return Detected("image", "svg", encoding)
    lines = text[: cast("re.Match[str]", _HEAD.match(text)).end()].splitlines()[:_SAMPLE_LINES]
    if not whole and len(lines) > 1:
        lines = lines[:-1]  # the last one is probably cut
    if _MAIL.match(text):
        return Detected("text", "email", encoding)
    metrics = metric_format(text, lines, suffix)
    if metrics is not None:
        return Detected("metric", metrics, encoding)
    found = _as_json(lines, text, whole=whole) or _by_structure(lines, suffix) or _by_name(name, suffix, text)
    kind, shape = found or ("text", "plain")
    return Detected(kind, shape, encoding)


def _suffix(name: str) -> str:
    """What `PurePath.suffix` is, in lower case, at a tenth of its cost."""
    stem, _, ending = name.rpartition(".")
    return f".{ending.lower()}" if stem and ending else ""


def _opened(magic: tuple[str, str], sample: bytes, suffix: str) -> Detected:
    """What a file with a magic is: archives and compound files may be documents."""
    kind, form = magic
    if form == "ole":
        return _compound(sample, suffix)
    if form == "zip":
        suffix = _zipped(sample) or suffix
        if suffix in _ZIP_NAMES:
            return Detected(_ZIP_NAMES[suffix], suffix[1:])
    return Detected(kind, form)


def _zipped(sample: bytes) -> str | None:
    """The ending of the document that an archive is, by its first entries; None where they do not tell."""
    names: list[bytes] = []
    for entry in _ZIP_ENTRY.finditer(sample):
        length = int.from_bytes(entry[1], "little")
        names.append(entry[2][:length])
        if names == [b"mimetype"]:
            return _ZIP_TYPES.get(entry[2][length:].partition(b"PK")[0].strip())
    if _OFFICE_MARKS.isdisjoint(names):
        return None
    return next((found for name in names if (found := _ZIP_FOLDERS.get(name.partition(b"/")[0]))), None)


def _compound(sample: bytes, suffix: str) -> Detected:
    """What an OLE compound file is: an old document of Word, Excel or PowerPoint, or a message of Outlook."""
    for stream, kind, form in _OLE_STREAMS:
        if stream.encode("utf-16-le") in sample:
            return Detected(kind, form)
    return Detected(_OLE_NAMES.get(suffix, "unknown"), suffix[1:] if suffix in _OLE_NAMES else "ole")


def _encoding(sample: bytes, *, whole: bool) -> str | None:
    """The codec that decodes the sample, None for binary."""
    for mark, codec in _MARKS:
        if sample.startswith(mark):
            return codec
    if b"\0" in sample:
        return _utf16_without_mark(sample) or _utf32_without_mark(sample) or _with_zeros(sample, whole=whole)
    if sample.isascii():
        return "utf-8"
    try:
        codecs.utf_8_decode(sample, "strict", whole)  # a character that is cut at the end is no error
    except UnicodeDecodeError:
        # Control characters do not occur in any text of one byte a character.
        controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample)
        return _guessed(sample) if controls * 100 < len(sample) else None
    return "utf-8"


def _with_zeros(sample: bytes, *, whole: bool) -> str | None:
    """UTF-8 where zeros stand among what is text without doubt, as where a machine stopped while it wrote a log."""
    text = sample.replace(b"\0", b"")
    if len(text) < _MOSTLY * len(sample) or any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in text):
        return None
    try:
        codecs.utf_8_decode(text, "strict", whole)
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _guessed(sample: bytes) -> str:
    """The codec of text in an encoding from before Unicode, Windows's Western one where nothing else is likely.

    A guess from few letters is worse than none: only scripts other than Latin, where most bytes are no ASCII, are told.
    """
    letters = sum(byte > 32 for byte in sample)
    if sum(byte > 127 for byte in sample) < _FOREIGN * letters:
        return "cp1252"
    from charset_normalizer import from_bytes

    # To the end of a line: the sample may end within a character.
    piece = sample[:_GUESSED_BYTES].rpartition(b"\n")[0] or sample[: _GUESSED_BYTES // 2]
    found = from_bytes(piece).best()
    return _EVERYDAY.get(found.encoding, found.encoding) if found is not None else "cp1252"


def _utf16_without_mark(sample: bytes) -> str | None:
    # Western text in UTF-16 has nearly only zeros in one half of its bytes and hardly any in the other.
    half = max(len(sample) // 2, 1)
    even, odd = sample[::2].count(0) / half, sample[1::2].count(0) / half
    if odd > 0.7 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 and odd < 0.05 else None


def _utf32_without_mark(sample: bytes) -> str | None:
    # Two of the four bytes of nearly every character are zeros, one of them always.
    quarter = max(len(sample) // 4, 1)
    zeros = [sample[at::4].count(0) / quarter for at in range(4)]
    characters = sample[: len(sample) // 4 * 4]
    for codec, (lowest, plane, never) in (("utf-32-le", (0, 2, 3)), ("utf-32-be", (3, 1, 0))):
        if zeros[never] >= 1 and zeros[plane] > 0.9 and zeros[lowest] < 0.05:
            text = characters.decode(codec, "replace")  # whole numbers of four bytes are no letters and spaces
            if sum(c.isprintable() or c in "\t\r\n" for c in text) > 0.99 * len(text):
                return codec
    return None


def _as_json(lines: list[str], text: str, *, whole: bool) -> tuple[str, str] | None:
    """JSON lines, or a text that is one JSON value; its lines may hold moments or commas, but they are no records."""
    filled = [line for line in lines if line.strip()]
    if len(filled) >= 2 and all(_is_json_object(line) for line in filled[:20]):
        return "structured", "jsonl"
    return ("structured", "json") if _is_json(text, whole=whole) else None


def _by_structure(lines: list[str], suffix: str) -> tuple[str, str] | None:
    filled = [line for line in lines if line.strip()]
    if len(filled) < 2:
        return None
    _, form = _TEXT_NAMES.get(suffix, ("", ""))
    if form in ("json", "xml") and filled[0].lstrip()[:1] in ("{", "[", "<"):
        return None  # damaged perhaps, but no table and no log
    table = _table(filled, suffix)
    if table is not None:
        return table
    return ("log", "log") if _is_log(filled) else None


def _is_log(lines: list[str]) -> bool:
    if sum(_EPOCH_COLUMN.match(line) is not None for line in lines) >= max(3, _EPOCH_SHARE * len(lines)):
        return True
    if not any(_MOMENT.match(line) for line in lines[:_LOG_HEAD]):
        return False
    return sum(_MOMENT.match(line) is not None for line in lines) >= max(2, _LOG_SHARE * len(lines))


def _is_json(text: str, *, whole: bool) -> bool:
    """Whether the text is one JSON object or array, or the beginning of one."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        # What is cut off is right up to the value that was cut, which is rarely longer than this.
        return not whole and error.pos > max(1, len(text) - _CUT_VALUE)
    except (RecursionError, ValueError):
        return True  # deeper nesting or a longer whole number than Python takes, in what is JSON as far as it was read
    return True


def _is_json_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _table(lines: list[str], suffix: str) -> tuple[str, str] | None:
    """A table has the same number of delimiters, more than none, in nearly every line, and a header without moments.

    Moments with numbers behind them are a table with or without a header.
    """
    named = suffix in (".csv", ".tsv", ".tab")
    for delimiter, form in ((",", "csv"), ("\t", "tsv"), (";", "csv"), ("|", "csv")):
        if not any(delimiter in line for line in lines) or (delimiter == "|" and lines[0].lstrip().startswith("|")):
            continue  # lines that begin with a bar are a table in Markdown
        widths = _widths(lines, delimiter)
        width = max(set(widths), key=widths.count, default=0)
        if width < 2 or widths.count(width) < (0.6 if named else 0.95) * len(widths):
            continue
        if _is_series(lines, delimiter, width):
            return "metric", form
        if named or _has_header(lines, delimiter, width):
            return "structured", form
    return None


def _has_header(lines: list[str], delimiter: str, width: int) -> bool:
    """Whether lines whose name does not say so are a table: a header, and more columns than prose has commas."""
    if _MOMENT.match(lines[0]) or any(cell[:1].isdigit() for cell in lines[0].split(delimiter)):
        return False
    if width > 2 or delimiter == "\t":
        return True
    # Two columns are as likely prose with a comma in each line, but a sentence does not begin with one word.
    return len(lines) >= _PAIRS and not any(" " in line.partition(delimiter)[0] for line in lines)


def _widths(lines: list[str], delimiter: str) -> list[int]:
    try:
        return [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return []


def _is_series(lines: list[str], delimiter: str, width: int) -> bool:
    """Whether the first column is a moment and all others are numbers, below the header."""
    rows = [row for row in csv.reader(lines[1:], delimiter=delimiter) if len(row) == width]
    return len(rows) >= 2 and all(
        _TABLE_MOMENT.fullmatch(row[0].strip()) and all(_is_number(cell) for cell in row[1:]) for row in rows
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _by_name(name: str, suffix: str, text: str) -> tuple[str, str] | None:
    if suffix in _TEXT_NAMES:
        return _TEXT_NAMES[suffix]
    if name.lower() in _CODE_FILES:
        return "code", _CODE_FILES[name.lower()]
    shebang = _SHEBANG.match(text)
    if shebang:
        return "code", _SHEBANG_FORMATS.get(shebang[1], shebang[1])
    start = text[:256].lstrip().lower()
    if start.startswith(("<!doctype html", "<html")):
        return "text", "html"
    if start.startswith("<?xml"):
        return ("text", "html") if "<html" in text[:2048].lower() else ("structured", "xml")
    return None
