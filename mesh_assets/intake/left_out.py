"""Names of files and folders that are never read: what programs keep for themselves, and what the owner adds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate

from mesh_assets.schemas.rejects import Reject

_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Names, and patterns of names as a shell has them (`*.pyc`); letters' case counts."""

    names: frozenset[str] = frozenset()
    patterns: re.Pattern[str] | None = None

    @classmethod
    def of(cls, written: str) -> LeftOut:
        """Of names with commas between them, as the setting has them."""
        all_names = {name.strip().rstrip("/") for name in written.split(",")} - {""}
        wild = sorted(name for name in all_names if _WILD & set(name))
        return cls(frozenset(all_names.difference(wild)), re.compile("|".join(map(translate, wild))) if wild else None)

    def among(self, names: list[str]) -> set[str]:
        """Those of `names`, of entries of one folder, that are left out."""
        found = set[str]() if self.names.isdisjoint(names) else set(self.names.intersection(names))
        return found if self.patterns is None else found.union(filter(self.patterns.match, names))

    @staticmethod
    def reject(path: str) -> Reject:
        """What is said of one: of a folder once, not of each file in it."""
        return Reject(path, "left out by name", "Nothing to do; to read it, take its name out of `MESH_LEFT_OUT`.")


NOTHING_LEFT_OUT = LeftOut()
