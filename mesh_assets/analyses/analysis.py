"""What came of a case at one depth, as a row of `ANALYSES` and back. How it comes about belongs to `ladder`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any, cast

from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.signals import with_neutral
from mesh_assets.analyses.techniques.asking import Technique
from mesh_assets.mesh.execution import Tried
from mesh_assets.mesh.prompts import request_of, with_earlier
from mesh_assets.mesh.protocol import Receipt, Request, Usage
from mesh_assets.mesh.shapes import Claim, Depth, Proof
from mesh_assets.mesh.validation import Dropped
from mesh_assets.schemas.analyses import State
from mesh_assets.schemas.citations import Citation

# Tokens that an answer may have, thoughts of the node among them; never more than the node gives.
ANSWER_TOKENS: Mapping[Depth, int] = {"surface": 1_000, "deep": 2_000, "expert": 4_000, "research": 8_000}

# What a trace keeps of what a node said, in characters; the whole is in the log of calls.
SAID_CHARS = 2_000

# Fields that a row has as they are.
_PLAIN = (
    "case_id dataset slice brief depth calibration node why_node technique text reported confidence is_calibrated "
    "state why stands is_kept next_depth next_node next_usd is_cached failure"
).split()


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One call of a technique: its role, who was asked, what it said, and what that cost, in this run or before."""

    role: str
    node: str
    said: str
    cost_usd: Decimal
    receipts: tuple[str, ...] = ()
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """What came of one case at one depth: see `ANALYSES`. `aspects` and `evidence` (labels) are of `claims`, in order;
    `tests` are those of all claims, also of such as were dropped for them.

    `trace` is of the technique that was tried, also where one call answered in the end. `receipts` have their cost.
    `waits`: another run may get further, when money or a node is there again, or what is `in_batch` is answered.
    """

    case_id: str
    dataset: str
    slice: str
    brief: str
    depth: Depth
    calibration: str
    node: str | None = None
    why_node: str = ""
    technique: Technique | None = None
    trace: tuple[TraceStep, ...] = ()
    text: str = ""
    claims: tuple[Claim, ...] = ()
    aspects: tuple[str | None, ...] = ()
    evidence: tuple[tuple[str, ...], ...] = ()
    dropped: tuple[Dropped, ...] = ()
    tests: tuple[Proof, ...] = ()
    reported: float | None = None
    confidence: float = 0.0
    is_calibrated: bool = False
    signals: Mapping[str, float] = field(default_factory=dict[str, float])
    state: State = "stopped"
    why: str = ""
    guarantee: str | None = None
    stands: Depth | None = None
    is_kept: bool = False
    next_depth: Depth | None = None
    next_node: str | None = None
    next_usd: Decimal | None = None
    receipts: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    usage: Usage | None = None
    is_cached: bool = False
    failure: str | None = None
    tried: tuple[Tried, ...] = ()
    waits: bool = False
    in_batch: bool = False

    @classmethod
    def nothing(cls, posed: Posed, depth: Depth, *, calibration: str) -> Analysis:
        """A row before anybody answered."""
        case = posed.case
        return cls(case.id, case.dataset, case.slice or "", posed.brief, depth, calibration)

    @property
    def has_answer(self) -> bool:
        """Whether a node answered, with claims or without."""
        return self.node is not None

    @property
    def is_extracted(self) -> bool:
        """Whether its text quotes evidence, and nobody composed it."""
        return bool(self.signals.get("is_extracted"))

    @property
    def labels(self) -> frozenset[str]:
        """Labels of the evidence that it stands on."""
        return frozenset(label for labels in self.evidence for label in labels)

    @property
    def goes_to(self) -> Depth | None:
        """The depth that takes the case next."""
        return self.next_depth if self.state == "escalated" else None

    def paid(self, receipts: Iterable[Receipt]) -> Analysis:
        """With what was billed for it. Where one call did not say its tokens, those of all are not known."""
        all_of = list(receipts)
        usages = [each.billed.usage for each in all_of]
        known = [each for each in usages if each is not None]
        usage = Usage(
            input=sum(each.input + each.cached_input + each.cache_write for each in known),
            output=sum(each.output for each in known),
        )
        is_known = all_of and len(known) == len(usages)
        return replace(self, receipts={each.id: each.cost for each in all_of}, usage=usage if is_known else None)

    def told(self) -> str:
        """The answer as the next depth is told it: its claims with the evidence that they name."""
        lines = [
            f"- {claim.statement} [{', '.join(labels)}]"
            for claim, labels in zip(self.claims, self.evidence, strict=True)
        ]
        said = "\n".join(lines) if lines else "No claim of it held."
        reported = "" if self.reported is None else f", which called itself {self.reported:.0%} sure"
        return f"Answer at depth {self.depth}{reported}:\n{said}"

    def row(self) -> dict[str, object]:
        """The analysis as a row of `ANALYSES`."""
        own: dict[str, object] = {name: getattr(self, name) for name in _PLAIN}
        made: dict[str, object] = {
            "claims": [
                {
                    "statement": claim.statement,
                    "aspect": aspect,
                    "citations": [citation.row() for citation in claim.citations],
                    "queries": list(claim.queries),
                    "evidence": list(labels),
                }
                for claim, aspect, labels in zip(self.claims, self.aspects, self.evidence, strict=True)
            ],
            "trace": [asdict(each) | {"receipts": list(each.receipts)} for each in self.trace],
            "dropped": [{"statement": each.statement, "reason": each.reason} for each in self.dropped],
            "guarantee": self.guarantee,
            "tests": [asdict(each) for each in self.tests],
            "signals": json.dumps(dict(self.signals), sort_keys=True),
            "cost_usd": sum(self.receipts.values(), Decimal(0)),
            "input_tokens": self.usage.input if self.usage is not None else None,
            "output_tokens": self.usage.output if self.usage is not None else None,
            "receipts": list(self.receipts),
            "tried": [{"node": e.node, "failure": e.failure, "reason": e.reason} for e in self.tried],
        }
        return own | made

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Analysis:
        """What the next depth needs of such a row: all but the costs of single receipts."""
        claims = row["claims"]
        # A table of before claims were tested lacks these two.
        tests = tuple(Proof(**each) for each in row.get("tests") or ())
        return cls(
            **{name: row[name] for name in _PLAIN if name in row},  # tables of before have no techniques
            trace=tuple(TraceStep(**each | {"receipts": tuple(each["receipts"])}) for each in row.get("trace") or ()),
            claims=tuple(
                Claim(
                    each["statement"],
                    tuple(Citation(**c) for c in each["citations"]),
                    tuple(each["queries"]),
                    tuple(test for test in tests if test.statement == each["statement"]),
                )
                for each in claims
            ),
            aspects=tuple(each["aspect"] for each in claims),
            evidence=tuple(tuple(each["evidence"]) for each in claims),
            dropped=tuple(Dropped(**each) for each in row["dropped"]),
            guarantee=row.get("guarantee"),
            tests=tests,
            signals=with_neutral(json.loads(row["signals"])),
            tried=tuple(Tried(**each) for each in row["tried"]),
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A case that is asked at a depth, with what came of it before, in the order of depths."""

    posed: Posed
    depth: Depth
    earlier: tuple[Analysis, ...] = ()

    @property
    def standing(self) -> Analysis | None:
        """The answer that counts so far."""
        stands = self.earlier[-1].stands if self.earlier else None
        return next((each for each in self.earlier if each.depth == stands), None)

    def request(self, output_tokens: int) -> Request:
        """What a node is asked that gives `output_tokens` at most."""
        request = request_of(self.posed.case, max_tokens=min(ANSWER_TOKENS[self.depth], output_tokens))
        return with_earlier(request, [each.told() for each in self.earlier if each.has_answer])


@dataclass(frozen=True, slots=True)
class Next:
    """Where a case would go: the depth, the cheapest node that serves it, what it would likely cost.

    `lack` says why it cannot, as the rest of a sentence; empty where it can.
    """

    depth: Depth | None
    node: str | None = None
    usd: Decimal | None = None
    lack: str = ""
    lacks_money: bool = False


def by_case(rows: Iterable[Mapping[str, Any]]) -> dict[str, Analysis]:
    """The rows of a table of one depth by case."""
    return {cast("str", row["case_id"]): Analysis.of(row) for row in rows}
