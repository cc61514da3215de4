"""Answers that wait for a person's verdict, as the page to judge shows them, and the verdicts that it takes.

Nothing of HTTP is known here. Two of three answers are those that a verdict teaches most, near the confidence that
decides; every third is drawn by lot from those kept for gates, whose promise needs a fair sample.
"""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from threading import Lock

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.judged import is_for_gates
from mesh_assets.analyses.offers import Thresholds
from mesh_assets.errors import QueryError
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.mesh.shapes import DEPTHS, Claim
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts, verdict
from mesh_assets.reports.plots import reliability_chart, risk_coverage_chart, standing_alone
from mesh_assets.reports.prose import place, tested, visible
from mesh_assets.resources.calibrator import calibration_quality, connect_calibrator
from mesh_assets.settings import Settings
from mesh_assets.slices import SliceKey
from mesh_assets.storage.judged_answers import Answer, answers, by_people, questions
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.opening import open_citation

SHOWN = 20
# A person reads no more of a cited place at once.
_CHARACTERS = 20_000
_PLOTS = ("reliability", "coverage")


@dataclass(frozen=True, slots=True)
class Waiting:
    """An answer to judge, its texts `visible`. `claims` have their statement, citations (place, quote), queries and
    what came of their tests.
    """

    dataset: str
    slice: str
    case_id: str
    depth: str
    node: str
    question: str
    text: str
    claims: list[dict[str, object]]
    confidence: float
    threshold: float
    why: str


@dataclass(frozen=True, slots=True)
class Queue:
    """Answers to judge, in the order that they should be judged in, and how many wait in all."""

    answers: list[Waiting]
    waiting: int
    has_plots: bool


@dataclass(frozen=True, slots=True)
class Cited:
    """What a citation leads to now; `changed` says that the file is not the one that was cited."""

    text: str
    place: str
    changed: bool


class Judging:
    """The answers of one state folder and their verdicts, from any number of threads.

    What somebody cannot judge is not shown again by this process; nothing is stored of it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lake = Lake(settings.state / "lake")
        self._verdicts = SqliteVerdicts(settings.state)
        self._passed: set[tuple[str, str, str]] = set()
        self._opening = Lock()

    def queue(self) -> Queue:
        """The answers that no person judged, those worth most first."""
        thresholds = self._thresholds()
        done = by_people(self._verdicts.all()) | self._passed
        asked: dict[str, dict[str, str]] = {}
        taught: list[tuple[float, Answer]] = []
        drawn: list[tuple[float, Answer]] = []
        for each in answers(self._lake):
            if _key(each) not in done and each["node"]:
                if each["slice"] not in asked:
                    asked[each["slice"]] = questions(self._lake, each["slice"])
                each["question"] = asked[each["slice"]].get(each["case_id"], "")
                near = abs(each["confidence"] - thresholds[each["depth"]])
                fair = is_for_gates(each["question"], each["text"])
                (drawn if fair else taught).append((_lot(each) if fair else near, each))
        ordered = list(_two_to_one(_sorted(taught), _sorted(drawn)))
        shown = [self._shown(each, thresholds[each["depth"]], fair=fair) for each, fair in ordered[:SHOWN]]
        return Queue(shown, len(ordered), calibration_quality(self._settings) is not None)

    def judge(self, case_id: str, slice_key: str, depth: str, word: str) -> None:
        """Take a verdict, `right` or `wrong`; `unsure` only puts the answer aside. QueryError where there is none."""
        row = self._row(case_id, slice_key, depth)
        if word == "unsure":
            self._passed.add(_key(row))
        elif word in ("right", "wrong"):
            name = getpass.getuser()
            self._verdicts.add(verdict(row, is_right=word == "right", judge="person", judge_name=name))
        else:
            raise QueryError(f"{word!r} is no verdict.", remedy="Say right, wrong or unsure.")

    def cited(self, case_id: str, slice_key: str, depth: str, claim: int, citation: int) -> Cited:
        """What a citation of an answer leads to. QueryError where it has none, CitationError where it is gone."""
        claims = Analysis.of(self._row(case_id, slice_key, depth)).claims
        if claim >= len(claims) or citation >= len(claims[claim].citations):
            raise QueryError("The answer has no such citation.", remedy="Load the page again: it was answered anew.")
        found = claims[claim].citations[citation]
        with self._opening:  # there is one child that reads files
            opened = open_citation(found, self._lake, DropArea.of(self._settings))
        text = visible(opened.content.decode(opened.encoding or "utf-8", "replace")[:_CHARACTERS])
        return Cited(text, f"{found.dataset}/{place(found)}", opened.changed)

    def plot(self, name: str) -> str | None:
        """A plot of how far confidence can be trusted, as SVG; None where there is none."""
        found = calibration_quality(self._settings) if name in _PLOTS else None
        if found is None:
            return None
        if name == "reliability":
            return standing_alone(reliability_chart(found.bins, "Reliability"))
        return standing_alone(risk_coverage_chart(found.risk, "Risk by coverage"))

    def _thresholds(self) -> dict[str, float]:
        """The confidence that decides at each depth."""
        calibrator, own = connect_calibrator(self._settings), self._settings
        of_settings = Thresholds(own.deep_below, own.expert_below, own.research_below)
        found: dict[str, float] = {}
        for depth in DEPTHS:
            gate = calibrator.gate(depth)
            at = gate.threshold if gate is not None else None
            found[depth] = of_settings.of(depth) if at is None else at
        return found

    def _row(self, case_id: str, slice_key: str, depth: str) -> Answer:
        if depth in DEPTHS:
            table = self._lake.find(f"{depth}_analyses", str(SliceKey.parse(slice_key)))
            for row in table.rows(where=("case_id", case_id)) if table is not None else ():
                return row
        raise QueryError("There is no such answer.", remedy="Load the page again: the case is no more.")

    def _shown(self, each: Answer, threshold: float, *, fair: bool) -> Waiting:
        answer = Analysis.of(self._row(each["case_id"], each["slice"], each["depth"]))
        near = f"its confidence is near the {threshold:.2f} that decides"
        return Waiting(
            answer.dataset,
            answer.slice,
            answer.case_id,
            answer.depth,
            answer.node or "",
            visible(each["question"]),
            visible(answer.text),
            [_claim(claim) for claim in answer.claims],
            answer.confidence,
            threshold,
            "it was drawn by lot: gates need a fair sample" if fair else near,
        )


def _claim(claim: Claim) -> dict[str, object]:
    """A claim; no character of it acts, so that what a person judges is what the node said."""
    cited = [{"place": f"{each.dataset}/{place(each)}", "quote": visible(each.quote)} for each in claim.citations]
    tests = [{"said": visible(tested(each)), "what": visible(each.what)} for each in claim.tests]
    queries = [visible(query) for query in claim.queries]
    return {"statement": visible(claim.statement), "citations": cited, "queries": queries, "tests": tests}


def _key(each: Answer) -> tuple[str, str, str]:
    return each["dataset"], each["case_id"], each["depth"]


def _lot(each: Answer) -> float:
    """A number by lot, the same each time."""
    drawn = hashlib.sha256(f"{each['case_id']} {each['depth']}".encode()).digest()
    return float(int.from_bytes(drawn[:6], "big"))


def _sorted(found: list[tuple[float, Answer]]) -> list[Answer]:
    return [each for _, each in sorted(found, key=lambda item: (item[0], _key(item[1])))]


def _two_to_one(taught: list[Answer], drawn: list[Answer]) -> Iterator[tuple[Answer, bool]]:
    """Two that teach most, then one by lot, and so on; with whether it is one by lot."""
    first, second = iter(taught), iter(drawn)
    for _ in range(len(taught) + len(drawn)):
        yield from ((each, False) for each in islice(first, 2))
        yield from ((each, True) for each in islice(second, 1))
