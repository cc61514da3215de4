"""Assets of the stage `insights`."""

from itertools import chain

import dagster as dg

from mesh_assets.defs.partitions import dataset_asset, slice_asset
from mesh_assets.defs.produce import produce
from mesh_assets.embeddings.protocol import OFF, Encoder
from mesh_assets.insights import chunk_stage, log_tables, relations, series_tables, slice_stage
from mesh_assets.insights.chunk_stage import insight_batches, insight_counts
from mesh_assets.insights.code_findings import BATCH_ROWS as CODE_ROWS
from mesh_assets.insights.code_findings import code_finding_batches
from mesh_assets.insights.log_tables import log_batches, log_counts
from mesh_assets.insights.relations import relation_batches
from mesh_assets.insights.series_tables import point_batches, series_batches
from mesh_assets.insights.slice_stage import slice_insight_batches
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.intake.git_history import History
from mesh_assets.resources.labels import connect_labeller
from mesh_assets.resources.names import connect_names, names_told_by
from mesh_assets.schemas.outcome import AttachedRows, StageOutput
from mesh_assets.settings import Settings
from mesh_assets.slices import LOOSE_FILES, SliceKey
from mesh_assets.storage.earlier_templates import earlier_templates
from mesh_assets.storage.first_look import first_look
from mesh_assets.storage.known_insights import StoredInsights
from mesh_assets.storage.lake import Lake, LakeTable
from mesh_assets.storage.vectors import aligned, check_model

# Of the code of a slice, so many characters are read by the tools, a megabyte in three seconds of a core: little beside
# embedding, and where that is off a run is to stay quick.
_CODE_CHARACTERS, _CODE_CHARACTERS_OFF = 8_000_000, 1_000_000


@slice_asset()
def chunk_insights(
    context: dg.AssetExecutionContext,
    chunk_sets: LakeTable,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
) -> StageOutput:
    """Keyphrases and named things of each chunk, found by algorithms and, where one is set, a model on this machine.

    A chunk that was there before keeps what was found in it.
    """
    known = StoredInsights(lake, context.partition_key)
    counts = insight_counts()
    names = connect_names(settings, context.log.warning)
    return produce(
        context,
        lake,
        lambda outcome: insight_batches(
            chunk_sets.batches(chunk_stage.COLUMNS, rows=chunk_stage.BATCH_ROWS),
            outcome,
            known=known,
            counts=counts,
            names=names,
        ),
        upstream=[chunk_sets],
        total=chunk_sets.footer.rows,
        unit="chunks",
        settings={"ner_model": names_told_by(settings, names)},
        shown=counts,
    )


@slice_asset()
def chunk_relations(
    context: dg.AssetExecutionContext,
    chunk_sets: LakeTable,
    chunk_insights: LakeTable,
    lake: dg.ResourceParam[Lake],
) -> StageOutput:
    """Chunks of different files that name the same rare things, and how near in time they are: edges of the graph."""
    return produce(
        context,
        lake,
        lambda outcome: relation_batches(
            zip(chunk_sets.batches(relations.COLUMNS), chunk_insights.batches(relations.INSIGHT_COLUMNS), strict=True),
            dataset=SliceKey.parse(context.partition_key).dataset,
            slice_key=context.partition_key,
            outcome=outcome,
        ),
        upstream=[chunk_sets, chunk_insights],
        total=chunk_sets.footer.rows,
        unit="chunks",
    )


@slice_asset()
def log_events(context: dg.AssetExecutionContext, chunk_sets: LakeTable, lake: dg.ResourceParam[Lake]) -> StageOutput:
    """The records of the logs of the slice: when, how severe, what wrote each, which template it has, and its bytes.

    Beside them `log_templates` has each message once, with what varies in it left open, how often and since when; it
    has the same `template_id` in every slice of a dataset. Rotated files are one log. A message is new where no earlier
    slice that is there has it.
    """
    counts, attached = log_counts(), AttachedRows()
    return produce(
        context,
        lake,
        lambda outcome: log_batches(
            chunk_sets.batches(log_tables.PLACE_COLUMNS, rows=log_tables.BATCH_ROWS),
            chunk_sets.batches(log_tables.COLUMNS, rows=log_tables.BATCH_ROWS),
            dataset=SliceKey.parse(context.partition_key).dataset,
            slice_key=context.partition_key,
            outcome=outcome,
            attached=attached,
            counts=counts,
            earlier=earlier_templates(lake, context.partition_key),
        ),
        upstream=[chunk_sets],
        total=chunk_sets.footer.rows,
        unit="chunks",
        shown=counts,
        attached=attached,
    )


@slice_asset()
def code_findings(
    context: dg.AssetExecutionContext,
    chunk_sets: LakeTable,
    lake: dg.ResourceParam[Lake],
    drop_area: dg.ResourceParam[DropArea],
    encoder: dg.ResourceParam[Encoder],
) -> StageOutput:
    """What stands out in the code of the slice: hot spots, copied and dead code, mistakes, risky calls, import circles.

    Found by lizard, bandit, vulture and the syntax tree, in a process of its own that runs none of the code. What
    nobody mentions is told where the slice holds the whole dataset. Where the dataset is a checkout of git, how often
    each file was changed counts too.
    """
    dataset = SliceKey.parse(context.partition_key).dataset
    is_whole = len(lake.read("drop_manifests", dataset).footer.extra["slices"]) == 1
    history = History() if dataset == LOOSE_FILES else History.of(drop_area.folder_of(dataset))
    most = _CODE_CHARACTERS_OFF if encoder.model == OFF else _CODE_CHARACTERS
    return produce(
        context,
        lake,
        lambda outcome: code_finding_batches(
            lambda columns: chunk_sets.batches(columns, rows=CODE_ROWS),
            dataset=dataset,
            slice_key=context.partition_key,
            outcome=outcome,
            is_whole=is_whole,
            commits=history.commits,
            most=most,
        ),
        upstream=[chunk_sets],
        total=chunk_sets.footer.rows,
        unit="chunks",
        settings={"is_whole": is_whole, "history": history.head, "most": most},
    )


@slice_asset()
def slice_insights(
    context: dg.AssetExecutionContext,
    chunk_sets: LakeTable,
    chunk_insights: LakeTable,
    chunk_embeddings: LakeTable,
    log_events: LakeTable,
    code_findings: LakeTable,
    lake: dg.ResourceParam[Lake],
    encoder: dg.ResourceParam[Encoder],
    settings: dg.ResourceParam[Settings],
) -> StageOutput:
    """What is in the slice and what stands out: topics, a summary, statistics, and findings such as log incidents.

    Beside them `chunk_labels` says of each chunk what it is about, by the descriptions in `labels.yaml`.
    """
    check_model(chunk_embeddings, encoder.model)
    labeller, attached = connect_labeller(settings, encoder), AttachedRows()
    return produce(
        context,
        lake,
        lambda outcome: slice_insight_batches(
            aligned(
                chunk_sets, chunk_insights, chunk_embeddings, columns=slice_stage.COLUMNS, rows=slice_stage.BATCH_ROWS
            ),
            chain(lake.read("log_insights", context.partition_key).batches(), code_findings.batches()),
            dataset=SliceKey.parse(context.partition_key).dataset,
            slice_key=context.partition_key,
            outcome=outcome,
            labeller=labeller,
            attached=attached,
        ),
        upstream=[chunk_sets, chunk_insights, chunk_embeddings, log_events, code_findings],
        total=chunk_sets.footer.rows,
        unit="chunks",
        settings={"labels": labeller.fingerprint},
        attached=attached,
    )


@slice_asset()
def series(context: dg.AssetExecutionContext, chunk_sets: LakeTable, lake: dg.ResourceParam[Lake]) -> StageOutput:
    """The time series in the slice's tables: what each measures, how many points it has, how far apart, and gaps."""
    return produce(
        context,
        lake,
        lambda outcome: series_batches(
            chunk_sets.batches(series_tables.COLUMNS, rows=series_tables.BATCH_ROWS),
            dataset=SliceKey.parse(context.partition_key).dataset,
            slice_key=context.partition_key,
            outcome=outcome,
        ),
        upstream=[chunk_sets],
        total=chunk_sets.footer.rows,
        unit="chunks",
    )


@slice_asset()
def series_points(
    context: dg.AssetExecutionContext, chunk_sets: LakeTable, lake: dg.ResourceParam[Lake]
) -> StageOutput:
    """Every value of every time series with its moment and the chunk that holds it."""
    return produce(
        context,
        lake,
        lambda outcome: point_batches(
            chunk_sets.batches(series_tables.COLUMNS, rows=series_tables.BATCH_ROWS),
            dataset=SliceKey.parse(context.partition_key).dataset,
            outcome=outcome,
        ),
        upstream=[chunk_sets],
        total=chunk_sets.footer.rows,
        unit="chunks",
    )


@dataset_asset(deps=["drop_manifests"])
def immediate_insights(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], drop_area: dg.ResourceParam[DropArea]
) -> StageOutput:
    """What is in the dataset, told from a sample of its files within seconds of the drop: kinds, formats, languages,
    how long the rest will take, and what looks wrong. Nothing else is made from it.
    """
    dataset = context.partition_key
    shown: dict[str, object] = {}
    return produce(
        context,
        lake,
        lambda outcome: first_look(lake, drop_area, dataset, outcome, shown),
        upstream=[lake.read("drop_manifests", dataset)],
        total=1,
        unit="looks",
        shown=shown,
    )
