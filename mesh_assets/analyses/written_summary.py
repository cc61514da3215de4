"""A summary in the words of a local generative model, over the sentences that the extractive one chose.

Each sentence of it must cite sentences that it was given, as every answer of a node must; what does not hold is
dropped. Where no model on this machine writes one, it is said why, and the extractive one remains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mesh_assets.analyses.ladder import Means
from mesh_assets.mesh.calls import Question
from mesh_assets.mesh.execution import Result, Work, run_cases
from mesh_assets.mesh.nodes import EXTRACTIVE, NodeState
from mesh_assets.mesh.prompts import ANSWER_SCHEMA, PROMPT_VERSION, request_of
from mesh_assets.mesh.protocol import Node, Scope
from mesh_assets.mesh.shapes import Case, Evidence
from mesh_assets.mesh.validation import validated
from mesh_assets.schemas.citations import Citation

_QUESTION = (
    "What is this data about? The evidence is the sentences that say most of it. Summarise it for a person who has not "
    "seen it, in two to five claims of one sentence each, in your own words."
)
_MOST = 5
# A summary is a few sentences with their quotes.
_TOKENS = 800

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """Sentences of a model as rows of `INSIGHTS`, and a sentence that says who wrote them, or why nobody did."""

    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    note: str = ""


def written_summary(rows: Sequence[Row], *, name: str, dataset: str, means: Means, scopes: Sequence[Scope]) -> Written:
    """What the node `name` makes of the extractive summary `rows` of a dataset (rows of `INSIGHTS`)."""
    if not rows:
        return Written()
    node = means.nodes.get(name)
    why_not = why_unfit(name, means.nodes, means.off)
    if node is None or why_not:
        return _unwritten(name, why_not)
    evidence = tuple(
        Evidence(f"E{number}", str(row["statement"]), Citation(**row["evidence"][0]))
        for number, row in enumerate(rows, 1)
    )
    case = Case(dataset, _QUESTION, evidence, ANSWER_SCHEMA, private=True)
    request = request_of(case, max_tokens=min(_TOKENS, node.output_tokens))
    question = Question(case.id, "surface", request, (*scopes, Scope("case", case.id)), PROMPT_VERSION, private=True)
    kept = _Kept()
    run_cases([Work(question, (node,))], means.caller, means.connect, kept)
    (result,) = kept.results
    if result.answer is None:
        return _unwritten(name, "; ".join(tried.reason for tried in result.tried))
    checked = validated(case, result.answer.value)
    if not checked.claims:
        return _unwritten(name, "no sentence of its answer rests on what it was given")
    found = [_row(claim.statement, claim.citations, rows, name) for claim in checked.claims[:_MOST]]
    dropped = f" {len(checked.dropped)} more did not hold and are left out." if checked.dropped else ""
    return Written(
        [{**row, "score": round(0.49 - 0.005 * rank, 3)} for rank, row in enumerate(found)],
        f"What is called `Written by {name}` is in the words of that model on this machine, from what it cites; the "
        f"other sentences are the data's own.{dropped}",
    )


@dataclass
class _Kept:
    """A Sink in memory."""

    results: list[Result] = field(default_factory=list[Result])

    def keep(self, result: Result) -> None:
        """Hold it."""
        self.results.append(result)


def why_unfit(name: str, nodes: Mapping[str, Node], off: Iterable[NodeState]) -> str:
    """Why the node `name` cannot write summaries, as part of a sentence; empty where it can. `nodes` are on."""
    node = nodes.get(name)
    if node is None:
        reason = next((state.off for state in off if state.node.name == name), "")
        return f"it is off: {reason}" if reason else "mesh.yaml has no such node"
    if node.policy != "local":
        return "it is not on this machine"
    return "it only quotes" if node.provider == "local" and node.model == EXTRACTIVE else ""


def _unwritten(name: str, why: str) -> Written:
    return Written(note=f"MESH_SUMMARY_NODE is {name}, which wrote nothing: {why}. The sentences are the data's own.")


def _row(statement: str, citations: Sequence[Citation], rows: Sequence[Row], name: str) -> dict[str, Any]:
    """A written sentence with the evidence of the sentences that it cites."""
    cited = [
        row
        for row in rows
        if any(
            each.path == row["evidence"][0]["path"]
            and row["evidence"][0]["byte_start"] <= each.byte_start <= row["evidence"][0]["byte_stop"]
            for each in citations
        )
    ]
    evidence = [row["evidence"][0] for row in cited]
    return {**cited[0], "title": f"Written by {name}", "statement": statement, "value": "{}", "evidence": evidence}
