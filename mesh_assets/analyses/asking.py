"""A question that a person asks: cases over what search found for it, and their way up the ladder.

Who searches and who prints is elsewhere; what a case is and when it goes deeper is as for standing questions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from blake3 import blake3

from mesh_assets.analyses.analysis import Analysis
from mesh_assets.analyses.checkable import Check, with_checks
from mesh_assets.analyses.evidence import Piece, Pool, labelled, picked, prompt_tokens
from mesh_assets.analyses.ladder import Climb, climb
from mesh_assets.analyses.posed import Posed
from mesh_assets.insights.locators import shorten
from mesh_assets.insights.secrets import mask
from mesh_assets.mesh.prompts import ANSWER_SCHEMA, PROMPT_VERSION
from mesh_assets.mesh.routing.complexity import complexity
from mesh_assets.mesh.shapes import DEPTHS, Case, Depth
from mesh_assets.schemas.citations import Citation
from mesh_assets.search.protocol import ChunkRow

# What the cases of questions have in the place of a brief's name.
BRIEF = "asked"
# Passages that a case is answered from, and how much being near the question counts against being unlike each other.
PIECES, _RELEVANCE = 12, 0.8
_VERSION = "2"
# Kinds of data with a past that a prediction can be tested on.
_WITH_PAST = frozenset({"log", "metric", "structured"})
_TITLE_CHARACTERS = 80
# A question is short: a longer text is a document, which belongs into a drop.
MAX_QUESTION = 4000


def problem_id(question: str, dataset: str | None) -> str:
    """The name under which a question is paid for and its report is kept: the same for the same question."""
    said = f"{dataset or ''}\x1f{' '.join(question.split())}"
    return f"ask-{blake3(said.encode('utf-8', 'surrogatepass')).hexdigest(length=6)}"


def asked_case(
    question: str,
    found: Sequence[ChunkRow],
    *,
    dataset: str | None,
    tokens: int,
    private: Collection[str] = (),
    speciality: str = "general",
) -> Posed | None:
    """The case of a question over chunks that search found, best first; None where there are none to answer from.

    Its evidence has at most `tokens` tokens in all. With evidence of one of the datasets `private` it is for nodes on
    this machine only.
    """
    pool = Pool(tuple(_piece(number, row) for number, row in enumerate(found)), ())
    room = tokens - prompt_tokens(question)
    pieces = picked(pool, pieces=PIECES, tokens=room, relevance=_RELEVANCE)
    if not pieces:
        return None
    kinds = {piece.kind for piece in pieces}
    checks: tuple[Check, ...] = ("query", "prediction") if kinds & _WITH_PAST else ("query",)
    case = Case(
        dataset=dataset or "",
        question=question,
        evidence=labelled(pieces, ()),
        schema=with_checks(ANSWER_SCHEMA, checks),
        speciality=speciality,
        private=any(piece.citation.dataset in private for piece in pieces),
        prompt_version=f"{BRIEF}@{_VERSION}+{PROMPT_VERSION}",
    )
    return Posed(
        case=case,
        brief=BRIEF,
        brief_version=_VERSION,
        audience="who asked",
        kind=kinds.pop() if len(kinds) == 1 else "mixed",
        title=shorten(question, _TITLE_CHARACTERS),
        complexity=complexity(question),
        score=1.0,
        share=1.0,
        tokens=sum(map(prompt_tokens, (question, *(each.text for each in case.evidence)))),
    )


def shown_datasets(cases: Sequence[Posed]) -> frozenset[str]:
    """Keys of the datasets whose texts are evidence of some of the cases."""
    cited = (piece.citation for each in cases for piece in each.case.evidence)
    return frozenset(citation.dataset for citation in cited if citation is not None)


def climbed(cases: Sequence[Posed], run: Climb, deepest: Depth) -> Iterator[tuple[Depth, list[Analysis]]]:
    """What comes of the cases depth after depth, up to `deepest`; a depth that no case comes to is left out."""
    before: list[Mapping[str, Analysis]] = []
    for depth in DEPTHS:
        rows = climb(cases, before, depth, run)
        before.append({row.case_id: row for row in rows})
        if rows:
            yield depth, rows
        if depth == deepest:
            return


def _piece(number: int, row: ChunkRow) -> Piece:
    citation = Citation(
        row.dataset,
        row.path,
        row.byte_start,
        row.byte_stop,
        row.source_hash,
        row.line_start,
        shorten(mask(row.text)),
        row.place,
    )
    return Piece(number, row.kind, row.text, citation, np.empty(0, np.float32))
