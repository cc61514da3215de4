"""A problem that is too large for one answer, split into questions: several nodes split it side by side, and the splits
are merged.

What nodes propose is text: a question that two of them ask is one, however they word it; how hard each is, is told from
its text, not taken from them; their order is kept where it is one. Answering the parts, and putting the answers
together, belongs to whoever asked for the split.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.embeddings.protocol import OFF, Encoder
from mesh_assets.mesh.calls import Caller, Question
from mesh_assets.mesh.execution import Result, Tried, Work, run_cases
from mesh_assets.mesh.prompts import request_of
from mesh_assets.mesh.protocol import Client, Node, Scope
from mesh_assets.mesh.redaction.hidden import Secrets
from mesh_assets.mesh.routing.complexity import complexity
from mesh_assets.mesh.shapes import Case, Depth, Evidence
from mesh_assets.mesh.wording import content_words, denies, overlap

# More parts cost more than they clarify; of one node more are not even read.
MAX_PARTS, MAX_PROPOSED = 12, 24
_MAX_CHARACTERS = 600
# Questions are one where their vectors are this near, or, without an encoder, this share of their words is common. Of
# seventeen made pairs MiniLM put eight paraphrases at .73 to .89 and nine others at .54 to .99, those that differ in
# one word highest: what is missed is asked twice, what is mixed up is never asked, so this is on the side of asking.
_SAME_MEANING, _SAME_WORDS = 0.8, 0.6
# A part that is nearly the problem itself splits nothing.
_WHOLE_WORDS = 0.9
_ANSWER_TOKENS = 2000
# A cause is asked for with the same words as a time or a place.
_WHY = re.compile(r"\b(?:why|cause[sd]?|reasons?)\b", re.IGNORECASE)
_ASK = (
    "Split this problem into questions that can be answered one by one, each from its own evidence; together they must "
    f"cover it, and none may repeat another; {MAX_PARTS} at most. Say of each which evidence it needs, its speciality "
    "(one of: {specialities}), and the numbers (from 1, in your order) of the questions whose answers it needs first. "
    "Do not answer them.\nProblem: {problem}"
)
SPLIT_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "question": {"type": "string"},
                    "evidence": {"type": "array", "items": {"type": "string"}},
                    "speciality": {"type": "string"},
                    "needs": {"type": "array", "items": {"type": "integer"}},
                },
                "required": ["question", "evidence", "speciality", "needs"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["parts"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class SubProblem:
    """One question of a problem, in place among the others.

    `evidence` describes in words what it needs. `complexity` is 0 to 1, as routing has it. `needs` are the places of
    the parts before it whose answers it needs; `nodes` proposed it.
    """

    question: str
    evidence: tuple[str, ...]
    complexity: float
    speciality: str
    needs: tuple[int, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decomposition:
    """A problem as parts, each after those that it needs; the problem itself is the only one where no node split it.

    `coverage` is the share, 0 to 1, of the problem's words that the parts speak of, `uncovered` are the others.
    `left_out` are proposals that are no part, and `loose` needs that would have closed a circle, each with the reason.
    """

    parts: tuple[SubProblem, ...]
    coverage: float
    uncovered: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    loose: tuple[tuple[str, str], ...] = ()
    failed: tuple[Tried, ...] = ()
    receipts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be split, with what is known of it; `scopes` are the budgets that the splitting counts against."""

    dataset: str
    text: str
    evidence: tuple[Evidence, ...]
    scopes: tuple[Scope, ...]
    private: bool = False


@dataclass(frozen=True, slots=True)
class Proposed:
    """A part as a node proposed it: `needs` are places (from 0) in the same split."""

    question: str
    evidence: tuple[str, ...] = ()
    speciality: str = "general"
    needs: tuple[int, ...] = ()


def decompose(
    problem: Problem,
    nodes: Sequence[Node],
    caller: Caller,
    connect: Callable[[Node], Client],
    *,
    encoder: Encoder | None = None,
    depth: Depth = "deep",
) -> Decomposition:
    """Have each of `nodes` split the problem, all at once, and merge what they say. Which nodes belongs to `routing`.

    What a node lacks (money, a key, the form) is told in `failed`; the splits of the others count.
    """
    specialities = tuple(sorted({"general", *(each for node in nodes for each in node.specialities)}))
    asked = _ASK.format(specialities=", ".join(specialities), problem=problem.text)
    case = Case(problem.dataset, asked, problem.evidence, SPLIT_SCHEMA, private=problem.private, prompt_version="split")
    request = request_of(case, max_tokens=_ANSWER_TOKENS)
    question = Question(case.id, depth, request, problem.scopes, case.prompt_version, problem.private)
    found = _Splits(Secrets.of([problem.text, *(each.text for each in problem.evidence)]))
    run_cases((Work(question, (node,)) for node in nodes), caller, connect, found)
    # In the order of the nodes, not that in which they answered.
    splits = {node.name: found.splits[node.name] for node in nodes if node.name in found.splits}
    return merged(problem.text, splits, specialities=specialities, encoder=encoder, failed=found)


@dataclass
class _Splits:
    """The sink of the calls: what each node proposed, or why it did not."""

    secrets: Secrets
    splits: dict[str, list[Proposed]] = field(default_factory=dict[str, list[Proposed]])
    failed: list[Tried] = field(default_factory=list[Tried])
    receipts: list[str] = field(default_factory=list[str])

    def keep(self, result: Result) -> None:
        self.receipts += result.receipts
        self.failed += result.tried
        if result.answer is not None:
            self.splits[result.answer.node] = _read(result.answer.value, self.secrets.hide)


def _read(value: Mapping[str, object], hide: Callable[[str], str]) -> list[Proposed]:
    """The parts of an answer in the form of `SPLIT_SCHEMA`."""
    parts = cast("list[dict[str, object]]", value.get("parts", []))
    return [
        Proposed(
            question=hide(" ".join(str(part["question"]).split())),
            evidence=tuple(
                hide(" ".join(each.split())) for each in cast("list[str]", part["evidence"]) if each.strip()
            ),
            speciality=str(part["speciality"]).strip().lower(),
            needs=tuple(number - 1 for number in cast("list[int]", part["needs"])),
        )
        for part in parts
    ]


def merged(
    problem: str,
    splits: Mapping[str, Sequence[Proposed]],
    *,
    specialities: Sequence[str] = ("general",),
    encoder: Encoder | None = None,
    failed: _Splits | None = None,
) -> Decomposition:
    """One decomposition of the splits of several nodes, by their names. Pure: the same splits give the same.

    Parts that mean the same are one, worded as the one that is most like the others. Where there are more than
    `MAX_PARTS`, those stay that most nodes propose, then those that speak of what no other does. A part comes after
    those that it needs; needs that most nodes name hold first, and one that would close a circle is left out.
    """
    places, left_out = _usable(problem, splits)
    groups = _groups(places, encoder)
    kept, beyond = _bounded(problem, groups)
    left_out += [(group.best.part.question, f"beyond the {MAX_PARTS} parts that are kept") for group in beyond]
    order, needs, loose = _ordered(kept)
    parts = tuple(
        SubProblem(
            question=group.best.part.question,
            evidence=group.evidence(),
            complexity=complexity(group.best.part.question),
            speciality=group.speciality(specialities),
            needs=tuple(sorted(order.index(kept[other]) for other in needs[kept.index(group)])),
            nodes=group.nodes,
        )
        for group in order
    )
    if not parts:
        parts = (SubProblem(problem, (), complexity(problem), "general", (), ()),)
    asked = content_words(problem)
    said = frozenset[str]().union(*(content_words(part.question) for part in parts))
    return Decomposition(
        parts=parts,
        coverage=len(asked & said) / len(asked) if asked else 1.0,
        uncovered=tuple(sorted(asked - said)),
        left_out=tuple(left_out),
        loose=tuple(loose),
        failed=tuple(failed.failed) if failed else (),
        receipts=tuple(failed.receipts) if failed else (),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A part at its place in the split of a node."""

    node: str
    number: int
    size: int
    part: Proposed


@dataclass(eq=False, slots=True)
class _Group:
    """Parts that mean the same. `best` is worded like most."""

    places: list[_Place]
    best: _Place

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(place.node for place in self.places))

    @property
    def at(self) -> float:
        """Where the nodes put it, 0 to 1, on the average."""
        return sum(place.number / place.size for place in self.places) / len(self.places)

    def evidence(self) -> tuple[str, ...]:
        """What any of them needs, each once however it is worded."""
        found: list[str] = []
        for text in (text for place in self.places for text in place.part.evidence):
            words = content_words(text)
            if all(text != each and overlap(words, content_words(each)) < _SAME_WORDS for each in found):
                found.append(text[:_MAX_CHARACTERS])
        return tuple(found[:MAX_PARTS])

    def speciality(self, known: Sequence[str]) -> str:
        """The known one that most name, `general` where none is."""
        named = Counter(place.part.speciality for place in self.places if place.part.speciality in known)
        return named.most_common(1)[0][0] if named else "general"


def _usable(problem: str, splits: Mapping[str, Sequence[Proposed]]) -> tuple[list[_Place], list[tuple[str, str]]]:
    """The proposals that may be parts, and the others, with the reason."""
    whole = content_words(problem)
    places: list[_Place] = []
    left_out: list[tuple[str, str]] = []
    for node, parts in splits.items():
        for number, part in enumerate(parts[:MAX_PROPOSED]):
            words = content_words(part.question)
            if not any(map(str.isalpha, part.question)):
                left_out.append((part.question, "asks nothing"))
            elif len(part.question) > _MAX_CHARACTERS:
                left_out.append((part.question[:_MAX_CHARACTERS], f"longer than {_MAX_CHARACTERS} characters"))
            elif overlap(words, whole) >= _WHOLE_WORDS:
                left_out.append((part.question, "the problem itself"))
            else:
                places.append(_Place(node, number, min(len(parts), MAX_PROPOSED), part))
        left_out += [
            (part.question[:_MAX_CHARACTERS], f"more than {MAX_PROPOSED} of one node") for part in parts[MAX_PROPOSED:]
        ]
    return places, left_out


def _groups(places: Sequence[_Place], encoder: Encoder | None) -> list[_Group]:
    """Those that mean the same, each joined to the group whose best one is nearest; in the order that they came in."""
    likeness, same = _likeness([place.part.question for place in places], encoder)
    groups: list[list[int]] = []
    for row in range(len(places)):
        near = max(groups, key=lambda group: likeness[row, group].mean(), default=None)
        if near is not None and likeness[row, near].mean() >= same:
            near.append(row)
        else:
            groups.append([row])
    return [
        _Group([places[row] for row in group], places[max(group, key=lambda row: likeness[row, group].sum())])
        for group in groups
    ]


def _likeness(questions: Sequence[str], encoder: Encoder | None) -> tuple[NDArray[np.float32], float]:
    """How alike each two are, shape (questions, questions), and from where on they are the same."""
    alike = np.zeros((len(questions), len(questions)), np.float32)
    if encoder is not None and encoder.model != OFF:
        vectors = encoder.encode(questions)
        alike[:], same = vectors @ vectors.T, _SAME_MEANING
    else:
        words = [content_words(question) for question in questions]
        same = _SAME_WORDS
        for row, one in enumerate(words):
            alike[row] = [overlap(one, other) for other in words]
    for row, one in enumerate(questions):
        for column, other in enumerate(questions):
            if denies(one, other) or bool(_WHY.search(one)) != bool(_WHY.search(other)):
                alike[row, column] = 0.0
    return alike, same


def _bounded(problem: str, groups: Sequence[_Group]) -> tuple[list[_Group], list[_Group]]:
    """The `MAX_PARTS` that are kept, and the others."""
    asked, covered = content_words(problem), set[str]()
    left, kept = list(groups), list[_Group]()
    while left and len(kept) < MAX_PARTS:
        best = max(left, key=lambda each: (len(each.nodes), len((_words(each) & asked) - covered)))
        left.remove(best)
        kept.append(best)
        covered |= _words(best)
    return kept, left


def _words(group: _Group) -> frozenset[str]:
    return content_words(group.best.part.question)


def _ordered(groups: Sequence[_Group]) -> tuple[list[_Group], list[set[int]], list[tuple[str, str]]]:
    """The groups in order, what each needs (their numbers in `groups`), and needs that were left out."""
    number_of = {(place.node, place.number): row for row, group in enumerate(groups) for place in group.places}
    votes = Counter[tuple[int, int]]()
    for row, group in enumerate(groups):
        named = {(place.node, number_of.get((place.node, need))) for place in group.places for need in place.part.needs}
        votes.update((row, need) for _, need in named if need is not None and need != row)
    needs: list[set[int]] = [set() for _ in groups]
    loose: list[tuple[str, str]] = []
    # Of needs that as many name, those hold first that point back in the order that the nodes gave.
    for (row, need), _ in sorted(
        votes.items(), key=lambda each: (-each[1], groups[each[0][1]].at - groups[each[0][0]].at, each[0])
    ):
        if _leads_to(need, row, needs):
            one, other = groups[row].best.part.question, groups[need].best.part.question
            loose.append((one, f"would wait for {other!r}, which waits for it"))
        else:
            needs[row].add(need)
    order: list[_Group] = []
    left = sorted(range(len(groups)), key=lambda row: (groups[row].at, row))
    done = set[int]()
    while left:
        row = next(each for each in left if needs[each] <= done)
        left.remove(row)
        done.add(row)
        order.append(groups[row])
    return order, needs, loose


def _leads_to(start: int, end: int, needs: Sequence[set[int]]) -> bool:
    """Whether `start` needs `end`, itself or by what it needs."""
    open_, seen = [start], set[int]()
    while open_:
        row = open_.pop()
        if row == end:
            return True
        if row not in seen:
            seen.add(row)
            open_ += needs[row]
    return False
