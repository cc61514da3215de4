"""Debate (Du et al. 2023): two nodes answer and see each other's case; a judge reads both in both orders.

A judge prefers what stands first (Zheng et al. 2023), so only what it says in both orders counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mesh_assets.analyses.techniques.asking import Ask, Bounds, Outcome, Session, Verify, answer_in, no_check

NAME = "debate"
_CHOICE = re.compile(r"\bbetter\s*:\s*(first|second)\b", re.IGNORECASE)


async def debate(
    question: str, nodes: tuple[Ask, Ask], judge: Ask, bounds: Bounds, *, rounds: int = 1, verify: Verify = no_check
) -> Outcome:
    """What both agree on, or what verifies better, or what the judge prefers in both orders.

    Else it is undecided: the first node's answer with evidence .5, and `why` says so. Nodes that agree have evidence
    .75: they may share an error. One that names no answer has left the debate.
    """
    session = Session(bounds)
    texts = [
        await session.ask(node, "attempt", _open_prompt(question, place)) or "" for place, node in enumerate(nodes)
    ]
    for _ in range(rounds):
        if None in (answers := [answer_in(text) for text in texts]) or _same(answers):
            break
        said = [await session.ask(nodes[i], "argue", _argue_prompt(question, texts[i], texts[1 - i])) for i in (0, 1)]
        texts = [
            new if new is not None and answer_in(new) is not None else old for new, old in zip(said, texts, strict=True)
        ]
    named = [(answer, text) for text in texts if (answer := answer_in(text)) is not None]
    if len(named) < 2:
        answer = named[0][0] if named else None
        return session.outcome(NAME, answer, verify(answer).score if answer else 0.0, "only one node named an answer")
    first, second = named[0][0], named[1][0]
    if _same([first, second]):
        return session.outcome(NAME, first, max(0.75, verify(first).score), "both nodes say so")
    scores = verify(first).score, verify(second).score
    if scores[0] != scores[1]:
        return session.outcome(NAME, first if scores[0] > scores[1] else second, max(scores), "it verifies better")
    winner = await _judged(session, judge, question, [text for _, text in named])
    if winner is None:
        return session.outcome(NAME, first, 0.5, "undecided: the judge does not prefer one in both orders")
    return session.outcome(NAME, named[winner][0], 0.75, "the judge prefers it in both orders")


async def _judged(session: Session, judge: Ask, question: str, texts: Sequence[str]) -> int | None:
    """Which of two the judge prefers in both orders; None where it does not."""
    chosen: list[int] = []
    for order in ((0, 1), (1, 0)):
        text = await session.ask(judge, "judge", _judge_prompt(question, texts[order[0]], texts[order[1]]))
        found = _CHOICE.findall(text or "")
        if not found:
            return None
        chosen.append(order[0] if found[-1].lower() == "first" else order[1])
    return chosen[0] if chosen[0] == chosen[1] else None


def _same(answers: Sequence[str | None]) -> bool:
    first, second = ("".join((answer or "").casefold().split()) for answer in answers)
    return bool(first) and first == second


def _open_prompt(question: str, place: int) -> str:
    return f"{question}\n\nYou are speaker {place + 1} of 2. Think step by step. End with one line: Answer: ..."


def _argue_prompt(question: str, own: str, other: str) -> str:
    return (
        f"{question}\n\nYou said:\n{own}\n\nThe other speaker said:\n{other}\n\nName the first step in which you "
        "differ, check it, and keep your answer or change it. End with one line: Answer: ..."
    )


def _judge_prompt(question: str, first: str, second: str) -> str:
    return (
        f"{question}\n\nFirst:\n{first}\n\nSecond:\n{second}\n\nCheck the steps of both. Length and tone do not count. "
        "End with one line: Better: first, or Better: second"
    )
