"""Reflexion (Shinn et al. 2023): attempt, verify, reflect, retry; the best attempt is kept, not the last."""

from __future__ import annotations

from mesh_assets.analyses.techniques.asking import Ask, Bounds, Outcome, Session, Technique, Verify, told

NAME: Technique = "reflexion"
# Of a verifier's notes and of a lesson, in characters: they are in every later prompt.
_NOTES, _LESSON = 1_500, 600


async def reflexion(question: str, node: Ask, bounds: Bounds, verify: Verify, *, attempts: int = 3) -> Outcome:
    """The attempt that verified best; of equal ones the first, as a later one may be worse.

    It ends with the first that verifies wholly. A reply that names no answer is an attempt that failed.
    """
    session = Session(bounds)
    best: str | None = None
    score, lessons = -1.0, list[str]()
    for attempt in range(1, attempts + 1):
        reply = await session.ask(node, "attempt", _attempt_prompt(question, attempt, lessons))
        if reply is None:
            break
        found = verify(reply.answer) if reply.answer is not None else None
        if reply.answer is not None and found is not None and found.score > score:
            best, score = reply.answer, found.score
        if found is not None and found.score >= 1.0:
            break
        if attempt < attempts:
            notes = (found.notes if found is not None else "It is no answer in the form that is asked for.")[:_NOTES]
            lesson = await session.ask(node, "reflect", _reflect_prompt(question, reply.text, notes))
            lessons.append(f"{notes} {lesson.text[:_LESSON] if lesson is not None else ''}".strip())
    if best is None:
        return session.outcome(NAME, None, 0.0, "no attempt named an answer")
    return session.outcome(NAME, best, score, f"the best of its attempts, verified at {score:.2f}")


def _attempt_prompt(question: str, attempt: int, lessons: list[str]) -> str:
    before = f"\n\nAttempts before failed. What was learned from them:\n{told(*lessons)}" if lessons else ""
    return f"{question}{before}\n\nThis is attempt {attempt}. Think step by step."


def _reflect_prompt(question: str, said: str, notes: str) -> str:
    return (
        f"{question}\n\nThis was answered, and checked:\n{told(said or 'nothing')}\nIt does not hold: {notes}\n"
        "Say in two sentences what went wrong and what to do otherwise. Give no answer yet."
    )
