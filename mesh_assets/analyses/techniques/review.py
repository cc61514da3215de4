"""Constitutional review (Bai et al. 2022): a draft is held against written principles, and revised where it breaks one.

The principles are in `defaults/principles.yaml`, or a file of the user's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from mesh_assets.analyses.techniques.asking import Ask, Bounds, Outcome, Session, Verify, answer_in
from mesh_assets.errors import SettingsError

NAME = "constitutional review"
_REMEDY = "Write a list `principles`, each entry with a `name` and a `rule`; defaults/principles.yaml is an example."
_BROKEN = re.compile(r"^[^\w\n]*broken[ \t]*:[ \t]*([\w-]+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Principle:
    """A rule for answers, with the name that a critic calls it by."""

    name: str
    rule: str


def read_principles(text: str) -> tuple[Principle, ...]:
    """The principles of a YAML file. SettingsError where it is none."""
    try:
        said: Any = yaml.safe_load(text)
        entries = [(entry["name"], entry["rule"]) for entry in said["principles"]]
    except (yaml.YAMLError, KeyError, TypeError, RecursionError) as error:
        raise SettingsError("The file of principles cannot be read.", remedy=_REMEDY) from error
    found = tuple(Principle(name.strip(), rule.strip()) for name, rule in entries if _is_text(name) and _is_text(rule))
    names = {principle.name.casefold() for principle in found}
    if not found or len(names) != len(entries):
        raise SettingsError("A principle has no name or no rule, or two have the same name.", remedy=_REMEDY)
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


async def constitutional_review(
    question: str, draft: str, principles: Sequence[Principle], node: Ask, bounds: Bounds, *, verify: Verify
) -> Outcome:
    """The draft, or a revision that names an answer and verifies no worse. Its evidence is the verifier's score.

    A critic that names no principle that there is has found nothing: a draft is never left for empty talk.
    """
    session = Session(bounds)
    before = verify(draft).score
    critique = await session.ask(node, "critique", _critique_prompt(question, draft, principles))
    known = {principle.name.casefold(): principle for principle in principles}
    broken = [known[name.casefold()] for name in _BROKEN.findall(critique or "") if name.casefold() in known]
    if not broken:
        return session.outcome(NAME, draft, before, "no principle is named as broken")
    revised = await session.ask(node, "revise", _revise_prompt(question, draft, critique or ""))
    answer = answer_in(revised or "")
    if answer is None:
        return session.outcome(NAME, draft, before, "the revision names no answer, so the draft stands")
    after = verify(answer).score
    names = ", ".join(dict.fromkeys(principle.name for principle in broken))
    if after < before:
        return session.outcome(NAME, draft, before, f"the revision for {names} verifies worse, so the draft stands")
    return session.outcome(NAME, answer, after, f"revised for {names}")


def _critique_prompt(question: str, draft: str, principles: Sequence[Principle]) -> str:
    rules = "\n".join(f"{principle.name}: {principle.rule}" for principle in principles)
    return (
        f"{question}\n\nDraft: {draft}\n\nPrinciples:\n{rules}\n\nFor each principle that the draft breaks write one "
        "line `Broken: NAME`, then why. Write `None` where it breaks none."
    )


def _revise_prompt(question: str, draft: str, critique: str) -> str:
    return (
        f"{question}\n\nDraft: {draft}\n\nWhat was found against it:\n{critique}\n\nChange only what that asks for. "
        "End with one line: Answer: ..."
    )
