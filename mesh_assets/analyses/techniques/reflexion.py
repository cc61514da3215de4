"""Reflexion (Shinn et al. 2023): attempt, verify, reflect, retry; the best attempt is kept, not the last."""

from __future__ import annotations

from mesh_assets.analyses.techniques.asking import Ask, Bounds, Outcome, Session, Verify, answer_in

NAME = "reflexion"


async def reflexion(question: str, node: Ask, bounds: Bounds, verify: Verify, *, attempts: int = 3) -> Outcome:
    """The attempt that verified best; of equal ones the first, as a later one may be worse.

    It ends with the first that verifies wholly. A reply that names no answer is an attempt that failed.
    """
    session = Session(bounds)
    best: str | None = None
    score, lessons = -1.0, list[str]()
    for attempt in range(1, attempts + 1):
        text = await session.ask(node, "attempt", _attempt_prompt(question, attempt, lessons))
        if text is None:
            break
        answer = answer_in(text)
        found = verify(answer) if answer is not None else None
        if answer is not None and found is not None and found.score > score:
            best, score = answer, found.score
        if found is not None and found.score >= 1.0:
            break
        if attempt < attempts:
            notes = found.notes if found is not None else "No line said `Answer: ...`."
            lesson = await session.ask(node, "reflect", _reflect_prompt(question, answer, notes))
            lessons.append(f"{answer or 'no answer'}: {notes} {lesson or ''}".strip())
    if best is None:
        return session.outcome(NAME, None, 0.0, "no attempt named an answer")
    return session.outcome(NAME, best, score, f"the best of its attempts, verified at {score:.2f}")


def _attempt_prompt(question: str, attempt: int, lessons: list[str]) -> str:
    told = "\n".join(f"- {lesson}" for lesson in lessons)
    before = f"\n\nAttempts before failed. What was learned from them:\n{told}" if told else ""
    return f"{question}{before}\n\nThis is attempt {attempt}. Think step by step. End with one line: Answer: ..."


def _reflect_prompt(question: str, answer: str | None, notes: str) -> str:
    return (
        f"{question}\n\nThe answer `{answer or 'none'}` was checked and does not hold: {notes}\n"
        "Say in two sentences what went wrong and what to do otherwise. Give no answer yet."
    )
