"""Assets of the stage `reports`. They are always written anew: that costs little, and the last table of a slice says
at which version of the manifest everything before it is."""

from collections.abc import Sequence
from itertools import chain

import dagster as dg
import pyarrow as pa

from mesh_assets.defs.partitions import ACROSS_GRAINS, dataset_asset, dataset_table, slice_asset
from mesh_assets.defs.produce import input_hash, made_from
from mesh_assets.defs.reports.summary import dataset_summary
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.mesh.shapes import DEPTHS
from mesh_assets.reports.model import Report, dataset_report, slice_report
from mesh_assets.reports.rendering import render, report_batch
from mesh_assets.resources.caller import MeshCaller
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.settings import Settings
from mesh_assets.slices import SliceKey
from mesh_assets.storage import report_inputs
from mesh_assets.storage.files import publish_text
from mesh_assets.storage.lake import Lake, LakeTable
from mesh_assets.storage.progress import dataset_progress
from mesh_assets.storage.statistics import dataset_statistics_table

_ANSWERS = tuple(f"{depth}_analyses" for depth in DEPTHS)


@slice_asset(deps=["vector_index", "fulltext_index", "graph_index", "time_index", "research_analyses"])
def slice_reports(
    context: dg.AssetExecutionContext,
    slice_insights: LakeTable,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
) -> Produced:
    """What a person should know of the slice: what stands out, what is in it, what could not be read.

    Every statement opens the bytes that it rests on.
    """
    key = context.partition_key
    dataset = SliceKey.parse(key).dataset
    report = slice_report(
        report_inputs.facts(lake, dataset, [key]),
        slice_insights.batches(),
        report_inputs.rejects(lake, [key]),
        report_inputs.previews(lake, [key]),
        report_inputs.answers(lake, [key]),
    )
    before = ("raw_partitions", "chunk_sets", "vector_index", "fulltext_index", "graph_index", "time_index", *_ANSWERS)
    upstream = [*(lake.read(asset, key) for asset in before), slice_insights]
    extra = {"slice_version": upstream[0].footer.extra["slice_version"], **made_from(upstream, {})}
    return _published(context, settings, report, f"{dataset}/{key}", upstream, slice_insights.footer.rows, extra)


@dataset_asset(deps=[dg.AssetDep("slice_reports", partition_mapping=ACROSS_GRAINS), "communities"])
def dataset_reports(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
    encoder: dg.ResourceParam[Encoder],
    caller: dg.ResourceParam[MeshCaller],
) -> Produced:
    """What a person should know of the whole dataset, synthesized from the insights of its slices."""
    dataset = context.partition_key
    progress = dataset_progress(lake, dataset)
    slices = sorted(progress.finished)
    before = report_inputs.remembered(lake, dataset, progress.digest)
    summary, note = dataset_summary(context, lake, slices, settings=settings, encoder=encoder, caller=caller)
    together = lake.find("communities", dataset)
    report = dataset_report(
        report_inputs.facts(lake, dataset, slices, not_done=progress.unfinished),
        chain([summary], report_inputs.insights(lake, slices)),
        report_inputs.dataset_rejects(lake, dataset, slices),
        report_inputs.previews(lake, slices),
        report_inputs.answers(lake, slices),
        before,
        note,
        together.rows() if together is not None else (),
    )
    upstream = [lake.read("drop_manifests", dataset), *(lake.read("slice_reports", key) for key in slices)]
    upstream += [together] if together is not None else []
    rows = sum(lake.read("slice_insights", key).footer.rows for key in slices)
    name = f"{dataset}/index"
    found = dict(report.remembered)
    extra: dict[str, object] = {"state": progress.digest, "findings": found, "findings_before": before}
    return _published(context, settings, report, name, upstream, rows, extra)


@dataset_table(
    deps=[dg.AssetDep("slice_reports", partition_mapping=ACROSS_GRAINS), "dataset_reports", "communities", "receipts"]
)
def dataset_statistics(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> pa.Table:
    """What each stage made of each slice of the dataset and what that cost: rows, rejects, bytes, seconds, state.

    It is a table of `lake.duckdb`, where it can be queried beside the whole lake: `mesh sql` lists what is there.
    """
    return dataset_statistics_table(lake, context.partition_key)


def _published(
    context: dg.AssetExecutionContext,
    settings: Settings,
    report: Report,
    name: str,
    upstream: Sequence[LakeTable],
    insights: int,
    extra: dict[str, object],
) -> Produced:
    """The report as files, and its row; the row is published last and so vouches for the files."""
    rendered = render(report)
    html = settings.state / "reports" / f"{name}.html"
    publish_text(html, rendered.html, context.run.run_id)
    publish_text(html.with_name(f"{html.stem}.md"), rendered.markdown, context.run.run_id)
    outcome = Outcome("insights", total=insights, done=insights)
    shown: dict[str, object] = {
        "findings": report.findings,
        "report": dg.MetadataValue.md(rendered.ui),
        "html": dg.MetadataValue.path(str(html)),
    }
    identity = input_hash(context.asset_key.to_user_string(), upstream, {})
    return Produced([report_batch(report, rendered, f"{name}.html")], outcome, identity, extra, shown)
