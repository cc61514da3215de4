"""Templates: the shapes of log messages, and which shapes are the same message with another word in it.

Words with digits, quoted texts and paths are masked before (`log_reader`). A name without digits (a user, a class) is
found here: when the same message came with several words at one place, that place varies.
"""

from __future__ import annotations

from dataclasses import dataclass

# So many different words at one place of otherwise equal shapes make it a variable. Two or three would merge
# `connection opened` with `connection closed`.
VARIANTS = 6
# Shapes that each log may remember, so that a log of free text leaves room for the others, and those that all logs of
# a slice may remember beyond. A shape of 24 words takes about 6 kB with its places, an ordinary one 1 kB.
OWN_SHAPES = 100
SHARED_SHAPES = 8000
# Messages with a variable word whose template is remembered, so that it need not be looked for place by place.
RECENT = 1024
ANY = "<*>"

Words = tuple[str, ...]


@dataclass(slots=True)
class Room:
    """How many shapes the logs of one slice may still remember beyond their own share."""

    free: int = SHARED_SHAPES


class TemplateTable:
    """Maps the shapes of one log to template numbers. Bounded: where there is no room, a new shape has no template."""

    def __init__(self, room: Room) -> None:
        self.words: dict[int, Words] = {}
        self._room = room
        self._next = 0
        self._numbers: dict[Words, int] = {}
        # Shapes with a gap at one place are kept as their hashes: as words they would take twenty times the memory.
        self._variants: dict[int, tuple[int, ...]] = {}
        self._general: dict[int, int] = {}
        self._recent: dict[int, int] = {}

    def find(self, words: Words) -> tuple[int | None, tuple[int, ...]]:
        """The number of the template of `words`, and the numbers of templates that were merged into it just now.

        None where `words` are new and there is no room for them.
        """
        known = self._numbers.get(words)
        if known is None:
            known = self._recent.get(hash(words))
        if known is not None:
            return known, ()
        gaps = [hash(_with_gap(words, at)) for at in range(len(words))]
        general = next((self._general[gap] for gap in gaps if gap in self._general), None)
        if general is not None:
            if len(self._recent) >= RECENT:
                self._recent.clear()
            self._recent[hash(words)] = general
            return general, ()
        if len(self.words) >= OWN_SHAPES and self._room.free <= 0:
            return None, ()
        number = self._numbers[words] = self._add(words)
        return self._generalise(words, gaps, number)

    def _add(self, words: Words) -> int:
        self._room.free -= len(self.words) >= OWN_SHAPES
        number = self._next
        self._next += 1
        self.words[number] = words
        return number

    def _forget(self, number: int) -> None:
        words = self.words.pop(number)
        self._room.free += len(self.words) >= OWN_SHAPES
        del self._numbers[words]
        for at in _open_places(words):
            gap = hash(_with_gap(words, at))
            others = tuple(other for other in self._variants.pop(gap, ()) if other != number)
            if others:
                self._variants[gap] = others

    def _generalise(self, words: Words, gaps: list[int], number: int) -> tuple[int, tuple[int, ...]]:
        """Note the new shape at each of its places; where one turns out to vary, merge what differs only there."""
        for at in _open_places(words):
            shapes = self._variants[gaps[at]] = (*self._variants.get(gaps[at], ()), number)
            if len(shapes) >= VARIANTS:
                for shape in shapes:
                    self._forget(shape)
                general = self._general[gaps[at]] = self._add(_with_gap(words, at))
                return general, shapes
        return number, ()


def _open_places(words: Words) -> list[int]:
    """Where a word may turn out to vary: not where it is masked already, or kept on purpose (a status, a method)."""
    if len(words) < 3:  # of two words, each says what happened
        return []
    return [at for at, word in enumerate(words) if word[0] not in '<"' and not word[0].isdigit()]


def _with_gap(words: Words, at: int) -> Words:
    return (*words[:at], ANY, *words[at + 1 :])
