"""The report of a question that a person asked, as Markdown: what is claimed and where it can be seen, what it cost.

Text of drops and of nodes can make nothing but text: it gets here through `escape_markdown` and `code_span` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.synthesis import Standing, Statement, Synthesis
from mesh_assets.mesh.costs import usd
from mesh_assets.reports.markdown import code_span, escape_markdown
from mesh_assets.reports.prose import place, show_command, tested
from mesh_assets.schemas.citations import Citation

# Quotes of a local answer, and citations of one statement, that a person reads.
_QUOTES, _CITATIONS = 8, 5


def asked_markdown(question: str, problem: str, answers: Sequence[Standing], found: Synthesis) -> str:
    """The whole report of `question`, which is paid for as `problem`."""
    lines = [f"# {escape_markdown(question)}", "", f"Processing id {code_span(problem)}.", ""]
    if found.statements:
        lines += ["## What the evidence carries", ""]
        for statement in found.statements:
            lines += [*_statement(statement), ""]
    if found.contradictions:
        lines += ["## What contradicts each other", ""]
        for sides in found.contradictions:
            lines += [line for side in sides for line in _statement(side)]
            lines.append("")
    if not answers:
        lines += ["Nothing that was read has to do with it."]
    for each in answers:
        lines += [*_answer(each), ""]
    return "\n".join(lines)


def _statement(statement: Statement) -> Iterator[str]:
    yield f"- {escape_markdown(statement.claim.statement)}"
    yield from (f"  - {line}" for line in cited(statement.claim.citations))
    yield from (f"  - computed by {code_span(query)}" for query in statement.claim.queries[:_CITATIONS])
    for test in statement.claim.tests[:_CITATIONS]:
        yield f"  - {escape_markdown(tested(test))} {code_span(test.what)}"


def cited(citations: Sequence[Citation]) -> Iterator[str]:
    """Each citation on a line: where it is, what it says there, and the command that opens it."""
    for citation in citations[:_CITATIONS]:
        quote = f"“{escape_markdown(citation.quote)}” {code_span(show_command(citation))}"
        yield f"{escape_markdown(f'{citation.dataset}/{place(citation)}')}: {quote}"
    if len(citations) > _CITATIONS:
        yield f"and {len(citations) - _CITATIONS:,} more"


def _answer(each: Standing) -> Iterator[str]:
    yield f"## How “{escape_markdown(each.topic.title)}” was answered"
    yield ""
    answer = each.answer
    if answer is None:
        yield f"Nobody answered: {escape_markdown(each.last.failure or each.last.why)}"
        return
    if answer.is_extracted:
        who = "No model's answer stands." if each.usd or each.last.failure else "No model was asked."
        yield f"{who} These are the sentences of the evidence that share most with the question:"
        yield ""
        for claim in answer.claims[:_QUOTES]:
            yield f"- {escape_markdown(claim.statement)}"
            yield from (f"  - {line}" for line in cited(claim.citations[:1]))
    sure = "calibrated" if answer.is_calibrated else "uncalibrated: it ranks answers, it is no probability"
    yield ""
    node = escape_markdown(answer.node or "")
    yield f"Depth {answer.depth}, node {node}, confidence {answer.confidence:.2f} ({sure})."
    yield f"It cost ${usd(each.usd)}. {escape_markdown(each.last.why)}"
    yield from _steps(answer)
    if answer.dropped:
        yield ""
        yield "Not taken, because it does not hold:"
        yield ""
        for dropped in answer.dropped:
            yield f"- {escape_markdown(dropped.statement)} ({escape_markdown(dropped.reason)})"


def _steps(answer: Analysis) -> Iterator[str]:
    """How a technique came to the answer, or that it came to none: each call with who was asked and what it cost."""
    if not answer.trace:
        return
    how = f"By {answer.technique}" if answer.technique else "By one call, after a technique that gave no answer"
    yield ""
    yield f"{how}, in {len(answer.trace):,} calls:"
    yield ""
    for step in answer.trace:
        failed = f": {escape_markdown(step.failure)}" if step.failure else ""
        yield f"- {step.role} by {escape_markdown(step.node)}, ${usd(step.cost_usd)}{failed}"
