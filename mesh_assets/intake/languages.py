"""Tells the natural language of a text: English by its function words, any other by py3langid's model of character
sequences, which ships with that package."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Protocol

# Enough of a text to tell its language; more costs time (1 ms for 2,000) and tells no more.
_CHARACTERS = 1_000
# Below this the language cannot be told: source listings, tables of numbers, one-liners.
_PROBABILITY = 0.9
# What the model calls text without words of any language.
_NO_LANGUAGE = "zxx"
# Of 167 texts with such a share of these words among so many, the model called 165 English and could not tell two.
_ENGLISH_SHARE, _ENGLISH_WORDS = 0.25, 40
_ENGLISH = frozenset(
    (
        "a about after all an and any are as at be because been before being both but by can could did do does "
        "each few for from had has have he her his how if in into is it its just more most no nor not of on once "
        "only or other our over own same should so some such than that the their them then there these they this "
        "those through to too under until up very was we were what when where which while who whom why will with "
        "would you your"
    ).split()
)
_WORD = re.compile(r"[^\W\d_]+")


class _Identifier(Protocol):
    def classify(self, text: str) -> tuple[str | None, float]: ...


class Languages:
    """Tells the language of texts. The model takes 77 MB: let go of this, and it goes too."""

    def of(self, text: str) -> str | None:
        """ISO 639-1 code of the language of `text`; None where it cannot be told."""
        start = text[:_CHARACTERS]
        words: list[str] = _WORD.findall(start.lower())
        if len(words) >= _ENGLISH_WORDS and sum(word in _ENGLISH for word in words) >= _ENGLISH_SHARE * len(words):
            return "en"
        language, probability = self._identifier.classify(start)
        return language if probability >= _PROBABILITY and language != _NO_LANGUAGE else None

    @cached_property
    def _identifier(self) -> _Identifier:
        from py3langid import langid  # pyright: ignore[reportMissingTypeStubs]  # its model takes half a second to load

        return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
