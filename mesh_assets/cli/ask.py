"""`mesh ask`: one question, answered from everything that was read, as deep as its confidence and its money ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.markup import escape

from mesh_assets.analyses import estimate as estimates
from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.asking import MAX_QUESTION, asked_case, climbed, problem_id, shown_datasets
from mesh_assets.analyses.ladder import Climb, Means
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.stage import evidence_room
from mesh_assets.analyses.synthesis import Standing, Topic, standing, synthesized
from mesh_assets.cli.console import console, errors, print_json, safe
from mesh_assets.cli.datasets import known_dataset
from mesh_assets.errors import SettingsError
from mesh_assets.indexes.protocol import Filter
from mesh_assets.insights.wording import plural
from mesh_assets.mesh.costs import usd
from mesh_assets.mesh.decomposition import Problem, decompose
from mesh_assets.mesh.nodes import EXTRACTIVE
from mesh_assets.mesh.protocol import Node, Scope
from mesh_assets.mesh.shapes import DEPTHS, Depth
from mesh_assets.reports.asked import asked_markdown
from mesh_assets.resources.caller import connect_caller
from mesh_assets.resources.encoder import SearchEncoders
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.vector_index import connect_vector_index
from mesh_assets.search.hybrid import search as run_search
from mesh_assets.search.protocol import ChunkRow
from mesh_assets.settings import Settings, load_settings
from mesh_assets.storage.asked_reports import AskedReports
from mesh_assets.storage.chunk_store import LakeChunks
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.past import LakeSimulator
from mesh_assets.wording import duration

# Hits that a case's evidence is chosen from.
_HITS = 40
# A question that ordinary nodes are this likely to get wrong is split into parts, by at most so many nodes.
_SPLIT_ABOVE, _SPLITTERS = 0.6, 3


class _Deepest(StrEnum):
    """The depths as values of an option."""

    SURFACE = "surface"
    DEEP = "deep"
    EXPERT = "expert"
    RESEARCH = "research"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked, for how much, and by which means it is answered."""

    question: str
    dataset: str | None
    problem: str
    settings: Settings
    lake: Lake
    means: Means
    deepest: Depth

    def scopes(self, datasets: Collection[str]) -> tuple[Scope, ...]:
        """The budgets that calls count against, beside those of each case: also of each dataset that is shown."""
        return (Scope("problem", self.problem), *(Scope("dataset", key) for key in sorted(datasets)))

    @property
    def models(self) -> list[Node]:
        """Nodes that compose answers and may be asked at a depth that is allowed."""
        allowed = DEPTHS[: DEPTHS.index(self.deepest) + 1]
        return [n for n in self.means.nodes.values() if n.model != EXTRACTIVE and set(n.depths) & set(allowed)]


def ask(
    question: Annotated[str, typer.Argument(help="A question about what was read.")],
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    budget: Annotated[str | None, typer.Option(help="USD that the answer may cost at most.")] = None,
    depth: Annotated[_Deepest, typer.Option(help="The deepest that it may go.")] = _Deepest.RESEARCH,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Answer a question from everything that was read, each claim with the bytes that carry it.

    Without a node that is on it quotes what was found. With nodes it goes deeper while it is not sure enough, within
    the budgets; asking the same again costs nothing.
    """
    asked = _asked(question, dataset, budget, depth.value)
    with errors.status("Searching …"):
        found = _found(asked, asked.question)
        posed = _posed(asked, found)
    first = _First.of(asked, found, posed)
    if not json:
        _say_first(asked, first, posed)
    rows: list[Analysis] = []
    shown = shown_datasets(posed)
    with closing(LakeSimulator(asked.lake)) as simulator:
        run = Climb(asked.means, asked.scopes(shown), simulator=simulator)
        for reached, answers in climbed(posed, run, asked.deepest):
            rows += answers
            if not json:
                _say_depth(reached, answers)
    cost = {each.case.id: _spent(asked, each.case.id) for each in posed}
    answers = standing(map(Topic.of, posed), rows, cost)
    report = asked_markdown(asked.question, asked.problem, answers, synthesized(answers))
    made_from = {row.dataset for row in found} | shown | ({asked.dataset} if asked.dataset else set[str]())
    path = AskedReports(asked.settings.state).keep(asked.problem, report, made_from)
    if json:
        print_json(
            first.as_json(asked.problem) | {"answers": [_as_json(each) for each in answers], "report": str(path)}
        )
    else:
        console.print(Markdown(report, hyperlinks=False))
        console.print(f"\nKept as {path}", soft_wrap=True)


def _asked(question: str, dataset: str | None, budget: str | None, deepest: Depth) -> _Asked:
    text = question.strip()
    if not text or len(text) > MAX_QUESTION:
        raise SettingsError(
            "There is no question." if not text else f"A question has at most {MAX_QUESTION:,} characters.",
            remedy="Put a long text into a drop, and ask about it.",
        )
    settings = load_settings()
    lake = Lake(settings.state / "lake")
    key = known_dataset(lake, dataset) if dataset else None
    problem = problem_id(text, key)
    if budget is not None:
        settings = settings.model_copy(update={"budgets": f"{settings.budgets}; problem {problem} {_usd(budget)}"})
    return _Asked(text, key, problem, settings, lake, connect_caller(settings).means, deepest)


def _usd(budget: str) -> str:
    try:
        amount = Decimal(budget.lstrip("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not 0 <= amount <= 1_000_000:
        raise SettingsError(f"{budget!r} is no amount of USD.", remedy="Give it as --budget 0.50.")
    return f"{amount:.6f}"


def _found(asked: _Asked, question: str) -> list[ChunkRow]:
    """The chunks that search finds for a question, best first."""
    chunks = LakeChunks(asked.lake)
    encoders = SearchEncoders(asked.settings)
    result = run_search(
        question,
        encoder=encoders.current,
        older=encoders.older(),
        vectors=connect_vector_index(asked.settings),
        words=connect_fulltext_index(asked.settings),
        chunks=chunks,
        limit=_HITS,
        where=Filter(asked.dataset, None),
    )
    for note in result.notes:
        errors.print(escape(safe(note)), style="yellow", soft_wrap=True)
    wanted: dict[str, list[str]] = {}
    for hit in result.hits:
        wanted.setdefault(hit.slice, []).append(hit.chunk_id)
    rows = chunks.fetch(wanted)
    return [rows[hit.chunk_id] for hit in result.hits if hit.chunk_id in rows]


def _posed(asked: _Asked, found: list[ChunkRow]) -> list[Posed]:
    """The cases: one, or the parts that nodes split a hard question into, each with evidence of its own."""
    whole = _case(asked, asked.question, found)
    if whole is None:
        return []
    splitters = [node for node in asked.models if "deep" in node.depths and not _is_barred(node, whole)][:_SPLITTERS]
    if whole.complexity < _SPLIT_ABOVE or not splitters or asked.deepest == "surface":
        return [whole]
    scopes = asked.scopes(shown_datasets([whole]))
    problem = Problem(asked.dataset or "", asked.question, whole.case.evidence, scopes, whole.case.private)
    split = decompose(problem, splitters, asked.means.caller, asked.means.connect)
    if len(split.parts) < 2:
        return [whole]
    parts: list[Posed] = []
    for part in split.parts:
        rows = _found(asked, " ".join((part.question, *part.evidence)))
        case = _case(asked, part.question, rows or found, part.speciality)
        parts += [case] if case is not None else []
    return parts


def _case(asked: _Asked, question: str, found: list[ChunkRow], speciality: str = "general") -> Posed | None:
    private = asked.settings.private_datasets
    room = evidence_room(asked.settings.evidence_tokens, asked.means.nodes)
    return asked_case(question, found, dataset=asked.dataset, tokens=room, private=private, speciality=speciality)


def _is_barred(node: Node, posed: Posed) -> bool:
    return posed.case.private and node.policy != "local"


@dataclass(frozen=True, slots=True)
class _First:
    """What is known at once: where evidence lies, and what the answer is likely to take."""

    passages: int
    datasets: dict[str, int]
    files: dict[str, int]
    cases: list[str]
    estimate: estimates.Estimate

    @classmethod
    def of(cls, asked: _Asked, found: Sequence[ChunkRow], posed: Sequence[Posed]) -> _First:
        """The first look at what was found and posed."""
        files = Counter(f"{row.dataset}/{row.path}" for row in found)
        return cls(
            len(found),
            dict(Counter(row.dataset for row in found)),
            dict(files.most_common(5)),
            [each.case.question for each in posed],
            estimates.estimate(
                posed,
                asked.models,
                [],
                techniques=asked.means.techniques,
                case_usd=asked.settings.limits.kinds.get("case"),
            ),
        )

    def as_json(self, problem: str) -> dict[str, object]:
        """Processing id, immediate insights, estimated completion."""
        seconds = asdict(self.estimate.hours.times(3600))
        names = ("passages", "datasets", "files", "cases")
        return {
            "processing_id": problem,
            "immediate_insights": {name: getattr(self, name) for name in names},
            "estimated_completion": {"usd": asdict(self.estimate.usd), "seconds": seconds},
        }


def _say_private(asked: _Asked, posed: Sequence[Posed]) -> None:
    """Which datasets keep the question on this machine, and what to do where that is not wanted."""
    cited = {each.citation.dataset for case in posed for each in case.case.evidence if each.citation is not None}
    kept = sorted(cited & set(asked.settings.private_datasets))
    if kept:
        rest = "" if asked.dataset else "; --dataset asks of another one alone"
        said = f"{', '.join(kept)} is private: what cites it is shown to nodes on this machine only{rest}."
        console.print(escape(safe(said)), soft_wrap=True)


def _say_first(asked: _Asked, first: _First, posed: Sequence[Posed]) -> None:
    console.print(f"processing id [bold]{asked.problem}[/]")
    where = ", ".join(f"{name} ({count})" for name, count in first.files.items())
    if not first.passages:
        console.print("Nothing that was read has to do with it: `mesh status` shows what was read.")
        return
    console.print(escape(safe(f"{plural(first.passages, 'passage')} may answer it: {where}")), soft_wrap=True)
    if not asked.models:
        console.print("No model node is on: the answer quotes what was found. `mesh nodes` says why each is off.")
        return
    _say_private(asked, posed)
    money, hours = first.estimate.usd, first.estimate.hours
    likely, high = (duration(timedelta(hours=each)) for each in (hours.likely, hours.high))
    cases = plural(len(first.cases), "case")
    console.print(f"{cases}, likely ${money.likely:.4f} and {likely}, at most ${money.high:.4f} and {high}")


def _say_depth(depth: Depth, rows: Sequence[Analysis]) -> None:
    for row in rows:
        who = f"{row.node}, confidence {row.confidence:.2f}." if row.node else (row.failure or "Nobody answered.")
        # Of a case that waits, why it does is all that there is to say.
        said = who if who == row.why else f"{who} {row.why}"
        console.print(escape(safe(f"{depth}: {said}")), style="dim", soft_wrap=True)


def _spent(asked: _Asked, case: str) -> Decimal:
    return sum((receipt.cost for receipt in asked.means.receipts(case)), Decimal(0))


def _as_json(each: Standing) -> dict[str, object]:
    answer = each.answer
    return {
        "question": each.topic.question,
        "depth": answer.depth if answer else None,
        "node": answer.node if answer else None,
        "text": answer.text if answer else None,
        "confidence": answer.confidence if answer else 0.0,
        "is_calibrated": bool(answer and answer.is_calibrated),
        "claims": [
            {
                "statement": claim.statement,
                "citations": [str(c) for c in claim.citations],
                "quotes": [c.quote for c in claim.citations],
                "tests": [asdict(test) for test in claim.tests],
            }
            for claim in (answer.claims if answer else ())
        ],
        "dropped": [{"statement": d.statement, "reason": d.reason} for d in (answer.dropped if answer else ())],
        "technique": answer.technique if answer else None,
        "steps": [
            {"role": step.role, "node": step.node, "usd": usd(step.cost_usd), "failure": step.failure}
            for step in (answer.trace if answer else ())
        ],
        "why": each.last.why,
        "failure": each.last.failure,
        "usd": usd(each.usd),
        "next_depth": each.last.next_depth,
        "next_usd": None if each.last.next_usd is None else usd(each.last.next_usd),
    }
