"""Templates of log messages, whatever the order of the messages and however the log was split.

In two steps. The *shape* of a message is found from it alone: its words, with one sign for all that varies by nature
(numbers, ids, paths, host names, days, quoted texts). Templates are then a function of the set of shapes: where several
shapes differ at one place only, that place varies. So the shapes of two parts of a log, put together, give the
templates of the whole, and mining costs what the distinct shapes cost, not what the messages do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Stands in a shape for whatever varies.
ANY = "<*>"
# So many different words at one place of otherwise equal shapes make it vary; fewer are what the message says
# (`connection opened`, `connection closed`, `connection lost`). Chosen on four systems of loghub (Android, BGL, HPC,
# Linux), where 3 merges the accounts of Linux with others and 6 leaves them apart.
VARIANTS = 4
# Shapes need so many words that stay, one less where the word before says that a name follows.
_STAYING = 3
_BEFORE_NAMES = frozenset("at by domain for from host in name of on to user".split())
# Words of a message that make its shape: what follows them hardly tells messages apart.
MAX_WORDS = 60
# Characters of a word; a longer one is data.
_MAX_WORD = 64
# Each round merges what the one before made equal but for one place.
_ROUNDS = 6
# Words of templates whose gaps, as many, are kept all at once: about 10 MB.
_MANY_WORDS = 20_000

# Between words. Beyond ASCII nothing is: Python and polars do not agree on what is a space there.
_ENDS = r"""\x00-\x20=,;:()\[\]{}<>"'|"""
# Quoted texts, of a request (`"GET /index.html HTTP/1.1"`) the method; then words.
_QUOTED = r'"(?:([A-Z]{3,8}) [^\x00-\x20"][^"\n]*|[^"\n]*)"'
_PART = re.compile(rf"{_QUOTED}|[^{_ENDS}]+")
_SIGNS_AROUND = re.compile(rf"([{_ENDS}]*)(.*?)([{_ENDS}]*)", re.DOTALL)
_BLANKS = re.compile(r"[\x00-\x20]+")
_CLOSING = re.compile(r"[)\]}>\"']*")
_WITH_DIGIT = rf"[^{_ENDS}]*[0-9][^{_ENDS}]*"
# The status of a request says what happened. The same words as in `log_lines`, whose keys keep such numbers.
_BEFORE_STATUS = r'(?:status|code|http|returned|->|")[ =:]{1,2}'
_BEHIND_STATUS_WORD = re.compile(rf"{_BEFORE_STATUS}\Z", re.ASCII | re.IGNORECASE)
_STATUS = re.compile(r"[1-5][0-9]{2}")
_STATUS_CONTEXT = 10  # characters: of `returned`, and two behind it
CALENDAR = frozenset("Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
# Words with digits, hexadecimal numbers without, names with two dots or more (hosts, classes), addresses, paths.
_NAME = re.compile(
    r".*[0-9].*|[0-9a-fA-F]{6,}|[\w$-]+(?:\.[\w$-]+){2,}\.?|[^@]+@[^@].*|\.?/.+|[^/]*/[^/]*(?:/|\.).*|[^/]*\.[^/]*/.*"
)
# What stands behind such a key is shown nowhere. `secrets` looks for the sign between, which a shape does not have.
_SECRET = re.compile(
    r".*(?:passw|passphrase|pwd|secret|token|api_?-?key|credential|private_?-?key).*", re.ASCII | re.IGNORECASE
)
# Most messages have neither quotes nor statuses nor secrets: their words are found at once.
_NEEDS_CARE = (
    *('"', "passw", "passphrase", "pwd", "secret", "token", "api", "credential", "private"),
    *("status", "code", "http", "returned", "->"),
)
_WORDS = re.compile(rf"[^{_ENDS}]+")

Shape = tuple[str, ...]


def shape_of(message: str) -> Shape:
    """The shape of one message.

    It is a function of what the keys of `log_lines` keep: words with digits, paths and quoted texts are one sign each,
    whatever their length.
    """
    lowered = message.lower()
    if not any(part in lowered for part in _NEEDS_CARE):
        return tuple(_without_repeats(map(_masked, _WORDS.findall(message))))
    words: list[str] = []
    before, stop, hidden = "", 0, False
    for part in _PART.finditer(message):
        word, start = part[0], part.start()
        between = message[stop:start]
        hidden = (_is_secret(before) and ("=" in between or ":" in between)) or (hidden and " " not in between)
        if word[0] == '"':
            if part[1]:
                words.append(f'"{part[1]}"')
            word = ANY
        elif hidden:
            word = ANY
        elif not _is_status(message, start, word):
            word = _masked(word)
        if word != ANY or not words or words[-1] != ANY:
            words.append(word)
            if len(words) >= MAX_WORDS:
                break
        before, stop = part[0][:_MAX_WORD], part.end()
    return tuple(words)


def _without_repeats(words: Iterable[str]) -> Iterator[str]:
    """The first `MAX_WORDS` words, where places that vary in a row are one."""
    before, count = "", 0
    for word in words:
        if word != ANY or before != ANY:
            yield word
            count += 1
            if count >= MAX_WORDS:
                return
        before = word


def _is_status(message: str, start: int, word: str) -> bool:
    return (
        len(word) == 3  # as few words are: the rest is slow
        and _STATUS.fullmatch(word) is not None
        and _BEHIND_STATUS_WORD.search(message[max(0, start - _STATUS_CONTEXT) : start]) is not None
    )


def may_end_before_status(text: str) -> bool:
    """Whether three digits behind `text` and a blank would be a status."""
    return _BEHIND_STATUS_WORD.search(f"{text[-_STATUS_CONTEXT:]} ") is not None


@lru_cache(maxsize=100_000)
def _masked(word: str) -> str:
    return ANY if len(word) > _MAX_WORD or word in CALENDAR or word == "null" or _NAME.fullmatch(word) else word


@lru_cache(maxsize=10_000)
def _is_secret(key: str) -> bool:
    return _SECRET.fullmatch(key) is not None


def shapes_of(messages: pl.Series) -> tuple[list[Shape], NDArray[np.int64]]:
    """The distinct shapes of `messages` (strings), and for each message the place of its shape in that list."""
    masked = messages.str.replace_all(_QUOTED, '"$1 x"').str.replace_all(_WITH_DIGIT, "0").alias("alike")
    distinct = masked.unique(maintain_order=True)
    # A status is masked with the other numbers: messages that may hold one are left as they are.
    with_status = distinct.filter(distinct.str.contains(f"(?i){_BEFORE_STATUS}0"))
    if len(with_status):
        masked = masked.zip_with(~masked.is_in(with_status.implode()), messages).alias("alike")
        distinct = masked.unique(maintain_order=True)
    found: dict[Shape, int] = {}
    numbers = [found.setdefault(shape_of(text), len(found)) for text in distinct.to_list()]
    of = masked.replace_strict(distinct, pl.Series(numbers, dtype=pl.Int64), return_dtype=pl.Int64)
    return list(found), cast("NDArray[np.int64]", of.to_numpy())


def written(template: Shape, example: str) -> str | None:
    """A template with the signs between its words as in `example`, a line that has it, and `…` for what varies.

    None where the words are not found in this order. Nothing of the line is shown but those words and signs.
    """
    text, varies, stop = "", False, 0
    for word in template:
        if word == ANY:
            varies = True
            continue
        # Of a request, the quote closes behind its arguments.
        said = re.escape(word[:-1]) if word[0] == '"' else rf"(?<![^{_ENDS}]){re.escape(word)}"
        found = re.compile(rf"{said}(?![^{_ENDS}])").search(example, stop)
        if found is None:
            return None
        if text:
            before, varied, after = _parted(example[stop : found.start()])
            text += f"{before}…{after}" if varied else before + after
        else:
            text = "… " if varies else ""
        text += found[0]
        varies, stop = False, found.end()
    rest = example[stop:]
    if varies:
        before, varied, after = _parted(rest)
        text, rest = f"{text}{before}…" if varied else text, after
    closed = _CLOSING.match(rest)
    return _BLANKS.sub(" ", text + (closed[0] if closed else ""))


def _parted(text: str) -> tuple[str, str, str]:
    """The signs before what varies in `text`, that, and the signs behind it."""
    before, varied, after = cast("re.Match[str]", _SIGNS_AROUND.fullmatch(text)).groups()
    return before, varied, after


def templates_of(shapes: Iterable[Shape]) -> dict[Shape, Shape]:
    """The template of each of `shapes`: itself, or what it has in common with those that it differs from in names.

    Also that of what shapes were merged to on the way to their template.
    """
    found = {shape: shape for shape in shapes}
    names: set[str] = set()
    for _ in range(_ROUNDS):
        general = _general(set(found.values()), names)
        if not general:
            break
        found.update((step, step) for step in general.values())
        found = {shape: general.get(template, template) for shape, template in found.items()}
    return found


def fitting(shape: Shape, templates: Collection[Shape]) -> Shape | None:
    """The template that `shape` is an example of, one word of it being a name; None where it is none of any."""
    return max((gap for gap in gaps_of(shape) if gap in templates), default=None)


def gaps_of(shape: Shape) -> list[Shape]:
    """What is left of `shape` when one of its words is a name: the templates that it may be an example of."""
    return [gap for _, gap in _gaps(shape)]


def _general(templates: set[Shape], names: set[str]) -> dict[Shape, Shape]:
    """For those that differ from enough others at one place only, what is left of them when that place varies.

    Words that vary at a place are added to `names`: two of those are enough at another place.
    """
    repeated = _repeated(templates) if sum(map(len, templates)) > _MANY_WORDS else None
    alike: dict[Shape, list[tuple[str, Shape]]] = defaultdict(list)
    for template in templates:
        for word, gap in _gaps(template):
            if repeated is None or hash(gap) in repeated or gap in templates:
                alike[gap].append((word, template))
    for members in alike.values():
        if len(members) >= VARIANTS:
            names.update(word for word, _ in members)
    best: dict[Shape, tuple[int, Shape]] = {}
    for gap, members in alike.items():
        count = len(members)
        if count >= VARIANTS or gap in templates or (count > 1 and all(word in names for word, _ in members)):
            for _, template in members:
                best[template] = max(best.get(template, (0, gap)), (count, gap))
    return {template: gap for template, (_, gap) in best.items()}


def _repeated(templates: set[Shape]) -> frozenset[int]:
    """Hashes of the gaps that several templates may have: of many templates most gaps are of one, and never kept."""
    hashes = np.fromiter((hash(gap) for template in templates for _, gap in _gaps(template)), np.int64)
    distinct, counts = np.unique(hashes, return_counts=True)
    return frozenset(distinct[counts > 1].tolist())


def _gaps(template: Shape) -> Iterable[tuple[str, Shape]]:
    """The template with one place left open, and its word, for each place that may vary; the first word never does.

    Open places in a row are one: a name may be of several words.
    """
    staying = sum(word != ANY for word in template)
    for at in range(1, len(template)):
        if _may_vary(template[at]) and staying > _STAYING - (template[at - 1] in _BEFORE_NAMES):
            before = at - (template[at - 1] == ANY)
            after = at + 1 + (template[at + 1 : at + 2] == (ANY,))
            yield template[at], (*template[:before], ANY, *template[after:])


def _may_vary(word: str) -> bool:
    """Not what varies already, nor what is kept on purpose: methods and statuses."""
    return word != ANY and word[0] != '"' and not word[0].isdigit()
