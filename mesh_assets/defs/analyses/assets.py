"""Assets of the stage `analyses`: questions over evidence, and their answers by depth.

With no node but the local one nothing is called and nothing leaves; a run that is repeated pays nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any

import dagster as dg
import pyarrow as pa

from mesh_assets.analyses.briefs import briefs_digest, read_briefs
from mesh_assets.analyses.cases import Found, Slice
from mesh_assets.analyses.ladder import Climb
from mesh_assets.analyses.stage import analysis_batches, case_batches, coming, evidence_room, identity
from mesh_assets.defs.analyses.calibration import calibration_shown
from mesh_assets.defs.partitions import slice_asset
from mesh_assets.defs.produce import produce
from mesh_assets.errors import CorruptTableError
from mesh_assets.mesh.protocol import Scope
from mesh_assets.mesh.shapes import DEPTHS, Depth
from mesh_assets.mesh.sqlite_verdicts import SqliteVerdicts
from mesh_assets.resources.caller import MeshCaller
from mesh_assets.schemas.outcome import Outcome, StageOutput
from mesh_assets.settings import SHIPPED_BRIEFS, Settings
from mesh_assets.slices import SliceKey
from mesh_assets.storage.lake import Lake, LakeTable
from mesh_assets.storage.past import LakeSimulator
from mesh_assets.storage.run_tags import CAN_WAIT_TAG, is_set
from mesh_assets.storage.slice_query import SliceQuery
from mesh_assets.storage.slice_texts import LakeTexts


@slice_asset(deps=["log_events"])
def cases(
    context: dg.AssetExecutionContext,
    chunk_sets: LakeTable,
    chunk_embeddings: LakeTable,
    slice_insights: LakeTable,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
    caller: dg.ResourceParam[MeshCaller],
) -> StageOutput:
    """The questions of the slice: standing ones, about what was found, each with the evidence to answer it from.

    A case stays as it is while its evidence does: it is not asked again because a file grew or a line moved.
    """
    key, dataset = context.partition_key, SliceKey.parse(context.partition_key).dataset
    briefs = read_briefs(SHIPPED_BRIEFS, settings.briefs)
    room = evidence_room(settings.evidence_tokens, caller.means.nodes)
    private = dataset in settings.private_datasets
    extra, shown = dict[str, object](), dict[str, object]()

    def rows(outcome: Outcome) -> Iterator[pa.RecordBatch]:
        found = tuple(Found.of(row) for row in slice_insights.rows())
        with closing(SliceQuery(lake, key)) as query:
            of = Slice(dataset, key, found, LakeTexts(chunk_sets, chunk_embeddings), query, room, private)
            yield from case_batches(of, briefs, _rows_before(lake, key), outcome, extra=extra, shown=shown)

    return produce(
        context,
        lake,
        rows,
        upstream=[chunk_sets, chunk_embeddings, slice_insights, lake.read("log_events", key)],
        total=slice_insights.footer.rows,
        unit="insights",
        settings={"briefs": briefs_digest(briefs), "evidence_tokens": room, "private": private},
        shown=shown,
        extra=extra,
    )


@slice_asset()
def surface_analyses(
    context: dg.AssetExecutionContext,
    cases: LakeTable,
    lake: dg.ResourceParam[Lake],
    caller: dg.ResourceParam[MeshCaller],
) -> StageOutput:
    """A first answer to every case. Without a node that is on it quotes the evidence, and says what more would cost."""
    return _climbed(context, lake, caller, cases, [])


@slice_asset()
def deep_analyses(
    context: dg.AssetExecutionContext,
    cases: LakeTable,
    surface_analyses: LakeTable,
    lake: dg.ResourceParam[Lake],
    caller: dg.ResourceParam[MeshCaller],
) -> StageOutput:
    """Answers to the cases of which the surface is not sure enough; an earlier answer that is better stays."""
    return _climbed(context, lake, caller, cases, [surface_analyses])


@slice_asset()
def expert_analyses(
    context: dg.AssetExecutionContext,
    cases: LakeTable,
    surface_analyses: LakeTable,
    deep_analyses: LakeTable,
    lake: dg.ResourceParam[Lake],
    caller: dg.ResourceParam[MeshCaller],
) -> StageOutput:
    """Answers of experts to the cases that are still not sure enough."""
    return _climbed(context, lake, caller, cases, [surface_analyses, deep_analyses])


@slice_asset()
def research_analyses(
    context: dg.AssetExecutionContext,
    cases: LakeTable,
    surface_analyses: LakeTable,
    deep_analyses: LakeTable,
    expert_analyses: LakeTable,
    lake: dg.ResourceParam[Lake],
    caller: dg.ResourceParam[MeshCaller],
) -> StageOutput:
    """Answers to the few cases that nothing before could settle."""
    return _climbed(context, lake, caller, cases, [surface_analyses, deep_analyses, expert_analyses])


def _rows_before(lake: Lake, key: str) -> list[dict[str, Any]]:
    """The cases that the slice had; none where that table is damaged, as it is made again."""
    with suppress(CorruptTableError):
        before = lake.find("cases", key)
        return before.rows() if before is not None else []
    return []


def _climbed(
    context: dg.AssetExecutionContext,
    lake: Lake,
    caller: MeshCaller,
    cases: LakeTable,
    before: Sequence[LakeTable],
) -> StageOutput:
    """The table of the depth that comes after those `before`."""
    key = context.partition_key
    depth: Depth = DEPTHS[len(before)]
    dataset = SliceKey.parse(key).dataset
    private = dataset in caller.settings.private_datasets
    come, earlier = coming(cases.rows(), [table.rows() for table in before], depth, private=private)
    scopes = (Scope("run", context.run.run_id), Scope("dataset", dataset))
    extra, shown = dict[str, object](), calibration_shown(caller.settings)

    def rows(outcome: Outcome) -> Iterator[pa.RecordBatch]:
        with closing(SliceQuery(lake, key)) as query, closing(LakeSimulator(lake)) as simulator:
            run = Climb(
                caller.means,
                scopes,
                query,
                simulator,
                is_stopped=outcome.is_held,
                wait=partial(outcome.advance, 0),
                desk=caller.desk,
                can_wait=is_set(context.run.tags, CAN_WAIT_TAG),
            )
            verdicts = SqliteVerdicts(caller.settings.state)
            yield from analysis_batches(come, earlier, depth, run, outcome, extra=extra, shown=shown, verdicts=verdicts)

    return produce(
        context,
        lake,
        rows,
        upstream=[cases, *before],
        total=len(come),
        unit="cases",
        settings=identity(caller.means) | {"private": private},
        extra=extra,
        shown=shown,
    )
