"""Templates: the shapes of log messages, and which shapes are the same message with another word in it.

Words with digits, quoted texts and paths are masked before (`log_reader`). A name without digits (a user, a class) is
found here: when the same message came with several words at one place, that place varies.
"""

from __future__ import annotations

# So many different words at one place of otherwise equal shapes make it a variable. Two or three would merge
# `connection opened` with `connection closed`.
VARIANTS = 6
MAX_SHAPES = 20_000
ANY = "<*>"

Words = tuple[str, ...]


class TemplateTable:
    """Maps shapes to template numbers. Bounded: past `MAX_SHAPES`, new shapes are told apart by their first words."""

    def __init__(self) -> None:
        self.words: list[Words] = []
        self._ids: dict[Words, int] = {}
        self._variants: dict[Words, list[Words] | int] = {}

    def find(self, words: Words) -> tuple[int, tuple[int, ...]]:
        """The number of the template of `words`, and the numbers of templates that were merged into it just now."""
        known = self._ids.get(words)
        if known is not None:
            return known, ()
        if len(self._ids) >= MAX_SHAPES:
            return self._add((*words[:2], ANY)), ()
        for at in range(len(words)):
            general = self._variants.get(_with_gap(words, at))
            if isinstance(general, int):
                self._ids[words] = general
                return general, ()
        number = self._add(words)
        return self._generalise(words, number)

    def _add(self, words: Words) -> int:
        number = self._ids.get(words)
        if number is None:
            number = self._ids[words] = len(self.words)
            self.words.append(words)
        return number

    def _generalise(self, words: Words, number: int) -> tuple[int, tuple[int, ...]]:
        """Note the new shape at each of its places; where one turns out to vary, merge what differs only there."""
        if len(words) < 3:  # of two words, each says what happened
            return number, ()
        for at, word in enumerate(words):
            if word[0] in '<"' or word[0].isdigit():  # masked already, or kept on purpose: a status, a method
                continue
            gap = _with_gap(words, at)
            shapes = self._variants.setdefault(gap, [])
            if isinstance(shapes, int):
                continue
            shapes.append(words)
            if len(shapes) >= VARIANTS:
                general = self._add(gap)
                merged = tuple(dict.fromkeys(self._ids[shape] for shape in shapes))
                for shape in shapes:
                    self._ids[shape] = general
                self._variants[gap] = general
                return general, tuple(old for old in merged if old != general)
        return number, ()


def _with_gap(words: Words, at: int) -> Words:
    return (*words[:at], ANY, *words[at + 1 :])
