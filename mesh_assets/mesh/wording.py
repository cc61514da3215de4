"""How alike two short texts are by their words, and whether one denies the other: for statements and questions.

No model, so a paraphrase without a common word is another text; who has an encoder compares vectors instead. Numbers
are no words here: `stated_numbers` compares those.
"""

from __future__ import annotations

import re
from collections.abc import Set

_WORD = re.compile(r"[^\W\d_]+n['’]t\b|[^\W\d_]+")
_ENDINGS = re.compile(r"(?<=[a-z]{3})(?:ies|es|s|ed|ing|ly)$")
_STOP = frozenset(
    "a an and are as at be been being by did do does for from had has have how if in into is it its of on or that "
    "the their them there these they this those to was were what when where which who whom whose why will with "
    "would".split()
)
# To fail is not to succeed, and what is wrong is not right: such words deny as `not` does.
_NEGATIONS = frozenset(
    "no not never none nothing neither nor without cannot cant nobody unable fail fails failed failing failure "
    "failures unsuccessful false incorrect wrong invalid".split()
)
# Words of which each denies the other; in a comparison both are left out, as the negations are.
_OPPOSITES = (
    ("rise rose rises increase increased increases grew grow up higher more", "fall fell falls decrease decreased "
     "decreases shrank shrink down lower less fewer"),
    ("before earlier", "after later"),
    ("open opened started start begin began", "closed close stopped stop end ended"),
    ("always all every", "sometimes some"),
)  # fmt: skip
_SIDES = {
    word: (number, side)
    for number, pair in enumerate(_OPPOSITES)
    for side, words in enumerate(pair)
    for word in words.split()
}


def content_words(text: str) -> frozenset[str]:
    """The words that say what a text is about: in lower case, without endings, negations and words of direction."""
    return frozenset(
        _ENDINGS.sub("", word)
        for word in _words(text)
        if word not in _STOP and not _negates(word) and word not in _SIDES
    )


def overlap(one: Set[str], other: Set[str]) -> float:
    """The share of all words of two texts that both have (Jaccard 1901): 0 to 1, 0 where either has none."""
    return len(one & other) / len(one | other) if one and other else 0.0


def denies(one: str, other: str) -> bool:
    """Whether one text has a negation that the other has not, or both have opposite words of a pair."""
    first, second = _words(one), _words(other)
    if sum(map(_negates, first)) % 2 != sum(map(_negates, second)) % 2:
        return True
    sides = {_SIDES[word] for word in first if word in _SIDES}
    others = {_SIDES[word] for word in second if word in _SIDES}
    return any((number, 1 - side) in others and (number, side) not in others for number, side in sides)


def _words(text: str) -> list[str]:
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def _negates(word: str) -> bool:
    return word in _NEGATIONS or word.endswith("n't")
