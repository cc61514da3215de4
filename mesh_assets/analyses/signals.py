"""What tells a right answer from a wrong one, as numbers, and how sure that lets one be.

A `Calibrator` that was fitted on verdicts gives a probability. Until there are enough verdicts `Uncalibrated` ranks
answers by the same signals and says so: its number is no probability.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, cast

from mesh_assets.analyses.gates.gate import Gate
from mesh_assets.analyses.simulation import verifier_signal
from mesh_assets.mesh.routing.arithmetic import equations
from mesh_assets.mesh.shapes import Case, Depth
from mesh_assets.mesh.validation import Checked

# What signals say that answers of before do not have.
NEUTRAL: Mapping[str, float] = {"consistency": 0.5, "verifier": 0.5}
_WORD = re.compile(r"\w{3,}")


@dataclass(frozen=True, slots=True)
class Signals:
    """Of one answer at one depth. Shares are 0..1.

    `reported` is the node's own word, .5 where it gave none. `support` is the share of its checks that hold. `claims`
    hold and `dropped` do not. `quoted` is the share of the words of a statement that its quotes have. `recomputed` is
    the share of its sums and facts that come out again, 1 where it states none; `verifier` the share of the tests which
    its claims brought along that hold, .5 where none could be told. `agreement` with the answers before, by the
    evidence that both stand on, .5 where there is none before; `consistency` is the share of the samples or nodes of a
    technique that say so, .5 where one call answered. `complexity` is that of the question. `is_extracted`: it quotes
    and composes nothing.
    """

    reported: float
    support: float
    claims: int
    dropped: int
    quoted: float
    recomputed: float
    agreement: float
    complexity: float
    log_length: float
    is_extracted: bool = False
    verifier: float = NEUTRAL["verifier"]
    consistency: float = NEUTRAL["consistency"]

    def values(self) -> dict[str, float]:
        """All of them as numbers, by name."""
        return {name: float(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure an answer is, 0..1. `version` names what made a number of its signals."""

    value: float
    is_calibrated: bool
    version: str


class Calibrator(Protocol):
    """Makes a confidence of signals."""

    @property
    def version(self) -> str:
        """Changes with whatever changes its numbers."""
        ...

    def confidence(self, signals: Signals, *, question: str, answer: str) -> Confidence:
        """How sure an answer with these signals is, in its own words."""
        ...

    def gate(self, depth: Depth) -> Gate | None:
        """The gate that settles cases at a depth by its confidences; None where there is none."""
        ...


class Uncalibrated:
    """Ranks answers by what was checked first and by their own word last. The weights are assumptions."""

    version = "uncalibrated-1"

    def confidence(self, signals: Signals, *, question: str, answer: str) -> Confidence:
        """Nothing that holds gives 0; quotes without a composed answer are worth half of one. Words tell it nothing.

        Tests that fail take away, those that hold add nothing: a node chooses its own. Its own word counts more where
        others that were asked the same agree with it, and less where they do not.
        """
        del question, answer
        if not signals.claims:
            return Confidence(0.0, is_calibrated=False, version=self.version)
        checked = signals.support * signals.recomputed * min(2 * signals.verifier, 1.0)
        reported = min(signals.reported * (0.5 + signals.consistency), 1.0)
        value = checked * (0.4 + 0.4 * reported + 0.1 * signals.agreement + 0.1 * signals.quoted)
        return Confidence(value * (0.5 if signals.is_extracted else 1.0), is_calibrated=False, version=self.version)

    def gate(self, depth: Depth) -> Gate | None:
        """None: without verdicts nothing is promised."""
        del depth
        return None


def with_neutral(signals: Mapping[str, float]) -> dict[str, float]:
    """Signals of an answer of any time by name; none where there are none."""
    return {**NEUTRAL, **signals} if signals else {}


def signals_of(
    case: Case,
    value: Mapping[str, object],
    checked: Checked,
    *,
    complexity: float,
    earlier: Sequence[frozenset[str]] = (),
    consistency: float | None = None,
    is_extracted: bool = False,
) -> Signals:
    """The signals of `value`, an answer in the form of the case, that was `checked`.

    `earlier` are the labels of evidence that each answer before it stands on, `consistency` the share of samples that
    agree, None where there was one.
    """
    reported = value.get("confidence")
    text = str(value.get("answer", ""))
    holds = [step.holds for step in equations(text)] + [
        bool(each.holds) for each in checked.recomputed if each.holds is not None
    ]
    own = frozenset(label for labels in labels_of(value, checked) for label in labels)
    return Signals(
        reported=float(cast("float", reported)) if isinstance(reported, int | float) else 0.5,
        support=checked.support,
        claims=len(checked.claims),
        dropped=len(checked.dropped),
        quoted=_quoted(value, checked),
        recomputed=sum(holds) / len(holds) if holds else 1.0,
        agreement=sum(_overlap(own, each) for each in earlier) / len(earlier) if earlier else 0.5,
        complexity=complexity,
        log_length=math.log1p(len(text)),
        is_extracted=is_extracted,
        verifier=verifier_signal(checked.tested),
        consistency=NEUTRAL["consistency"] if consistency is None else consistency,
    )


def labels_of(value: Mapping[str, object], checked: Checked) -> list[tuple[str, ...]]:
    """For each claim that holds the labels of the evidence that it cites."""
    by_statement = {str(claim.get("statement", "")).strip(): claim for claim in reversed(_claims(value))}
    return [
        tuple(
            dict.fromkeys(str(each.get("label", "")).strip() for each in _citations(by_statement.get(c.statement, {})))
        )
        for c in checked.claims
    ]


def aspects_of(value: Mapping[str, object], checked: Checked) -> list[str | None]:
    """For each claim that holds the aspect that it says to be of."""
    by_statement = {str(claim.get("statement", "")).strip(): claim for claim in reversed(_claims(value))}
    found = [by_statement.get(claim.statement, {}).get("aspect") for claim in checked.claims]
    return [aspect if isinstance(aspect, str) else None for aspect in found]


def _claims(value: Mapping[str, object]) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", value.get("claims") or [])


def _citations(claim: Mapping[str, object]) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", claim.get("citations") or [])


def _quoted(value: Mapping[str, object], checked: Checked) -> float:
    """Mean share of the words of the statements that hold which their quotes have."""
    held = {claim.statement for claim in checked.claims}
    shares: list[float] = []
    for claim in _claims(value):
        words = set(_WORD.findall(str(claim.get("statement", "")).lower()))
        if str(claim.get("statement", "")).strip() in held and words:
            quotes = " ".join(str(each.get("quote", "")) for each in _citations(claim)).lower()
            shares.append(len(words & set(_WORD.findall(quotes))) / len(words))
    return sum(shares) / len(shares) if shares else 0.0


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 0.0
