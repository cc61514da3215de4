"""Answers of cases as techniques see them: checked by their evidence, counted where they say the same, built in steps.

An answer is the JSON of a case's form. What makes a claim hold belongs to `mesh.validation`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from mesh_assets.analyses.techniques.asking import Check, Reply, Same, Verify, told
from mesh_assets.mesh.agreement import compared
from mesh_assets.mesh.routing.arithmetic import numbers
from mesh_assets.mesh.shapes import Case, Claim
from mesh_assets.mesh.validation import Checked

# What is found of an answer in the form of a case, all that can be checked of it.
Checking = Callable[[Mapping[str, object]], Checked]
# Questions whose answers can be counted: a number, a time, a name, yes or no.
_SHORT = re.compile(
    r"(how (many|much|long|often|old|large|big)|when|who|which|is|are|was|were|did|does|do|has|have|can|"
    r"what (time|date|day|number|share|percentage|version))\b",
    re.IGNORECASE,
)
_OPEN = re.compile(r"\b(why|how do|how does|explain|what happened|compare)\b", re.IGNORECASE)
_YES_NO = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


def is_short(question: str) -> bool:
    """Whether a question asks for something that can be counted over several answers."""
    return _SHORT.match(question.strip()) is not None and _OPEN.search(question) is None


def parts_of(case: Case) -> tuple[str, ...]:
    """The aspects that the form of a case has, in their order; none where it has none."""
    properties = cast("dict[str, Any]", case.schema.get("properties", {}))
    items = properties.get("claims", {}).get("items", {}).get("properties", {})
    return tuple(items.get("aspect", {}).get("enum", ()))


def checked_by(checking: Checking, *, is_whole: bool = True) -> Verify:
    """A verifier of answers: the share of their checks that hold, and what does not.

    Where not `is_whole`, for answers that are counted: half, or nothing where no claim that is made holds.
    """

    def verify(answer: str) -> Check:
        found = checking(json.loads(answer))
        notes = [f"“{each.statement[:200]}”: {each.reason}" for each in found.dropped]
        notes += [f"{each.what} gives {each.result}." for each in found.recomputed if each.holds is False]
        if not found.claims and not found.dropped:
            notes.append("It makes no claim: right only where the evidence does not answer the question.")
        if not is_whole:
            return Check(0.0 if found.dropped and not found.claims else 0.5, " ".join(notes))
        return Check(found.support, " ".join(notes))

    return verify


def same_by(question: str, checking: Checking) -> Same:
    """Whether two answers to a question say the same: to a short question yes or no, or the same numbers; else half or
    more of what their claims that hold are about.
    """
    claims: dict[str, tuple[Claim, ...]] = {}
    short = is_short(question)

    def held(answer: str) -> tuple[Claim, ...]:
        if answer not in claims:
            claims[answer] = checking(json.loads(answer)).claims
        return claims[answer]

    def same(one: str, other: str) -> bool:
        if not held(one) or not held(other):
            return not held(one) and not held(other)
        counted = [_counted(each) for each in (one, other)]
        if short and any(counted):
            return counted[0] == counted[1]
        return (compared({"one": held(one), "other": held(other)}).agreement or 0.0) >= 0.5

    return same


def _counted(answer: str) -> str:
    """What can be counted of an answer to a short question: yes or no, or its numbers."""
    said = str(json.loads(answer).get("answer", ""))
    if (found := _YES_NO.match(said)) is not None:
        return found[1].lower()
    return " ".join(f"{number:g}" for number in sorted(set(numbers(said))))


@dataclass(frozen=True)
class ClaimsPuzzle:
    """An answer built claim by claim, one for each part of its form: a `Puzzle` whose steps are checked by evidence.

    A state is the JSON of the claims so far, each of which holds, and how sure its node was of each.
    """

    case: Case
    question: str
    checking: Checking

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """What there is a claim for, in order."""
        return parts_of(self.case)

    def start(self) -> str:
        """No claims."""
        return _state([], [])

    def ask_steps(self, state: str) -> str:
        """The prompt for the next claim."""
        claims, _ = _read(state)
        before = f" So far it is:\n{told(_said(claims))}" if claims else ""
        return (
            f"{self.question}\n\nThe answer is built claim by claim, for its parts in this order: "
            f"{', '.join(self.parts)}.{before}\nPropose up to three different claims for the part "
            f"`{self.parts[len(claims)]}`, the likeliest first, and nothing else: one of them is taken."
        )

    def steps(self, reply: Reply) -> list[str]:
        """The claims of a reply."""
        if reply.answer is None:
            return []
        value = cast("dict[str, Any]", json.loads(reply.answer))
        return [_state([claim], [float(value["confidence"])]) for claim in value["claims"]]

    def after(self, state: str, step: str) -> str | None:
        """With the claim, as the part that is next; None where it does not hold or was said before."""
        (claims, sure), ([claim], [confidence]) = _read(state), _read(step)
        said = [*claims, {**claim, "aspect": self.parts[len(claims)]}]
        found = self.checking({"answer": "", "claims": said})
        return _state(said, [*sure, confidence]) if len(found.claims) == len(said) else None

    def ask_value(self, state: str) -> str:
        """The prompt for how far the claims lead."""
        return (
            f"{self.question}\n\nThis is how an answer begins:\n{told(_said(_read(state)[0]))}\n\nDoes the evidence "
            f"carry it on to {self.parts[-1]}? End with one word: sure, likely or impossible."
        )

    def answer(self, state: str) -> str | None:
        """The answer once every part has its claim."""
        claims, sure = _read(state)
        if len(claims) < len(self.parts):
            return None
        # A chain is as sure as its weakest claim.
        return json.dumps({"answer": _said(claims), "claims": claims, "confidence": min(sure)}, sort_keys=True)


def _state(claims: list[dict[str, Any]], sure: list[float]) -> str:
    return json.dumps({"claims": claims, "sure": sure}, sort_keys=True)


def _read(state: str) -> tuple[list[dict[str, Any]], list[float]]:
    value = json.loads(state)
    return value["claims"], value["sure"]


def _said(claims: list[dict[str, Any]]) -> str:
    return " ".join(str(claim["statement"]).strip() for claim in claims)
