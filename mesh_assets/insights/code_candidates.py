"""What may be worth saying of code, before it is ranked: a sentence, how bad it is, how sure, and the lines of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mesh_assets.insights.code_names import NameCounts

# Of one sort among those that are findings, and of one file, so that a list of twenty shows more than one thing.
_OF_SORT, _OF_FILE, _OF_FOLDER = 5, 1, 3
# Of one sort where the other sorts leave places free.
_OF_SORT_THEN = 10
FINDINGS, WRITTEN = 20, 60
# What is worth less is not said, or is no finding.
_LEAST, _LEAST_FINDING = 0.2, 0.33


@dataclass(frozen=True, slots=True)
class Place:
    """Lines of a file, counted from 1, the last inclusive."""

    path: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """`sort` is the kind of finding; `detail` tells apart what is ranked beside each other within a sort.

    `severity` (how bad it is, if so), `confidence` (how surely it is so) and `worth` (of the file) lie in 0..1; `name`
    is the function that it is about, whose use counts.
    """

    sort: str
    title: str
    statement: str
    severity: float
    confidence: float
    worth: float
    places: tuple[Place, ...]
    name: str = ""
    detail: str = ""
    value: dict[str, object] = field(default_factory=dict[str, object])

    def priority(self, names: NameCounts) -> float:
        """How much it deserves a person's time, 0..1: severity, confidence, worth, and how many files use it."""
        users = names.users(self.name) if self.name else 0
        use = 0.8 + 0.2 * min(math.log10(1 + users) / 2, 1.0)
        return self.severity * self.confidence * self.worth * use


def ranked(candidates: Iterable[Candidate], names: NameCounts) -> list[tuple[float, Candidate]]:
    """The best with their scores. The first `FINDINGS` are varied; the others follow with scores below a finding's."""
    order = sorted(candidates, key=lambda each: (-each.priority(names), each.sort, each.title, each.places[0].first))
    order = [each for each in order if each.priority(names) >= _LEAST]
    worthy = [each for each in order if each.priority(names) >= _LEAST_FINDING]
    chosen = {id(each) for each in list(_varied(worthy, _OF_SORT))[:FINDINGS]}
    more = [each for each in _varied(worthy, _OF_SORT_THEN) if id(each) not in chosen]
    chosen |= {id(each) for each in more[: FINDINGS - len(chosen)]}
    first = [each for each in order if id(each) in chosen]
    others = [each for each in order if id(each) not in chosen][: WRITTEN - len(first)]
    return [(0.5 + 0.4 * each.priority(names), each) for each in first] + [
        (0.49 * each.priority(names), each) for each in others
    ]


def _varied(order: Iterable[Candidate], of_sort: int) -> Iterator[Candidate]:
    counts: dict[tuple[str, str], int] = {}
    for each in order:
        path = each.places[0].path
        limits = (
            (("sort", each.sort), of_sort),
            (("detail", f"{each.sort} {each.detail}"), of_sort - 1 if each.detail else of_sort),
            (("file", path), _OF_FILE),
            (("folder", path.rpartition("/")[0]), _OF_FOLDER),
        )
        if all(counts.get(key, 0) < limit for key, limit in limits):
            for key, _ in limits:
                counts[key] = counts.get(key, 0) + 1
            yield each
