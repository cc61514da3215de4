"""Templates that a log had in earlier slices of its dataset: what is in them is not new, however late it comes.

Where they are read from belongs to `storage`; what is made of news, to `log_scan`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mesh_assets.insights.secrets import mask
from mesh_assets.insights.template_miner import ANY, Shape


@dataclass(frozen=True)
class EarlierTemplates:
    """By length, the templates that one log had, masked as they are stored. Without any, it is in its first slice."""

    by_length: dict[int, set[Shape]]

    @classmethod
    def of(cls, templates: Iterable[str]) -> EarlierTemplates:
        """From templates as `LOG_TEMPLATES` writes them."""
        made: dict[int, set[Shape]] = {}
        for template in templates:
            words = tuple(template.split())
            made.setdefault(len(words), set()).add(words)
        return cls(made)

    def __bool__(self) -> bool:
        return bool(self.by_length)

    def have(self, words: Shape) -> bool:
        """Whether a template is one of them, or they differ only where one of the two has learned that it varies."""
        masked = tuple(mask(" ".join(words)).split())
        known = self.by_length.get(len(masked), set())
        return masked in known or any(_are_one(masked, each) for each in known)


def _are_one(one: Shape, other: Shape) -> bool:
    return all(a == b or ANY in (a, b) for a, b in zip(one, other, strict=True))


NO_EARLIER = EarlierTemplates({})
