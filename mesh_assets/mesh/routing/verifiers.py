"""What the text of an answer says against it, found on this machine for nothing: wrong sums, a result from nowhere.

A flaw is a reason to ask another node, no proof: how much each one weighs is learned from records, by `quality`.
Citations and numbers of the lake are the business of validation.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from mesh_assets.mesh.routing.arithmetic import NUMBER, Equation, equations, evaluate, numbers

# Where an answer says which of its numbers is the result.
_RESULT = re.compile(r"####|\\boxed\{|\b(?:final )?answer(?: is)?\s*:?", re.IGNORECASE)
_SIGNED = re.compile(rf"-?\s?\$?(?:{NUMBER})")
_HEDGES = re.compile(
    r"\b(?:however|assum\w+|mistake|not possible|impossible|cannot|can't|unclear|not enough|seems?|sorry|incorrect|"
    r"approximately|round(?:ed|ing)?)\b",
    re.IGNORECASE,
)
_ALGEBRA = re.compile(r"\b[a-zA-Z]\s*=|\d[a-z]\b")
# Numbers that need no source: units of time and count, halves, percents.
_COMMON = (1, 2, 3, 4, 7, 10, 12, 24, 30, 31, 52, 60, 100, 365, 1000, 0.5)
_NUMERALS = {
    word: float(value)
    for value, words in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve|dozen".split(), start=0
    )
    for word in words.split("|")
} | {"half": 0.5, "twice": 2.0, "double": 2.0, "triple": 3.0, "third": 3.0, "quarter": 4.0, "hundred": 100.0}
# Written numbers are often rounded.
_SAME = 0.006


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that speaks against an answer: its name, how often it was met, and a sentence for people."""

    name: str
    count: int
    sentence: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """A question and an answer as a verifier sees them."""

    question: str
    answer: str
    asked: tuple[float, ...]  # numbers of the question, in digits
    worded: tuple[float, ...]  # and in words
    steps: tuple[Equation, ...]
    result: float | None
    marked: bool


def _read(question: str, answer: str) -> _Reading:
    words = re.findall(r"[a-z]+", question.lower())
    marks = list(_RESULT.finditer(answer))
    tail = answer[marks[-1].end() :] if marks else answer
    found = _SIGNED.findall(tail)
    named = (found[0] if marks else found[-1]) if found else None
    # A step that is stated and annotated is one step.
    steps = {re.sub(r"\s", "", step.expression): step for step in equations(answer)}
    return _Reading(
        question=question,
        answer=answer,
        asked=numbers(question),
        worded=tuple(_NUMERALS[word] for word in words if word in _NUMERALS),
        steps=tuple(steps.values()),
        result=evaluate(named) if named else None,
        marked=bool(marks and found),
    )


def flaws(question: str, answer: str) -> list[Flaw]:
    """What speaks against the answer, worst first, each with a sentence; empty where nothing was found."""
    return [flaw for flaw in _all_flaws(_read(question, answer)) if flaw.count]


def signals(question: str, answer: str) -> list[float]:
    """Numbers that tell right answers from wrong ones, in the order of `SIGNALS`: counts of flaws, then sizes."""
    reading = _read(question, answer)
    steps = len(reading.steps)
    result = reading.result or 0.0
    sizes = (
        math.log1p(len(question)),
        math.log1p(len(answer)),
        len(re.findall(r"[.?!](?:\s|$)", question)),
        len(reading.asked),
        steps,
        len(reading.asked) + len(reading.worded) - sum(len(step.operands) - 1 for step in reading.steps),
        math.log1p(abs(result)),
        math.log1p(max((abs(step.computed) for step in reading.steps), default=0.0)),
        answer.count("\n"),
        len(_ALGEBRA.findall(answer)),
        len(re.findall(r"\d\.\d", question)),
        len(re.findall(r"[$€£]", question)),
        question.count("%"),
    )
    return [float(flaw.count) for flaw in _all_flaws(reading)] + [float(size) for size in sizes]


def _all_flaws(reading: _Reading) -> list[Flaw]:
    wrong = [step for step in reading.steps if not step.holds]
    shown = f": {wrong[0].expression} is {wrong[0].computed:g}, not {wrong[0].claimed:g}" if wrong else ""
    whole = reading.result is None or reading.result == round(reading.result)
    unused, sourceless, dropped = _unused(reading), _sourceless(reading), _dropped(reading)
    return [
        Flaw("wrong arithmetic", len(wrong), f"Its arithmetic is wrong{shown}."),
        Flaw("no number", reading.result is None, "It ends in no number."),
        Flaw("no result", not reading.marked, "It does not say which number is its result."),
        Flaw("result from nowhere", _is_from_nowhere(reading), "Its result is not what its last step gives."),
        Flaw("negative result", (reading.result or 0) < 0, "Its result is below zero."),
        Flaw("part of a thing", bool(not whole), "Its result is no whole number."),
        Flaw("unused numbers", len(unused), f"It does not use {_listed(unused)} of the question."),
        Flaw("numbers without source", len(sourceless), f"It uses {_listed(sourceless)}, which nothing gives."),
        Flaw("dropped steps", len(dropped), f"It works out {_listed(dropped)} and does not use it."),
        Flaw("broken steps", _broken(reading), "It works with parts of things."),
        Flaw("doubts", len(_HEDGES.findall(reading.answer)), "It doubts itself."),
    ]


def _listed(values: list[float]) -> str:
    return " and ".join(f"{value:g}" for value in values[:3])


def _near(value: float, others: list[float]) -> bool:
    return any(abs(value - other) <= _SAME * max(1.0, abs(other)) for other in others)


def _unused(reading: _Reading) -> list[float]:
    used = numbers(reading.answer)
    return [n for n in dict.fromkeys(reading.asked) if n not in used and n / 100 not in used]


def _sourceless(reading: _Reading) -> list[float]:
    asked = [*reading.asked, *reading.worded]
    known = [*asked, *_COMMON, *(n / 100 for n in asked), *(1 - n / 100 for n in asked), *(1 + n / 100 for n in asked)]
    found: list[float] = []
    for step in reading.steps:
        found += [n for n in step.operands if not _near(n, known)]
        known.append(step.claimed)
    return list(dict.fromkeys(found))


def _dropped(reading: _Reading) -> list[float]:
    used = [n for step in reading.steps for n in step.operands]
    ends = [] if reading.result is None else [reading.result]
    return [step.claimed for step in reading.steps[:-1] if not _near(abs(step.claimed), [*used, *ends])]


def _is_from_nowhere(reading: _Reading) -> bool:
    if not reading.steps or reading.result is None:
        return False
    return not _near(reading.result, [reading.steps[-1].claimed])


def _broken(reading: _Reading) -> int:
    return sum(step.computed != round(step.computed) for step in reading.steps)


SIGNALS = (
    *(flaw.name for flaw in _all_flaws(_read("", ""))),
    *("question size", "answer size", "sentences", "numbers", "steps", "steps missing", "result size"),
    *("largest step", "lines", "algebra", "decimals", "money", "percents"),
)
