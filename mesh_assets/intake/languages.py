"""Tells the natural language of a text, by py3langid's model of character sequences, which ships with that package."""

from __future__ import annotations

from functools import cache
from typing import Protocol

# Enough of a text to tell its language; more costs time and tells no more.
_CHARACTERS = 2_000
# Below this the language cannot be told: source listings, tables of numbers, one-liners.
_PROBABILITY = 0.9


class _Identifier(Protocol):
    def classify(self, text: str) -> tuple[str | None, float]: ...


def language_of(text: str) -> str | None:
    """ISO 639-1 code of the language of `text`; None where it cannot be told."""
    language, probability = _identifier().classify(text[:_CHARACTERS])
    return language if probability >= _PROBABILITY else None


@cache
def _identifier() -> _Identifier:
    from py3langid import langid  # pyright: ignore[reportMissingTypeStubs]  # its model takes half a second to load

    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
