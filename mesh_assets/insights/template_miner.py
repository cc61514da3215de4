"""Templates of log messages, whatever the order of the messages and however the log was split.

In two steps. The *shape* of a message is found from it alone: its words, with one sign for all that varies by nature
(numbers, ids, paths, host names, days, quoted texts). Templates are then a function of the set of shapes: where several
shapes differ at one place only, that place varies. So the shapes of two parts of a log, put together, give the
templates of the whole, and mining costs what the distinct shapes cost, not what the messages do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
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
_MAX_CHARACTERS = 1000
# Each round merges what the one before made equal but for one place.
_ROUNDS = 6

_ENDS = r"""\s=,;:()\[\]{}<>"'|"""
_QUOTED = r'"[^"\n]{1,200}"'
_WITH_DIGIT = rf"[^{_ENDS}]*[0-9][^{_ENDS}]*"
_WORD = re.compile(rf"[^{_ENDS}]+")
_CALENDAR = frozenset("Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec null".split())
# Hexadecimal numbers without digits, names with two dots or more (hosts, classes), addresses, paths.
_NAME = re.compile(
    r"[0-9].*|[0-9a-fA-F]{6,}|[\w$-]+(?:\.[\w$-]+){2,}\.?|[^@]+@[^@].*|\.?/.+|[^/]*/[^/]*(?:/|\.).*|[^/]*\.[^/]*/.*"
)

Shape = tuple[str, ...]


def shapes_of(messages: pl.Series) -> tuple[list[Shape], NDArray[np.int64]]:
    """The distinct shapes of `messages` (strings), and for each message the place of its shape in that list."""
    masked = (
        messages.str.slice(0, _MAX_CHARACTERS).str.replace_all(_QUOTED, " 0 ").str.replace_all(_WITH_DIGIT, "0")
    ).alias("masked")
    distinct = masked.unique(maintain_order=True)
    found: dict[Shape, int] = {}
    numbers = [found.setdefault(_shape(text), len(found)) for text in distinct.to_list()]
    of = masked.replace_strict(distinct, pl.Series(numbers, dtype=pl.Int64), return_dtype=pl.Int64)
    return list(found), cast("NDArray[np.int64]", of.to_numpy())


def _shape(masked: str) -> Shape:
    words: list[str] = []
    for word in _WORD.findall(masked):
        if word in _CALENDAR or _NAME.fullmatch(word):
            if words and words[-1] == ANY:
                continue
            word = ANY
        words.append(word)
        if len(words) == MAX_WORDS:
            break
    return tuple(words)


def templates_of(shapes: Iterable[Shape]) -> dict[Shape, Shape]:
    """The template of each of `shapes`: itself, or what it has in common with those that it differs from in names."""
    found = {shape: shape for shape in shapes}
    names: set[str] = set()
    for _ in range(_ROUNDS):
        general = _general(set(found.values()), names)
        if not general:
            break
        found = {shape: general.get(template, template) for shape, template in found.items()}
    return found


def _general(templates: set[Shape], names: set[str]) -> dict[Shape, Shape]:
    """For those that differ from enough others at one place only, what is left of them when that place varies.

    Words that vary at a place are added to `names`: two of those are enough at another place.
    """
    alike: dict[Shape, list[tuple[str, Shape]]] = defaultdict(list)
    for template in templates:
        for word, gap in _gaps(template):
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


def _gaps(template: Shape) -> Iterable[tuple[str, Shape]]:
    """The template with one place left open, and its word, for each place that may vary; the first word never does.

    Open places in a row are one: a name may be of several words.
    """
    staying = sum(word != ANY for word in template)
    for at in range(1, len(template)):
        if template[at] != ANY and staying > _STAYING - (template[at - 1] in _BEFORE_NAMES):
            before = at - (template[at - 1] == ANY)
            after = at + 1 + (template[at + 1 : at + 2] == (ANY,))
            yield template[at], (*template[:before], ANY, *template[after:])
