"""Debate (Du et al. 2023): two nodes answer and see each other's case; a judge reads both in both orders.

A judge prefers what stands first (Zheng et al. 2023), so only what it says in both orders counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mesh_assets.analyses.techniques.asking import (
    Ask,
    Bounds,
    Outcome,
    Reply,
    Same,
    Session,
    Technique,
    Verify,
    no_check,
    same_words,
    told,
)

NAME: Technique = "debate"
_CHOICE = re.compile(r"\bbetter\s*:\s*(first|second)\b", re.IGNORECASE)


async def debate(
    question: str,
    nodes: tuple[Ask, Ask],
    judge: Ask,
    bounds: Bounds,
    *,
    verify: Verify = no_check,
    same: Same = same_words,
) -> Outcome:
    """What both agree on, or what verifies better, or what the judge prefers in both orders.

    Else it is undecided: the first node's answer with evidence .5, and `why` says so. Nodes that agree have evidence
    .75: they may share an error. One that names no answer has left the debate.
    """
    session = Session(bounds)
    said = [await session.ask(node, "attempt", _open_prompt(question, place)) for place, node in enumerate(nodes)]
    replies = [each for each in said if each is not None and each.answer is not None]
    if len(replies) == len(nodes) and not _is_same(replies, same):
        prompts = [_argue_prompt(question, replies[place].text, replies[1 - place].text) for place in (0, 1)]
        later = [await session.ask(node, "argue", prompt) for node, prompt in zip(nodes, prompts, strict=True)]
        replies = [
            new if new is not None and new.answer is not None else old for new, old in zip(later, replies, strict=True)
        ]
    if len(replies) < len(nodes):
        answer = replies[0].answer if replies else None
        score = verify(answer).score if answer is not None else 0.0
        return session.outcome(NAME, answer, score, "only one node named an answer" if replies else "nobody named one")
    return await _decided(session, judge, question, replies, verify, same)


async def _decided(
    session: Session, judge: Ask, question: str, replies: Sequence[Reply], verify: Verify, same: Same
) -> Outcome:
    first, second = (each.answer or "" for each in replies)
    scores = verify(first).score, verify(second).score
    if _is_same(replies, same):
        answer = second if scores[1] > scores[0] else first
        return session.outcome(NAME, answer, max(0.75, *scores), "both nodes say so", agreement=1.0)
    if scores[0] != scores[1]:
        answer = first if scores[0] > scores[1] else second
        return session.outcome(NAME, answer, max(scores), "it verifies better", agreement=0.5)
    winner = await _judged(session, judge, question, [each.text for each in replies])
    if winner is None:
        why = "undecided: the judge does not prefer one in both orders"
        return session.outcome(NAME, first, 0.5, why, agreement=0.5)
    return session.outcome(NAME, (first, second)[winner], 0.75, "the judge prefers it in both orders", agreement=0.5)


async def _judged(session: Session, judge: Ask, question: str, texts: Sequence[str]) -> int | None:
    """Which of two the judge prefers in both orders; None where it does not."""
    chosen: list[int] = []
    for order in ((0, 1), (1, 0)):
        reply = await session.ask(judge, "judge", _judge_prompt(question, texts[order[0]], texts[order[1]]))
        found = _CHOICE.findall(reply.text) if reply is not None else []
        if not found:
            return None
        chosen.append(order[0] if found[-1].lower() == "first" else order[1])
    return chosen[0] if chosen[0] == chosen[1] else None


def _is_same(replies: Sequence[Reply], same: Same) -> bool:
    first, second = (each.answer or "" for each in replies)
    return same(first, second)


def _open_prompt(question: str, place: int) -> str:
    return f"{question}\n\nYou are speaker {place + 1} of 2. Think step by step."


def _argue_prompt(question: str, own: str, other: str) -> str:
    return (
        f"{question}\n\nFirst what you said, then what the other speaker said:\n{told(own, other)}\n\n"
        "Find the first step in which you differ, check it, and keep your answer or change it."
    )


def _judge_prompt(question: str, first: str, second: str) -> str:
    return (
        f"{question}\n\nTwo answers, the first and the second:\n{told(first, second)}\n\nCheck the steps of both. "
        "Length and tone do not count. End with one line: Better: first, or Better: second"
    )
