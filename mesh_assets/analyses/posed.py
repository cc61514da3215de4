"""A case as it is posed: what nodes see of it, and what the mesh knows beside that; as a row of `CASES` and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mesh_assets.analyses.techniques.choice import Wish
from mesh_assets.mesh.shapes import Case, Evidence
from mesh_assets.schemas.citations import Citation


@dataclass(frozen=True, slots=True)
class Posed:
    """A case with its brief and what it is about. `score` 0..1 is what a person's time for it is worth.

    `tokens` are those of question and evidence, estimated; `share` is the part of a run's money for its whole brief.
    `technique` is the one that its brief wishes for.
    """

    case: Case
    brief: str
    brief_version: str
    audience: str
    kind: str
    title: str
    complexity: float
    score: float
    share: float
    tokens: int
    insight_id: str | None = None
    time_start: datetime | None = None
    time_stop: datetime | None = None
    is_impossible: bool = False
    technique: Wish = "auto"

    def row(self) -> dict[str, object]:
        """The case as a row of `CASES`."""
        case = self.case
        own = ("brief", "brief_version", "audience", "kind", "title", "complexity", "score", "share", "tokens")
        rest = ("insight_id", "time_start", "time_stop", "is_impossible", "technique")
        seen: dict[str, object] = {
            "case_id": case.id,
            "dataset": case.dataset,
            "slice": case.slice,
            "question": case.question,
            "speciality": case.speciality,
            "evidence": [_evidence_row(each) for each in case.evidence],
            "answer_schema": json.dumps(case.schema, sort_keys=True),
            "private": case.private,
            "prompt_version": case.prompt_version,
        }
        return seen | {name: getattr(self, name) for name in (*own, *rest)}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Posed:
        """The case that such a row is of."""
        case = Case(
            dataset=row["dataset"],
            question=row["question"],
            evidence=tuple(_evidence(each) for each in row["evidence"]),
            schema=json.loads(row["answer_schema"]),
            speciality=row["speciality"],
            private=row["private"],
            prompt_version=row["prompt_version"],
            slice=row["slice"],
        )
        own = ("brief", "brief_version", "audience", "kind", "title", "complexity", "score", "share", "tokens")
        rest = ("insight_id", "time_start", "time_stop", "is_impossible")
        technique = row.get("technique", "auto")  # tables of before have none
        return cls(case, **{name: row[name] for name in (*own, *rest)}, technique=technique)


def _evidence_row(evidence: Evidence) -> dict[str, object]:
    citation = evidence.citation.row() if evidence.citation is not None else None
    return {"label": evidence.label, "text": evidence.text, "citation": citation, "query": evidence.query}


def _evidence(row: Mapping[str, Any]) -> Evidence:
    citation = Citation(**row["citation"]) if row["citation"] is not None else None
    return Evidence(row["label"], row["text"], citation=citation, query=row["query"])
