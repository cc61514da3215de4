"""Chain of thought with self-consistency (Wang et al. 2022): several chains, and what most of them end in."""

from __future__ import annotations

from collections import Counter

from mesh_assets.analyses.techniques.asking import (
    Ask,
    Bounds,
    Outcome,
    Same,
    Session,
    Technique,
    Verify,
    no_check,
    same_words,
)

NAME: Technique = "self-consistency"


async def self_consistency(
    question: str, node: Ask, bounds: Bounds, *, samples: int = 5, verify: Verify = no_check, same: Same = same_words
) -> Outcome:
    """The answer that most of up to `samples` chains end in; of equally frequent ones the one that verifies better.

    A verifier's word comes before votes: an answer of a higher score is taken. Its evidence is the share of all chains
    asked, and 1 where a verifier holds it for right. It stops once nothing can overtake the first.
    """
    session, votes = Session(bounds), Counter[str]()
    scores: dict[str, float] = {}
    for sample in range(1, samples + 1):
        reply = await session.ask(node, "attempt", _prompt(question, sample, samples))
        if reply is None:
            break
        if reply.answer is not None:
            answer = next((each for each in votes if same(each, reply.answer)), reply.answer)
            votes[answer] += 1
            scores.setdefault(answer, verify(answer).score)
        if _is_settled(votes, scores, left=samples - sample):
            break
    if not votes:
        return session.outcome(NAME, None, 0.0, "no chain named an answer")
    best = max(votes, key=lambda answer: (scores[answer], votes[answer]))
    asked = len(session.trace)
    share = votes[best] / asked
    evidence = 1.0 if scores[best] == 1.0 else share
    why = f"{votes[best]} of {asked} chains end in it"
    return session.outcome(NAME, best, evidence, why, agreement=share if asked > 1 else None)


def _is_settled(votes: Counter[str], scores: dict[str, float], *, left: int) -> bool:
    """Whether further chains can change nothing: one verified, or its lead is larger than what is left."""
    if any(score == 1.0 for score in scores.values()):
        return True
    first = [count for _, count in votes.most_common(2)] + [0, 0]
    return len(set(scores.values())) == 1 and first[0] - first[1] > left


def _prompt(question: str, sample: int, samples: int) -> str:
    # Numbered, so that no two chains are the same call to a log that keeps completions.
    return f"{question}\n\nThis is attempt {sample} of {samples}, made without the others. Think step by step."
