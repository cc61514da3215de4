"""Validation by simulation: what an answer says of the data is asked of the data, what it foretells of their past.

A claim's query runs over the datasets that its case may see and no other; a prediction is back-tested on their logs and
series, without the time that the case itself is about. How both are run is behind `Simulator`; what follows for a claim
belongs to `mesh.trials` and `mesh.validation`, for the whole answer to `signals` and `verifiers`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, cast

from mesh_assets.analyses.back_tests import Floats, Times, fared, holds, in_words
from mesh_assets.analyses.checkable import Prediction, Sign, prediction_of, query_of
from mesh_assets.analyses.posed import Posed
from mesh_assets.insights.secrets import mask
from mesh_assets.mesh.shapes import Case, Proof
from mesh_assets.mesh.trials import Ran, Trial, of_query

# Tests of one answer: a node that brings more has the rest of its claims untested.
MAX_TESTS = 12


class Simulator(Protocol):
    """The data of datasets, asked by whoever does not trust the question."""

    def run(self, sql: str, datasets: Collection[str]) -> Ran:
        """What a query gives of the tables of these datasets alone, within bounds of time, memory and rows."""
        ...

    def times(self, sign: Sign, datasets: Collection[str]) -> Times | str:
        """When a sign was seen; a sentence where their logs and series have nothing that it names."""
        ...

    def others(self, signs: Sequence[Sign], datasets: Collection[str], within: float) -> Sequence[Floats]:
        """Of each other message of the same logs the first moments (seconds) of its episodes, of many some."""
        ...


def visible(case: Case) -> frozenset[str]:
    """Keys of the datasets that queries of its answers may read: its own, else those of its evidence."""
    if case.dataset:
        return frozenset({case.dataset})
    return frozenset(each.citation.dataset for each in case.evidence if each.citation is not None)


def trials_of(posed: Posed, value: Mapping[str, object], simulator: Simulator) -> dict[str, Trial]:
    """The trials of the claims of `value`, an answer to a case, by what they state."""
    datasets = visible(posed.case)
    made: dict[str, Trial] = {}
    left = MAX_TESTS
    for claim in cast("Sequence[Mapping[str, object]]", value.get("claims") or ()):
        statement = str(claim.get("statement", "")).strip()
        query, prediction = query_of(claim), prediction_of(claim)
        wanted = bool(query) + (prediction is not None)
        if statement in made or not 0 < wanted <= left:
            continue
        left -= wanted
        trial = of_query(statement, simulator.run(query, datasets)) if query else Trial()
        if prediction is not None:
            tested = _predicted(statement, prediction, posed, datasets, simulator)
            trial = replace(trial, tests=(*trial.tests, tested))
        masked = (replace(each, what=mask(each.what), result=mask(each.result)) for each in trial.tests)
        made[statement] = replace(trial, tests=tuple(masked))
    return made


def _predicted(
    statement: str, prediction: Prediction | str, posed: Posed, datasets: Collection[str], simulator: Simulator
) -> Proof:
    if isinstance(prediction, str):
        return Proof(statement, "past", "a prediction", None, f"It cannot be tested: {prediction}")
    then = simulator.times(prediction.then, datasets)
    when = simulator.times(prediction.when, datasets) if prediction.when is not None else None
    for lack in (then, when):
        if isinstance(lack, str):
            return Proof(statement, "past", str(prediction), None, f"It cannot be tested: {lack}")
    then, when = cast("Times", then), cast("Times | None", when)
    signs = [sign for sign in (prediction.when, prediction.then) if sign is not None]
    others = simulator.others(signs, datasets, prediction.within)
    found = fared(prediction, when, then, others=others, left_out=_own_time(posed))
    sources = [each.found for each in (when, then) if each is not None]
    return Proof(statement, "past", str(prediction), holds(prediction, found), in_words(prediction, found, sources))


def _own_time(posed: Posed) -> tuple[float, float] | None:
    """The time (seconds) that the case is about: it made the prediction, so it is no test of it."""
    if posed.time_start is None or posed.time_stop is None:
        return None
    return posed.time_start.timestamp(), posed.time_stop.timestamp()


def verifier_signal(tested: Sequence[Proof]) -> float:
    """The share of tests that hold of those that could be told; .5 where there is none."""
    told = [test.holds for test in tested if test.holds is not None]
    return sum(told) / len(told) if told else 0.5
