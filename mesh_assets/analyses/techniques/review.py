"""Constitutional review (Bai et al. 2022): a draft is held against written principles, and revised where it breaks one.

The principles are those of `defaults/principles.yaml`, with the owner's laid over them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mesh_assets.analyses.techniques.asking import Ask, Bounds, Outcome, Session, Technique, Verify, no_check, told
from mesh_assets.errors import SettingsError

NAME: Technique = "constitutional review"
_REMEDY = "Write a list `principles`, each entry with a `name` and a `rule`; defaults/principles.yaml is an example."
# As a critic writes it behind `Broken:`.
_NAME = re.compile(r"[\w-]{1,40}")
_BROKEN = re.compile(r"^[^\w\n]*broken[ \t]*:[ \t]*([\w-]+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Principle:
    """A rule for answers, with the name that a critic calls it by."""

    name: str
    rule: str


def read_principles(shipped: Path, own: Path) -> tuple[Principle, ...]:
    """The principles of the file `shipped` with those of `own`, where that exists, laid over them by name.

    A rule of `own` that is null takes that principle away. SettingsError where a file is none of principles.
    """
    found = {name.casefold(): (name, rule) for name, rule in _entries(shipped)}
    if own.exists():
        found |= {name.casefold(): (name, rule) for name, rule in _entries(own)}
    rules = tuple(Principle(name, " ".join(rule.split())) for name, rule in found.values() if rule is not None)
    if not rules:
        raise SettingsError(f"{own} takes every principle away.", remedy="Leave one, or turn the technique off.")
    return rules


def _entries(path: Path) -> list[tuple[str, str | None]]:
    try:
        said: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = [(entry["name"], entry["rule"]) for entry in said["principles"]]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, RecursionError) as error:
        raise SettingsError(f"{path} cannot be read as a file of principles.", remedy=_REMEDY) from error
    if not entries or not all(_is_name(name) and (rule is None or _is_text(rule)) for name, rule in entries):
        raise SettingsError(f"{path}: a principle has no name of one word, or no rule.", remedy=_REMEDY)
    if len({name.casefold() for name, _ in entries}) != len(entries):
        raise SettingsError(f"{path}: two principles have the same name.", remedy=_REMEDY)
    return entries


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


async def constitutional_review(
    question: str, principles: Sequence[Principle], node: Ask, bounds: Bounds, *, verify: Verify = no_check
) -> Outcome:
    """The node's draft, or a revision that is an answer and verifies no worse. Its evidence is the verifier's score.

    A critic that names no principle that there is has found nothing: a draft is never left for empty talk.
    """
    session = Session(bounds)
    draft = await session.ask(node, "attempt", f"{question}\n\nThink step by step.")
    if draft is None or draft.answer is None:
        return session.outcome(NAME, None, 0.0, "there is no draft that is an answer")
    before = verify(draft.answer).score
    critique = await session.ask(node, "critique", _critique_prompt(question, draft.text, principles))
    known = {principle.name.casefold(): principle.name for principle in principles}
    named = _BROKEN.findall(critique.text) if critique is not None else []
    broken = list(dict.fromkeys(known[name.casefold()] for name in named if name.casefold() in known))
    if critique is None or not broken:
        return session.outcome(NAME, draft.answer, before, "no principle is named as broken")
    revised = await session.ask(node, "revise", _revise_prompt(question, draft.text, critique.text))
    if revised is None or revised.answer is None:
        return session.outcome(NAME, draft.answer, before, "the revision is no answer, so the draft stands")
    after = verify(revised.answer).score
    names = ", ".join(broken)
    if after < before:
        why = f"the revision for {names} verifies worse, so the draft stands"
        return session.outcome(NAME, draft.answer, before, why)
    return session.outcome(NAME, revised.answer, after, f"revised for {names}")


def _critique_prompt(question: str, draft: str, principles: Sequence[Principle]) -> str:
    rules = "\n".join(f"{principle.name}: {principle.rule}" for principle in principles)
    return (
        f"{question}\n\nA draft of the answer:\n{told(draft)}\n\nPrinciples:\n{rules}\n\nFor each principle that the "
        "draft breaks write one line `Broken: NAME`, then why. Write `None` where it breaks none."
    )


def _revise_prompt(question: str, draft: str, critique: str) -> str:
    return (
        f"{question}\n\nA draft of the answer, and what was found against it:\n{told(draft, critique)}\n\n"
        "Answer again, and change only what that asks for."
    )
