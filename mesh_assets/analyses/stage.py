"""The tables of the stage: rows of cases and of analyses as batches, counted, with what the UI shows of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa
from blake3 import blake3

from mesh_assets.analyses.analysis import Analysis, by_case
from mesh_assets.analyses.briefs import Brief
from mesh_assets.analyses.cases import Slice, posed_cases
from mesh_assets.analyses.ladder import Climb, Means, climb, counts, going
from mesh_assets.analyses.posed import Posed
from mesh_assets.analyses.verifiers import give_verdicts
from mesh_assets.mesh.nodes import EXTRACTIVE
from mesh_assets.mesh.protocol import Node
from mesh_assets.mesh.shapes import DEPTHS, Depth
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts
from mesh_assets.schemas.analyses import ANALYSES
from mesh_assets.schemas.cases import CASES
from mesh_assets.schemas.outcome import Outcome

_LEAST_TOKENS = 500


def evidence_room(tokens: int, nodes: Mapping[str, Node]) -> int:
    """Tokens of evidence of a case: `tokens`, or half of what the smallest model that is on can hold."""
    sizes = [node.context_tokens // 2 for node in nodes.values() if node.model != EXTRACTIVE]
    return max(min([tokens, *sizes]), _LEAST_TOKENS)


def case_batches(
    of: Slice,
    briefs: Sequence[Brief],
    before: Iterable[Mapping[str, Any]],
    outcome: Outcome,
    *,
    extra: dict[str, object],
    shown: dict[str, object],
) -> Iterator[pa.RecordBatch]:
    """The rows of `CASES` of a slice; `before` are those that it had. Each insight that was looked at counts as done.

    `extra` gets a content hash of the rows themselves: they depend on the rows before, not on the input alone.
    """
    earlier = [Posed.of(row) for row in before]
    posed = posed_cases(of, briefs, earlier)
    rows = [each.row() for each in posed]
    extra["content_hash"] = blake3(json.dumps(rows, sort_keys=True, default=str).encode()).hexdigest(length=16)
    kept = {each.case.id for each in earlier}
    shown["cases"] = len(rows)
    shown["cases_that_were_there"] = sum(each.case.id in kept for each in posed)
    shown |= {f"cases_of_{brief.name}": sum(each.brief == brief.name for each in posed) for brief in briefs}
    if of.lacking:
        shown["facts_that_could_not_be_computed"] = "; ".join(dict.fromkeys(of.lacking))
    outcome.advance(len(of.found))
    if rows:
        yield CASES.batch(rows)


def coming(
    cases: Iterable[Mapping[str, Any]],
    before: Sequence[Iterable[Mapping[str, Any]]],
    depth: Depth,
    *,
    private: bool = False,
) -> tuple[list[Posed], list[dict[str, Analysis]]]:
    """The cases that come to `depth` and what the depths before made of them, of rows of the tables.

    `private` where their dataset is so now, whatever it was when they were posed.
    """
    earlier = [by_case(rows) for rows in before]
    posed = [Posed.of(row) for row in cases]
    if private:
        posed = [replace(each, case=replace(each.case, private=True)) for each in posed]
    return going(posed, earlier, depth), earlier


def analysis_batches(
    cases: Sequence[Posed],
    before: Sequence[Mapping[str, Analysis]],
    depth: Depth,
    run: Climb,
    outcome: Outcome,
    *,
    extra: dict[str, object],
    shown: dict[str, object],
    verdicts: SqliteVerdicts,
) -> Iterator[pa.RecordBatch]:
    """The rows of `ANALYSES` at one depth. A case that waits for money, a node or a batch has its row, and counts as
    skipped: the next run tries it again. `extra` gets how many wait in batches. What verifiers say of the answers is
    among the `verdicts` before the rows are given.
    """
    found = climb(cases, before, depth, run)
    shown |= counts(found) | {"verdicts_of_verifiers": give_verdicts(found, verdicts)}
    extra["in_batches"] = sum(each.in_batch for each in found)
    waiting = sum(each.waits for each in found)
    outcome.skipped += waiting
    outcome.advance(len(found) - waiting)
    if found:
        yield ANALYSES.batch([each.row() for each in found])


def identity(means: Means) -> dict[str, object]:
    """What the answers of a slice depend on beside its cases: nodes, thresholds, calibration, techniques."""
    known = [asdict(node) for node in means.nodes.values()]
    off = [[asdict(state.node), state.off] for state in means.off]
    digest = blake3(json.dumps([known, off], sort_keys=True, default=str).encode()).hexdigest(length=8)
    gates = {depth: gate.threshold for depth in DEPTHS if (gate := means.calibrator.gate(depth)) is not None}
    principles = json.dumps([asdict(each) for each in means.techniques.principles])
    made: dict[str, object] = {
        "nodes": digest,
        "calibration": means.calibrator.version,
        **asdict(means.thresholds),
        "techniques": " ".join(sorted(means.techniques.depths)),
        "principles": blake3(principles.encode("utf-8", "surrogatepass")).hexdigest(length=8),
    }
    return made | ({"gates": gates} if gates else {})
