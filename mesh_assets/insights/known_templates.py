"""Templates of one log while it is read: something is held for each, and what is remembered is bounded.

How shapes become templates is decided in `template_miner`. What is held (a series, counts for a table) is not known
here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.template_miner import Shape, fitting, templates_of

# What a log holds by shape before that of one template is put together.
MAX_TEMPLATES = 2000
# Shapes that each log may remember, so that a log of free text leaves room for the others, and those that all logs of
# a slice may remember beyond. A shape takes about 0.7 kB where its words are those of others, 5 kB where none is.
OWN_SHAPES = 100
SHARED_SHAPES = 8000


@dataclass(slots=True)
class Room:
    """How many shapes the logs of one slice may still remember beyond their own share."""

    free: int = SHARED_SHAPES

    def change(self, before: int, after: int) -> bool:
        """Let a log that remembers `before` shapes remember `after`; False where there is no room."""
        more = max(0, after - OWN_SHAPES) - max(0, before - OWN_SHAPES)
        if more > max(0, self.free):
            return False
        self.free -= more
        return True


class Held(Protocol):
    """What is held for a template: `words` is that, `count` how many events are in it.

    `coming` are the events of what is new and not counted yet.
    """

    words: Shape
    count: int
    coming: int

    def absorb(self, other: Self) -> None:
        """Take in what was held for another shape of the same template."""
        ...


H = TypeVar("H", bound=Held)


class KnownTemplates(Generic[H]):
    """What is held of the messages of one log: for each shape, for those of one template together when asked.

    Where there is no more room, templates are made of the shapes so far: what is no shape of the commoner ones is
    forgotten, and a later shape that fits a template is counted there. Until then, the templates are those of the set
    of shapes, whatever their order.
    """

    def __init__(self, room: Room, make: Callable[[Shape], H]) -> None:
        self._room = room
        self._make = make
        self._of: dict[Shape, Shape] = {}  # the shapes that are remembered, and the keys of what is held for them
        self._held: dict[Shape, H] = {}
        self._steps: dict[Shape, Shape] = {}  # what shapes were merged to on the way to a template, and that
        self._is_merged, self._has_forgotten = True, False

    def of(self, shapes: NDArray[np.int64], shape_list: Sequence[Shape]) -> tuple[NDArray[np.int64], list[H | None]]:
        """For events with these `shapes`, places in `shape_list`, a number each, and what is held for each number.

        That is None where there was no room for it.
        """
        numbers, of, counts = np.unique(shapes, return_inverse=True, return_counts=True)
        said = [shape_list[int(number)] for number in numbers]
        keys = [self._key(shape) for shape in said]
        if None in keys:
            new = [place for place in np.argsort(-counts, kind="stable").tolist() if keys[place] is None]
            self._remember({said[place]: int(counts[place]) for place in new})
            keys = [self._key(shape) for shape in said]
        places: dict[Shape | None, int] = {}
        templates = np.array([places.setdefault(key, len(places)) for key in keys], np.int64)
        return templates[of], [None if key is None else self._held[key] for key in places]

    def merged(self) -> list[H]:
        """What is held, by template."""
        if not self._is_merged:
            found = templates_of({*self._of, *self._of.values()})
            together: dict[Shape, H] = {}
            for key, held in self._held.items():
                template = found[key]
                known = together.get(template)
                if known is None:
                    held.words = template
                    together[template] = held
                else:
                    known.absorb(held)
            self._of = {shape: found[key] for shape, key in self._of.items()}
            self._steps = {step: template for step, template in found.items() if step not in self._of}
            self._held, self._is_merged = together, True
        return list(self._held.values())

    def wordings(self) -> dict[Shape, list[Shape]]:
        """For each template the shapes that are remembered of it, and what they were merged to on the way."""
        self.merged()
        found: dict[Shape, list[Shape]] = {template: [] for template in self._held}
        for shape, template in (*self._of.items(), *self._steps.items()):
            if template in found:
                found[template].append(shape)
        return found

    def forget(self, count: int) -> None:
        """Keep the `count` commonest templates at most, and of the shapes only those that lead to one."""
        self.merged()
        ranked = sorted(self._held.items(), key=lambda item: -item[1].count - item[1].coming)
        self._held = dict(ranked[:count])
        before = len(self._of)
        steps = (step for step, template in self._steps.items() if template in self._held)
        kept = dict.fromkeys((*self._held, *steps))
        self._of = {step: self._steps.get(step, step) for step in list(kept)[:count]}
        self._room.change(before, len(self._of))
        self._has_forgotten = True

    def leave(self) -> None:
        """Give the room back: the log was read."""
        self._room.change(len(self._of), 0)

    def _key(self, shape: Shape) -> Shape | None:
        key = self._of.get(shape)
        if key is None and self._has_forgotten:
            step = fitting(shape, self._of)
            return None if step is None else self._of[step]
        return key

    def _remember(self, shapes: dict[Shape, int]) -> None:
        """Hold something for new shapes, with their numbers of events, as far as there is room."""
        has_forgotten = False
        for shape, count in shapes.items():
            before = len(self._of)
            if len(self._held) >= MAX_TEMPLATES and len(self.merged()) > MAX_TEMPLATES * 3 // 4:
                is_full = True
            else:
                is_full = not self._room.change(before, before + 1)
            if is_full:
                if has_forgotten:  # a text without end of which nothing is said twice
                    return
                self.forget(min(before, MAX_TEMPLATES) // 2)
                has_forgotten = True
                self._room.change(len(self._of), len(self._of) + 1)
            self._of[shape] = shape
            if shape not in self._held:
                self._held[shape] = self._make(shape)
            self._held[shape].coming += count
            self._is_merged = False
