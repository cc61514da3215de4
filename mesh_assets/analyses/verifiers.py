"""The word of verifiers on answers, as verdicts: what was recomputed, run or back-tested tells right from wrong.

They know no meaning: a query may ask something else than the claim says. So they call an answer right only where all of
it was shown, their verdicts teach what other signals are worth, and a person's verdict counts in the place of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts, Verdict, verdict
from mesh_assets.mesh.stated_numbers import states_numbers

NAME = "simulation"


def word_of(answer: Analysis) -> bool | None:
    """Whether an answer is right; None where verifiers cannot tell, as of quotes, which claim nothing.

    Wrong where a test fails, or a sum or fact comes out otherwise. Right where each claim was put to the data by
    numbers or by the past and held, or states numbers of a fact that was computed again: a query that says just true
    may ask anything.
    """
    if answer.is_extracted or not answer.has_answer:
        return None
    if answer.signals.get("recomputed", 1.0) < 1.0 or any(proof.holds is False for proof in answer.tests):
        return False
    shown = {proof.statement for proof in answer.tests if proof.holds and proof.by != "word"}
    shown |= {claim.statement for claim in answer.claims if claim.queries and states_numbers(claim.statement)}
    return True if answer.claims and all(claim.statement in shown for claim in answer.claims) else None


def give_verdicts(answers: Sequence[Analysis], verdicts: SqliteVerdicts) -> int:
    """Add the verdicts of verifiers on answers to those that there are, each once; how many were new."""
    made = [
        verdict(answer.row(), is_right=word, judge="verifier", judge_name=NAME)
        for answer in answers
        if (word := word_of(answer)) is not None
    ]
    if not made:
        return 0
    known = {_identity(each) for each in verdicts.all(made[0].dataset) if each.judge == "verifier"}
    new = [each for each in made if _identity(each) not in known]
    verdicts.add(*new)
    return len(new)


def _identity(each: Verdict) -> tuple[object, ...]:
    return each.dataset, each.case_id, each.depth, each.node, each.is_right, each.signals
