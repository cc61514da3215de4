"""Assets of the stage `chunks`."""

import dagster as dg

from mesh_assets.chunks.protocol import LocalModels
from mesh_assets.chunks.registry import reading_settings
from mesh_assets.chunks.sources import verified_sources
from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.defs.partitions import slice_asset
from mesh_assets.defs.produce import produce
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.schemas.outcome import AttachedRows, StageOutput
from mesh_assets.settings import Settings
from mesh_assets.slices import SliceKey
from mesh_assets.storage.chunk_store import formats_of
from mesh_assets.storage.lake import Lake, LakeTable


@slice_asset()
def chunk_sets(
    context: dg.AssetExecutionContext,
    raw_partitions: LakeTable,
    lake: dg.ResourceParam[Lake],
    drop_area: dg.ResourceParam[DropArea],
    settings: dg.ResourceParam[Settings],
) -> StageOutput:
    """The slice cut into chunks by what they mean: sections, functions, windows of log records, groups of rows.

    Each chunk knows the exact bytes that it was cut from. A file that no chunker can cut is a reject.
    """
    dataset = SliceKey.parse(context.partition_key).dataset
    tokens, models = settings.chunk_tokens, LocalModels.of(settings.model_dump())
    attached = AttachedRows()
    return produce(
        context,
        lake,
        lambda outcome: chunk_batches(
            verified_sources(drop_area.folder_of(dataset), dataset, raw_partitions.batches(), models=models),
            slice_key=context.partition_key,
            chunk_tokens=tokens,
            outcome=outcome,
            attached=attached,
        ),
        upstream=[raw_partitions],
        total=raw_partitions.footer.rows,
        unit="files",
        settings={"chunk_tokens": tokens, **reading_settings(formats_of(raw_partitions), models)},
        attached=attached,
    )
