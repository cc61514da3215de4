"""What the form of a question and of an answer says, as numbers: found on this machine, for nothing.

Signals for `confidence`, which learns what each one weighs. Flaws in the steps of an answer are found by
`mesh.routing.verifiers`, whose signals are among these; citations are the business of validation.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

from mesh_assets.mesh.routing.arithmetic import evaluate
from mesh_assets.mesh.routing.verifiers import SIGNALS, signals

# A longer text is judged by its start: signals are about form.
_CHARS = 20_000
_OPTION = re.compile(r"^\s*\(([A-Z])\)", re.MULTILINE)
_CHOSEN = re.compile(r"\s*\(?([A-Z])\)?\s*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_PAIRS = {")": "(", "]": "[", "}": "{", ">": "<"}
_RESULT = re.compile(r"\s*=\s*\??\s*$")


def form_signals(question: str, answer: str) -> dict[str, float]:
    """Signals of a question and an answer to it, by name.

    Shares are 0..1; what cannot be said of a pair (an option where there is none to choose) is .5 or 0.
    """
    question, answer = question[:_CHARS], answer[:_CHARS]
    found = dict(zip(SIGNALS, signals(question, answer), strict=True))
    options = _OPTION.findall(question)
    chosen = _CHOSEN.fullmatch(answer)
    asked, said = question.split(), answer.split()
    place = options.index(chosen[1]) if chosen and chosen[1] in options else -1
    return found | {
        "options": math.log1p(len(options)),
        "option place": (place + 1) / len(options) if options else 0.0,
        "no option": float(bool(options) and place < 0),
        "is number": float(bool(_NUMBER.fullmatch(answer.strip()))),
        "question words": math.log1p(len(asked)),
        "answer words": math.log1p(len(said)),
        "answer share": len(answer) / (len(question) + len(answer) + 1),
        "distinct words": len(set(asked)) / (len(asked) + 1),
        "capitals": sum(word[:1].isupper() for word in asked) / (len(asked) + 1),
        "repeated": len(set(said) & set(asked)) / (len(said) + 1),
        "out of order": _disorder(said),
        "nesting": float(_open(question + answer)),
        "recomputed": _recomputed(question, answer),
    }


def _disorder(words: list[str]) -> float:
    """The share of neighbours of an answer that are in falling order; .5 where there are few."""
    if len(words) < 2:
        return 0.5
    return sum(a > b for a, b in pairwise(words)) / (len(words) - 1)


def _open(text: str) -> int:
    """How many brackets of a text are not closed, or closed without being open."""
    stack: list[str] = []
    stray = 0
    for sign in text:
        if sign in "([{<":
            stack.append(sign)
        elif sign in _PAIRS:
            if stack and stack[-1] == _PAIRS[sign]:
                stack.pop()
            else:
                stray += 1
    return min(len(stack) + stray, 10)


def _recomputed(question: str, answer: str) -> float:
    """1 where the question is an expression and the answer its value, 0 where it is not, .5 where there is none."""
    if not _RESULT.search(question):
        return 0.5
    value, said = evaluate(_RESULT.sub("", question)), evaluate(answer)
    if value is None:
        return 0.5
    return float(said is not None and abs(value - said) <= 1e-6 * max(1.0, abs(value)))
