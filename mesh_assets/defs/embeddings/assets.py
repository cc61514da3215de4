"""Assets of the stage `embeddings`."""

import dagster as dg

from mesh_assets.defs.partitions import slice_asset
from mesh_assets.defs.produce import produce
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.embeddings.stage import embedding_batches, embedding_counts, rows_to_embed
from mesh_assets.schemas.outcome import StageOutput
from mesh_assets.settings import MIB, Settings
from mesh_assets.slices import SliceKey
from mesh_assets.storage.known_vectors import StoredVectors
from mesh_assets.storage.lake import Lake, LakeTable
from mesh_assets.storage.shared_vectors import SharedVectors


@slice_asset()
def chunk_embeddings(
    context: dg.AssetExecutionContext,
    chunk_sets: LakeTable,
    lake: dg.ResourceParam[Lake],
    encoder: dg.ResourceParam[Encoder],
    settings: dg.ResourceParam[Settings],
) -> StageOutput:
    """One vector a chunk, computed on this machine. Equal texts of a slice are embedded once; texts that an earlier
    run embedded, be it one that was cut off or one of another slice, not again.

    Without rows where `MESH_EMBEDDING_MODEL` is `off`.
    """
    model, key, warn = encoder.model, context.partition_key, context.log.warning
    dataset, keep_free = SliceKey.parse(key).dataset, settings.keep_free_mib * MIB
    shared = SharedVectors(settings.state, model, dataset=dataset, log=warn, keep_free=keep_free)
    known = StoredVectors(lake, key, model=model, run_id=context.run.run_id, log=warn, shared=shared)
    counts, shown = embedding_counts(), dict[str, object]()

    def published() -> None:
        known.forget_parts()
        shown.update(counts, **({"engine": encoder.engine} if counts["embedded"] else {}))

    return produce(
        context,
        lake,
        lambda outcome: embedding_batches(chunk_sets.batches(), encoder, outcome, known=known, counts=counts),
        upstream=[chunk_sets],
        total=rows_to_embed(chunk_sets.footer.rows, encoder),
        unit="chunks",
        settings={"model": model},
        shown=shown,
        published=published,
    )
