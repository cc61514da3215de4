"""The forms in which an English word may stand in a text: a query asks for all, so texts are indexed as they are.

Stemming each word of each text would be a quarter of the cost of indexing. Which words belong together the stemmer of
the engine decides here, too: endings are tried, and what has another stem is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

# Stems end in one of these where the words need not (happi, happy, happier; hope, hoping; abl, ability).
_LOOSE = "eily"
_ENDINGS = (
    "", "s", "es", "e", "ed", "er", "ers", "ing", "ings", "ion", "ions", "ional", "ive", "ives", "ively", "or", "ors",
    "able", "ably", "ability", "ible", "ibly", "ibility", "ment", "ments", "ly", "ness", "al", "als", "ally", "ality",
    "ful", "fully", "fulness", "less", "ance", "ances", "ence", "ences", "ant", "ants", "ent", "ents", "ently", "ism",
    "isms", "ist", "ists", "ity", "ities", "y", "ys", "ies", "ied", "ier", "iers", "iest", "ily", "iness", "ying",
    "ize", "izes", "ized", "izer", "izers", "izing", "ization", "izations", "ise", "ises", "ised", "ising", "ate",
    "ates", "ated", "ating", "ation", "ations", "ational", "ator", "ators", "ative", "ic", "ics", "ical", "ically",
    "icity", "icate", "icates", "icated", "ication", "ous", "ously", "ousness", "iously", "eous", "ial", "ially",
    "ement", "ements", "ely", "eness", "ency", "encies", "ancy", "ancies", "ered", "ering", "erings", "ented",
    "enting", "icating", "ications", "ately", "ionally", "ationally", "ility", "ilities", "ingly", "edly", "fulnesses",
    "nesses", "eably", "eful", "efully", "eless", "ivity", "ivities", "isation", "isations",
)  # fmt: skip
# Longer ones are names and numbers, and an engine may know no word of so many letters.
_LONGEST_STEM = 40
_DOUBLED = "bdfglmnprt"
_AFTER_DOUBLED = ("", "ed", "er", "ers", "ing", "ings")


def forms_of(stems: Iterable[str], stemmed: Callable[[str], list[str]]) -> dict[str, frozenset[str]]:
    """The words of each stem, as far as they are the stem with a usual ending.

    `stemmed` gives the stems of the words of a text, one for each. Stems of other than ASCII letters have no forms.
    """
    usual = [stem for stem in stems if stem.isascii() and stem.isalpha() and len(stem) <= _LONGEST_STEM]
    tried = [(stem, word) for stem in usual for word in sorted(_candidates(stem))]
    found: dict[str, set[str]] = {}
    for (stem, word), its_stem in zip(tried, stemmed(" ".join(word for _, word in tried)), strict=True):
        if its_stem == stem:
            found.setdefault(stem, set()).add(word)
    return {stem: frozenset(words) for stem, words in found.items()}


def _candidates(stem: str) -> set[str]:
    roots = {stem, stem[:-1]} if stem[-1] in _LOOSE and len(stem) > 2 else {stem}
    words = {root + ending for root in roots for ending in _ENDINGS}
    if stem[-1] in _DOUBLED:
        words |= {stem + stem[-1] + ending for ending in _AFTER_DOUBLED}
    return words
