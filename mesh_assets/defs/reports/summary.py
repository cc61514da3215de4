"""The summary of a dataset for its report: the sentences of its slices that say most, and what a local model makes of
them where the owner names one."""

from collections.abc import Sequence
from functools import partial

import dagster as dg
import pyarrow as pa

from mesh_assets.analyses.written_summary import Row, Written, written_summary
from mesh_assets.embeddings.protocol import OFF, Encoder
from mesh_assets.embeddings.stage import known_or_made
from mesh_assets.errors import MeshError, ModelError
from mesh_assets.insights.dataset_summary import summarised
from mesh_assets.mesh.protocol import Scope
from mesh_assets.reports.model import OnSummary
from mesh_assets.resources.caller import MeshCaller
from mesh_assets.schemas.insights import INSIGHTS
from mesh_assets.settings import Settings
from mesh_assets.storage.lake import Lake
from mesh_assets.storage.report_inputs import summaries
from mesh_assets.storage.shared_vectors import SharedVectors


def dataset_summary(
    context: dg.AssetExecutionContext,
    lake: Lake,
    slices: list[str],
    *,
    settings: Settings,
    encoder: Encoder,
    caller: MeshCaller,
) -> tuple[pa.RecordBatch, OnSummary]:
    """Rows of `INSIGHTS`, and what a reader must know of who wrote them.

    A model that cannot be asked costs its sentences, never the report.
    """
    notes: list[str] = []
    rows: list[dict[str, object]] = []
    try:
        encode = partial(known_or_made, encoder=encoder, known=_known(context, settings, encoder))
        rows = summarised(summaries(lake, slices), None if encoder.model == OFF else encode)
    except ModelError as error:
        notes.append(f"Chosen by their words, not by their meaning: {error}")
        rows = summarised(summaries(lake, slices), None)
    written = _written(context, rows, settings.summary_node, caller)
    note = " ".join(note for note in (written.note, *notes) if note)
    return INSIGHTS.batch([*written.rows, *rows]), OnSummary(note, (settings.summary_node,) if written.rows else ())


def _known(context: dg.AssetExecutionContext, settings: Settings, encoder: Encoder) -> SharedVectors:
    return SharedVectors(settings.state, encoder.model, dataset=context.partition_key, log=context.log.warning)


def _written(context: dg.AssetExecutionContext, rows: Sequence[Row], name: str, caller: MeshCaller) -> Written:
    scopes = (Scope("run", context.run.run_id), Scope("dataset", context.partition_key))
    try:
        if name == OFF:
            return Written()
        return written_summary(rows, name=name, dataset=context.partition_key, means=caller.means, scopes=scopes)
    except MeshError as error:  # mesh.yaml or the records of calls cannot be used
        return Written(note=f"MESH_SUMMARY_NODE is {name}, which was not asked: {error}")
