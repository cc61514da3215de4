"""What several nodes say to one case, laid side by side: what they agree on, what one says alone, where they differ.

Nothing is averaged and nobody is outvoted: a disagreement keeps each side with who said it, for a person or a deeper
node to decide. Only checked claims are compared, those of `validation`; how much agreement is worth as a sign of being
right belongs to calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mesh_assets.mesh.shapes import Claim
from mesh_assets.mesh.stated_numbers import numbers_agree, without_numbers
from mesh_assets.mesh.wording import content_words, denies, overlap
from mesh_assets.schemas.citations import Citation

# Statements are about one thing where this share of their words is common: less where they cite the same bytes. Judged
# on made pairs, not learned: a wrong pair shows as a disagreement, which a person sees, a missed one as two claims.
_SAME_WORDS, _SAME_WORDS_AND_PLACE = 0.75, 0.4


@dataclass(frozen=True, slots=True)
class Said:
    """A claim with the nodes that make it; its citations are those of all of them."""

    claim: Claim
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Statements about one thing that cannot all be true, most nodes first. `about` is what they differ in."""

    about: Literal["numbers", "denial"]
    sides: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """All claims of all nodes, each in one place.

    `agreement` is the share, 0 to 1, of the things spoken of that two nodes or more say alike and none otherwise; None
    where fewer than two nodes claim anything, which is no agreement and no disagreement.
    """

    agreed: tuple[Said, ...]
    alone: tuple[Said, ...]
    disagreements: tuple[Disagreement, ...]
    agreement: float | None


def compared(claims: Mapping[str, Sequence[Claim]]) -> Compared:
    """Compare the claims of nodes, by their names, in the order that they come in."""
    topics: list[_Topic] = []
    for node, said in claims.items():
        for claim in said:
            _place(topics, node, claim)
    agreed: list[Said] = []
    alone: list[Said] = []
    disagreements: list[Disagreement] = []
    for topic in topics:
        sides = sorted((side.said() for side in topic.sides), key=lambda each: -len(each.nodes))
        if len(sides) > 1:
            disagreements.append(Disagreement(topic.about, tuple(sides)))
        elif len(sides[0].nodes) > 1:
            agreed.append(sides[0])
        else:
            alone.append(sides[0])
    spoken = sum(bool(said) for said in claims.values())
    share = len(agreed) / len(topics) if spoken > 1 else None
    return Compared(tuple(agreed), tuple(alone), tuple(disagreements), share)


@dataclass(slots=True)
class _Side:
    """Claims that say the same of a topic."""

    said_by: list[tuple[str, Claim]]

    def said(self) -> Said:
        """The first claim, with the grounds of all."""
        first = self.said_by[0][1]
        citations = dict.fromkeys(each for _, claim in self.said_by for each in claim.citations)
        queries = dict.fromkeys(each for _, claim in self.said_by for each in claim.queries)
        tests = dict.fromkeys(each for _, claim in self.said_by for each in claim.tests)
        nodes = tuple(dict.fromkeys(node for node, _ in self.said_by))
        return Said(Claim(first.statement, tuple(citations), tuple(queries), tuple(tests)), nodes)


@dataclass(slots=True)
class _Topic:
    words: frozenset[str]
    sides: list[_Side]
    about: Literal["numbers", "denial"] = "numbers"
    grounds: list[Claim] = field(default_factory=list[Claim])


def _place(topics: list[_Topic], node: str, claim: Claim) -> None:
    """Put a claim beside those that are about the same, at the side that says the same; else it is a new topic."""
    words = content_words(without_numbers(claim.statement))
    topic = max(topics, key=lambda each: _likeness(each, words, claim), default=None)
    if topic is None or _likeness(topic, words, claim) <= 0:
        topics.append(_Topic(words, [_Side([(node, claim)])], grounds=[claim]))
        return
    topic.grounds.append(claim)
    for side in topic.sides:
        differs = _difference(side.said_by[0][1].statement, claim.statement)
        if not differs:
            side.said_by.append((node, claim))
            return
        topic.about = differs
    topic.sides.append(_Side([(node, claim)]))


def _likeness(topic: _Topic, words: frozenset[str], claim: Claim) -> float:
    """How alike a claim and the first of a topic are; 0 where they are about different things."""
    if _plain(topic.grounds[0].statement) == _plain(claim.statement):
        return 2.0
    shared = overlap(topic.words, words)
    if shared >= _SAME_WORDS:
        return shared
    is_one_place = any(_share_ground(each, claim) for each in topic.grounds)
    return shared if is_one_place and shared >= _SAME_WORDS_AND_PLACE else 0.0


def _plain(statement: str) -> str:
    return " ".join(statement.casefold().split()).rstrip(".")


def _share_ground(one: Claim, other: Claim) -> bool:
    if set(one.queries) & set(other.queries):
        return True
    return any(_touch(first, second) for first in one.citations for second in other.citations)


def _touch(one: Citation, other: Citation) -> bool:
    return (
        (one.dataset, one.path) == (other.dataset, other.path)
        and one.byte_start < other.byte_stop
        and other.byte_start < one.byte_stop
    )


def _difference(one: str, other: str) -> Literal["numbers", "denial"] | None:
    if denies(one, other):
        return "denial"
    return None if numbers_agree(one, other) else "numbers"
